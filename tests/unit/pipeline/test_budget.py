"""ResourceBudget: what it lets in, in which order, and what it counts."""

from __future__ import annotations

import asyncio
import random

import pytest
from pipeline_rows import settle

from mpsync.pipeline.budget import ResourceBudget

Task = asyncio.Task[None]


def asks(budget: ResourceBudget, size_bytes: int = 0) -> Task:
    return asyncio.get_running_loop().create_task(budget.acquire(size_bytes))


async def let_in(*tasks: Task) -> list[bool]:
    await settle()
    return [task.done() for task in tasks]


async def test_items_are_let_in_up_to_the_bound() -> None:
    budget = ResourceBudget(max_items=2)

    tasks = [asks(budget) for _ in range(3)]

    assert await let_in(*tasks) == [True, True, False]
    budget.release()
    assert await let_in(*tasks) == [True, True, True]


async def test_bytes_are_let_in_up_to_the_bound() -> None:
    budget = ResourceBudget(max_bytes=100)

    tasks = [asks(budget, size) for size in (60, 40, 1)]

    assert await let_in(*tasks) == [True, True, False]
    budget.release(60)
    assert await let_in(*tasks) == [True, True, True]


async def test_both_bounds_hold() -> None:
    budget = ResourceBudget(max_bytes=100, max_items=2)
    by_bytes = [asks(budget, 60), asks(budget, 60)]
    assert await let_in(*by_bytes) == [True, False]
    budget.release(60)
    assert await let_in(*by_bytes) == [True, True]

    by_items = [asks(budget, 1), asks(budget, 1)]

    assert await let_in(*by_items) == [True, False]
    by_items[1].cancel()


async def test_without_bounds_nothing_ever_waits() -> None:
    budget = ResourceBudget()

    tasks = [asks(budget, 1 << 40) for _ in range(50)]

    assert all(await let_in(*tasks))
    assert not budget.flush_event.is_set()


@pytest.mark.parametrize("budget", [ResourceBudget(max_bytes=100), ResourceBudget(max_items=0)], ids=["bytes", "items"])
async def test_one_beyond_every_bound_is_let_in_alone(budget: ResourceBudget) -> None:
    oversized, next_one = asks(budget, 500), asks(budget, 1)

    assert await let_in(oversized, next_one) == [True, False]
    budget.release(500)
    assert await let_in(next_one) == [True]


async def test_an_oversized_one_waits_until_nothing_is_in_flight() -> None:
    budget = ResourceBudget(max_bytes=100)
    small = [asks(budget, 10), asks(budget, 10)]
    oversized = asks(budget, 500)
    assert await let_in(*small, oversized) == [True, True, False]

    budget.release(10)
    assert await let_in(oversized) == [False]
    budget.release(10)

    assert await let_in(oversized) == [True]


async def test_who_came_first_goes_first_however_small_the_next_one_is() -> None:
    budget = ResourceBudget(max_bytes=100)
    await budget.acquire(60)

    large, small = asks(budget, 90), asks(budget, 1)

    assert await let_in(large, small) == [False, False]
    budget.release(60)
    assert await let_in(large, small) == [True, True]


async def test_one_release_lets_in_as_many_as_fit() -> None:
    budget = ResourceBudget(max_bytes=100)
    await budget.acquire(100)
    tasks = [asks(budget, 40) for _ in range(3)]

    budget.release(100)

    assert await let_in(*tasks) == [True, True, False]
    tasks[2].cancel()


async def test_never_below_zero() -> None:
    budget = ResourceBudget(max_bytes=100, max_items=1)

    budget.release(500, items=3)

    first, second = asks(budget, 100), asks(budget)
    assert await let_in(first, second) == [True, False]
    second.cancel()


async def test_bytes_found_out_later_count_too() -> None:
    budget = ResourceBudget(max_bytes=100)
    await budget.acquire()
    budget.charge(100)

    task = asks(budget, 1)

    assert await let_in(task) == [False]
    budget.release(100)
    assert await let_in(task) == [True]


async def test_items_asked_for_together_are_let_in_together() -> None:
    budget = ResourceBudget(max_items=3)
    await budget.acquire()

    pair, three = asyncio.ensure_future(budget.acquire(items=2)), asyncio.ensure_future(budget.acquire(items=3))

    assert await let_in(pair, three) == [True, False]
    budget.release(items=2)
    assert await let_in(three) == [False]
    budget.release()
    assert await let_in(three) == [True]


async def test_items_that_are_there_already_are_charged_without_waiting() -> None:
    budget = ResourceBudget(max_items=2)
    budget.charge(0, items=2)

    task = asks(budget)

    assert await let_in(task) == [False]
    budget.release()
    assert await let_in(task) == [True]


async def test_flush_event_is_set_while_somebody_waits() -> None:
    budget = ResourceBudget(max_items=1)
    await budget.acquire()
    assert not budget.flush_event.is_set()

    tasks = [asks(budget), asks(budget)]
    await settle()
    seen = [budget.flush_event.is_set()]
    budget.release()
    seen.append(budget.flush_event.is_set())
    budget.release()
    seen.append(budget.flush_event.is_set())

    assert seen == [True, True, False]
    await asyncio.gather(*tasks)


async def test_cancelling_who_waits_takes_nothing_and_lets_the_next_one_in() -> None:
    budget = ResourceBudget(max_bytes=100)
    await budget.acquire(60)
    large, small = asks(budget, 90), asks(budget, 40)
    await settle()

    large.cancel()

    assert await let_in(small) == [True]
    assert large.cancelled()
    assert not budget.flush_event.is_set()


async def test_cancelling_the_only_one_who_waits_ends_the_flush() -> None:
    budget = ResourceBudget(max_items=1)
    await budget.acquire()
    task = asks(budget)
    await settle()
    assert budget.flush_event.is_set()

    task.cancel()
    await settle()

    assert not budget.flush_event.is_set()


async def test_one_let_in_and_cancelled_in_the_same_breath_gives_it_back() -> None:
    budget = ResourceBudget(max_items=1)
    await budget.acquire()
    unlucky, next_one = asks(budget), asks(budget)
    await settle()

    budget.release()
    unlucky.cancel()

    assert await let_in(next_one) == [True]
    assert unlucky.cancelled()


async def test_one_cancelled_right_before_a_release_is_passed_over() -> None:
    budget = ResourceBudget(max_items=1)
    await budget.acquire()
    unlucky, next_one = asks(budget), asks(budget)
    await settle()

    unlucky.cancel()
    budget.release()

    assert await let_in(next_one) == [True]
    assert unlucky.cancelled()


@pytest.mark.parametrize("seed", range(20))
async def test_in_any_order_of_asking_cancelling_and_releasing_the_bounds_hold_and_all_are_served(seed: int) -> None:
    chance, budget = random.Random(seed), ResourceBudget(max_bytes=100, max_items=4)
    in_flight: list[int] = []

    async def one(size_bytes: int) -> None:
        await budget.acquire(size_bytes)
        in_flight.append(size_bytes)
        assert len(in_flight) == 1 or (sum(in_flight) <= 100 and len(in_flight) <= 4)
        try:
            for _ in range(chance.randrange(5)):
                await asyncio.sleep(0)
        finally:
            in_flight.remove(size_bytes)
            budget.release(size_bytes)

    tasks = [asyncio.ensure_future(one(chance.choice([0, 1, 30, 60, 100, 400]))) for _ in range(60)]
    for _ in range(40):
        await asyncio.sleep(0)
        if chance.random() < 0.3:
            chance.choice(tasks).cancel()
    async with asyncio.timeout(5):
        ended = await asyncio.gather(*tasks, return_exceptions=True)

    assert {type(end) for end in ended} <= {type(None), asyncio.CancelledError}
    assert (budget._current_bytes, budget._current_items) == (0, 0)
    assert not budget.flush_event.is_set()
