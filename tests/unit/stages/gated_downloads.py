"""Downloads that end when a test says so, and a downloader stage around them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

from mpsync.model.content import Artifact, Content
from mpsync.model.digests import Expected, Fetched
from mpsync.model.remote import Remote
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.progress import Progress
from mpsync.stages.artifact_downloader import ArtifactDownloader
from mpsync.stages.core_stage import SyncContext

BASE = "https://mirror.example/"
DIGEST = "ab" * 32


class Gates:
    """Stands where Fetcher stands, and serves as a remote of an artifact's own: each download waits at its gate.

    asked     paths in the order in which their downloads began
    wanted    {path: what was promised of it}
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked: list[str] = []
        self.wanted: dict[str, Expected] = {}
        self.done: list[str] = []
        self.cancelled: list[str] = []
        self._gates: dict[str, asyncio.Future[None]] = {}

    @property
    def running(self) -> set[str]:
        return set(self.asked) - set(self.done) - set(self.cancelled)

    async def open(self, *paths: str) -> None:
        """Let the downloads of ``paths`` end well, and everybody else do what follows from it."""
        for path in paths:
            self._gates[path].set_result(None)
        await settle()

    async def fail(self, path: str, error: Exception) -> None:
        self._gates[path].set_exception(error)
        await settle()

    async def fetch(self, urls: tuple[str, ...], expected: Expected) -> Fetched:
        path = urls[0].removeprefix(BASE)
        self.asked.append(path)
        self.wanted[path] = expected
        self._gates[path] = asyncio.get_running_loop().create_future()
        try:
            await self._gates[path]
        except asyncio.CancelledError:
            self.cancelled.append(path)
            raise
        finally:
            if path not in self.cancelled:
                self.done.append(path)
        file = self.folder / path.replace("/", "_")
        file.write_bytes(b"x" * 10)
        return Fetched(file, 10 if expected.size_bytes is None else expected.size_bytes, {"sha256": DIGEST}, urls[0])

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        return await self.fetch(tuple(urls), artifact.expected)


class Downloading:
    """A running ArtifactDownloader. ``await put(…)`` and look at ``left``, ``gates`` and ``task``."""

    def __init__(
        self, folder: Path, slots: int, budget: ResourceBudget, on_failure: Literal["strict", "skip"] = "strict"
    ) -> None:
        self.gates = Gates(folder)
        self.progress = Progress()
        self.budget = budget
        self.in_q: asyncio.Queue[Any] = asyncio.Queue()
        self.out_q: asyncio.Queue[Any] = asyncio.Queue()
        nothing: Any = None
        self.context = SyncContext(
            settings=nothing,
            database=nothing,
            blobs=nothing,
            fetcher=self.gates,  # type: ignore[arg-type]  # the part of it that the stage uses
            version=nothing,
            remote_id=1,
            remote=Remote(BASE),
            progress=self.progress,
            budget=budget,
            on_failure=on_failure,
        )
        self.stage = ArtifactDownloader(max_concurrent_content=slots)
        self.stage.context = self.context
        self.stage._connect(self.in_q, self.out_q)
        self.task = asyncio.ensure_future(self.stage())
        self.left: list[str] = []
        self.has_ended = False

    async def put(self, *elements: DeclarativeContent | Batch | None) -> None:
        for element in elements:
            self.in_q.put_nowait(element)
        await settle()

    async def end(self) -> None:
        await self.put(None)

    async def names(self) -> list[str]:
        """Names of the units that left until now, in order; units that finished together are handed on together."""
        await asyncio.sleep(0.05)  # the stage's own clock for that is shorter
        while not self.out_q.empty():
            element = self.out_q.get_nowait()
            if element is None:
                self.has_ended = True
            else:
                self.left.extend(
                    Batch.pack([element]).names if isinstance(element, DeclarativeContent) else element.names
                )
        return self.left


@asynccontextmanager
async def downloading(
    folder: Path, slots: int = 3, budget: ResourceBudget | None = None, **options: Any
) -> AsyncIterator[Downloading]:
    """A downloader stage that is cancelled in the end, when it still runs."""
    running = Downloading(folder, slots, budget or ResourceBudget(), **options)
    try:
        yield running
    finally:
        running.task.cancel()
        await asyncio.wait([running.task])


def unit(
    name: str, *paths: str, size: int | None = None, deferred: bool = False, remote: Any = UPSTREAM
) -> DeclarativeContent:
    """A unit that wants the files ``paths``."""
    wanted = [
        DeclarativeArtifact(
            Artifact(size=size, sha256=DIGEST), url=path, relative_path=path, remote=remote, deferred_download=deferred
        )
        for path in paths
    ]
    return DeclarativeContent(Content(name.encode(), name=name, kind="test.unit"), wanted)


def rows(*units: DeclarativeContent) -> Batch:
    """The units as rows that nobody holds as items, as they come from a child."""
    made = Batch.of(units)
    made.items.clear()
    return made


async def settle() -> None:
    """Let every task that can run do so, until all of them wait."""
    for _ in range(50):
        await asyncio.sleep(0)
