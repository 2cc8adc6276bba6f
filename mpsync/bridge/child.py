"""The child process: runs a first stage, parses what it is given, and talks to the core only.

Imports no database driver and no HTTP library. Ends by itself when the core is gone, whatever a stage is doing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from mpsync.bridge.channel import Endpoint
from mpsync.bridge.codec import decode, decode_error, encode_error
from mpsync.bridge.messages import Answer, Ask, Begin, Cancel, Credit, Done, End, Finish, Message, Report, Settled, Work
from mpsync.bridge.plain_task import task_from_plain, task_to_plain
from mpsync.bridge.step_host import StepHost
from mpsync.bridge.uplink import Uplink
from mpsync.errors import MpsyncError
from mpsync.pipeline.first_stage import FirstStage, Parsed, ParseStage, ParseTask, TopFile, load

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


async def run_child(down: Any, up: Any, bounds: Mapping[str, int], imports: str = "") -> None:
    """Target of the process: does what it is told until it is told to finish.

    bounds   frame_rows, frame_bytes, credit_bytes
    imports  a module that will be needed; whether it can be imported, load() says
    """
    os.setsid()  # the terminal's Ctrl-C is the core's; and what a plugin forks can be ended together with us
    _die_with_core()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # the core blocked it while it started us
    os.dup2(2, 1)  # a plugin that prints must not write into the core's --json
    if imports:
        with suppress(Exception):
            import_module(imports)
    # What is imported stays; parsing makes many objects and no cycles.
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    endpoint = Endpoint(down, up, f"core of child {os.getpid()}")
    endpoint.take_side()
    child = _Child(endpoint, Uplink(endpoint, bounds["frame_rows"], bounds["frame_bytes"], bounds["credit_bytes"]))
    endpoint.receive(child.on_frame, _core_is_gone)
    await child.run()
    sys.stdout.flush()  # now: once its pipe has ended, the core doesn't wait for a child any more
    sys.stderr.flush()
    await endpoint.flush()
    os._exit(0)  # the reader thread still waits for the core, which may never speak again


def _die_with_core() -> None:
    """Have the kernel end this process with its core, also when it is in C code that lets no other thread run.

    Linux only; elsewhere, and for what happened before, the reader thread sees the end of the pipe.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _core_is_gone() -> None:
    """In the reader thread: the loop may be in the middle of a long parse, whose result nobody wants any more."""
    os._exit(1)


class _Child:
    """The Host of this process's stages."""

    def __init__(self, endpoint: Endpoint, uplink: Uplink) -> None:
        self._endpoint, self._uplink = endpoint, uplink
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._next_request = 0
        self._work: set[asyncio.Task[None]] = set()
        self._cancelled: set[asyncio.Task[None]] = set()
        self._finish = asyncio.Event()
        self._all_answered = asyncio.Event()
        self._has_run = False
        self._missed_error: MpsyncError | None = None

    async def run(self) -> None:
        await self._finish.wait()
        if self._cancelled:
            await asyncio.wait(self._cancelled)

    async def _run_first(self, begin: Begin) -> None:
        try:
            first: FirstStage = load(begin.factory)(begin.options)
            first.host = self
            first._connect(None, self._uplink)  # type: ignore[arg-type]  # quacks like the queue that put() needs
            await first.run()
            await self._last_answers()
            self._uplink.send(End(first.result))
        except Exception as error:
            self._uplink.fail(error)

    async def _last_answers(self) -> None:
        """What the stage has asked for without waiting for it belongs to the sync all the same, and so do its errors."""
        self._has_run = True
        if self._answers:
            await self._all_answered.wait()
        if self._missed_error is not None:
            raise self._missed_error

    # --- Host ------------------------------------------------------------------------------------------------

    async def parse(self, task: ParseTask) -> Parsed:
        return Parsed(*await self._ask("parse", task_to_plain(task)))

    async def top_file(self, path: str) -> TopFile | None:
        found = await self._ask("top_file", path)
        return None if found is None else TopFile(*found)

    def skip(self, what: str, why: str) -> None:
        self._uplink.send(Report("skip", what, why))

    def note(self, name: str, text: str) -> None:
        self._uplink.send(Report("note", name, text))

    def progress(self, name: str, by: int, total: int | None) -> None:
        self._uplink.send(Report("progress", name, by=by, total=total))

    async def _ask(self, what: Any, argument: Any) -> Any:
        self._next_request += 1
        request = self._next_request
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[request] = answer
        self._uplink.send(Ask(request, what, argument))
        found = await answer
        if found.error is not None:
            raise decode_error(found.error)
        return found.value

    # --- what the core says ----------------------------------------------------------------------------------

    def on_frame(self, frame: bytes) -> None:
        try:
            self._take(decode(frame))
        except Exception as error:  # the loop would only log it
            self._uplink.fail(error)

    def _take(self, message: Message) -> None:
        match message:
            case Begin():
                self._start(self._run_first(message), "first stage")
            case Settled() as settled:
                self._uplink.settle(settled)
            case Credit(size_bytes):
                self._uplink.add_credit(size_bytes)
            case Answer() as answer:
                waiting = self._answers.pop(answer.request)
                if not waiting.done():  # its asker may have been cancelled meanwhile
                    waiting.set_result(answer)
                if self._has_run and answer.error is not None:
                    self._missed_error = decode_error(answer.error)
                if self._has_run and not self._answers:
                    self._all_answered.set()
            case Work() as work:
                self._start(self._do(work), f"work {work.request}")
            case Finish():
                self._finish.set()
            case Cancel():
                self._cancelled = set(self._work)
                for task in self._cancelled:
                    task.cancel()
                self._finish.set()

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def _do(self, work: Work) -> None:
        try:
            task = task_from_plain(work.task)
            step: type[ParseStage] = load(task.step)
            if work.how == "unpack":
                self._uplink.send(Done(work.request, _unpack(step, task, Path(work.into), work.parts)))
                return
            made = step(task)
            made.host = StepHost(self, task.step)
            made._connect(None, self._uplink)  # type: ignore[arg-type]  # as above
            await made.run()
            self._uplink.send(Done(work.request, [made.rows, made.result]))
        except Exception as error:
            self._uplink.send(Done(work.request, error=encode_error(error)))


def _unpack(step: type[ParseStage], task: ParseTask, into: Path, parts: int) -> list[list[int]] | None:
    """Write the text and cut it; None when this step can't be cut."""
    if not step.can_cut:
        return None
    step.decompress(task, into)
    return [[start, end] for start, end in step.cut(task, into, parts)]
