"""First stages and parse steps that misbehave in every way; they run in children of the bridge's tests."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import struct
import sys
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from mpsync.errors import MetadataError
from mpsync.model.content import Artifact, Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage, ParseStage, ParseTask
from mpsync.pipeline.stage import Stage


def make_item(text: str, **extra: Any) -> DeclarativeContent:
    return DeclarativeContent(Content(text.encode(), name=text[:20], kind="test"), extra_data=extra)


def make_batch(texts: list[str]) -> Batch:
    batch = Batch.of([make_item(text) for text in texts])
    batch.items.clear()
    return batch


def task(step: str, **context: Any) -> ParseTask:
    return ParseTask(f"bridge_stages:{step}", Path(context.pop("path", "/nowhere")), context)


class Idle(FirstStage):
    """Puts nothing."""

    async def run(self) -> None:
        pass


class Rows(FirstStage):
    """Puts options.rows items."""

    async def run(self) -> None:
        for row in range(self.options["rows"]):
            await self.put(make_item(f"row {row}"))
        self.result["pid"] = os.getpid()


class ReadsFiles(FirstStage):
    """Puts a unit with a file and one with a deferred file, awaits the files only, and says what it got.

    options.gate  a file to wait for before the first one is read
    """

    async def run(self) -> None:
        for name in ("now", "later"):
            d_artifact = DeclarativeArtifact(
                Artifact(), url=name, relative_path=name, remote=UPSTREAM, deferred_download=name == "later"
            )
            item = DeclarativeContent(Content(name.encode(), name=name, kind="test"), [d_artifact])
            await self.put(item)
            content = await item.files()
            assert content is not None
            gate = self.options.get("gate")
            while gate is not None and not Path(gate).exists():  # noqa: ASYNC110  # another process makes it
                await asyncio.sleep(0.01)
            read = {path: local.read_text() for path, local in content.local_paths.items()}
            self.result[name] = [content.pk, read]


class Killed(FirstStage):
    """Puts a row, and is killed by options.signal once the core has it."""

    async def run(self) -> None:
        item = make_item("first")
        await self.put(item)
        await item.resolution()
        os.kill(os.getpid(), self.options["signal"])
        await asyncio.sleep(60)


class Interrupted(FirstStage):
    """Gets a SIGINT, as from the terminal, and goes on."""

    async def run(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(0.05)
        await self.put(make_item("after"))


class Fills(FirstStage):
    """Puts options.rows rows of 1000 bytes that don't compress."""

    async def run(self) -> None:
        for _ in range(self.options["rows"]):
            await self.put(make_item(os.urandom(1000).decode("latin-1")))


class Sleeps(FirstStage):
    """Puts a row and waits for ever; options.blocks: without letting its loop turn."""

    async def run(self) -> None:
        item = make_item(str(os.getpid()))
        await self.put(item)
        await item.resolution()
        if self.options.get("blocks"):
            busy_wait(60)
        await asyncio.sleep(60)


class HandlesSigterm(FirstStage):
    """Creates options.busy and doesn't let its loop turn any more; creates options.file when it gets SIGTERM."""

    async def run(self) -> None:
        def note(*_: Any) -> None:
            Path(self.options["file"]).touch()
            os._exit(0)

        signal.signal(signal.SIGTERM, note)
        Path(self.options["busy"]).touch()
        busy_wait(60)


class HoldsGil(FirstStage):
    """Sits in C code that lets no other thread of its process run: a regular expression that never ends."""

    async def run(self) -> None:
        item = make_item(str(os.getpid()))
        await self.put(item)
        await item.resolution()
        re.match(self.options["pattern"], "a" * 60 + "b")


class Forks(FirstStage):
    """Forks a process that inherits the pipes, puts its pid, and ends, or is killed.

    options   is_detached: in a session of its own; is_killed
    """

    async def run(self) -> None:
        item = make_item(str(fork_sleeper(is_detached=self.options.get("is_detached", False))))
        await self.put(item)
        await item.resolution()
        if self.options.get("is_killed"):
            os.kill(os.getpid(), signal.SIGKILL)


def fork_sleeper(*, is_detached: bool) -> int:
    forked = os.fork()
    if not forked:
        if is_detached:
            os.setsid()
        sleep(60)
        os._exit(0)
    return forked


class Cleans(FirstStage):
    """Waits for ever, and removes options.file when it is cancelled."""

    async def run(self) -> None:
        await clean_when_cancelled(self, self.options["file"])


class CleaningStep(ParseStage):
    """The same as a parse step."""

    async def run(self) -> None:
        await clean_when_cancelled(self, self.task.context["file"])


async def clean_when_cancelled(stage: Stage, file: str) -> None:
    Path(file).touch()
    try:
        await stage.put(make_batch(["begun"]))
        await asyncio.sleep(60)
    finally:
        Path(file).unlink()


class SendsJunk(FirstStage):
    """Sends options.frame, which is no message."""

    async def run(self) -> None:
        await self.put(make_item("before"))
        self._out_q.flush()  # type: ignore[union-attr]  # an Uplink
        self._out_q._endpoint.send(bytes.fromhex(self.options["frame"]))  # type: ignore[union-attr]
        await asyncio.sleep(60)


def busy_wait(seconds: float) -> None:
    end = monotonic() + seconds
    while monotonic() < end:
        sum(range(1000))


class Raises(FirstStage):
    """Raises the error that options.what names."""

    async def run(self) -> None:
        await self.put(make_item("before"))
        match self.options["what"]:
            case "metadata":
                raise MetadataError("dists/x/Release", "no such field", "Suite", "nothing")
            case "foreign":
                raise LookupError("who is it", object())
            case "exit":
                sys.exit(7)


class Prints(FirstStage):
    """Prints, as a plugin's author does while debugging; to the descriptor too."""

    async def run(self) -> None:
        print("printed by a plugin")
        os.write(1, b"written by a plugin\n")
        await self.put(make_item("row"))


class Modules(FirstStage):
    """Reports what is imported in its process."""

    async def run(self) -> None:
        await self.put(make_item("row"))
        self.result["modules"] = sorted(sys.modules)
        self.result["pid"] = os.getpid()


class Awaits(FirstStage):
    """Puts options.items items and awaits all of them at once."""

    async def run(self) -> None:
        items = [make_item(f"item {number}") for number in range(self.options["items"])]
        for item in items:
            await self.put(item)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(item.resolution()) for item in items]
        found = [task.result() for task in tasks]
        self.result["resolved"] = [content.pk if content is not None else None for content in found]


class AwaitsOne(FirstStage):
    """Awaits one item, and reports what came of it: its id, None, or the error's class and arguments."""

    async def run(self) -> None:
        item = make_item("awaited", **self.options.get("extra_data", {}))
        item.on_failure = self.options.get("on_failure")
        await self.put(item)
        try:
            content = await item.resolution()
        except MetadataError as error:
            self.result["error"] = [type(error).__name__, *error.args]
            self.result["note"] = error.__notes__[0]
        else:
            self.result["resolved"] = None if content is None else content.pk
            self.result["paths"] = {} if content is None else {k: str(v) for k, v in content.local_paths.items()}


class AwaitsView(FirstStage):
    """Puts a batch, and awaits one row of it."""

    async def run(self) -> None:
        batch = make_batch(["one", "two", "three"])
        item = batch.item(1)
        await self.put(batch)
        content = await item.resolution()
        self.result["resolved"] = content is not None and [content.pk, content.raw.decode()]


class CancelsOne(FirstStage):
    """Three wait for one item; the first is cancelled."""

    async def run(self) -> None:
        item = make_item("awaited")
        waiting = [asyncio.create_task(item.resolution()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        await asyncio.sleep(0)
        await self.put(item)
        done = await asyncio.gather(*waiting, return_exceptions=True)
        self.result["cancelled"] = [isinstance(found, asyncio.CancelledError) for found in done]


class LeavesWaiter(FirstStage):
    """Awaits an item that nobody resolves, loses patience, and ends."""

    async def run(self) -> None:
        item = make_item("forgotten")
        await self.put(item)
        waiting = asyncio.create_task(item.resolution())
        await asyncio.sleep(0.05)
        waiting.cancel()
        self.result["ended"] = True


class Floods(FirstStage):
    """Many small items, all awaited, and much more than the credit: both directions are full of messages."""

    async def run(self) -> None:
        resolved = 0

        async def wait_for(item: DeclarativeContent) -> None:
            nonlocal resolved
            content = await item.resolution()
            resolved += content is not None

        async with asyncio.TaskGroup() as group:
            for number in range(self.options["items"]):
                item = make_item(f"{number} " + os.urandom(self.options["size"]).hex())
                group.create_task(wait_for(item))
                await self.put(item)
        self.result["resolved"] = resolved


class DeclaresMany(FirstStage):
    """Items that nobody keeps; reports how many the bridge still knows here at most."""

    async def run(self) -> None:
        most = 0
        for number in range(self.options["items"]):
            await self.put(make_item(f"item {number}"))
            if number % 1000 == 0 and hasattr(self._out_q, "_items"):
                most = max(most, len(self._out_q._items))
        self.result["most"] = most


class BadExtraData(FirstStage):
    """An item that cannot cross."""

    async def run(self) -> None:
        try:
            await self.put(make_item("bad", value={1, 2}))
        except Exception as error:
            self.result["raised"] = str(error)


class BadName(FirstStage):
    """A row that only proves bad when a timer sends it."""

    async def run(self) -> None:
        item = make_item("bad")
        assert item.content is not None
        item.content.name = {1, 2}  # type: ignore[assignment]  # that is the point
        await self.put(item)
        await asyncio.sleep(60)


class BadResult(FirstStage):
    async def run(self) -> None:
        self.result["it"] = {1, 2}


class OnDemand(FirstStage):
    """Awaits a deferred artifact's content, and asks for its file."""

    async def run(self) -> None:
        artifact = DeclarativeArtifact(
            Artifact(size=3, sha256="00" * 32), url="a", relative_path="a", remote=UPSTREAM, deferred_download=True
        )
        item = DeclarativeContent(Content(b"deferred", kind="test"), [artifact])
        await self.put(item)
        content = await item.resolution()
        assert content is not None
        self.result["path"] = str(content.local_path)


class Reports(FirstStage):
    """Skips, notes, moves, and asks for a top file."""

    async def run(self) -> None:
        self.skip("a thing", "no reason")
        self.note("name", "text")
        self.host.progress("index", 3, 10)
        found = [await self.top_file(path) for path in ("there", "missing")]
        self.result["top"] = [None if top is None else [str(top.path), top.size_bytes, top.sha256] for top in found]


class Parses(FirstStage):
    """Has options.steps parsed side by side: [step, context] each."""

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self.parse(task(step, **context))) for step, context in self.options["steps"]]
        self.result["rows"] = [[found.result().rows, found.result().remembered] for found in tasks]


class ParsesOne(FirstStage):
    """Parses one task, and lets its error out as it is."""

    async def run(self) -> None:
        found = await self.parse(task(self.options["step"], **self.options.get("context", {})))
        self.result["rows"] = found.rows


class ParsesAndLeaves(FirstStage):
    """Has something parsed and doesn't wait for it."""

    async def run(self) -> None:
        self._left = asyncio.create_task(self.parse(task(self.options["step"], **self.options.get("context", {}))))
        self._left.add_done_callback(lambda left: left.exception())
        await asyncio.sleep(0.05)


class ParsesIndex(FirstStage):
    """One DebIndex: options.task is a whole ParseTask as plain values; reports the files that are left in options.folder."""

    async def run(self) -> None:
        found = await self.parse(ParseTask(**{**self.options["task"], "path": Path(self.options["task"]["path"])}))
        self.result["rows"] = found.rows
        self.result["left"] = [path.name for path in Path(self.options["folder"]).iterdir()]


class Step(ParseStage):
    """context.rows rows."""

    async def run(self) -> None:
        rows = self.task.context.get("rows", 3)
        self.rows = rows
        for row in range(rows):
            await self.put(make_batch([f"{self.task.context.get('name', '')} {row}"]))
            await asyncio.sleep(self.task.context.get("pause_s", 0))


class FailingStep(ParseStage):
    async def run(self) -> None:
        await asyncio.sleep(self.task.context.get("after_s", 0))
        raise MetadataError("Packages", "broken at line 3")


class ForeignStep(ParseStage):
    async def run(self) -> None:
        raise KeyError("Package")


class BlockingStep(ParseStage):
    """Says its pid, then works for a minute without letting the loop turn."""

    async def run(self) -> None:
        await self.put(make_batch([str(os.getpid())]))
        await asyncio.sleep(0.1)
        busy_wait(60)


class NestingStep(ParseStage):
    """Has something parsed itself."""

    async def run(self) -> None:
        self.host.skip("one", "two")
        self.rows = (await self.host.parse(task("Step"))).rows


class MidFrameStep(ParseStage):
    """Is killed in the middle of writing a frame."""

    async def run(self) -> None:
        await self.put(make_batch(["whole"]))
        await asyncio.sleep(0.2)
        pipe = self._out_q._endpoint._outbound._writer.fileno()  # type: ignore[union-attr]  # an Uplink
        os.write(pipe, struct.pack("!i", 1_000_000) + b"half a frame")
        os.kill(os.getpid(), signal.SIGKILL)


class StubbornCutStep(ParseStage):
    """Doesn't heed SIGTERM, and makes its file late; context.marker is a file that says it has begun."""

    can_cut = True

    @classmethod
    def decompress(cls, task: ParseTask, into: Path) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        Path(task.context["marker"]).touch()
        busy_wait(0.15)
        into.write_bytes(b"x" * 1000)
        busy_wait(60)


class CutStep(ParseStage):
    """A step that can be cut, and whose unpacking makes a file and never ends."""

    can_cut = True

    @classmethod
    def decompress(cls, task: ParseTask, into: Path) -> None:
        into.write_bytes(b"x" * 1000)
        if task.context.get("is_killed"):
            os.kill(os.getpid(), signal.SIGKILL)
        busy_wait(60)


class OwnPid(FirstStage):
    """Reports the process it runs in."""

    async def run(self) -> None:
        self.result["pid"] = os.getpid()


class ParsesMany(FirstStage):
    """Has ``count`` files parsed at once, each as large as a line of text."""

    async def run(self) -> None:
        file = Path(self.options["file"])
        async with asyncio.TaskGroup() as group:
            for number in range(self.options["count"]):
                found = ParseTask(f"{__name__}:{self.options['step']}", file, {"name": str(number)}, may_cut=False)
                group.create_task(self.parse(found))


class SlowRows(ParseStage):
    """One row, that names the process; takes a moment, in which others can begin."""

    async def run(self) -> None:
        self.rows = 1
        await asyncio.sleep(0.3)
        await self.put(make_batch([f"{self.task.context['name']} {os.getpid()}"]))
