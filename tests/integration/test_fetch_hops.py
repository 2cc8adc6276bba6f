"""Blocking work of transfers is done in threads: many small calls per hop, and none left when a caller is cancelled."""

from __future__ import annotations

import asyncio
import threading

import pytest

from mpsync.fetch.hops import CALLS, THREADS, Hops


def _ignore(_: object) -> None:
    """A call returns nothing."""


async def test_every_call_runs_once_off_the_loop_and_on_few_threads() -> None:
    hops, ran = Hops(), []

    await asyncio.gather(*(hops.run(lambda n=n: ran.append((n, threading.get_ident()))) for n in range(500)))  # type: ignore[misc]

    assert sorted(n for n, _ in ran) == list(range(500))
    assert threading.get_ident() not in {thread for _, thread in ran}


async def test_an_error_reaches_its_own_caller_only() -> None:
    hops = Hops()

    def fail() -> None:
        raise OSError(28, "no space")

    found = await asyncio.gather(hops.run(fail), hops.run(lambda: None), return_exceptions=True)

    assert isinstance(found[0], OSError)
    assert found[1] is None


async def test_a_cancelled_caller_waits_until_its_call_has_ended() -> None:
    hops, began, told, ended = Hops(), threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        began.set()
        told.wait()
        ended.set()

    task = asyncio.ensure_future(hops.run(call, cancel=told.set))
    await asyncio.to_thread(began.wait)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


async def test_a_call_that_waits_for_a_thread_is_dropped_with_its_caller() -> None:
    hops, gate, ran = Hops(), threading.Event(), []
    busy = [asyncio.ensure_future(hops.run(lambda: _ignore(gate.wait()))) for _ in range(THREADS)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    late = [asyncio.ensure_future(hops.run(lambda: ran.append(1))) for _ in range(CALLS)]
    await asyncio.sleep(0)

    late[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await late[0]
    gate.set()
    await asyncio.gather(*busy, *late[1:])

    assert len(ran) == CALLS - 1
