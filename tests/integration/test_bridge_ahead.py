"""A first stage that is ahead of the pipeline gets the files that it waits for; they go into the pipeline with their items."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest
from bridging import Core, Resolver, own_children

from mpsync.bridge import Services, StageSpec
from mpsync.bridge.remote_stage import RemoteStage
from mpsync.errors import UpstreamError
from mpsync.model.content import Artifact
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems
from mpsync.settings import Settings

pytestmark = pytest.mark.usefixtures("nothing_is_left")


class Files:
    """A remote whose every file says its name."""

    def __init__(self, folder: Path, error: UpstreamError | None = None) -> None:
        self.folder, self.error = folder, error
        self.asked: list[str] = []
        self.was_asked = asyncio.Event()

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        self.asked.append(urls[0])
        self.was_asked.set()
        if self.error is not None:
            raise self.error
        path = self.folder / f"fetched-{urls[0]}"
        path.write_text(f"text of {urls[0]}")
        return Fetched(path, path.stat().st_size, {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}, urls[0])


@pytest.fixture
def came() -> dict[str, Fetched | None]:
    """What each unit's file was when it came to the pipeline's end."""
    return {}


async def nothing(_asked: object) -> None:
    return None


def noting(came: dict[str, Fetched | None]) -> Resolver:
    def note(batch: Batch) -> None:
        for slot, owner in enumerate(batch.slots.owner):
            came[batch.names[owner]] = batch.slots.fetched[slot]

    return Resolver(note)


async def test_files_but_deferred_ones_are_handed_out_before_the_pipeline_runs(
    tmp_path: Path, came: dict[str, Any]
) -> None:
    remote = Files(tmp_path)
    core = Core(tmp_path, is_started_early=True, remote=remote, resolver=noting(came), until=remote.was_asked.wait)

    result = await core.run("ReadsFiles")

    assert result["now"] == [None, {"now": "text of now"}]  # read before it had an id
    assert remote.asked == ["now"]
    assert came["now"].path.read_text() == "text of now"
    assert came["later"] is None
    came["now"].path.unlink()


async def test_a_file_stays_readable_when_the_pipeline_moves_it(tmp_path: Path) -> None:
    remote, gate = Files(tmp_path), tmp_path / "gate"

    def move(batch: Batch) -> None:
        for fetched in filter(None, batch.slots.fetched):
            fetched.path.rename(tmp_path / "moved")
            gate.touch()

    core = Core(tmp_path, is_started_early=True, remote=remote, resolver=Resolver(move), until=remote.was_asked.wait)

    result = await core.run("ReadsFiles", {"gate": str(gate)})

    assert result["now"][1] == {"now": "text of now"}
    assert (tmp_path / "moved").read_text() == "text of now"
    for path in (gate, tmp_path / "moved"):
        path.unlink()


async def test_a_file_that_cannot_be_had_is_left_to_the_pipeline_with_its_failure(
    tmp_path: Path, came: dict[str, Any]
) -> None:
    error = UpstreamError("http://mirror.example/now", "gone")
    remote = Files(tmp_path, error)
    failures: list[UpstreamError | None] = []

    def note(batch: Batch) -> None:
        failures.extend(item.failure for item in batch.items.values())

    core = Core(tmp_path, is_started_early=True, remote=remote, resolver=Resolver(note), until=remote.was_asked.wait)

    result = await core.run("ReadsFiles")

    assert result["now"] == [1, {}]  # as the pipeline's end, which downloads nothing here, resolved it
    assert failures == [error, None]
    assert core.progress.phases["download"].total == 0


async def test_files_that_are_handed_out_count_as_downloads(tmp_path: Path) -> None:
    remote = Files(tmp_path)
    core = Core(tmp_path, is_started_early=True, remote=remote, until=remote.was_asked.wait)

    await core.run("ReadsFiles")

    phase = core.progress.phases["download"]
    assert (phase.done, phase.total, phase.unit) == (1, 1, "files")
    (tmp_path / "fetched-now").unlink()


async def test_closing_leaves_nothing_when_it_is_cancelled_at_once(tmp_path: Path) -> None:
    remote = Files(tmp_path)
    services = Services(Settings(tmp_path, workers=2), Progress(), AwaitedItems(), remote, nothing, nothing, tmp_path)
    stage = RemoteStage(StageSpec("bridge_stages:Rows", {"rows": 1}), services)
    await stage.start()
    closing = asyncio.create_task(stage.close())
    await asyncio.sleep(0)

    closing.cancel()

    with pytest.raises(asyncio.CancelledError):
        await closing
    assert own_children() == []


@pytest.mark.parametrize("workers", [0, 1])
async def test_once_the_pipeline_runs_files_are_those_of_the_resolved_unit(workers: int, tmp_path: Path) -> None:
    remote = Files(tmp_path)

    result = await Core(tmp_path, workers, remote=remote).run("ReadsFiles")

    assert result["now"] == [1, {}]
    assert remote.asked == []
