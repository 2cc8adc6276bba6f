"""Ending a task, whatever it does."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest

from mpsync.pipeline.tasks import end_task


async def sleeps() -> None:
    await asyncio.sleep(3600)


async def raises() -> None:
    raise ValueError("for nobody")


async def takes_its_time(done: list[str]) -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        await asyncio.sleep(0)
        done.append("done")


async def test_a_task_is_cancelled_and_waited_for() -> None:
    done: list[str] = []
    task = asyncio.create_task(takes_its_time(done))
    await asyncio.sleep(0)

    await end_task(task)

    assert task.cancelled()
    assert done == ["done"]


async def test_an_error_that_nobody_asked_for_is_not_told() -> None:
    said: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
    task = asyncio.create_task(raises())
    await asyncio.wait((task,))

    await end_task(task)
    del task
    gc.collect()

    assert said == []


async def test_who_ends_a_task_can_be_cancelled_itself() -> None:
    task = asyncio.create_task(sleeps())
    ending = asyncio.create_task(end_task(task))
    await asyncio.sleep(0)
    ending.cancel()

    with pytest.raises(asyncio.CancelledError):
        await ending


async def test_no_task_is_no_work() -> None:
    await end_task(None)
