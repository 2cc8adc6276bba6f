"""Run stages as one linear pipeline, and notice when it can't move any more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from mpsync.errors import PluginError
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent, Dropped
from mpsync.pipeline.stage import Channel, Element, Stage

QUIET_CHECK_S = 0.2
"""How often quiescence is looked for; two quiet looks in a row make a finding, so it takes under a second."""


class NeverResolved(PluginError):
    """A waiter waits for an item that no stage holds any more: a stage dropped it and forgot to resolve it."""

    def __init__(self, item: str) -> None:
        super().__init__(item)
        self.item = item

    def __str__(self) -> str:
        return f"{self.item} is awaited, but every queue is empty and every stage is idle: a stage dropped it without resolve()"


class StageCancelled(PluginError):
    """A stage ended by a cancellation that nobody asked for: something that it awaited was cancelled."""

    def __init__(self, stage: str) -> None:
        super().__init__(stage)
        self.stage = stage

    def __str__(self) -> str:
        return f"{self.stage} ended because something that it awaited was cancelled"


class AwaitedItems:
    """Watches items of one pipeline: those declared as items, not rows nobody holds.

    An item tells when somebody begins to wait for it, so that an item nobody waits for costs next to nothing.
    """

    def __init__(self) -> None:
        self._waited_for: set[DeclarativeContent] = set()

    def add(self, item: DeclarativeContent) -> None:
        """Watch ``item`` from now on."""
        item._watch = self
        if item.is_awaited:
            self._waited_for.add(item)

    def discard(self, item: DeclarativeContent) -> None:
        item._watch = None
        self._waited_for.discard(item)

    def note_waiter(self, item: DeclarativeContent) -> None:
        """Somebody waits for ``item``, which is watched."""
        self._waited_for.add(item)

    def stuck(self) -> list[DeclarativeContent]:
        """Watched items that somebody waits for."""
        self._waited_for = {item for item in self._waited_for if item.is_awaited}
        return list(self._waited_for)


class _Entry(Channel):
    """The first queue: the items that come through it may be awaited from now on."""

    def __init__(self, maxsize: int, awaited: AwaitedItems) -> None:
        super().__init__(maxsize)
        self._awaited = awaited

    def _put(self, item: Element) -> None:
        if isinstance(item, DeclarativeContent):
            self._awaited.add(item)
        elif isinstance(item, Batch):
            for declared in item.items.values():
                self._awaited.add(declared)
        super()._put(item)


async def create_pipeline(stages: Sequence[Stage], maxsize: int = 1, *, awaited: AwaitedItems | None = None) -> None:
    """Connect ``stages`` by bounded queues and run them to the end.

    maxsize  rows a queue holds before its producer waits
    awaited  items that a waiter may wait for, besides those that the first stage puts; when nothing can resolve one, its
             waiters get NeverResolved, or Dropped when the pipeline failed
    raises   ValueError when a stage stands in the list twice; the first exception of a stage, after every other stage
             was cancelled and has ended
    """
    awaited = AwaitedItems() if awaited is None else awaited
    if len(set(map(id, stages))) != len(stages):
        raise ValueError("each stage instance must be unique in a pipeline")
    in_q: Channel | None = None
    for stage in stages:
        out_q: Channel | None = None
        if stage is not stages[-1]:
            out_q = _Entry(maxsize, awaited) if stage is stages[0] else Channel(maxsize)
        stage._connect(in_q, out_q)
        in_q = out_q

    first_error: BaseException | None = None
    has_ended = False

    async def run(stage: Stage) -> None:
        nonlocal first_error
        try:
            await stage()
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if first_error is None and task is not None and not task.cancelling():
                # A TaskGroup takes it for a normal end, but no end marker was put: the others would wait for ever.
                first_error = StageCancelled(str(stage))
                raise first_error from error
            raise
        except BaseException as error:
            first_error = first_error or error
            raise

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(run(stage), name=str(stage)) for stage in stages]
            watcher = group.create_task(_watch_quiet(stages, awaited), name="quiescence")
            await asyncio.wait(tasks[-1:])  # the last stage ends last
            watcher.cancel()
        has_ended = True
    except BaseExceptionGroup:
        if first_error is None:
            raise
    finally:
        why = "the pipeline was cancelled" if first_error is None else str(first_error) or repr(first_error)
        for item in awaited.stuck():  # somebody outside of the pipeline waits; nothing can resolve it any more
            item.fail(NeverResolved(repr(item)) if has_ended else Dropped(repr(item), why))
    if first_error is not None:  # raised out here it keeps its own cause and context
        raise first_error


async def _watch_quiet(stages: Sequence[Stage], awaited: AwaitedItems) -> None:
    """Fail waiters whose item nothing will resolve."""
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
