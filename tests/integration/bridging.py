"""A core without database and network for the bridge's tests: real children, a pipeline, and a look at what is left."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import psutil

from mpsync.bridge import LocalStage, Services, StageSpec, first_stage
from mpsync.bridge.remote_stage import RemoteStage
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.first_stage import ParseTask
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems, create_pipeline
from mpsync.pipeline.stage import Stage
from mpsync.settings import Settings

TOP_FILE = Fetched(Path("/tmp/there"), 5, {"sha256": "ab" * 32}, "http://mirror.example/there")


class Resolver(Stage):
    """The end of a sync: gives ids, resolves, and keeps what came; ``on_batch`` sees each batch first."""

    def __init__(self, on_batch: Callable[[Batch], Any] | None = None) -> None:
        super().__init__()
        self.texts: list[bytes] = []
        self.batches = 0
        self._on_batch = on_batch

    async def run(self) -> None:
        async for batch in self.columns(minsize=1):
            self.batches += 1
            if self._on_batch is not None:
                waiting = self._on_batch(batch)
                if waiting is not None:
                    await waiting
            for row, item in batch.items.items():
                if item.content is not None:
                    item.content.pk = len(self.texts) + row + 1
                item.resolve()
            self.texts.extend(map(batch.raw_at, range(len(batch))))


HANG_S = 20
"""A run that takes longer hangs."""


@dataclass
class Core:
    """One pipeline behind a bridge. ``await core.run(...)``; afterwards ``result``, ``texts`` and ``progress`` say what came."""

    folder: Path
    workers: int | None = 1
    settings: dict[str, Any] = field(default_factory=dict)
    recalled: dict[str, int] = field(default_factory=dict)
    progress: Progress = field(default_factory=Progress)
    resolver: Resolver = field(default_factory=Resolver)
    stage: LocalStage | RemoteStage | None = None
    is_started_early: bool = False
    until: Callable[[], Awaitable[Any]] = lambda: asyncio.sleep(0.2)
    remote: Any = None
    spares: list[Any] = field(default_factory=list)

    @property
    def children(self) -> list[Any]:
        return self.stage._children if isinstance(self.stage, RemoteStage) else []

    @property
    def texts(self) -> list[str]:
        return [text.decode() for text in self.resolver.texts]

    async def run(
        self, name: str, options: dict[str, Any] | None = None, between: Sequence[Stage] = ()
    ) -> dict[str, Any]:
        """Run ``bridge_stages:<name>`` and what follows; returns the first stage's result."""

        async def recall(task: ParseTask) -> tuple[int, list[dict[str, Any]]] | None:
            rows = self.recalled.get(task.listing)
            return None if rows is None else (rows, [])

        async def top_file(path: str) -> Fetched | None:
            return TOP_FILE if path == "there" else None

        awaited = AwaitedItems()
        settings = Settings(self.folder, workers=self.workers, **self.settings)
        services = Services(settings, self.progress, awaited, self.remote, recall, top_file, self.folder)
        services = replace(services, spares=self.spares)
        self.stage = first_stage(StageSpec(name if ":" in name else f"bridge_stages:{name}", options or {}), services)
        async with asyncio.timeout(HANG_S):
            try:
                if self.is_started_early:
                    await self.stage.start()
                    await self.until()
                await create_pipeline([self.stage, *between, self.resolver], settings.queue_rows, awaited=awaited)
            finally:
                await self.stage.close()
        return self.stage.result


@dataclass(frozen=True)
class Belongings:
    """What this process has: children, threads, descriptors, shared memory, and files in a folder."""

    children: frozenset[int]
    threads: frozenset[str]
    descriptors: frozenset[str]
    semaphores: frozenset[str]
    files: frozenset[str]

    @classmethod
    def now(cls, folder: Path) -> Belongings:
        descriptors = set()
        for number in os.listdir("/proc/self/fd"):
            try:
                descriptors.add(f"{number} {os.readlink(f'/proc/self/fd/{number}')}")
            except FileNotFoundError:
                pass  # the one that listed them
        return cls(
            frozenset(child.pid for child in own_children()),
            frozenset(thread.name for thread in threading.enumerate() if not thread.name.startswith("asyncio_")),
            frozenset(descriptors),
            mapped_semaphores(),
            frozenset(str(path) for path in folder.rglob("*")),
        )


def mapped_semaphores() -> frozenset[str]:
    """Those this process holds; a name in /dev/shm is removed together with its mapping."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return frozenset(line.split(maxsplit=5)[5] for line in lines if "/dev/shm/sem." in line)


def own_children() -> list[psutil.Process]:
    """Children but for Python's resource tracker, which lives as long as its process."""
    return [
        child for child in psutil.Process().children(recursive=True) if not is_tracker(child) and not is_server(child)
    ]


def is_server(process: psutil.Process) -> bool:
    """Whether it belongs to the embedded server that other tests of the session keep running."""
    try:
        return process.name() == "postgres"
    except psutil.NoSuchProcess:
        return False


def is_tracker(process: psutil.Process) -> bool:
    """Known by its pid: right after its start its command line is still that of the process it was forked from."""
    return process.pid == getattr(resource_tracker._resource_tracker, "_pid", None)


async def settled() -> None:
    """Let callbacks of closed transports run."""
    for _ in range(3):
        await asyncio.sleep(0)
