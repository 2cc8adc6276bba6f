"""RemoteStage: the first stage of the core's pipeline, standing for a stage and its parse steps in child processes.

Flow    child -> frames -> batches -> the next stage, and credit back to the child
        Await -> the item's resolution(), or only its files -> Settled; Ask -> recall or a parser -> Answer
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Any

from mpsync.bridge.codec import decode, decode_batch, decode_error, encode_error
from mpsync.bridge.errors import BadFrame
from mpsync.bridge.known import KnownIds
from mpsync.bridge.messages import Answer, Ask, Await, Credit, Done, End, Failed, Finish, Report, Rows, Settled, Work
from mpsync.bridge.plain_task import task_from_plain, task_to_plain
from mpsync.bridge.process import ChildProcess
from mpsync.bridge.spec import Services, StageSpec
from mpsync.errors import MpsyncError, UpstreamError, leaf
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.first_stage import ParseTask
from mpsync.pipeline.stage import Stage
from mpsync.pipeline.tasks import end_task

CUT_BYTES = 1 << 20
"""An index that is smaller than this, compressed, goes to one parser, and no child is started for it.

Two cores are busy with a file each, and with the core and the database: cutting pays from three on
(docs/decisions/0011).
"""


class RemoteStage(Stage):
    """Runs ``spec`` in a child, with ``settings.workers`` children in all: with one, it parses too; else the others do.

    Without a number, that child parses too, and others are started when large files wait to be parsed: one a core at most.
    """

    def __init__(self, spec: StageSpec, services: Services) -> None:
        super().__init__()
        self.result: dict[str, Any] = {}
        self._spec, self._services = spec, services
        self._children: list[ChildProcess] = []
        self._free: asyncio.Queue[ChildProcess] = asyncio.Queue()
        self._tickets: dict[tuple[int, int], DeclarativeContent] = {}
        self._work: dict[int, asyncio.Future[Done]] = {}
        self._next_work = 0
        self._busy = 0
        self._idle_since = 0.0
        self._texts: list[Path] = []
        self._awaits: set[asyncio.Task[None]] = set()
        self._known = KnownIds()
        self._has_ended = False
        self._may_grow_to = usable_cores() if services.settings.workers is None else 0
        self._group: asyncio.TaskGroup | None = None
        self._listening: asyncio.Task[None] | None = None
        self._is_ahead = True  # of the pipeline
        self._handouts: set[asyncio.Task[None]] = set()
        # What came before run(), as far as credit goes; None once it was handed on.
        self._early: deque[tuple[ChildProcess, Batch, int]] | None = deque()

    async def run(self) -> None:
        await self.start()
        assert self._listening is not None
        self._is_ahead = False
        while self._handouts:
            await asyncio.wait(self._handouts)  # they write into batches that the pipeline gets now
        while self._early:
            await self._hand_on(*self._early.popleft())
        self._early = None
        await self._listening

    async def start(self) -> None:
        """Start the children, if they aren't yet: they come up, and work until they have no credit left, before ``run()``."""
        if self._children:
            return
        settings = self._services.settings
        self._idle_since = perf_counter()
        if self._services.spares:
            self._children.append(self._services.spares.pop())
            self._children[0].begin(self._spec.factory, self._spec.options)
        else:
            self._children.append(ChildProcess((self._spec.factory, self._spec.options), settings))
        for _ in range((settings.workers or 1) - 1):
            await asyncio.sleep(0)  # a start takes some milliseconds of the loop
            self._children.append(ChildProcess(None, settings))
        for parser in self._children[1:] or self._children:
            self._free.put_nowait(parser)
        self._listening = asyncio.create_task(self._listen_to_all(), name="children")

    async def _listen_to_all(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                for child in self._children:
                    group.create_task(self._listen(child, group), name=f"child {child.pid}")
        except BaseExceptionGroup as failures:
            error = leaf(failures)
            raise error from error.__cause__

    async def close(self) -> None:
        """End and reap every child. Harmless when called twice, or without a run."""
        listening, self._listening = self._listening, None
        try:
            await end_task(listening)
        finally:  # also when this is cancelled meanwhile
            await self._close_children()

    async def _close_children(self) -> None:
        children, self._children, self._free = self._children, [], asyncio.Queue()
        self._tickets.clear()
        try:
            async with asyncio.TaskGroup() as group:
                for child in children:
                    group.create_task(child.close(), name=f"close child {child.pid}")
        finally:
            for child in children:  # those whose task a second Ctrl-C didn't let begin
                child.kill()
            for text in self._texts:  # a worker may have made one after we unlinked it
                text.unlink(missing_ok=True)

    @property
    def is_idle(self) -> bool:
        """Whether nothing of what the children sent is still on its way into the pipeline.

        An Await comes behind the rows it speaks of: so once all that came was handed on, and every stage is idle too,
        nothing that a child does later can resolve it.
        """
        return not self._busy and not self._early and all(child.frames.empty() for child in self._children)

    async def _listen(self, child: ChildProcess, group: asyncio.TaskGroup) -> None:
        while True:
            frame = await child.frames.get()
            if frame is None:
                if self._has_ended:
                    return
                raise await child.died()
            self._begin_work()
            try:
                message = decode(frame)
                child.note_frame(type(message).__name__)
                match message:
                    case Rows(body):
                        await self._take_rows(child, body)
                    case Await(tickets, files):
                        handed_out = frozenset(files) if self._is_ahead else frozenset()
                        for ticket in tickets:
                            if ticket in handed_out:
                                self._start(self._hand_out(child, ticket), group, self._handouts)
                            else:
                                self._start(self._settle(child, ticket), group, self._awaits)
                    case Ask():
                        group.create_task(self._answer(child, message), name=f"ask {message.what}")
                    case Done():
                        waiting = self._work.pop(message.request, None)
                        if waiting is not None and not waiting.done():
                            waiting.set_result(message)
                    case Report():
                        self._report(message)
                    case Failed(error):
                        raise decode_error(error)
                    case End(result):
                        self.result = result
                        self._has_ended = True
                        for task in self._awaits:  # nobody waits any more; the items may take their time
                            task.cancel()
                        for other in self._children:
                            other.send(Finish())
            finally:
                self._end_work()

    def _start(self, work: Coroutine[Any, Any, None], group: asyncio.TaskGroup, among: set[asyncio.Task[None]]) -> None:
        task = group.create_task(work)
        among.add(task)
        task.add_done_callback(among.discard)

    def _begin_work(self) -> None:
        if not self._busy:
            self.meter.wait_in_s += perf_counter() - self._idle_since
        self._busy += 1

    def _end_work(self) -> None:
        self._busy -= 1
        if not self._busy:
            self._idle_since = perf_counter()

    async def _take_rows(self, child: ChildProcess, body: bytes) -> None:
        batch, tickets, released = decode_batch(body)
        batch.remote = self._services.remote
        self._known.put_in(batch)
        for ticket in released:
            item = self._tickets.pop((child.pid, ticket), None)
            if item is not None:
                self._services.awaited.discard(item)
        for row, ticket in tickets.items():
            item = self._tickets[child.pid, ticket] = batch.items[row]
            self._services.awaited.add(item)
        self.meter.count(len(batch))
        self.meter.batches += 1
        if self._early is None:
            await self._hand_on(child, batch, len(body))
        else:
            self._early.append((child, batch, len(body)))

    async def _hand_on(self, child: ChildProcess, batch: Batch, size_bytes: int) -> None:
        await self.put(batch)
        child.send(Credit(size_bytes))

    def _awaited_item(self, child: ChildProcess, ticket: int) -> DeclarativeContent:
        item = self._tickets.get((child.pid, ticket))
        if item is None:
            raise BadFrame(f"child process {child.pid} awaits ticket {ticket}, but no row had it")
        return item

    async def _hand_out(self, child: ChildProcess, ticket: int) -> None:
        """An item's files while nothing saves it yet: fetched now, they go into the pipeline with it."""
        item = self._awaited_item(child, ticket)
        try:
            paths = await self._fetch_files(item)
        except (UpstreamError, OSError) as error:
            if isinstance(error, UpstreamError):
                item.failure = error  # else there are no hard links here: the file comes out of the pipeline
            assert self._group is not None
            self._start(self._settle(child, ticket), self._group, self._awaits)
        else:
            child.send(Settled(ticket, 0, paths))

    async def _fetch_files(self, item: DeclarativeContent) -> dict[str, Path]:
        """{relative path: a name of its own} of the item's files that are not deferred."""
        batch, row = item._batch, item._row
        assert batch is not None, "rows that came are in a batch"
        paths: dict[str, Path] = {}
        for slot, d_artifact in zip(batch.slots.of(row), batch.d_artifacts_at(row), strict=True):
            if d_artifact.deferred_download:
                continue
            fetched = batch.slots.fetched[slot]
            if fetched is None:
                fetched = await self._download(d_artifact)
                batch.set_fetched(slot, fetched)
            own = paths[d_artifact.relative_path] = self._temp_file("file")
            await asyncio.to_thread(os.link, fetched.path, own)  # the saver moves the file away, while it is read
        return paths

    async def _download(self, d_artifact: DeclarativeArtifact) -> Fetched:
        """Counted as the ArtifactDownloader counts it, which will see what failed, and not what is here."""
        progress = self._services.progress
        progress.expect("download", 1, unit="files")
        try:
            fetched = await d_artifact.download()
        except BaseException:
            progress.expect("download", -1, unit="files")
            raise
        progress.advance("download", 1, unit="files")
        return fetched

    async def _settle(self, child: ChildProcess, ticket: int) -> None:
        item = self._awaited_item(child, ticket)
        try:
            content = await item.resolution()
        except Exception as error:
            child.send(Settled(ticket, error=encode_error(error)))
            return
        if content is None:
            child.send(Settled(ticket))
        else:
            child.send(Settled(ticket, content.pk, content.local_paths))

    def _report(self, report: Report) -> None:
        progress = self._services.progress
        if report.what == "skip":
            progress.skip(report.name, report.text)
        elif report.what == "note":
            progress.note(report.name, report.text)
        else:
            progress.advance(report.name, report.by, total=report.total)

    # --- requests --------------------------------------------------------------------------------------------

    async def _answer(self, child: ChildProcess, ask: Ask) -> None:
        value: Any
        try:
            if ask.what == "top_file":
                file = await self._services.top_file(ask.argument)
                value = None if file is None else (file.path, file.size_bytes, file.sha256)
            else:
                value = await self._parse(task_from_plain(ask.argument))
        except MpsyncError as error:
            child.send(Answer(ask.request, error=encode_error(error)))
        else:
            child.send(Answer(ask.request, value))

    async def _parse(self, task: ParseTask) -> list[Any]:
        """The fields of Parsed: rows, whether they were remembered, results."""
        remembered = await self._services.recall(task)
        if remembered is not None:
            rows, results = remembered
            return [rows, True, results]
        known = self._temp_file("known")
        ids = await self._services.known(task, known)
        if not ids:
            return await self._parse_now(task)
        self._known.keep(task.listing, ids)
        try:
            return await self._parse_now(replace(task, known=known))
        finally:
            await asyncio.to_thread(known.unlink, missing_ok=True)

    async def _parse_now(self, task: ParseTask) -> list[Any]:
        parsers = self._may_grow_to or len(self._children) - 1
        if parsers < (3 if self._may_grow_to else 2) or not task.may_cut or _size_of(task.path) < CUT_BYTES:
            found = [await self._give("parse", task)]
        else:
            found = await self._parse_cut(task, parsers)
        return [sum(rows for rows, _ in found), False, [result for _, result in found]]

    async def _parse_cut(self, task: ParseTask, parsers: int) -> list[Any]:
        """Unpack a large index once, and have its parts parsed side by side."""
        text = self._temp_file("index")
        try:
            ranges = await self._give("unpack", task, text, parsers)
            if ranges is None:
                return [await self._give("parse", task)]
            async with asyncio.TaskGroup() as group:
                parts = [
                    group.create_task(self._give("parse", replace(task, path=text, start=start, end=end)))
                    for start, end in ranges
                ]
            return [part.result() for part in parts]
        except BaseExceptionGroup as failures:
            error = leaf(failures)
            raise error from error.__cause__
        finally:
            await asyncio.to_thread(text.unlink, missing_ok=True)

    def _temp_file(self, name: str) -> Path:
        made = self._services.temp_dir / f"{name}-{os.getpid()}-{id(self):x}-{len(self._texts)}"
        self._texts.append(made)
        return made

    async def _give(self, how: Any, task: ParseTask, into: Path | None = None, parts: int = 0) -> Any:
        """Have a free child do it; returns the value of its Done, raises its error."""
        if self._free.empty() and len(self._children) < self._may_grow_to and _size_of(task.path) >= CUT_BYTES:
            self._grow()
        child = await self._free.get()
        try:
            self._next_work += 1
            request = self._next_work
            done: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
            self._work[request] = done
            child.send(Work(request, how, task_to_plain(task), str(into or ""), parts))
            found = await done
            if found.error is not None:
                raise decode_error(found.error)
            return found.value
        finally:
            self._free.put_nowait(child)

    def _grow(self) -> None:
        assert self._group is not None, "work is only given while the stage runs"
        child = ChildProcess(None, self._services.settings)
        self._children.append(child)
        self._group.create_task(self._listen(child, self._group), name=f"child {child.pid}")
        self._free.put_nowait(child)


def usable_cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0  # the step will say what is wrong with it
