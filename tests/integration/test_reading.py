"""Reading upstream ahead of the database: used when nothing is held, given up when something is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from bridging import own_children

from mpsync.bridge.remote_stage import RemoteStage
from mpsync.bridge.spec import nothing_known, nothing_recalled
from mpsync.core import opened_blobs
from mpsync.model.remote import Remote
from mpsync.pipeline.progress import Progress
from mpsync.plugin.repository import Held, Plugin, Probed, Upstream
from mpsync.reading import Reading
from mpsync.request import Request
from mpsync.settings import Settings

NOW = datetime(2026, 11, 24, tzinfo=UTC)


class Noting(Plugin):
    """Notes what it is probed with."""

    name = "noting"
    first_stage = "bridge_stages:Rows"

    def __init__(self) -> None:
        self.held: list[Mapping[str, Any]] = []

    async def probe(self, upstream: Upstream, options: Mapping[str, Any], held: Held) -> Probed:
        self.held.append(held.state)
        return Probed(is_unchanged=False, options={"rows": len(self.held)})


@pytest.fixture
def plugin() -> Noting:
    return Noting()


@pytest.fixture
async def reading(plugin: Noting, tmp_path: Path) -> AsyncIterator[Reading]:
    settings = Settings(tmp_path)
    request = Request("name", plugin, Remote("http://mirror.example/nowhere"))
    async with opened_blobs(settings) as blobs, Reading.open(request, settings, blobs, Progress()) as opened:
        yield opened
    assert own_children() == []


async def test_what_was_begun_is_what_a_first_sync_goes_on_with(reading: Reading, plugin: Noting) -> None:
    reading.begin()

    probed = await reading.probe(Held({}, NOW))
    first = reading.first_stage(probed, nothing_recalled, nothing_known)

    assert plugin.held == [{}]
    assert isinstance(first, RemoteStage)
    assert len(own_children()) == 1


async def test_a_repository_that_holds_something_by_now_is_probed_again(reading: Reading, plugin: Noting) -> None:
    reading.begin()

    probed = await reading.probe(Held({"date": "today"}, NOW))
    first = reading.first_stage(probed, nothing_recalled, nothing_known)

    assert plugin.held[-1] == {"date": "today"}
    assert own_children() == []
    assert probed.options == {"rows": len(plugin.held)}
    assert isinstance(first, RemoteStage)


async def test_what_was_begun_and_is_not_wanted_ends_with_its_block(reading: Reading) -> None:
    reading.begin()


async def test_what_was_begun_ends_with_its_block_when_that_is_cancelled_again(plugin: Noting, tmp_path: Path) -> None:
    request = Request("name", plugin, Remote("http://mirror.example/nowhere"))
    has_begun = asyncio.Event()

    async def read() -> None:
        async with (
            opened_blobs(Settings(tmp_path)) as blobs,
            Reading.open(request, Settings(tmp_path), blobs, Progress()) as opened,
        ):
            opened.begin()
            await opened.probe(Held({}, NOW))
            has_begun.set()
            await asyncio.Event().wait()

    reading = asyncio.create_task(read())
    await has_begun.wait()
    for _ in range(2):
        reading.cancel()
        await asyncio.sleep(0)

    await asyncio.wait((reading,))

    assert reading.cancelled()
    assert own_children() == []


async def test_what_a_reading_left_out_that_was_given_up_is_not_told(plugin: Noting, tmp_path: Path) -> None:
    progress = Progress()
    request = Request("name", plugin, Remote("http://mirror.example/nowhere"))
    async with (
        opened_blobs(Settings(tmp_path)) as blobs,
        Reading.open(request, Settings(tmp_path), blobs, progress) as reading,
    ):
        reading.begin()
        progress.skip("a unit", "it is damaged")

        await reading.probe(Held({"date": "today"}, NOW))

    assert progress.skipped == []
