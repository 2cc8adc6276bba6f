"""ArtifactDownloader: which units are under way, in which order they leave, and how a failure ends it.

What pulpcore's test_artifactdownloader.py pins down, and what mpsync adds: rows, budget, failure policies.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from gated_downloads import DIGEST, Gates, downloading, rows, settle, unit

from mpsync.errors import UpstreamError
from mpsync.model.content import Artifact
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent, OnFailure
from mpsync.pipeline.stage import Channel


def units(*names: str) -> list[DeclarativeContent]:
    """Units with one file each, of their own name."""
    return [unit(name, name) for name in names]


# --- slots and order ----------------------------------------------------------------------------------------------------


async def test_as_many_units_as_there_are_slots_are_under_way(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=3) as run:
        await run.put(*units("a", "b", "c", "d", "e"))

        assert run.gates.running == {"a", "b", "c"}
        await run.gates.open("b")
        assert run.gates.running == {"a", "c", "d"}
        await run.gates.open("a", "c")
        assert run.gates.running == {"d", "e"}


async def test_rows_of_one_batch_fill_the_slots_as_items_do(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=3) as run:
        await run.put(rows(*units("a", "b", "c", "d")))

        assert run.gates.running == {"a", "b", "c"}
        await run.gates.open("a")
        assert run.gates.running == {"b", "c", "d"}


async def test_slots_stay_filled_until_nothing_is_left(tmp_path: Path) -> None:
    names = [f"u{number}" for number in range(20)]
    async with downloading(tmp_path, slots=3) as run:
        await run.put(*units(*names))
        await run.end()
        seen = []

        while run.gates.running:
            seen.append(len(run.gates.running))
            await run.gates.open(max(run.gates.running))

        assert seen == [3] * 18 + [2, 1]
        await run.task
        assert sorted(await run.names()) == sorted(names)


async def test_units_leave_as_they_finish(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.put(*units("a", "b", "c"))

        await run.gates.open("c")
        assert await run.names() == ["c"]
        await run.gates.open("a")
        assert await run.names() == ["c", "a"]
        await run.gates.open("b")
        assert await run.names() == ["c", "a", "b"]


async def test_rows_of_one_batch_leave_as_they_finish(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.put(rows(*units("a", "b", "c")))

        await run.gates.open("c")
        assert await run.names() == ["c"]
        await run.gates.open("a", "b")
        assert await run.names() == ["c", "a", "b"]


async def test_units_with_nothing_to_do_pass_at_once(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.put(*units("slow"), unit("quick"))
        assert await run.names() == ["quick"]

        await run.put(rows(unit("another")))

        assert await run.names() == ["quick", "another"]


async def test_units_with_nothing_to_do_pass_while_every_slot_is_taken(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=1) as run:
        await run.put(rows(*units("slow", "waiting")))

        await run.put(rows(unit("quick")))

        assert await run.names() == ["quick"]


async def test_batches_with_few_downloads_do_not_block_the_stage(tmp_path: Path) -> None:
    def sparse(number: int) -> list[DeclarativeContent]:
        return [unit(f"slow{number}", f"slow{number}"), *(unit(f"quick{number}") for _ in range(99))]

    async with downloading(tmp_path) as run:
        await run.put(*sparse(1))
        assert len(await run.names()) == 99

        await run.put(rows(*sparse(2)))

        assert run.gates.running == {"slow1", "slow2"}
        assert len(await run.names()) == 2 * 99
        await run.end()
        await run.gates.open("slow2", "slow1")
        await run.task
        assert len(await run.names()) == 200


async def test_all_files_of_a_unit_are_downloaded_together_in_one_slot(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=2) as run:
        await run.put(unit("source", "dsc", "orig", "debian"), *units("b", "c"))

        assert run.gates.running == {"dsc", "orig", "debian", "b"}


@pytest.mark.parametrize("as_rows", [False, True], ids=["item", "row"])
async def test_a_unit_leaves_when_its_last_file_has_arrived(tmp_path: Path, as_rows: bool) -> None:
    source = unit("source", "dsc", "orig")
    async with downloading(tmp_path) as run:
        await run.put(rows(source) if as_rows else source)

        await run.gates.open("orig")
        assert await run.names() == []
        await run.gates.open("dsc")

        assert await run.names() == ["source"]


async def test_the_end_marker_comes_behind_the_last_unit(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.put(*units("a", "b"))
        await run.end()
        await run.gates.open("a")
        await run.names()
        assert not run.has_ended

        await run.gates.open("b")
        await run.task

        assert await run.names() == ["a", "b"]
        assert run.has_ended


async def test_an_empty_input_ends_at_once(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.end()

        await run.task

        assert await run.names() == []
        assert run.has_ended


async def test_the_input_is_left_in_its_queue_while_every_slot_is_taken(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=3) as run:
        for name in "abcdefghij":
            await run.put(rows(*units(name)))

        waiting = run.in_q.qsize()
        await run.gates.open("a", "b", "c")

        assert waiting > 0
        assert run.in_q.qsize() < waiting


async def test_a_slow_next_stage_holds_finished_units_back(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=1) as run:
        run.stage._connect(run.in_q, narrow := Channel(1))
        await run.put(*units("a", "b", "c"))

        for name in "abc":
            await run.gates.open(name)
            await asyncio.sleep(0.05)

        assert narrow.rows == 1
        assert (narrow.get_nowait().names, await _next_names(narrow)) == (["a"], ["b", "c"])


async def _next_names(queue: Channel) -> list[str]:
    names: list[str] = []
    while len(names) < 2:
        names += (await queue.get()).names
    return names


# --- what is downloaded, and what becomes of it -----------------------------------------------------------------------


async def test_only_what_is_wanted_now_and_not_there_is_downloaded(tmp_path: Path) -> None:
    there = DeclarativeArtifact(
        Artifact(size=1, sha256=DIGEST, file=tmp_path / "x"), url="there", relative_path="there"
    )
    stored = unit("stored", "stored")
    stored.d_artifacts[0].artifact.pk = 5
    passing = [
        unit("deferred", "deferred", deferred=True),
        stored,
        DeclarativeContent(unit("there").content, [there]),
        unit("nothing"),
    ]
    async with downloading(tmp_path) as run:
        await run.put(*passing, *units("wanted"))

        assert run.gates.asked == ["wanted"]
        assert await run.names() == ["deferred", "stored", "there", "nothing"]


async def test_of_a_unit_only_the_missing_files_are_downloaded(tmp_path: Path) -> None:
    source = unit("source", "dsc", "orig")
    source.d_artifacts[0].artifact.pk = 5
    async with downloading(tmp_path) as run:
        await run.put(source)

        assert run.gates.asked == ["orig"]
        await run.gates.open("orig")
        assert await run.names() == ["source"]


async def test_a_download_knows_all_urls_and_every_promise(tmp_path: Path) -> None:
    promised = Artifact(size=7, digests={"sha256": DIGEST, "sha512": "cd" * 64})
    wanted = DeclarativeArtifact(
        promised, urls=["pool/a", "https://other.example/a"], relative_path="pool/a", remote=UPSTREAM
    )
    asked: list[tuple[str, ...]] = []
    async with downloading(tmp_path) as run:
        fetch = run.gates.fetch

        async def notes(urls: tuple[str, ...], *rest: object) -> object:
            asked.append(urls)
            return await fetch(urls, *rest)  # type: ignore[arg-type]

        run.gates.fetch = notes  # type: ignore[method-assign,assignment]
        await run.put(rows(DeclarativeContent(unit("a").content, [wanted])))

        assert asked == [("https://mirror.example/pool/a", "https://other.example/a")]
        expected = run.gates.wanted["pool/a"]
        assert (expected.size_bytes, expected.digests) == (7, {"sha256": DIGEST, "sha512": "cd" * 64})


async def test_what_arrived_is_in_the_row_and_in_the_item(tmp_path: Path) -> None:
    wanted = unit("a", "a")
    async with downloading(tmp_path) as run:
        await run.put(wanted)
        await run.gates.open("a")
        await asyncio.sleep(0.05)

        left = run.out_q.get_nowait()

        assert left.slots.fetched[0].path == tmp_path / "a"
        assert left.slots.size == [10]
        assert left.item(0) is wanted
        assert wanted.d_artifacts[0].artifact.file == tmp_path / "a"


async def test_an_artifact_with_a_remote_of_its_own_is_downloaded_from_there(tmp_path: Path) -> None:
    own = Gates(tmp_path)
    async with downloading(tmp_path) as run:
        await run.put(unit("a", "a", remote=own))

        assert own.running == {"a"}
        assert run.gates.asked == []
        await own.open("a")
        assert await run.names() == ["a"]


async def test_progress_counts_files_and_knows_the_total(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await run.put(unit("source", "dsc", "orig"), *units("a"), unit("nothing"))
        await run.gates.open("dsc")
        phase = run.progress.phases["download"]

        assert (phase.done, phase.total) == (1, 3)
        assert phase.ended_s is None
        await run.end()
        await run.gates.open("orig", "a")
        await run.task
        assert phase.done == 3
        assert phase.ended_s is not None


async def test_an_awaited_unit_is_handed_on_without_waiting_for_others(tmp_path: Path) -> None:
    awaited, other = units("a", "b")
    waiter = asyncio.ensure_future(awaited.resolution())
    await settle()
    async with downloading(tmp_path) as run:
        await run.put(awaited, other)

        await run.gates.open("a")

        assert run.out_q.qsize() == 1  # before the clock that other finished units wait for
        waiter.cancel()


async def test_the_stage_is_idle_only_when_nothing_is_under_way(tmp_path: Path) -> None:
    async with downloading(tmp_path) as run:
        await settle()
        assert run.stage.is_idle

        await run.put(*units("a"))
        assert not run.stage.is_idle
        await run.gates.open("a")
        assert not run.stage.is_idle  # finished, and not handed on yet
        await run.names()

        assert run.stage.is_idle


# --- cancellation and failure -------------------------------------------------------------------------------------------


async def test_cancelling_the_stage_cancels_its_downloads(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=3) as run:
        await run.put(*units("a", "b", "c", "d"))
        await run.end()

        run.task.cancel()
        await settle()

        assert run.task.cancelled()
        assert run.gates.running == set()
        assert sorted(run.gates.cancelled) == ["a", "b", "c"]
        assert run.gates.asked == ["a", "b", "c"]


@pytest.mark.parametrize("timing", ["input open and empty", "input ended", "units waiting for a slot"])
async def test_the_first_failure_ends_the_stage_and_cancels_the_rest(tmp_path: Path, timing: str) -> None:
    error = UpstreamError("away")
    error.__cause__ = cause = ConnectionRefusedError()
    async with downloading(tmp_path, slots=3) as run:
        await run.put(*units("a", "b", "c", "bad"))
        if timing == "input ended":
            await run.end()
        elif timing == "units waiting for a slot":
            await run.put(rows(*units("e", "f")))
        await run.gates.open("a")
        assert await run.names() == ["a"]
        assert run.gates.running == {"b", "c", "bad"}

        await run.gates.fail("bad", error)

        assert run.task.done()
        assert run.task.exception() is error
        assert error.__cause__ is cause
        assert sorted(run.gates.cancelled) == ["b", "c"]
        await run.names()
        assert not run.has_ended


async def test_a_failure_that_is_not_upstreams_ends_the_stage_whatever_the_policy(tmp_path: Path) -> None:
    async with downloading(tmp_path, on_failure="skip") as run:
        await run.put(unit("source", "dsc", "orig"), *units("b"))

        await run.gates.fail("orig", error := ZeroDivisionError())

        assert run.task.exception() is error
        assert sorted(run.gates.cancelled) == ["b", "dsc"]


async def test_the_first_file_that_fails_cancels_the_others_of_its_unit(tmp_path: Path) -> None:
    async with downloading(tmp_path, on_failure="skip") as run:
        await run.put(unit("source", "dsc", "orig"), *units("b"))

        await run.gates.fail("orig", UpstreamError("away"))

        assert run.gates.cancelled == ["dsc"]
        assert run.gates.running == {"b"}


async def test_a_skipped_unit_is_reported_and_the_rest_goes_on(tmp_path: Path) -> None:
    async with downloading(tmp_path, slots=1, on_failure="skip") as run:
        await run.put(rows(*units("a", "bad", "c")))
        await run.end()
        await run.gates.open("a")

        await run.gates.fail("bad", UpstreamError("404"))
        await run.gates.open("c")
        await run.task

        assert await run.names() == ["a", "c"]
        assert run.progress.skipped == [{"what": "test.unit bad", "why": "404"}]


@pytest.mark.parametrize("policy", ["skip", "deliver"])
async def test_what_has_failed_already_is_not_asked_for_again(policy: OnFailure, tmp_path: Path) -> None:
    failed = unit("a", "a")
    failed.on_failure, failed.failure = policy, (error := UpstreamError("404"))
    waiter = asyncio.ensure_future(failed.resolution())
    async with downloading(tmp_path) as run:
        await run.put(failed, *units("b"))

        assert run.gates.asked == ["b"]
        (found,) = await asyncio.gather(waiter, return_exceptions=True)
        assert found is (error if policy == "deliver" else None)


async def test_who_waits_for_a_skipped_unit_gets_none(tmp_path: Path) -> None:
    awaited = unit("a", "a")
    awaited.on_failure = "skip"
    waiter = asyncio.ensure_future(awaited.resolution())
    async with downloading(tmp_path) as run:
        await run.put(awaited)

        await run.gates.fail("a", UpstreamError("404"))

        assert await waiter is None
        assert not run.task.done()


async def test_who_waits_for_a_unit_that_delivers_failures_gets_the_error(tmp_path: Path) -> None:
    awaited = unit("a", "a")
    awaited.on_failure = "deliver"
    waiter = asyncio.ensure_future(awaited.resolution())
    async with downloading(tmp_path) as run:
        await run.put(awaited)

        await run.gates.fail("a", error := UpstreamError("404"))

        with pytest.raises(UpstreamError) as caught:
            await waiter
        assert caught.value is error
        assert run.progress.skipped == []
        assert not run.task.done()


async def test_files_of_a_skipped_unit_that_did_arrive_are_removed(tmp_path: Path) -> None:
    async with downloading(tmp_path, on_failure="skip") as run:
        await run.put(unit("source", "dsc", "orig"))
        await run.gates.open("dsc")
        assert (tmp_path / "dsc").exists()

        await run.gates.fail("orig", UpstreamError("404"))

        assert not (tmp_path / "dsc").exists()
