"""Content comes home from a child, and futures are resolved back into it. Nothing is left afterwards."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from bridging import TOP_FILE, Core, Resolver

from mpsync.bridge.errors import BadFrame
from mpsync.errors import MetadataError, PluginError
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.runner import NeverResolved
from mpsync.pipeline.stage import Stage

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture(params=[0, 1, 3], ids=lambda workers: f"workers={workers}")
def core(request: pytest.FixtureRequest, tmp_path: Path) -> Core:
    """The same tests in-process, with one child, and with three."""
    return Core(tmp_path, workers=request.param)


async def test_rows_come_in_order_and_the_result_with_them(core: Core) -> None:
    result = await core.run("Rows", {"rows": 5000})

    assert core.texts == [f"row {row}" for row in range(5000)]
    assert isinstance(result["pid"], int)


async def test_a_stage_that_puts_nothing_ends(core: Core) -> None:
    assert await core.run("Idle") == {}
    assert core.texts == []


async def test_an_awaited_item_has_its_id(core: Core) -> None:
    result = await core.run("AwaitsOne")

    assert result["resolved"] == 1


async def test_a_hundred_items_awaited_at_once_are_resolved(core: Core) -> None:
    result = await core.run("Awaits", {"items": 100})

    assert result["resolved"] == list(range(1, 101))


async def test_a_view_of_a_batch_that_was_put_can_be_awaited(core: Core) -> None:
    result = await core.run("AwaitsView")

    assert result["resolved"] == [2, "two"]


async def test_cancelling_one_waiter_leaves_the_others(core: Core) -> None:
    result = await core.run("CancelsOne")

    assert result["cancelled"] == [True, False, False]


class Drops(Stage):
    """Drops what comes, as ``how`` says."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self._how = how

    async def run(self) -> None:
        async for item in self.items():
            if self._how == "None":
                item.content = None
                item.resolve()
            elif self._how == "error":
                assert item.on_failure == "deliver"
                item.fail(MetadataError("by-hash/x", "not there", "a file", "404"))


async def test_awaiting_a_dropped_item_gives_none(core: Core) -> None:
    result = await core.run("AwaitsOne", between=[Drops("None")])

    assert result["resolved"] is None


async def test_awaiting_a_failed_item_raises_its_error_as_it_was(core: Core) -> None:
    try:
        result = await core.run("AwaitsOne", {"on_failure": "deliver"}, between=[Drops("error")])
    except AttributeError:  # in-process there is no remote traceback to note
        assert core.workers == 0
    else:
        assert result["error"] == ["MetadataError", "by-hash/x", "not there", "a file", "404"]
        assert "raised in a child process" in result["note"]


async def test_an_item_that_nobody_resolves_is_named_within_a_second(core: Core) -> None:
    with pytest.raises(NeverResolved, match="awaited"):
        await core.run("AwaitsOne", between=[Drops("silently")])


async def test_a_stage_may_end_while_an_item_it_no_longer_awaits_is_unresolved(core: Core) -> None:
    result = await core.run("LeavesWaiter", between=[Drops("silently")])

    assert result == {"ended": True}


class Hoards(Stage):
    """Hands on nothing before all has come."""

    @property
    def is_idle(self) -> bool:
        return False

    async def run(self) -> None:
        for item in [item async for item in self.items()]:
            await self.put(item)


async def test_a_stage_ends_though_what_it_no_longer_awaits_is_resolved_after_its_end(core: Core) -> None:
    result = await core.run("LeavesWaiter", between=[Hoards()])

    assert result == {"ended": True}
    assert core.texts == ["forgotten"]


class Batches(Stage):
    """Hands on as batches() gives."""

    async def run(self) -> None:
        async for items in self.batches(minsize=500):
            await self.put(Batch.pack(items))


async def test_an_item_awaited_in_an_unfilled_batch_thaws_it(core: Core) -> None:
    result = await core.run("AwaitsOne", between=[Batches(), Batches()])

    assert result["resolved"] == 1


async def test_what_a_stage_knows_of_an_item_arrives_with_it(core: Core) -> None:
    seen: list[dict[str, Any]] = []
    core.resolver = Resolver(lambda batch: seen.extend(item.extra_data for item in batch.items.values()))

    await core.run("AwaitsOne", {"extra_data": {"list": [1, {"a": None}], "word": "é"}})

    assert seen == [{"list": [1, {"a": None}], "word": "é"}]


async def test_asking_for_the_file_of_a_deferred_artifact_is_an_error_that_says_so(core: Core) -> None:
    with pytest.raises(PluginError, match="deferred"):
        await core.run("OnDemand")


async def test_what_a_stage_reports_reaches_the_progress(core: Core) -> None:
    notes: list[str] = []
    core.progress.subscribe(lambda event: notes.append(event.text) if event.kind == "note" else None)

    result = await core.run("Reports")

    assert core.progress.skipped == [{"what": "a thing", "why": "no reason"}]
    assert notes == ["text"]
    assert (core.progress.phases["index"].done, core.progress.phases["index"].total) == (3, 10)
    assert result["top"] == [[str(TOP_FILE.path), 5, "ab" * 32], None]


async def test_no_row_of_a_flood_that_is_awaited_both_ways_is_lost(core: Core) -> None:
    core.settings = {"credit_bytes": 20_000, "batch_rows": 50, "queue_rows": 100}

    result = await core.run("Floods", {"items": 3000, "size": 500})

    assert result["resolved"] == len(core.texts) == 3000


async def test_a_child_puts_no_more_than_its_credit_while_the_core_is_busy(tmp_path: Path) -> None:
    held: list[int] = []
    core = Core(tmp_path, settings={"credit_bytes": 50_000, "batch_rows": 10, "queue_rows": 10})

    async def look_later(batch: Batch) -> None:
        if not held:
            await asyncio.sleep(0.3)
            held.append(sum(map(len, core.children[0].frames._queue)))

    core.resolver = Resolver(lambda batch: asyncio.ensure_future(look_later(batch)))

    await core.run("Fills", {"rows": 1000})

    assert len(core.texts) == 1000
    assert 25_000 < held[0] < 100_000


async def test_declared_items_that_nobody_keeps_take_no_memory_in_the_core(core: Core) -> None:
    known: list[int] = []
    core.resolver = Resolver(lambda batch: known.append(len(getattr(core.stage, "_tickets", ()))))

    result = await core.run("DeclaresMany", {"items": 63_000})

    assert len(core.texts) == 63_000
    assert max(known) <= 20_000  # what is in queues and frames
    assert result["most"] <= 5000


async def test_a_value_that_cannot_cross_fails_where_it_is_put(tmp_path: Path) -> None:
    result = await Core(tmp_path).run("BadExtraData")

    assert "set" in result["raised"]
    assert "cannot cross" in result["raised"]


@pytest.mark.parametrize("stage", ["BadName", "BadResult"])
async def test_what_only_proves_bad_later_ends_the_sync_all_the_same(stage: str, tmp_path: Path) -> None:
    with pytest.raises(BadFrame, match="cannot cross"):
        await Core(tmp_path).run(stage)


async def test_a_child_has_neither_the_database_driver_nor_http(tmp_path: Path) -> None:
    result = await Core(tmp_path).run("Modules")

    heavy = {"psycopg", "aiohttp", "rich", "pysequoia", "mpsync.store", "mpsync.fetch", "mpsync.sync", "pytest"}
    assert heavy.isdisjoint(result["modules"])
    assert "uvloop" in result["modules"]


async def test_a_child_runs_asyncio_where_the_settings_say_so(tmp_path: Path) -> None:
    result = await Core(tmp_path, settings={"loop": "asyncio"}).run("Modules")

    assert "uvloop" not in result["modules"]


async def test_a_stage_is_loaded_by_its_name_or_the_error_says_which(core: Core) -> None:
    with pytest.raises(Exception, match="cannot load no_such_module:Stage"):
        await core.run("no_such_module:Stage")
