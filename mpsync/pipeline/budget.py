"""ResourceBudget: bounds what is downloaded but not yet saved, in bytes and in items."""

from __future__ import annotations

import asyncio
from collections import deque


class ResourceBudget:
    """Shared by ArtifactDownloader, which acquires, and ArtifactSaver, which releases what was acquired.

    max_bytes, max_items   None = no limit
    flush_event            set while somebody waits: the saver then saves what it has, however little
    """

    def __init__(self, max_bytes: int | None = None, max_items: int | None = None) -> None:
        self.max_bytes, self.max_items = max_bytes, max_items
        self.flush_event = asyncio.Event()
        self._current_bytes = 0
        self._current_items = 0
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def acquire(self, size_bytes: int = 0) -> None:
        """Take one item of ``size_bytes`` (0 = unknown: counts as an item only), first come first served.

        The first item in flight is always let in, however large: nothing could be released otherwise.
        """
        if not self._waiting and self._fits(size_bytes):
            self._take(size_bytes)
            return
        self.flush_event.set()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((size_bytes, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size_bytes)  # let in and cancelled in the same breath: give it back
            elif (size_bytes, turn) in self._waiting:  # not passed over by a release meanwhile
                self._waiting.remove((size_bytes, turn))
                self._admit()
            raise

    def release(self, size_bytes: int = 0, items: int = 1) -> None:
        """Give back what was acquired; never falls below zero."""
        self._current_bytes = max(0, self._current_bytes - size_bytes)
        self._current_items = max(0, self._current_items - items)
        self._admit()

    def charge(self, size_bytes: int) -> None:
        """Add bytes to an item that was acquired without knowing its size; never waits: they are there already."""
        self._current_bytes += size_bytes

    def _fits(self, size_bytes: int) -> bool:
        if self._current_items == 0:
            return True
        bytes_fit = self.max_bytes is None or self._current_bytes + size_bytes <= self.max_bytes
        return bytes_fit and (self.max_items is None or self._current_items < self.max_items)

    def _take(self, size_bytes: int) -> None:
        self._current_bytes += size_bytes
        self._current_items += 1

    def _admit(self) -> None:
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, turn = self._waiting.popleft()
            if not turn.done():
                self._take(size_bytes)
                turn.set_result(None)
        if self._waiting:
            self.flush_event.set()
        else:
            self.flush_event.clear()
