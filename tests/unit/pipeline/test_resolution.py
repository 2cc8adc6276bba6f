"""Who waits for an item, and what wakes them."""

from __future__ import annotations

import asyncio

import pytest
from pipeline_rows import batch, content, item, settle

from mpsync.errors import UpstreamError
from mpsync.pipeline.batch import Batch


async def test_a_resolved_item_gives_its_content_without_waiting() -> None:
    thing = item(1)
    thing.resolve()

    assert await thing.resolution() is thing.content


async def test_every_waiter_is_woken_with_the_content() -> None:
    thing = item(1)
    waiters = [asyncio.ensure_future(thing.resolution()) for _ in range(3)]
    await settle()
    assert not any(waiter.done() for waiter in waiters)

    thing.resolve()

    assert await asyncio.gather(*waiters) == [thing.content] * 3


async def test_waiters_get_the_content_as_it_was_when_it_was_resolved() -> None:
    thing, saved = item(1), content(2)
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()

    thing.content = saved
    thing.resolve()
    thing.content = content(3)

    assert await waiter is saved


async def test_a_waiter_of_a_dropped_item_gets_none() -> None:
    thing = item(1)
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()

    thing.content = None
    thing.resolve()

    assert await waiter is None


async def test_a_waiter_of_a_failed_item_gets_the_error() -> None:
    thing, error = item(1), UpstreamError("away")
    early = asyncio.ensure_future(thing.resolution())
    await settle()

    thing.fail(error)

    for waiter in (early, thing.resolution()):
        with pytest.raises(UpstreamError) as caught:
            await waiter
        assert caught.value is error


async def test_a_failed_item_counts_as_dropped() -> None:
    thing = item(1)

    thing.fail(UpstreamError("away"))

    assert thing.content is None
    assert thing.is_resolved


async def test_resolving_or_failing_twice_changes_nothing() -> None:
    thing = item(1)
    thing.resolve()

    thing.resolve()
    thing.fail(UpstreamError("too late"))

    assert await thing.resolution() is thing.content


async def test_cancelling_one_waiter_leaves_the_others() -> None:
    thing = item(1)
    stays, leaves, also_stays = (asyncio.ensure_future(thing.resolution()) for _ in range(3))
    await settle()

    leaves.cancel()
    await settle()
    thing.resolve()

    assert leaves.cancelled()
    assert await stays is thing.content
    assert await also_stays is thing.content


async def test_a_waiter_cancelled_as_the_item_is_resolved_disturbs_nobody() -> None:
    thing = item(1)
    leaves, stays = (asyncio.ensure_future(thing.resolution()) for _ in range(2))
    await settle()

    leaves.cancel()
    thing.resolve()

    assert await stays is thing.content
    assert leaves.cancelled()


async def test_an_item_whose_only_waiter_was_cancelled_is_awaited_no_more() -> None:
    thing = item(1)
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()
    assert thing.is_awaited
    assert not thing.does_batch

    waiter.cancel()
    await settle()

    assert not thing.is_awaited
    assert thing.does_batch


async def test_does_batch_is_false_only_while_awaited_and_not_resolved() -> None:
    thing = item(1)
    seen = [thing.does_batch]
    waiter = asyncio.ensure_future(thing.resolution())
    await settle()
    seen.append(thing.does_batch)
    thing.resolve()
    seen.append(thing.does_batch)

    assert await waiter is thing.content
    assert seen == [True, False, True]


async def test_a_batch_with_one_awaited_item_does_not_batch() -> None:
    whole = Batch.of([item(1), item(2)])
    waiter = asyncio.ensure_future(whole.items[1].resolution())
    await settle()

    assert not whole.does_batch

    waiter.cancel()
    await settle()
    assert whole.does_batch


async def test_a_view_can_be_awaited_as_an_item_can() -> None:
    whole = batch(range(3))
    view = whole.item(1)
    waiter = asyncio.ensure_future(view.resolution())
    await settle()

    whole.set_id(1, 7)
    view.resolve()

    found = await waiter
    assert found is view.content
    assert found is not None
    assert (found.name, found.pk) == ("n1", 7)
