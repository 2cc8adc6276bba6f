"""Pipelines of mpsync's own stages without a child or a network, for scenarios that look at one part alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import uvloop

from mpsync.core import RemoteHandle, Storage
from mpsync.declarative_version import DeclarativeVersion
from mpsync.fetch.session import Fetcher
from mpsync.model.remote import Remote
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.first_stage import Parsed, ParseTask, TopFile
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import create_pipeline
from mpsync.pipeline.stage import Stage
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.parse_step import DebIndex
from mpsync.settings import Settings
from mpsync.stages.core_stage import SyncContext
from mpsync.store import repositories
from mpsync.store.versions import NewVersion


class Source(Stage):
    """Puts ready-made batches, one after the other."""

    def __init__(self, batches: Sequence[Batch]) -> None:
        super().__init__()
        self._batches = batches

    async def run(self) -> None:
        for batch in self._batches:
            await self.put(batch)


class Counting(Stage):
    """The stage of a plugin author who wants to see each unit: one item after the other, and on."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    async def run(self) -> None:
        async for item in self.items():
            self.seen += 1
            await self.put(item)


class Passing(Stage):
    """A stage that reads columns and hands them on."""

    async def run(self) -> None:
        async for batch in self.columns():
            await self.put(batch)


class _Unheard:
    """A parse step's host, where nobody listens."""

    async def parse(self, task: ParseTask) -> Parsed:
        raise NotImplementedError

    async def top_file(self, path: str) -> TopFile | None:
        raise NotImplementedError

    def skip(self, what: str, why: str) -> None: ...

    def note(self, name: str, text: str) -> None: ...

    def progress(self, name: str, by: int, total: int | None) -> None: ...


def batches_of(index: Path, rows: int = 2000) -> list[Batch]:
    """The batches that a child sends home of a Packages index: ``rows`` long, raw records packed."""
    context = {
        "kind": kinds.PACKAGE,
        "where": "bench",
        "name": index.name,
        "strict": True,
        "allow_weak": False,
        "deferred": True,
        "max_bytes": 1 << 34,
        "plain_digests": {},
    }

    async def parsed() -> list[Batch]:
        step = DebIndex(ParseTask("", index, context, listing="bench/main/binary-amd64"))
        step.host = _Unheard()
        return [batch async for batch in step.blocks()]

    made: list[Batch] = []
    for found in asyncio.run(parsed()):
        found.pack_raw()
        made.append(found)
    return made


def run_stages(stages: Sequence[Stage]) -> None:
    """Run a pipeline on uvloop to its end."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(create_pipeline(stages, 2000))


async def save(batches: Sequence[Batch], data_dir: Path, conninfo: str) -> list[dict[str, float | int | str]]:
    """Save ready-made batches as the first version of a repository, by the default stages; returns the stage table."""
    settings = Settings(data_dir=data_dir)
    remote = Remote("http://mirror.example/")
    async with Storage.open(settings, conninfo) as storage:
        async with storage.database.connection() as conn:
            repository = await repositories.save(conn, "bench", "deb", remote.url, {})
        assert repository.remote_id is not None
        opened = NewVersion.begin(
            storage.database, repository.id, repository.name, repository.remote_id, exact=True, wait=False
        )
        async with Fetcher(settings, remote, temp_dir=storage.blobs.temp_dir) as fetcher, opened as version:
            context = SyncContext(
                settings=settings,
                database=storage.database,
                blobs=storage.blobs,
                fetcher=fetcher,
                version=version,
                remote_id=repository.remote_id,
                remote=RemoteHandle(fetcher, remote),
                progress=Progress(),
                budget=ResourceBudget(settings.budget_bytes, settings.budget_items),
            )
            made = DeclarativeVersion(Source(batches), context, mirror=True)
            await made.create(unique_kinds=(kinds.PACKAGE,))
            return made.table()
