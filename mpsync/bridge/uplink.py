"""The child's way up: items and batches become frames, and awaited items become tickets.

A stage puts into an Uplink as into any queue. Rows are held until a frame is full, or until something needs them to go: an
await, a request, the end, or 20 ms without more. Rows cost credit; without credit ``put`` waits, and the loop doesn't.
"""

from __future__ import annotations

import asyncio
from collections import deque
from weakref import WeakValueDictionary, ref

from mpsync.bridge.channel import Endpoint
from mpsync.bridge.codec import decode_error, encode, encode_batch, encode_error, plain
from mpsync.bridge.messages import Await, Failed, Message, Rows, Settled
from mpsync.errors import MpsyncError
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent

IDLE_FLUSH_S = 0.02


class Uplink:
    """What a child's stages have as their output queue.

    frame_rows, frame_bytes   a frame is sent when it holds this much
    credit_bytes              bytes of frames that may be under way before the core has taken them
    """

    def __init__(self, endpoint: Endpoint, frame_rows: int, frame_bytes: int, credit_bytes: int) -> None:
        self._endpoint = endpoint
        self._frame_rows, self._frame_bytes = frame_rows, frame_bytes
        self._credit_bytes = credit_bytes
        self._has_credit = asyncio.Event()
        self._has_credit.set()
        self._held: list[DeclarativeContent | Batch] = []
        self._held_rows = self._held_bytes = 0
        self._idle: asyncio.TimerHandle | None = None
        self._next_ticket = 0
        self._items: WeakValueDictionary[int, DeclarativeContent] = WeakValueDictionary()
        self._sent_tickets: deque[int] = deque()
        self._awaited: dict[int, DeclarativeContent] = {}
        self._to_await: list[int] = []

    # --- the queue that Stage.put() knows --------------------------------------------------------------------

    def full(self) -> bool:
        return not self._has_credit.is_set()

    def put_nowait(self, element: DeclarativeContent | Batch) -> None:
        if isinstance(element, Batch):
            for item in element.items.values():  # views that somebody may hold, and await
                self._declare(item)
            self._held_rows += len(element)
            self._held_bytes += element.size_bytes
        else:
            self._declare(element)
            self._held_rows += 1
        self._held.append(element)
        if self._held_rows >= self._frame_rows or self._held_bytes >= self._frame_bytes:
            self.flush()
        elif self._idle is None:
            self._idle = asyncio.get_running_loop().call_later(IDLE_FLUSH_S, self._flush_idle)

    async def put(self, element: DeclarativeContent | Batch) -> None:
        while self.full():
            await self._has_credit.wait()
        self.put_nowait(element)

    def empty(self) -> bool:
        return not self._held

    # --- frames ----------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Send what is held, however little. Raises BadFrame for rows that cannot cross."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if not self._held:
            return
        held, self._held = self._held, []
        self._held_rows = self._held_bytes = 0
        batch = Batch.join(held)
        batch.pack_raw()
        tickets = {row: item.ticket for row, item in batch.items.items() if item.ticket >= 0}
        body = encode_batch(batch, tickets, self._released())
        self._sent_tickets.extend(tickets.values())
        self._credit_bytes -= len(body)
        if self._credit_bytes <= 0:
            self._has_credit.clear()
        self._endpoint.send(encode(Rows(body)))
        for item in batch.items.values():
            if item.is_touched:
                item._batch = None  # it needs none, and whoever keeps the item would keep the whole batch
        batch.items.clear()  # else batch and items are a cycle, and a ticket is released when the collector comes by

    def _flush_idle(self) -> None:
        self._idle = None
        try:
            self.flush()
        except MpsyncError as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """For what goes wrong where no stage can catch it: the sync ends with ``error``."""
        self._endpoint.send(encode(Failed(encode_error(error))))

    def send(self, message: Message) -> None:
        """Send a message behind all rows put before it."""
        self.flush()
        self._endpoint.send(encode(message))

    def add_credit(self, size_bytes: int) -> None:
        self._credit_bytes += size_bytes
        if self._credit_bytes > 0:
            self._has_credit.set()

    # --- tickets ---------------------------------------------------------------------------------------------

    def _declare(self, item: DeclarativeContent) -> None:
        plain(item.extra_data)  # a value that cannot cross fails here, in the stage that put it
        item.ticket = self._next_ticket
        self._next_ticket += 1
        self._items[item.ticket] = item
        item._thaw_queue_event = _TicketThaw(self, item)
        if item.is_awaited:
            self._want(item)

    def _want(self, item: DeclarativeContent) -> None:
        """Somebody waits for ``item``: ask once, together with whatever else is asked for in this turn of the loop."""
        if item.ticket in self._awaited:
            return
        self._awaited[item.ticket] = item
        if not self._to_await:
            asyncio.get_running_loop().call_soon(self._send_awaits)
        self._to_await.append(item.ticket)

    def _send_awaits(self) -> None:
        tickets, self._to_await = self._to_await, []
        try:
            self.send(Await(tickets, [ticket for ticket in tickets if self._awaited[ticket].wants_files]))
        except MpsyncError as error:
            self.fail(error)

    def settle(self, message: Settled) -> None:
        """The core's word on an awaited item."""
        item = self._awaited.pop(message.ticket)
        if message.error is not None:
            item.fail(decode_error(message.error))
            return
        if message.content_id is None:
            item.content = None
        elif item.content is not None:
            item.content.pk = message.content_id or None
            item.content.local_paths = message.local_paths or {}
        item.resolve()

    def _released(self) -> list[int]:
        """Tickets, oldest first, whose items are gone from this process. The rest is looked at with the next frame."""
        found: list[int] = []
        kept: list[int] = []
        for _ in range(min(len(self._sent_tickets), 2 * self._frame_rows)):
            ticket = self._sent_tickets.popleft()
            (kept if ticket in self._items else found).append(ticket)
        self._sent_tickets.extend(kept)
        return found


class _TicketThaw:
    """Stands where batches() would put its thaw event: awaiting the item asks the core for it.

    It refers to its item weakly enough: the item owns it, and both go together.
    """

    __slots__ = ("_item", "_uplink")

    def __init__(self, uplink: Uplink, item: DeclarativeContent) -> None:
        self._uplink = uplink
        self._item = ref(item)

    def set(self) -> None:
        item = self._item()
        if item is not None:
            self._uplink._want(item)
