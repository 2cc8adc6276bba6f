"""A pair of bounded multiprocessing queues between the core and one child, and the private parts of them that we touch.

Each end closes its copies of the other end's pipes: only then does a reader see the end of file when the other process dies,
also in the middle of a frame, and only then does a writer get EPIPE instead of waiting for ever.
"""

from __future__ import annotations

import asyncio
import fcntl
import queue
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import Any

QUEUE_FRAMES = 256
"""Messages a queue holds; rows are bounded by credit long before, so only a flood of small messages meets it."""

PIPE_BYTES = 1 << 20
"""Of the pipe home: a frame of a megabyte goes through the usual 64 KB in 16 turns of both processes."""

THREAD_GRACE_S = 1.0
"""A thread may outlive its child only if a plugin forked a process that holds the pipe open."""

_RETRY_S = 0.005


class Endpoint:
    """One process's end: sends without ever blocking, receives in a thread of its own."""

    def __init__(self, inbound: Any, outbound: Any, name: str) -> None:
        # Any: multiprocessing.queues.Queue is generic in typeshed only, and we touch private attributes.
        self._inbound, self._outbound, self._name = inbound, outbound, name
        self._backlog: deque[bytes] = deque()
        self._retry: asyncio.TimerHandle | None = None
        self._reader: threading.Thread | None = None
        self._is_closed = False

    def take_side(self) -> None:
        """Close what belongs to the other process. In the core: after the child was started."""
        self._inbound._writer.close()
        self._outbound._reader.close()
        self._outbound._ignore_epipe = True  # the feeder thread would print a traceback for a child that died

    def send(self, frame: bytes) -> None:
        """Queue a frame. Never blocks: what the queue doesn't take waits here, in order."""
        if self._is_closed:
            return
        self._backlog.append(frame)
        if self._retry is None:
            self._drain()

    def _drain(self) -> None:
        self._retry = None
        if self._is_closed:
            return
        try:
            while self._backlog:
                self._outbound.put_nowait(self._backlog[0])
                self._backlog.popleft()
        except queue.Full:
            self._retry = asyncio.get_running_loop().call_later(_RETRY_S, self._drain)
        except (ValueError, OSError):  # closed meanwhile
            self._backlog.clear()

    def receive(self, on_frame: Callable[[bytes], None], on_end: Callable[[], None]) -> None:
        """From now on call ``on_frame`` on the loop for every frame, and ``on_end`` once when the other side is gone.

        ``on_end`` is called in the reader thread: a loop that is busy for minutes can't delay it.
        """
        loop, inbound = asyncio.get_running_loop(), self._inbound

        def read() -> None:
            try:
                while True:
                    loop.call_soon_threadsafe(on_frame, inbound.get())
            except Exception:
                # EOFError or OSError: the other process is gone, perhaps in the middle of a frame. Whatever else it is:
                # nothing can be read any more. RuntimeError: our own loop is closed.
                on_end()

        self._reader = threading.Thread(target=read, name=f"read {self._name}", daemon=True)
        self._reader.start()

    async def flush(self) -> None:
        """Wait until every frame was handed to the pipe."""
        while self._backlog:  # noqa: ASYNC110  # a queue has no event for room; this is the last second
            await asyncio.sleep(_RETRY_S)
        self._outbound.close()
        await asyncio.to_thread(self._outbound.join_thread)

    def close(self) -> None:
        """After the other process has ended: no thread, descriptor or semaphore is left. Harmless when called twice."""
        if self._is_closed:
            return
        self._is_closed = True
        self._backlog.clear()
        if self._retry is not None:
            self._retry.cancel()
        inbound, outbound = self._inbound, self._outbound
        self._inbound = self._outbound = None  # with the last reference to a queue its semaphores go
        outbound.close()
        outbound.cancel_join_thread()
        for thread in (self._reader, outbound._thread):  # the reader meets the end of file, the feeder EPIPE: at once
            if thread is not None:
                thread.join(THREAD_GRACE_S)
        outbound._writer.close()
        inbound.close()
        inbound._reader.close()


def make_queues() -> tuple[Any, Any]:
    """(up, down): to be given to the child, and wrapped in an Endpoint at each end."""
    context = get_context("spawn")
    up, down = context.Queue(QUEUE_FRAMES), context.Queue(QUEUE_FRAMES)
    with suppress(AttributeError, OSError):  # Linux only, and a user may have too many of them already
        fcntl.fcntl(up._writer.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)  # type: ignore[attr-defined]
    return up, down
