"""When batches() and columns() hand on what they gathered, and when they wait for more."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest
from pipeline_rows import Collects, Does, Puts, batch, fed, item, rows, rows_of, settle

from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.runner import create_pipeline
from mpsync.pipeline.stage import EndStage, Stage


async def test_batches_takes_everything_there_is_even_beyond_minsize() -> None:
    stage, things = Stage(), [item(i) for i in range(7)]
    fed(stage, *things, ended=True)

    found = [got async for got in stage.batches(minsize=2)]

    assert found == [things]


async def test_batches_waits_for_minsize() -> None:
    stage, things = Stage(), [item(i) for i in range(3)]
    queue = fed(stage, *things[:2])
    first = asyncio.ensure_future(anext(stage.batches(minsize=3)))
    await settle()
    assert not first.done()

    queue.put_nowait(things[2])

    assert await first == things


async def test_rows_of_a_batch_count_one_by_one_towards_minsize() -> None:
    stage, loose = Stage(), item(4)
    fed(stage, batch(range(4)), loose)

    found = await anext(stage.batches(minsize=5))

    assert [got.content.name for got in found if got.content] == ["n0", "n1", "n2", "n3", "n4"]
    assert found[4] is loose


async def test_an_ended_input_gives_no_empty_batch() -> None:
    stage = Stage()
    fed(stage, ended=True)

    assert [got async for got in stage.batches()] == []


async def test_the_rest_comes_out_at_the_end() -> None:
    stage, thing = Stage(), item(1)
    fed(stage, thing, ended=True)

    assert [got async for got in stage.batches(minsize=500)] == [[thing]]


async def test_nothing_comes_after_the_end() -> None:
    stage = Stage()
    queue = fed(stage, item(1), ended=True)
    queue.put_nowait(item(2))

    found = [got async for got in stage.batches(minsize=1)]

    assert [len(got) for got in found] == [1]
    assert queue.qsize() == 1


async def test_an_awaited_item_makes_its_batch_come_at_once() -> None:
    stage, first, awaited = Stage(), item(1), item(2)
    waiter = asyncio.ensure_future(awaited.resolution())
    await settle()
    fed(stage, first, awaited)

    assert await anext(stage.batches(minsize=500)) == [first, awaited]
    waiter.cancel()


async def test_awaiting_an_item_thaws_the_batch_it_sits_in() -> None:
    stage, things = Stage(), [item(i) for i in range(3)]
    fed(stage, *things)
    gathered = asyncio.ensure_future(anext(stage.batches(minsize=500)))
    await settle()
    assert not gathered.done()

    waiter = asyncio.ensure_future(things[1].resolution())

    assert await gathered == things
    waiter.cancel()


async def test_awaiting_a_declared_item_of_a_batch_thaws_columns_too() -> None:
    stage, held = Stage(), Batch.of([item(1), item(2)])
    fed(stage, held)
    gathered = asyncio.ensure_future(anext(stage.columns(minsize=500)))
    await settle()
    assert not gathered.done()

    waiter = asyncio.ensure_future(held.items[1].resolution())

    assert await gathered is held
    waiter.cancel()


async def test_an_item_that_left_thaws_no_later_batch() -> None:
    stage, first, second = Stage(), item(1), item(2)
    queue = fed(stage, first)
    waiting = asyncio.ensure_future(first.resolution())
    await settle()
    batches = stage.batches(minsize=500)
    assert await anext(batches) == [first]
    queue.put_nowait(second)
    gathered = asyncio.ensure_future(anext(batches))
    await settle()

    also_waiting = asyncio.ensure_future(first.resolution())
    await settle()

    assert not gathered.done()
    for task in (gathered, waiting, also_waiting):
        task.cancel()


async def test_the_batch_behind_a_thawed_one_is_gathered_as_usual() -> None:
    stage, first, second = Stage(), item(1), item(2)
    queue = fed(stage, first)
    batches = stage.batches(minsize=500)
    gathered = asyncio.ensure_future(anext(batches))
    await settle()
    waiter = asyncio.ensure_future(first.resolution())
    assert await gathered == [first]

    queue.put_nowait(second)
    gathered = asyncio.ensure_future(anext(batches))
    await settle()

    assert not gathered.done()
    gathered.cancel()
    waiter.cancel()


async def test_a_resolved_item_may_be_held_back_again() -> None:
    stage, thing = Stage(), item(1)
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()
    thing.resolve()
    fed(stage, thing)

    gathered = asyncio.ensure_future(anext(stage.batches(minsize=500)))
    await settle()

    assert not gathered.done()
    assert await waiter is thing.content
    gathered.cancel()


async def test_a_subclass_may_let_awaited_items_be_held_back() -> None:
    class Patient(DeclarativeContent):
        @property
        def does_batch(self) -> bool:
            return True

    stage, thing = Stage(), Patient(item(1).content)
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()
    fed(stage, thing)

    gathered = asyncio.ensure_future(anext(stage.batches(minsize=500)))
    await settle()

    assert not gathered.done()
    gathered.cancel()
    waiter.cancel()


async def test_flush_event_brings_out_what_is_there() -> None:
    stage, thing, flush = Stage(), item(1), asyncio.Event()
    fed(stage, thing)
    gathered = asyncio.ensure_future(anext(stage.batches(500, flush)))
    await settle()
    assert not gathered.done()

    flush.set()

    assert await gathered == [thing]


async def test_flush_event_without_items_waits_instead_of_spinning() -> None:
    stage, flush = Stage(), asyncio.Event()
    queue = fed(stage)
    flush.set()
    gathered = asyncio.ensure_future(anext(stage.batches(500, flush)))
    await settle()
    assert not gathered.done()
    assert stage.meter.batches == 0

    thing = item(1)
    queue.put_nowait(thing)

    assert await gathered == [thing]


async def test_flush_event_works_again_after_a_batch() -> None:
    stage, flush = Stage(), asyncio.Event()
    queue = fed(stage, item(1))
    batches = stage.batches(500, flush)
    flush.set()
    await anext(batches)
    flush.clear()
    second = item(2)
    queue.put_nowait(second)
    gathered = asyncio.ensure_future(anext(batches))
    await settle()
    assert not gathered.done()

    flush.set()

    assert await gathered == [second]


async def test_columns_stops_taking_once_a_batch_is_large_enough() -> None:
    stage = Stage()
    fed(stage, batch(range(600)), batch(range(600, 1200)), batch(range(1200, 1300)), ended=True)

    found = [got async for got in stage.columns()]

    assert [len(got) for got in found] == [1200, 100]
    assert rows(found[0]) + rows(found[1]) == rows_of(range(1300))


async def test_columns_reaches_a_minsize_beyond_where_it_stops_being_greedy() -> None:
    stage = Stage()
    fed(stage, *(batch(range(at, at + 500)) for at in range(0, 3000, 500)), ended=True)

    found = [got async for got in stage.columns(minsize=2500)]

    assert [len(got) for got in found] == [2500, 500]


async def test_a_batch_that_comes_alone_leaves_columns_as_the_same_object() -> None:
    stage, whole = Stage(), batch(range(3))
    fed(stage, whole, ended=True)

    found = [got async for got in stage.columns()]

    assert len(found) == 1
    assert found[0] is whole


async def test_anything_with_does_batch_counts_as_an_item() -> None:
    stage, things = Stage(), [mock.Mock(), mock.Mock()]
    fed(stage, *things, ended=True)

    assert [got async for got in stage.batches()] == [things]


async def test_a_batch_interrupted_by_thaw_loses_nothing_that_comes_meanwhile() -> None:
    stage, things = Stage(), [item(i) for i in range(4)]
    queue = fed(stage, things[0])
    batches = stage.batches(minsize=3)
    gathered = asyncio.ensure_future(anext(batches))
    await settle()

    waiter = asyncio.ensure_future(things[0].resolution())
    await asyncio.sleep(0)  # thawed, and not woken yet
    for thing in things[1:]:
        queue.put_nowait(thing)
    queue.put_nowait(None)
    found = [await gathered] + [got async for got in batches]

    assert [got for batch in found for got in batch] == things
    waiter.cancel()


# --- put, items, the end marker ------------------------------------------------------------------------------------


async def test_none_cannot_be_put() -> None:
    stage = Stage()
    stage._connect(None, asyncio.Queue())

    with pytest.raises(ValueError, match="end marker"):
        await stage.put(None)  # type: ignore[arg-type]


async def test_a_stage_that_ran_hands_on_the_end_marker() -> None:
    stage, out_q = Puts([]), asyncio.Queue()
    stage._connect(None, out_q)

    await stage()

    assert out_q.get_nowait() is None
    assert out_q.empty()


async def test_a_stage_that_failed_hands_on_no_end_marker() -> None:
    async def fails(stage: Stage) -> None:
        raise ZeroDivisionError

    stage, out_q = Does(fails), asyncio.Queue()
    stage._connect(None, out_q)

    with pytest.raises(ZeroDivisionError):
        await stage()

    assert out_q.empty()


async def test_a_stage_without_run_says_its_name() -> None:
    class Forgetful(Stage):
        pass

    with pytest.raises(NotImplementedError, match="Forgetful"):
        await Forgetful()()


async def test_items_come_one_by_one_in_order_from_batches_and_items() -> None:
    stage = Stage()
    fed(stage, item(0), batch([1, 2]), item(3), ended=True)

    names = [got.content.name async for got in stage.items() if got.content]

    assert names == ["n0", "n1", "n2", "n3"]


async def test_end_stage_drains_whatever_comes() -> None:
    stage = EndStage()
    queue = fed(stage, item(0), batch([1, 2]), ended=True)

    await stage()

    assert queue.empty()


async def test_a_stage_counts_rows_whatever_they_came_in() -> None:
    async def passes(stage: Stage) -> None:
        async for got in stage.columns():
            await stage.put(got)

    counts, collects = Does(passes), Collects()

    await create_pipeline([Puts([item(0), batch([1, 2, 3])]), counts, collects], maxsize=100)

    assert counts.meter.rows == 4
    assert collects.rows == rows_of(range(4))
