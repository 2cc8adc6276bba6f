"""An item that nothing can resolve any more is an error for whoever waits, and soon; what may still come is waited for."""

from __future__ import annotations

import asyncio

import pytest
from pipeline_rows import Does, Puts, batch, item

from mpsync.model.content import Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.runner import QUIET_CHECK_S, AwaitedItems, NeverResolved, create_pipeline
from mpsync.pipeline.stage import EndStage, Stage


class PutsAndAwaits(Stage):
    """A first stage that puts, then waits for ``item``, as a plugin's does for a metadata file."""

    def __init__(self, thing: DeclarativeContent, element: DeclarativeContent | Batch | None = None) -> None:
        super().__init__()
        self.thing, self.element = thing, element or thing
        self.found: Content | None = None

    async def run(self) -> None:
        await self.put(self.element)
        self.found = await self.thing.resolution()


async def forgets(stage: Stage) -> None:
    """Drops every item without resolve()."""
    async for _ in stage.items():
        pass


async def passes_in_batches(stage: Stage) -> None:
    async for found in stage.batches(minsize=100):
        for thing in found:
            await stage.put(thing)


async def test_an_item_that_a_stage_dropped_without_resolve_is_an_error_that_names_it() -> None:
    async with asyncio.timeout(5):
        with pytest.raises(NeverResolved, match="n1"):
            await create_pipeline([PutsAndAwaits(item(1)), Does(forgets)])


async def test_it_is_found_behind_a_stage_whose_batch_was_thawed() -> None:
    async def forgets_batches(stage: Stage) -> None:
        async for _ in stage.batches(minsize=100):
            pass

    class AwaitsLate(PutsAndAwaits):
        async def run(self) -> None:
            await self.put(self.element)
            await asyncio.sleep(0.01)  # the batch is pending by now: what wakes it is the waiter
            await self.thing.resolution()

    async with asyncio.timeout(5):
        with pytest.raises(NeverResolved):
            await create_pipeline([AwaitsLate(item(1)), Does(forgets_batches)])


async def test_it_is_found_behind_stages_that_pass_other_items_on() -> None:
    kept, lost = item(1), item(2)

    async def loses_one(stage: Stage) -> None:
        async for thing in stage.items():
            if thing is not lost:
                await stage.put(thing)

    class PutsBoth(PutsAndAwaits):
        async def run(self) -> None:
            await self.put(kept)
            await super().run()

    async with asyncio.timeout(5):
        with pytest.raises(NeverResolved, match="n2"):
            await create_pipeline([PutsBoth(lost), Does(passes_in_batches), Does(loses_one), EndStage()])


async def test_it_is_found_for_an_item_declared_inside_a_batch() -> None:
    whole = Batch.of([item(1), item(2)])

    async with asyncio.timeout(5):
        with pytest.raises(NeverResolved, match="n2"):
            await create_pipeline([PutsAndAwaits(whole.items[1], whole), Does(forgets)])


async def test_it_is_found_for_items_that_the_caller_names() -> None:
    awaited, whole = AwaitedItems(), batch(range(3))
    view = whole.item(2)
    awaited.add(view)

    async with asyncio.timeout(5):
        with pytest.raises(NeverResolved, match="n2"):
            await create_pipeline([PutsAndAwaits(view, whole), Does(forgets)], awaited=awaited)


async def test_a_waiter_may_catch_the_error_and_the_pipeline_goes_on() -> None:
    class Copes(PutsAndAwaits):
        async def run(self) -> None:
            with pytest.raises(NeverResolved):
                await super().run()
            await self.put(item(2))

    first = Copes(item(1))
    seen = []

    async def sees(stage: Stage) -> None:
        async for thing in stage.items():
            seen.append(thing.content.name if thing.content else None)

    async with asyncio.timeout(5):
        await create_pipeline([first, Does(sees)])

    assert seen == ["n1", "n2"]


async def test_a_stage_that_takes_its_time_is_waited_for() -> None:
    async def resolves_late(stage: Stage) -> None:
        async for thing in stage.items():
            await asyncio.sleep(QUIET_CHECK_S * 4)
            thing.resolve()

    first = PutsAndAwaits(item(1))

    await create_pipeline([first, Does(resolves_late)])

    assert first.found is first.thing.content


async def test_an_item_that_is_awaited_before_it_is_put_is_waited_for() -> None:
    async def resolves(stage: Stage) -> None:
        async for thing in stage.items():
            thing.resolve()

    thing = item(1)

    class PutsLate(Stage):
        async def run(self) -> None:
            waiter = asyncio.ensure_future(thing.resolution())
            await asyncio.sleep(QUIET_CHECK_S * 4)
            await self.put(thing)
            assert await waiter is thing.content

    await create_pipeline([PutsLate(), Does(resolves)])


async def test_an_idle_pipeline_in_which_nobody_waits_is_left_alone() -> None:
    class Pauses(Puts):
        async def run(self) -> None:
            await super().run()
            await asyncio.sleep(QUIET_CHECK_S * 4)

    thing = item(1)

    await create_pipeline([Pauses([thing]), Does(forgets)])

    assert not thing.is_resolved
