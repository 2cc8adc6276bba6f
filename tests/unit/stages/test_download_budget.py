"""ArtifactDownloader and the budget of what is downloaded and not yet saved."""

from __future__ import annotations

from pathlib import Path

import pytest
from gated_downloads import DIGEST, downloading, rows, settle, unit

from mpsync.errors import UpstreamError
from mpsync.model.content import Artifact
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.declarative import DeclarativeArtifact, DeclarativeContent


async def test_no_more_files_are_under_way_than_the_budget_has_items(tmp_path: Path) -> None:
    budget = ResourceBudget(max_items=2)
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(unit("a", "a"), unit("b", "b"), unit("c", "c"))

        assert run.gates.running == {"a", "b"}
        assert budget.flush_event.is_set()


async def test_a_finished_download_keeps_its_share_until_it_is_saved(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=100)
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(*(unit(name, name, size=60) for name in "ab"))
        await run.gates.open("a")
        assert await run.names() == ["a"]
        assert run.gates.asked == ["a"]

        budget.release(60)
        await settle()

        assert run.gates.running == {"b"}


async def test_a_file_of_unknown_size_counts_with_what_arrived(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=9)
    async with downloading(tmp_path, slots=1, budget=budget) as run:
        await run.put(unit("a", "a"), unit("b", "b"))
        await run.gates.open("a")
        assert run.gates.asked == ["a"]

        budget.release(10)
        await settle()

        assert run.gates.running == {"b"}


async def test_units_with_nothing_to_download_take_nothing_of_the_budget(tmp_path: Path) -> None:
    budget = ResourceBudget(max_items=1)
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(rows(*(unit(f"u{number}", "there", deferred=True) for number in range(5))))

        assert len(await run.names()) == 5
        assert not budget.flush_event.is_set()


async def test_a_failed_download_gives_its_share_back(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=100)
    async with downloading(tmp_path, budget=budget, on_failure="skip") as run:
        await run.put(*(unit(name, name, size=60) for name in "ab"))

        await run.gates.fail("a", UpstreamError("404"))

        assert run.gates.running == {"b"}


async def test_a_skipped_unit_gives_back_what_its_other_files_took(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=100)
    async with downloading(tmp_path, budget=budget, on_failure="skip") as run:
        await run.put(unit("source", "dsc", "orig", size=50))
        await run.put(unit("b", "b", size=100))
        await run.gates.open("dsc")

        await run.gates.fail("orig", UpstreamError("404"))

        assert run.gates.running == {"b"}


@pytest.mark.parametrize("budget", [ResourceBudget(max_bytes=100), ResourceBudget(max_items=1)], ids=["bytes", "items"])
async def test_a_unit_whose_files_together_exceed_the_budget_is_downloaded_alone(
    tmp_path: Path, budget: ResourceBudget
) -> None:
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(unit("source", "dsc", "orig", size=80), unit("b", "b", size=1))

        assert run.gates.running == {"dsc", "orig"}
        await run.gates.open("dsc", "orig")
        assert await run.names() == ["source"]


async def test_units_of_several_files_never_wait_for_each_other(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=100)
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(*(unit(name, f"{name}1", f"{name}2", size=40) for name in "abc"))
        for name in "abc":
            assert run.gates.running == {f"{name}1", f"{name}2"}
            await run.gates.open(f"{name}1", f"{name}2")
            budget.release(80, items=2)  # what ArtifactSaver does
            await settle()

        assert await run.names() == ["a", "b", "c"]


async def test_a_file_that_came_with_its_unit_counts_as_what_the_saver_will_release(tmp_path: Path) -> None:
    budget = ResourceBudget(max_bytes=100)
    there = DeclarativeArtifact(Artifact(size=70, sha256=DIGEST, file=tmp_path / "x"), url="x", relative_path="x")
    async with downloading(tmp_path, budget=budget) as run:
        await run.put(unit("a", "a", size=60), DeclarativeContent(unit("there").content, [there]))
        budget.release(70)  # "there" is saved
        await run.put(unit("b", "b", size=60))

        assert run.gates.running == {"a"}


async def test_a_skipped_unit_gives_back_what_came_with_it(tmp_path: Path) -> None:
    budget = ResourceBudget(max_items=1)
    given = tmp_path / "given"
    given.write_bytes(b"given")
    half = unit("half", "rest")
    artifact = Artifact(size=5, digests={"sha256": DIGEST}, file=given)
    half.d_artifacts.append(DeclarativeArtifact(artifact, url="given", relative_path="given"))
    half.failure = UpstreamError("404")
    async with downloading(tmp_path, budget=budget, on_failure="skip") as run:
        await run.put(half, unit("a", "a"), unit("b", "b"))

        assert run.gates.running == {"a"}

    assert not given.exists()
