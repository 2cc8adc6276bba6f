"""create_pipeline: wiring, back-pressure, and how one failure ends all."""

from __future__ import annotations

import asyncio

import pytest
from pipeline_rows import Collects, Does, Puts, batch, item, rows_of, settle

from mpsync.errors import PluginError, StoreError
from mpsync.pipeline import stage as stage_module
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import Dropped
from mpsync.pipeline.runner import NeverResolved, create_pipeline, stage_table
from mpsync.pipeline.stage import Channel, EndStage, Stage


async def passes(stage: Stage) -> None:
    async for got in stage.items():
        await stage.put(got)


async def waits(stage: Stage) -> None:
    await asyncio.Event().wait()


async def test_rows_go_through_every_stage_in_order() -> None:
    collects = Collects()

    await create_pipeline([Puts([item(0), batch([1, 2]), item(3)]), Does(passes), Does(passes), collects])

    assert collects.rows == rows_of(range(4))


async def test_a_stage_instance_that_stands_twice_is_refused() -> None:
    stage = Does(passes)

    with pytest.raises(ValueError, match="unique"):
        await create_pipeline([Puts([]), stage, stage, EndStage()])


async def test_the_first_error_comes_out_as_itself() -> None:
    error = StoreError("disk full")
    error.__cause__ = OSError(28, "no space")

    async def fails(stage: Stage) -> None:
        raise error

    with pytest.raises(StoreError) as caught:
        await create_pipeline([Does(waits), Does(fails), EndStage()])

    assert caught.value is error
    assert isinstance(error.__cause__, OSError)


async def test_an_error_cancels_every_other_stage_and_waits_until_they_have_ended() -> None:
    ended = []

    async def cleans_up(stage: Stage) -> None:
        try:
            await waits(stage)
        finally:
            await asyncio.sleep(0.01)
            ended.append(stage)

    async def fails(stage: Stage) -> None:
        await settle()
        raise ZeroDivisionError

    others = [Does(cleans_up) for _ in range(3)]

    with pytest.raises(ZeroDivisionError):
        await create_pipeline([*others, Does(fails)])

    assert set(ended) == set(others)


async def test_an_error_while_others_are_cancelled_does_not_hide_the_first() -> None:
    async def fails_when_cancelled(stage: Stage) -> None:
        try:
            await waits(stage)
        finally:
            raise KeyError("second")

    async def fails(stage: Stage) -> None:
        await settle()
        raise ZeroDivisionError("first")

    with pytest.raises(ZeroDivisionError, match="first"):
        await create_pipeline([Does(fails_when_cancelled), Does(fails)])


async def test_cancelling_the_pipeline_cancels_every_stage() -> None:
    cancelled = []

    async def notes(stage: Stage) -> None:
        try:
            await waits(stage)
        except asyncio.CancelledError:
            cancelled.append(stage)
            raise

    stages = [Does(notes) for _ in range(3)]
    running = asyncio.ensure_future(create_pipeline(stages))
    await settle()

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert set(cancelled) == set(stages)


async def test_a_cancellation_that_nobody_asked_for_is_an_error_and_not_a_hang() -> None:
    async def awaits_something_cancelled(stage: Stage) -> None:
        cancelled = asyncio.get_running_loop().create_future()
        cancelled.cancel()
        await cancelled

    with pytest.raises(PluginError, match=r"Does.*cancel"):
        async with asyncio.timeout(5):
            await create_pipeline([Does(awaits_something_cancelled), EndStage()])


async def test_a_slow_consumer_bounds_the_rows_in_its_queue() -> None:
    slow = asyncio.Event()

    async def consumes_late(stage: Stage) -> None:
        await slow.wait()
        async for _ in stage.items():
            pass

    first, last = Puts([item(i) for i in range(50)]), Does(consumes_late)
    running = asyncio.ensure_future(create_pipeline([first, last], maxsize=5))
    await settle()

    queue = last._in_q
    assert isinstance(queue, Channel)
    assert queue.rows == 5
    slow.set()
    await running
    assert stage_table([first, last])[1]["queue_max"] == 5


async def test_rows_packed_in_batches_fill_a_queue_as_items_do() -> None:
    slow = asyncio.Event()

    async def consumes_late(stage: Stage) -> None:
        await slow.wait()
        async for _ in stage.items():
            pass

    last = Does(consumes_late)
    batches = [batch(range(at, at + 10)) for at in range(0, 100, 10)]
    running = asyncio.ensure_future(create_pipeline([Puts(batches), last], maxsize=15))
    await settle()

    queue = last._in_q
    assert isinstance(queue, Channel)
    assert queue.rows == 20  # the batch that crosses the bound is the last one let in
    slow.set()
    await running
    assert queue.rows_max == 20


async def test_large_raw_records_fill_a_queue_before_its_rows_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage_module, "CHANNEL_BYTES", 100)
    channel = Channel(1000)

    for number in range(2):
        assert not channel.full()
        channel.put_nowait(Batch.of([item(6 + number * 7)]))

    assert channel.full()
    assert channel.rows == 2
    channel.get_nowait()
    assert not channel.full()


async def test_putting_while_the_queue_is_full_counts_as_waiting() -> None:
    async def consumes_late(stage: Stage) -> None:
        await asyncio.sleep(0.05)
        async for _ in stage.items():
            pass

    first = Puts([item(0), item(1)])

    await create_pipeline([first, Does(consumes_late)], maxsize=1)

    assert first.meter.wait_out_s > 0


async def test_the_stage_table_names_stages_in_order_with_their_rows() -> None:
    stages = [Puts([batch(range(3))]), Does(passes), Collects()]

    await create_pipeline(stages, maxsize=10)

    table = stage_table(stages)
    assert [row["name"] for row in table] == ["Puts", "Does", "Collects"]
    assert [row["items"] for row in table] == [0, 3, 3]


# --- waiters outside, when the pipeline is over -----------------------------------------------------------------------


async def test_whoever_still_waits_when_the_pipeline_has_ended_is_told() -> None:
    async def forgets(stage: Stage) -> None:
        async for _ in stage.items():
            pass

    thing = item(1)
    waiter = asyncio.ensure_future(thing.resolution())

    await create_pipeline([Puts([thing]), Does(forgets)])

    with pytest.raises(NeverResolved, match="n1"):
        async with asyncio.timeout(5):
            await waiter


async def test_whoever_still_waits_when_the_pipeline_has_failed_is_told_why() -> None:
    async def fails(stage: Stage) -> None:
        async for _ in stage.items():
            raise StoreError("disk full")

    thing = item(1)
    waiter = asyncio.ensure_future(thing.resolution())

    with pytest.raises(StoreError):
        await create_pipeline([Puts([thing]), Does(fails)])

    with pytest.raises(Dropped, match=r"n1.*disk full"):
        async with asyncio.timeout(5):
            await waiter


async def test_whoever_still_waits_when_the_pipeline_is_cancelled_is_told() -> None:
    thing = item(1)
    waiter = asyncio.ensure_future(thing.resolution())
    running = asyncio.ensure_future(create_pipeline([Puts([thing]), Does(waits)]))
    await settle()

    running.cancel()

    with pytest.raises(Dropped, match=r"n1.*cancelled"):
        async with asyncio.timeout(5):
            await waiter
    assert running.cancelled()
