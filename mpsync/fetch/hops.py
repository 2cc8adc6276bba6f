"""Short blocking calls off the loop, many per thread hop.

A hop to a thread and back costs 0.1 ms, as much as the copy of a small file: what waits while the threads are busy goes
with the next hop together.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from functools import partial

THREADS = 3
"""Hops at a time: half of the loop's default threads on two cores, the others are for fsync and name resolution."""

CALLS = 32
"""Calls a hop: of 87 KB files about 10 ms of work."""


class Hops:
    """Runs calls in the loop's default threads; in order of their coming, several at once."""

    def __init__(self) -> None:
        self._waiting: deque[_Call] = deque()
        self._is_starting = False
        self._under_way = 0

    async def run(self, call: Callable[[], None], *, cancel: Callable[[], None] | None = None) -> None:
        """Run ``call`` in a thread and raise what it raises.

        cancel  makes a call under way end soon. A cancelled caller waits until its call has ended: then nobody uses
                any more what the call was about
        """
        loop = asyncio.get_running_loop()
        mine = _Call(call, loop.create_future())
        self._waiting.append(mine)
        if not self._is_starting and self._under_way < THREADS:
            self._is_starting = True
            loop.call_soon(self._start)  # the others who come in this turn of the loop go along
        try:
            await asyncio.shield(mine.ended)
        except asyncio.CancelledError:
            if mine in self._waiting:
                self._waiting.remove(mine)
            else:
                if cancel is not None:
                    cancel()
                await asyncio.wait((mine.ended,))
            raise
        if mine.error is not None:
            raise mine.error

    def _start(self) -> None:
        self._is_starting = False
        while self._waiting and self._under_way < THREADS:
            # Shared out among the free threads, so that few calls don't stand in line behind each other.
            share = -(-len(self._waiting) // (THREADS - self._under_way))
            calls = [self._waiting.popleft() for _ in range(min(share, CALLS))]
            self._under_way += 1
            hop = asyncio.get_running_loop().run_in_executor(None, _run, calls)
            hop.add_done_callback(partial(self._ended, calls))

    def _ended(self, calls: list[_Call], _: asyncio.Future[None]) -> None:
        self._under_way -= 1
        for call in calls:
            call.ended.set_result(None)
        self._start()


class _Call:
    """``ended`` once the thread is done with it; ``error``: what it raised."""

    __slots__ = ("call", "ended", "error")

    def __init__(self, call: Callable[[], None], ended: asyncio.Future[None]) -> None:
        self.call, self.ended = call, ended
        self.error: BaseException | None = None


def _run(calls: list[_Call]) -> None:
    for one in calls:
        try:
            one.call()
        except BaseException as error:  # raised where the call was asked for
            one.error = error
