"""ArtifactDownloader and the budget of what is downloaded and not yet saved."""

from __future__ import annotations

from pathlib import Path

from gated_downloads import downloading, rows, settle, unit

from mpsync.errors import UpstreamError
from mpsync.pipeline.budget import ResourceBudget


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
