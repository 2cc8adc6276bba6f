"""One child process and its endpoint: started, watched, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import ModuleType, SimpleNamespace
from typing import Any

from mpsync.bridge.channel import Endpoint, make_queues
from mpsync.bridge.child import run_child
from mpsync.bridge.codec import encode
from mpsync.bridge.errors import CannotStart, ChildDied
from mpsync.bridge.messages import Begin, Cancel, Message
from mpsync.settings import Settings

CANCEL_GRACE_S = TERM_GRACE_S = 0.15
"""How long a child may take to clean up once it is told, and then to heed SIGTERM."""

PIPE_GRACE_S = 0.5
"""How long after a child's end its pipe may still give something. Only counts when another process holds the pipe open."""


class ChildProcess:
    """A child of the core. ``frames`` is what it sent; None in it says that it is gone.

    stage    (factory, options) of the first stage it runs, or None: it only parses, until begin() makes it one
    imports  a module that it will need, imported as it comes up
    raises   CannotStart
    """

    def __init__(self, stage: tuple[str, dict[str, Any]] | None, settings: Settings, imports: str = "") -> None:
        self.name = "parser"
        self.frames: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.last_frame = "nothing"
        self._taken = 0
        self._is_closed = False
        bounds = {
            "frame_rows": settings.batch_rows,
            "frame_bytes": settings.frame_bytes,
            "credit_bytes": settings.credit_bytes,
        }
        try:
            up, down = make_queues()
            with _no_manager(), _no_main(), _no_interrupt():
                from aiomultiprocess.core import Process

                self._process = Process(
                    target=run_child,
                    args=(down, up, bounds, imports),
                    loop_initializer=_loop_factory(settings.loop),
                    daemon=True,
                    name="mpsync child",
                )
                self._process.start()
        except OSError as exc:
            raise CannotStart(self.name, str(exc)) from exc
        self.pid: int = self._process.pid or 0
        self._endpoint = Endpoint(up, down, f"child {self.pid}")
        self._endpoint.take_side()
        self._loop = asyncio.get_running_loop()
        self._endpoint.receive(self.frames.put_nowait, self._on_pipe_end)
        self._exited = asyncio.Event()
        self._has_ended = False
        self._pipe_end: asyncio.TimerHandle | None = None
        self._watched = _exit_descriptor(self._process.aio_process)
        self._loop.add_reader(self._watched, self._on_exit)
        if stage is not None:
            self.begin(*stage)

    def begin(self, factory: str, options: dict[str, Any]) -> None:
        """Make it run a first stage: ``package.module:Class``."""
        self.name = factory.partition(":")[2]
        self.send(Begin(factory, options))

    def _on_pipe_end(self) -> None:
        """In the reader thread."""
        with suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(self._end)

    def _on_exit(self) -> None:
        """The process has ended. Its pipe may not: a plugin may have forked a process that holds it open."""
        self._loop.remove_reader(self._watched)
        self._exited.set()
        _kill_group(self.pid)
        self._pipe_end = self._loop.call_later(PIPE_GRACE_S, self._end)  # for one that made a session of its own

    def _end(self) -> None:
        if not self._has_ended:
            self._has_ended = True
            self.frames.put_nowait(None)

    def send(self, message: Message) -> None:
        self._endpoint.send(encode(message))

    def note_frame(self, kind: str) -> None:
        """A frame was taken out of ``frames``: of a child that dies, the last one is named."""
        self._taken += 1
        self.last_frame = f"frame {self._taken} ({kind})"

    async def died(self) -> ChildDied:
        """The error for a child whose pipe has ended: with its exit code, once the system knows it."""
        await self._wait(PIPE_GRACE_S)
        return ChildDied(self.pid, self._process.exitcode, self.name, self.last_frame)

    async def close(self) -> None:
        """End it, by force if need be, and leave nothing of it; also when this is cancelled meanwhile."""
        try:
            self.send(Cancel())
            if not await self._wait(CANCEL_GRACE_S):
                self._process.terminate()
                await self._wait(TERM_GRACE_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it now, and leave nothing of it. Harmless when called again."""
        if self._is_closed:
            return
        self._is_closed = True
        if not self._exited.is_set():
            self._loop.remove_reader(self._watched)
            self._process.kill()
            _kill_group(self.pid)
        if self._pipe_end is not None:
            self._pipe_end.cancel()
        self._process.aio_process.join()  # a killed process ends at once
        if self._watched != self._process.aio_process.sentinel:
            os.close(self._watched)
        self._endpoint.close()
        del self._process.unit  # it refers to the queues
        self._process.close()

    async def _wait(self, timeout_s: float) -> bool:
        """Whether it has ended, within ``timeout_s``; nobody polls."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()
        except TimeoutError:
            return False
        if self._process.exitcode is None:
            self._process.aio_process.join(0.05)  # only a sentinel ends before its process
        return True


def _exit_descriptor(process: Any) -> int:
    """What becomes readable when a process has ended: a pidfd, which nobody else can hold open as they can a sentinel."""
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):  # an old kernel, or no descriptor left
            return os.pidfd_open(process.pid)
    sentinel: int = process.sentinel
    return sentinel


def _kill_group(pid: int) -> None:
    """End what a child's plugin forked and left: it holds our pipes, and works for nobody."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _loop_factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if loop == "uvloop":
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
        return factory
    return asyncio.new_event_loop


@contextmanager
def _no_manager() -> Iterator[None]:
    """aiomultiprocess starts a manager process for the results of its Worker, which we don't use: a namespace will do.

    A manager outlives a core that is killed, and costs 30 MB and a quarter of a second.
    """
    import aiomultiprocess.core as core

    original = core.get_manager
    core.get_manager = lambda: SimpleNamespace(Namespace=SimpleNamespace)  # type: ignore[assignment,return-value]
    try:
        yield
    finally:
        core.get_manager = original


@contextmanager
def _no_main() -> Iterator[None]:
    """Spawn would import the program's main module again in the child: slow, and a fork bomb if it lacks a main guard."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """A child is started with SIGINT blocked, until it ignores it: else Ctrl-C meets it while it imports."""
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
