"""Debian 12 main/amd64 as published, from a loopback server: 63,440 packages. Collected where the data lies at hand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from command import Command
from upstream import Upstream

from mpsync.core import Storage
from mpsync.model.remote import Remote
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.stage import Stage
from mpsync.plugins.deb.main import DebPlugin
from mpsync.request import Request
from mpsync.settings import Settings
from mpsync.stages.query_existing_contents import QueryExistingContents
from mpsync.stages.recipe import Recipe
from mpsync.store.embedded import EmbeddedServer
from mpsync.sync import Summary, sync

SHARED = Path(os.environ.get("MPSYNC_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data")) / "debian"
PACKAGES = 63_440
SELECTION = ("--suite", "bookworm", "--component", "main", "--arch", "amd64")


class Counting(Stage):
    """A stage as a plugin author writes one: item by item."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, int] = {}

    async def run(self) -> None:
        async for item in self.items():
            content = item.content
            assert content is not None
            if content.kind == "deb.package":
                key = f"{content.name} {content.version} {content.arch}"
                self.names[key] = self.names.get(key, 0) + 1
            await self.put(item)


class CountingPlugin(DebPlugin):
    def __init__(self, counting: Counting) -> None:
        self.counting = counting

    def stages(self, recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
        return recipe.after(QueryExistingContents, self.counting)


if SHARED.exists():

    @pytest.fixture
    def real(upstream: Upstream) -> Upstream:
        upstream.serve_tree(SHARED)
        return upstream

    def test_a_real_suite_is_synced_verified_and_carried_over(command: Command, real: Upstream) -> None:
        found = command.ok("sync", "deb", real.url, *SELECTION, "--name", "bookworm")
        asked = [request.path for request in real.of()]
        real.forget()
        again = command.ok("sync", "bookworm")
        unchanged = [request.path for request in real.of()]
        forced = command.ok("sync", "bookworm", "--force")

        assert found["content"]["deb.package"] == {"total": PACKAGES, "added": PACKAGES, "removed": 0}
        assert len(asked) == len(set(asked)), "nothing is asked for twice"
        assert found["skipped"], "a partial mirror's missing files are reported"
        assert not again["changed"]
        assert unchanged == ["dists/bookworm/InRelease"]
        assert not forced["changed"]

    def test_an_items_stage_sees_each_unit_of_a_real_suite_once(real: Upstream, tmp_path: Path) -> None:
        counting = Counting()
        plugin = CountingPlugin(counting)
        arguments = {
            "suites": ["bookworm"],
            "components": ["main"],
            "architectures": ["amd64"],
            "sources": False,
            "udebs": False,
            "installer": False,
            "keyrings": [],
            "verify": True,
            "check_valid_until": False,
            "allow_weak": False,
            "ignore_missing_indices": False,
        }
        settings = Settings.from_env(data_dir=tmp_path)
        summary = Summary("counted")
        server = EmbeddedServer(tmp_path)

        async def run() -> None:
            async with Storage.open(settings, conninfo) as storage:
                await sync(Request("counted", plugin, Remote(real.url), arguments), storage, Progress(), summary)

        conninfo = server.start()
        try:
            asyncio.run(run())
        finally:
            server.stop(wait_s=10)

        assert len(counting.names) == PACKAGES
        assert set(counting.names.values()) == {1}
        assert summary.content["deb.package"]["total"] == PACKAGES
