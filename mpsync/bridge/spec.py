"""What runs in the children, and what the core lends to those who stand for them."""

from __future__ import annotations

from array import array
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mpsync.model.digests import Fetched
from mpsync.pipeline.first_stage import ParseTask
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.bridge.process import ChildProcess


@dataclass(frozen=True, slots=True)
class StageSpec:
    """A first stage by name, and its options: plain values."""

    factory: str
    options: dict[str, Any] = field(default_factory=dict)


async def nothing_recalled(_task: ParseTask) -> None:
    """Of a store that remembers nothing."""


async def nothing_known(_task: ParseTask, _into: Path) -> None:
    """Of a listing that holds nothing."""


@dataclass(frozen=True, slots=True)
class Services:
    """The core's side.

    remote    handle that DeclarativeArtifacts made of rows download with
    recall    of an index that was parsed before, how many rows and with what results; else None: only the core decides
    known     writes the keys that a task's listing has now to the file given, and returns the units' ids in the same order;
              nothing when there are none to be had
    top_file  fetch a top file again
    temp_dir  for the text of an index that several parsers share
    spares    a child that was started ahead (spare.py), to be taken out and used, or nothing
    """

    settings: Settings
    progress: Progress
    awaited: AwaitedItems
    remote: Any
    recall: Callable[[ParseTask], Awaitable[tuple[int, list[dict[str, Any]]] | None]]
    top_file: Callable[[str], Awaitable[Fetched | None]]
    temp_dir: Path
    known: Callable[[ParseTask, Path], Awaitable[array[int] | None]] = nothing_known
    spares: list[ChildProcess] = field(default_factory=list)
