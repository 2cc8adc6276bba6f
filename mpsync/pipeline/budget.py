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
        self._waiting: deque[tuple[int, int, asyncio.Future[None]]] = deque()

    async def acquire(self, size_bytes: int = 0, items: int = 1) -> None:
        """Take ``items`` of ``size_bytes`` together (0 = unknown: counts as items only), first come first served.

        What belongs together must be asked for together. While nothing is in flight whoever is first is let in, however
        large: nothing could be released otherwise.
        """
        if not self._waiting and self._fits(size_bytes, items):
            self._take(size_bytes, items)
            return
        self.flush_event.set()
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        asked = (size_bytes, items, turn)
        self._waiting.append(asked)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release(size_bytes, items)  # let in and cancelled in the same breath: give it back
            elif asked in self._waiting:  # not passed over by a release meanwhile
                self._waiting.remove(asked)
                self._admit()
            raise

    def release(self, size_bytes: int = 0, items: int = 1) -> None:
        """Give back what was acquired; never falls below zero."""
        self._current_bytes = max(0, self._current_bytes - size_bytes)
        self._current_items = max(0, self._current_items - items)
        self._admit()

    def charge(self, size_bytes: int, items: int = 0) -> None:
        """Add what is there already, so it never waits: bytes of an item that was acquired without its size, or whole
        ``items`` that needed no download and that the saver will release."""
        self._current_bytes += size_bytes
        self._current_items += items

    def _fits(self, size_bytes: int, items: int) -> bool:
        if self._current_items == 0:
            return True
        bytes_fit = self.max_bytes is None or self._current_bytes + size_bytes <= self.max_bytes
        return bytes_fit and (self.max_items is None or self._current_items + items <= self.max_items)

    def _take(self, size_bytes: int, items: int) -> None:
        self._current_bytes += size_bytes
        self._current_items += items

    def _admit(self) -> None:
        while self._waiting and self._fits(*self._waiting[0][:2]):
            size_bytes, items, turn = self._waiting.popleft()
            if not turn.done():
                self._take(size_bytes, items)
                turn.set_result(None)
        if self._waiting:
            self.flush_event.set()
        else:
            self.flush_event.clear()
