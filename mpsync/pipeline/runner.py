"""Run stages as one linear pipeline, and notice when it can't move any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mpsync.errors import PluginError
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.stage import Channel, Stage

QUIET_CHECK_S = 0.2
"""How often quiescence is looked for; two quiet looks in a row make a finding, so it takes under a second."""


class NeverResolved(PluginError):
    """A waiter waits for an item that no stage holds any more: a stage dropped it and forgot to resolve it."""

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item

    def __str__(self) -> str:
        return f"{self.item} is awaited, but every queue is empty and every stage is idle: a stage dropped it without resolve()"


class AwaitedItems:
    """Items of one pipeline that somebody may wait for; those declared as items, not rows nobody holds."""

    def __init__(self) -> None:
        self._items: set[DeclarativeContent] = set()

    def add(self, item: DeclarativeContent) -> None:
        self._items.add(item)

    def discard(self, item: DeclarativeContent) -> None:
        self._items.discard(item)

    def stuck(self) -> list[DeclarativeContent]:
        return [item for item in self._items if item.is_awaited and not item.is_resolved]


async def create_pipeline(stages: Sequence[Stage], maxsize: int = 1, *, awaited: AwaitedItems | None = None) -> None:
    """Connect ``stages`` by bounded queues and run them to the end.

    maxsize  rows a queue holds before its producer waits
    awaited  items that a waiter may wait for; when nothing can resolve one, its waiters get NeverResolved
    raises   ValueError when a stage stands in the list twice; the first exception of a stage, after every other stage
             was cancelled and has ended
    """
    if len(set(map(id, stages))) != len(stages):
        raise ValueError("each stage instance must be unique in a pipeline")
    in_q: Channel | None = None
    for stage in stages:
        out_q = Channel(maxsize) if stage is not stages[-1] else None
        stage._connect(in_q, out_q)
        in_q = out_q

    first_error: BaseException | None = None

    async def run(stage: Stage) -> None:
        nonlocal first_error
        try:
            await stage()
        except BaseException as error:
            if first_error is None and not isinstance(error, asyncio.CancelledError):
                first_error = error
            raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(stage), name=str(stage)) for stage in stages]
            watcher = group.create_task(_watch_quiet(stages, awaited), name="quiescence")
            await asyncio.wait(tasks[-1:])  # the last stage ends last
            watcher.cancel()
    except BaseExceptionGroup:
        if first_error is None:
            raise
        raise first_error from None


async def _watch_quiet(stages: Sequence[Stage], awaited: AwaitedItems | None) -> None:
    """Fail waiters whose item nothing will resolve."""
    if awaited is None:
        return
    last_rows = -1
    while True:
        await asyncio.sleep(QUIET_CHECK_S)
        stuck = awaited.stuck()
        rows = sum(stage.meter.rows for stage in stages)
        if stuck and rows == last_rows and is_quiet(stages):
            for item in stuck:
                item.fail(NeverResolved(repr(item)))
        last_rows = rows


def is_quiet(stages: Sequence[Stage]) -> bool:
    """Every queue is empty and every stage idle. The first stage counts as idle while it waits: is_idle is its say."""
    queues_empty = all(stage._out_q is None or stage._out_q.empty() for stage in stages)
    return queues_empty and all(stage.is_idle for stage in stages)


def stage_table(stages: Sequence[Stage]) -> list[dict[str, float | int | str]]:
    """The stage-by-stage table of the JSON summary, in pipeline order."""
    return [
        stage.meter.table_row(str(stage), stage._in_q.rows_max if isinstance(stage._in_q, Channel) else 0)
        for stage in stages
    ]
