"""Indices go to parsers: one by one, remembered, or cut into ranges; the rows are the same whoever parses them."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path
from typing import Any

import pytest
from bridging import Core, Resolver

from mpsync.bridge import remote_stage
from mpsync.bridge.messages import Work
from mpsync.errors import MetadataError, UpstreamError
from mpsync.pipeline.batch import Batch

pytestmark = pytest.mark.usefixtures("nothing_is_left")

INDEX = Path(__file__).parents[1] / "data/sample-deb/dists/sample/main/binary-amd64/Packages.xz"
TEXT = lzma.decompress(INDEX.read_bytes())


def task_of(path: Path, **changes: Any) -> dict[str, Any]:
    """A ParseTask of DebIndex, as plain values."""
    context = {
        "kind": "deb.package",
        "where": "sample/main/binary-amd64",
        "name": path.name,
        "strict": True,
        "allow_weak": False,
        "deferred": True,
        "max_bytes": len(TEXT),
        "plain_bytes": len(TEXT),
        "plain_digests": {"sha256": hashlib.sha256(TEXT).hexdigest()},
        **changes,
    }
    step = "mpsync.plugins.deb.parse_step:DebIndex"
    return {"step": step, "path": str(path), "context": context, "listing": "sample/main"}


class Columns:
    """What rows came, as comparable tuples of all that crosses."""

    def __init__(self) -> None:
        self.rows: list[tuple[Any, ...]] = []

    def __call__(self, batch: Batch) -> None:
        slots = batch.slots
        for row in range(len(batch)):
            files = [(slots.path[s], slots.sha256[s], slots.size[s], slots.digests[s]) for s in slots.of(row)]
            names = (batch.kinds[row], batch.names[row], batch.versions[row], batch.archs[row], batch.listings[row])
            self.rows.append((batch.keys[row], *names, batch.raw_at(row), files))


@pytest.fixture
def small_cuts(monkeypatch: pytest.MonkeyPatch) -> list[Work]:
    """Cut also small indices; the Work that was given out is collected."""
    given: list[Work] = []
    monkeypatch.setattr(remote_stage, "CUT_BYTES", 1)
    real = remote_stage.Work

    def note(*values: Any) -> Work:
        given.append(real(*values))
        return given[-1]

    monkeypatch.setattr(remote_stage, "Work", note)
    return given


async def rows_with(workers: int, folder: Path, **changes: Any) -> list[tuple[Any, ...]]:
    columns = Columns()
    core = Core(folder, workers, resolver=Resolver(columns))
    result = await core.run("ParsesIndex", {"task": task_of(INDEX, **changes), "folder": str(folder)})
    assert result["rows"] == len(columns.rows)
    assert result["left"] == []  # the text that parsers shared goes when it is parsed, not when the sync ends
    return columns.rows


async def test_an_index_cut_among_parsers_gives_the_same_rows(tmp_path: Path, small_cuts: list[Work]) -> None:
    in_process = await rows_with(0, tmp_path)
    with_one = await rows_with(1, tmp_path)
    assert [work.how for work in small_cuts] == ["parse"]
    cut = await rows_with(4, tmp_path)

    assert [work.how for work in small_cuts[1:]] == ["unpack", "parse", "parse", "parse"]
    assert [work.task["start"] for work in small_cuts[2:]] == sorted(work.task["start"] for work in small_cuts[2:])
    assert len(in_process) == TEXT.count(b"\nPackage: ") + 1
    assert with_one == in_process
    assert sorted(cut, key=str) == sorted(in_process, key=str)


async def test_a_text_that_is_not_what_was_promised_is_refused_before_it_is_cut(
    tmp_path: Path, small_cuts: list[Work]
) -> None:
    with pytest.raises(UpstreamError):
        await rows_with(3, tmp_path, plain_digests={"sha256": "00" * 32})

    assert [work.how for work in small_cuts] == ["unpack"]


async def test_a_range_that_cannot_be_parsed_ends_the_sync(tmp_path: Path, small_cuts: list[Work]) -> None:
    broken = TEXT.replace(b"\nSHA256: ", b"\nSHA257: ")
    path = tmp_path / "Packages"
    path.write_bytes(broken)
    task = task_of(path, plain_digests={}, max_bytes=len(broken))

    with pytest.raises(MetadataError):
        await Core(tmp_path, 3).run("ParsesIndex", {"task": task, "folder": str(tmp_path)})

    assert [work.how for work in small_cuts][:2] == ["unpack", "parse"]
    path.unlink()


@pytest.mark.usefixtures("small_cuts")
async def test_a_step_that_cannot_be_cut_is_given_to_one_parser(tmp_path: Path) -> None:
    path = tmp_path / "index"
    path.write_bytes(b"some bytes")
    core = Core(tmp_path, 3)

    result = await core.run("ParsesOne", {"step": "Step", "context": {"path": str(path), "rows": 7}})

    assert result == {"rows": 7}
    assert len(core.texts) == 7
    path.unlink()


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_more_indices_than_parsers_are_all_parsed(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers)

    result = await core.run("Parses", {"steps": [["Step", {"rows": rows, "name": f"i{rows}"}] for rows in range(8)]})

    assert result["rows"] == [[rows, False] for rows in range(8)]
    assert sorted(core.texts) == sorted(f"i{rows} {row}" for rows in range(8) for row in range(rows))


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_an_index_that_the_core_remembers_is_not_parsed(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers, recalled={"": 17})

    result = await core.run("ParsesOne", {"step": "FailingStep"})

    assert result["rows"] == 17
    assert core.texts == []


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_a_file_that_is_not_there_is_the_steps_to_report(workers: int, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="No such file"):
        await Core(tmp_path, workers).run(
            "ParsesIndex", {"task": task_of(tmp_path / "Packages.xz"), "folder": str(tmp_path)}
        )
