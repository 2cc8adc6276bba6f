"""Rows, items and small stages for the pipeline's tests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mpsync.model.content import Artifact, Content, content_key
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.stage import Stage

KIND = "test.unit"


def content(number: int) -> Content:
    """Unit ``number``; its raw record is longer the higher the number is, and empty for 0."""
    return Content(
        f"record {number} ".encode() * (number % 7), name=f"n{number}", version=f"1.{number}", arch="all", kind=KIND
    )


def d_artifacts(number: int) -> list[DeclarativeArtifact]:
    """The artifacts of unit ``number``: none, one or two."""
    return [
        DeclarativeArtifact(
            Artifact(size=number if at else None, digests={"sha256": f"{number:064x}", "md5": f"{at:032x}"}),
            urls=[f"pool/{number}.{at}", f"old/{number}.{at}"] if at else [f"pool/{number}.{at}"],
            relative_path=f"pool/{number}.{at}",
            remote=UPSTREAM,
            deferred_download=bool(number % 2),
        )
        for at in range(number % 3)
    ]


def item(number: int) -> DeclarativeContent:
    return DeclarativeContent(content(number), d_artifacts(number), listing=f"list {number % 2}")


def batch(numbers: Iterable[int]) -> Batch:
    """Units as a parser makes them: columns only, no item."""
    units = {number: content(number) for number in numbers}
    made = Batch(b"".join(unit.raw for unit in units.values()))
    start = 0
    for row, (number, unit) in enumerate(units.items()):
        made.kinds.append(KIND)
        made.keys.append(content_key(KIND, unit.raw))
        made.names.append(unit.name)
        made.versions.append(unit.version)
        made.archs.append(unit.arch)
        made.listings.append(f"list {number % 2}")
        made.starts.append(start)
        made.lengths.append(len(unit.raw))
        made.ids.append(0)
        start += len(unit.raw)
        for wanted in d_artifacts(number):
            made.slots.add(
                row,
                wanted.relative_path,
                bytes.fromhex(wanted.artifact.digests["sha256"]),
                -1 if wanted.artifact.size is None else wanted.artifact.size,
                None if len(wanted.urls) == 1 else tuple(wanted.urls),
                {"md5": wanted.artifact.digests["md5"]},
                wanted.deferred_download,
            )
    return made


def rows(found: Batch) -> list[tuple[Any, ...]]:
    """Everything that the rows of ``found`` say, one comparable value per row."""
    slots = found.slots
    return [
        (
            found.kinds[row],
            found.keys[row],
            found.names[row],
            found.versions[row],
            found.archs[row],
            found.listings[row],
            found.raw_at(row),
            found.ids[row],
            [
                (
                    slots.path[i],
                    slots.sha256[i],
                    slots.size[i],
                    slots.urls[i],
                    slots.digests[i],
                    slots.deferred[i],
                    slots.ids[i],
                )
                for i in slots.of(row)
            ],
        )
        for row in range(len(found))
    ]


def rows_of(numbers: Iterable[int]) -> list[tuple[Any, ...]]:
    return rows(batch(numbers))


class Puts(Stage):
    """A first stage that puts what it was given, in order."""

    def __init__(self, elements: Sequence[DeclarativeContent | Batch]) -> None:
        super().__init__()
        self.elements = elements

    async def run(self) -> None:
        for element in self.elements:
            await self.put(element)


class Collects(Stage):
    """A last stage that keeps the elements as they came in its queue, and resolves nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.elements: list[Any] = []

    async def run(self) -> None:
        while (element := await self._next()) is not None:
            self.elements.append(element)

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        return [row for element in self.elements for row in rows(as_batch(element))]


def as_batch(element: DeclarativeContent | Batch) -> Batch:
    return element if isinstance(element, Batch) else Batch.pack([element])


class Does(Stage):
    """A stage whose run() is a function of it."""

    def __init__(self, run: Callable[[Stage], Any]) -> None:
        super().__init__()
        self._run = run

    async def run(self) -> None:
        await self._run(self)


def fed(stage: Stage, *elements: Any, ended: bool = False) -> asyncio.Queue[Any]:
    """Connect ``stage`` to a queue that holds ``elements``, and None behind them when ``ended``; returns the queue."""
    queue: asyncio.Queue[Any] = asyncio.Queue()
    for element in (*elements, None) if ended else elements:
        queue.put_nowait(element)
    stage._connect(queue, None)
    return queue


async def settle() -> None:
    """Let every task that can run do so, until all of them wait."""
    for _ in range(20):
        await asyncio.sleep(0)
