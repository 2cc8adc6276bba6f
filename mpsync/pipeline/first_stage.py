"""Where a sync begins: a first stage declares content, and parse steps turn metadata files into rows.

Both run in child processes, or in-process with ``--workers 0``; they can't tell, and they never touch the network or
the database. What they ask of the outside goes through a Host.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from mpsync.errors import MpsyncError
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.stage import Stage

KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class ParseTask:
    """One metadata file to be parsed, or a byte range of one.

    step     the parse step: ``package.module:Class`` of a ParseStage
    path     the verified local file
    context  plain JSON values for the step: listing, promised open size, options
    memory   (parser version, sha256 of the file): the same bytes are never parsed twice; None = don't remember
    listing  the listing that this file's rows get, which is what is carried over when the file is remembered
    start, end   byte range of the uncompressed text, when a large file was cut; None = all of it
    asks_known   the step makes use of known_keys()
    known        set by the core: a file of the keys, 32 bytes each, that the listing's units have now
    may_cut      a large file may be unpacked once and parsed in parts, if the step can do that
    """

    step: str
    path: Path
    context: dict[str, Any] = field(default_factory=dict)
    memory: tuple[str, str] | None = None
    listing: str = ""
    start: int | None = None
    end: int | None = None
    asks_known: bool = False
    known: Path | None = None
    may_cut: bool = True


@dataclass(frozen=True, slots=True)
class Parsed:
    """What became of a ParseTask.

    rows        how many it gave, or had given when it was parsed before
    remembered  the core knew the file's rows: no step ran
    results     what the steps left in ``ParseStage.result``, now or then: one, or one per part of a file that was cut
    """

    rows: int
    remembered: bool = False
    results: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TopFile:
    """A top file (InRelease, repomd.xml) that the core fetched: a temporary local copy, not saved as anything yet."""

    path: Path
    size_bytes: int
    sha256: str


class Host(Protocol):
    """What a first stage or a parse step may ask of the outside."""

    async def parse(self, task: ParseTask) -> Parsed: ...

    async def top_file(self, path: str) -> TopFile | None: ...

    def skip(self, what: str, why: str) -> None: ...

    def note(self, name: str, text: str) -> None: ...

    def progress(self, name: str, by: int, total: int | None) -> None: ...


class FirstStage(Stage):
    """Base of a plugin's first stage. ``options`` are plain JSON values, made by the plugin's main-side part.

    put() content that names the metadata files it wants, await its resolution(), and read the files;
    ``await self.parse(task)`` has an index parsed, by this process or by the pool.
    """

    host: Host  # set by whoever runs the stage

    def __init__(self, options: dict[str, Any]) -> None:
        super().__init__()
        self.options = options
        self.result: dict[str, Any] = {}
        """Plain JSON values that run() leaves for the plugin's main-side part, e.g. the Release's date: crosses with the
        end of the stage (bridge End frame -> RemoteStage.result)."""

    async def parse(self, task: ParseTask) -> Parsed:
        """Have ``task`` parsed; returns when all its rows are on their way. Raises what the step raised."""
        parsed = await self.host.parse(task)
        if task.memory is not None and not parsed.remembered:
            self.result.setdefault("parsed", []).append([task.listing, *task.memory, parsed.results])
        return parsed

    async def top_file(self, path: str) -> TopFile | None:
        """Fetch a top file again, when what it promised can't be had any more; None when upstream doesn't have it."""
        return await self.host.top_file(path)

    def skip(self, what: str, why: str) -> None:
        """Report that something was left out: it stands in the summary's ``skipped``."""
        self.host.skip(what, why)

    def note(self, name: str, text: str) -> None:
        self.host.note(name, text)


class ParseStage(Stage):
    """Base of a parse step: ``run()`` reads ``self.task`` and puts batches.

    A step is made anew for every task. ``blocks()`` is the usual way to write one: a plain generator of batches.
    """

    can_cut: ClassVar[bool] = False
    """Whether a byte range of the uncompressed text can be parsed alone, cut by ``cut()``."""

    host: Host

    def __init__(self, task: ParseTask) -> None:
        super().__init__()
        self.task = task
        self.rows = 0
        self.result: dict[str, Any] = {}
        """Plain JSON values for the first stage: ``Parsed.results``."""

    def known_keys(self) -> Mapping[bytes, int]:
        """Keys of units that the core has, with all that it would save of them, and the places that known_rows() names them by.

        Empty when the core doesn't say, or a plugin's own stage wants to see every unit.
        """
        if self.task.known is None:
            return {}
        run = self.task.known.read_bytes()
        return {run[at : at + KEY_BYTES]: -1 - at // KEY_BYTES for at in range(0, len(run), KEY_BYTES)}

    def known_rows(self, kind: str, keys: list[bytes], known: Mapping[bytes, int]) -> Batch:
        """Rows that the core has: who they are, and no more: no record, no names, no artifacts.

        Only where the policy defers downloads: files that are wanted now are declared whole.
        """
        rows = len(keys)
        batch = Batch()
        batch.kinds, batch.listings, batch.keys = [kind] * rows, [self.task.listing] * rows, keys
        batch.names, batch.versions, batch.archs = [""] * rows, [""] * rows, [""] * rows
        batch.starts, batch.lengths, batch.ids = [0] * rows, [0] * rows, [known[key] for key in keys]
        return batch

    async def run(self) -> None:
        async for batch in self.blocks():
            self.rows += len(batch)
            await self.put(batch)

    def blocks(self) -> AsyncGenerator[Batch, None]:
        """The rows of the task, some thousand at a time."""
        raise NotImplementedError(f"{self} has neither run() nor blocks()")

    @classmethod
    def decompress(cls, task: ParseTask, into: Path) -> None:
        """Write the uncompressed, verified text to ``into``; for steps that can be cut."""
        raise NotImplementedError(f"{cls.__name__} can't be cut")

    @classmethod
    def cut(cls, task: ParseTask, text: Path, parts: int) -> list[tuple[int, int]]:
        """Byte ranges of whole records that together are the whole of ``text``, ``task``'s unpacked file."""
        raise NotImplementedError(f"{cls.__name__} can't be cut")


def load(name: str) -> Any:
    """The object named ``package.module:attribute``. Raises CannotLoad naming it when it isn't there."""
    from importlib import import_module

    module, _, attribute = name.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as exc:
        raise CannotLoad(name, str(exc)) from exc


class CannotLoad(MpsyncError):
    """A plugin's class cannot be imported under the name it was given."""

    def __init__(self, name: str, why: str) -> None:
        super().__init__(name, why)
        self.name, self.why = name, why

    def __str__(self) -> str:
        return f"cannot load {self.name}: {self.why}"
