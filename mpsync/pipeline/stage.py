"""Stage: the base of every step, its iterators, and the batching rule.

Queues between stages carry columnar batches or single items. A stage reads them as it likes: ``items()`` one by one,
``batches()`` in lists, ``columns()`` as Batch. Nothing upstream or downstream notices.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from time import perf_counter
from typing import Any

from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.meter import StageMeter

Element = Any
"""What a queue carries: a Batch, an item, or None at the end. Any object with ``does_batch`` counts as an item."""


COLUMN_ROWS = 1000
"""From this many rows on, columns() takes no more: bench/README.md, stages."""


CHANNEL_BYTES = 8 << 20
"""Raw records that a queue holds before its producer waits, as they are in memory: rows of RPM file lists are large."""


class Channel(asyncio.Queue[Element]):
    """The queue between two stages; its bound counts rows, whatever they are packed in, and their bytes. 0 = no bound."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)  # a documented hook of asyncio.Queue
        self.rows = self.rows_max = self.held_bytes = 0

    def _put(self, item: Element) -> None:
        self.rows += weight(item)
        self.rows_max = max(self.rows_max, self.rows)
        self.held_bytes += _held_bytes(item)
        super()._put(item)

    def _get(self) -> Element:
        item = super()._get()
        self.rows -= weight(item)
        self.held_bytes -= _held_bytes(item)
        return item

    def full(self) -> bool:
        has_bound = self.maxsize > 0
        return has_bound and (self.rows >= self.maxsize or self.held_bytes >= CHANNEL_BYTES)


def _held_bytes(element: Element) -> int:
    return element.raw.held_bytes if isinstance(element, Batch) else 0


def weight(element: Element) -> int:
    """Rows in a queue's element; the end marker weighs nothing."""
    return len(element) if isinstance(element, Batch) else element is not None


class Stage:
    """A step of a pipeline. Subclass it and write ``run()``; read with an iterator, hand on with ``put()``."""

    def __init__(self) -> None:
        self._in_q: asyncio.Queue[Element] | None = None
        self._out_q: asyncio.Queue[Element] | None = None
        self.meter = StageMeter()

    def _connect(self, in_q: asyncio.Queue[Element] | None, out_q: asyncio.Queue[Element] | None) -> None:
        self._in_q, self._out_q = in_q, out_q

    async def __call__(self) -> None:
        """Run, then hand on the end marker."""
        with self.meter.running():
            await self.run()
        if self._out_q is not None:
            await self._out_q.put(None)

    async def run(self) -> None:
        """The stage's work, to be written by its author."""
        raise NotImplementedError(f"{self} has no run()")

    @property
    def is_idle(self) -> bool:
        """Whether the stage has nothing in hand: it waits for input, or has ended. Quiescence is all stages idle.

        A first stage always is: what it has put before, nothing that it does later can resolve.
        A stage that keeps items while it waits for more must say so here, if somebody may await one of them meanwhile.
        """
        return self._in_q is None or self.meter.is_waiting_in or self.meter.has_ended

    async def put(self, item: DeclarativeContent | Batch) -> None:
        """Hand an item, or a batch, to the next stage; waits while the queue is full.

        raises  ValueError for None: the end marker is not for stages to send
        """
        if item is None:
            raise ValueError("None is not permitted: it is the end marker")
        assert self._out_q is not None, f"{self} is not connected"
        if not self._out_q.full():
            self._out_q.put_nowait(item)
            return
        began = perf_counter()
        await self._out_q.put(item)
        self.meter.wait_out_s += perf_counter() - began

    async def items(self) -> AsyncGenerator[DeclarativeContent, None]:
        """One item after the other, as they come."""
        while (element := await self._next()) is not None:
            if isinstance(element, Batch):
                for row in range(len(element)):
                    yield element.item(row)
            else:
                yield element

    async def batches(
        self, minsize: int = 500, flush_event: asyncio.Event | None = None
    ) -> AsyncGenerator[list[DeclarativeContent], None]:
        """Lists of items: all there is without waiting, and at least ``minsize`` unless something forbids to wait.

        It doesn't wait when the input has ended, when an item of the batch is awaited, or when ``flush_event`` is set.
        Never empty, may be longer than ``minsize``.
        """
        async for elements in self._gather(minsize, flush_event):
            batch: list[DeclarativeContent] = []
            for element in elements:
                if isinstance(element, Batch):
                    batch.extend(element.all_items())
                else:
                    batch.append(element)
            yield batch

    async def columns(
        self, minsize: int = 500, flush_event: asyncio.Event | None = None
    ) -> AsyncGenerator[Batch, None]:
        """The same rule as ``batches()``, as one columnar Batch each time, but less greedy: a batch that is large enough
        is not made larger, since a stage works on one without letting the loop turn.

        A stage that changes items of such a batch puts ``Batch.pack(batch.all_items())``: that reads the columns again.
        """
        async for elements in self._gather(minsize, flush_event, enough=COLUMN_ROWS):
            yield Batch.join(elements)

    async def _next(self) -> Element:
        assert self._in_q is not None, f"{self} is not connected"
        try:
            element = self._in_q.get_nowait()
        except asyncio.QueueEmpty:
            with self.meter.waiting_in():
                element = await self._in_q.get()
        self.meter.count(weight(element))
        return element

    async def _take(self) -> Element:
        assert self._in_q is not None
        element = await self._in_q.get()
        self.meter.count(weight(element))  # at once: the watch for quiescence must see that the row has moved
        return element

    async def _gather(
        self, minsize: int, flush_event: asyncio.Event | None, enough: int = sys.maxsize
    ) -> AsyncGenerator[list[Element], None]:
        """The batching rule, over elements of any weight; ``enough`` rows end the greed."""
        assert self._in_q is not None, f"{self} is not connected"
        thaw = asyncio.Event()
        while True:
            element = await self._next()
            if element is None:
                return
            pending: list[Element] = []
            rows, ended, must_yield = 0, False, False
            while True:
                while element is not None:
                    pending.append(element)
                    rows += weight(element)
                    must_yield |= not element.does_batch
                    _set_thaw(element, thaw)
                    if self._in_q.empty() or rows >= enough:
                        break
                    element = await self._next()
                else:
                    ended = True
                must_yield |= thaw.is_set() or (flush_event is not None and flush_event.is_set())
                if ended or must_yield or rows >= minsize:
                    break
                element, woken = await self._next_or(thaw, flush_event)
                must_yield |= woken
                if element is _NOTHING:
                    break
            for element in pending:
                _set_thaw(element, None)
            thaw.clear()
            self.meter.batches += 1
            yield pending
            if ended:
                return

    async def _next_or(self, thaw: asyncio.Event, flush: asyncio.Event | None) -> tuple[Element, bool]:
        """The next element, or (_NOTHING, True) when thaw or flush comes first."""
        getter = asyncio.ensure_future(self._take())
        wakers = [asyncio.ensure_future(event.wait()) for event in (thaw, flush) if event is not None]
        try:
            # Here, not in the getter: a cancelled getter ends after the next wait has begun, and would end that one too.
            with self.meter.waiting_in():
                await asyncio.wait([getter, *wakers], return_when=asyncio.FIRST_COMPLETED)
            if getter.done():
                return getter.result(), False
            return _NOTHING, True
        finally:
            for waker in wakers:
                waker.cancel()
            if not getter.done():
                getter.cancel()

    def __str__(self) -> str:
        return type(self).__name__


_NOTHING: Element = object()


def _set_thaw(element: Element, thaw: asyncio.Event | None) -> None:
    if isinstance(element, Batch):
        for item in element.items.values():
            item._thaw_queue_event = thaw
    else:
        element._thaw_queue_event = thaw


class EndStage(Stage):
    """Drains what arrives, so that the last queue never fills up. The end of every pipeline."""

    async def run(self) -> None:
        while await self._next() is not None:
            pass
