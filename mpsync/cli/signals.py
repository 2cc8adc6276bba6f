"""Ctrl-C and friends, from the first line to the last: the first one stops everything in order, a late second at once.

Flow    handler -> a note, looked at between steps; where a loop runs, its main task is cancelled; where the main thread waits
        for something that may take long, an exception
Why     a server is being started, children run and files lie in a temporary folder: an exception out of nowhere in the
        middle of cleaning up would leave one of them behind, and in the middle of importing a compiled module it crashes
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # asyncio costs 20 ms, and --help needs none
    import asyncio
    from types import FrameType

SECOND_S = 1.0
"""Stopping in order takes less than this: a second signal within it is the impatience of a finger."""


class Interrupted(BaseException):
    """A signal asked us to stop. ``number``: which."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def code(self) -> int:
        """The exit code that shells know: 130 for SIGINT, 143 for SIGTERM, 129 for SIGHUP."""
        return 128 + self.number

    def details(self) -> dict[str, str]:
        name = "Terminated" if self.number == signal.SIGTERM else "Interrupted"
        text = f"stopped by {signal.Signals(self.number).name}; what was finished is kept, and the next run goes on from there"
        return {"type": name, "message": text}


class _State:
    """What the handler knows. One per process, as signals are."""

    def __init__(self) -> None:
        self.number: int | None = None
        self.at_s = 0.0
        self.may_raise = False
        self.task: tuple[asyncio.AbstractEventLoop, asyncio.Task[object]] | None = None


_state = _State()


@contextmanager
def handled(*, is_last: bool = False) -> Iterator[None]:
    """Handle SIGINT, SIGTERM and SIGHUP inside the block, unless we were started with them ignored (nohup).

    is_last  the process ends behind the block: a signal while the interpreter ends must not spoil the exit code
    """
    global _state
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _state = _State()
    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, _on_signal)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_IGN if is_last else handler)


@contextmanager
def interruptible() -> Iterator[None]:
    """The block waits, and does nothing else: a signal raises Interrupted in it, and at once if one came before."""
    raise_if_stopped()
    _state.may_raise = True
    try:
        yield
    finally:
        _state.may_raise = False


@contextmanager
def cancels_this_task() -> Iterator[None]:
    """Inside the block, in a task: a signal cancels it. Raises CancelledError at once if one came before."""
    import asyncio

    task = asyncio.current_task()
    assert task is not None
    _state.task = asyncio.get_running_loop(), task
    try:
        if _state.number is not None:
            raise asyncio.CancelledError
        yield
    finally:
        _state.task = None


def stopped() -> Interrupted | None:
    """The signal that came, if any."""
    return None if _state.number is None else Interrupted(_state.number)


def raise_if_stopped() -> None:
    """Between two steps: Interrupted, if a signal came."""
    found = stopped()
    if found is not None:
        raise found


def _on_signal(number: int, _: FrameType | None) -> None:
    if _state.number is not None:
        if monotonic() - _state.at_s > SECOND_S:
            os.write(2, b"mpsync: stopped at once; the next command cleans up\n")
            os._exit(128 + number)
        return
    _state.number, _state.at_s = number, monotonic()
    if _state.task is not None:
        loop, task = _state.task
        loop.call_soon_threadsafe(task.cancel)
    elif _state.may_raise:
        raise Interrupted(number)
