"""ArtifactDownloader: fetch what is missing and wanted now."""

from __future__ import annotations

import asyncio
from collections import deque

from mpsync.errors import UpstreamError, leaf
from mpsync.model.digests import Expected, Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, OnFailure
from mpsync.stages.core_stage import CoreStage

FLUSH_ROWS = 128
FLUSH_S = 0.02
"""Finished rows go on together: this many, or whatever there is after this long."""


class ArtifactDownloader(CoreStage):
    """Downloads the artifacts that are not deferred, not stored and have no file.

    ``max_concurrent_content`` units are under way at once, all artifacts of a unit together. Units leave as they finish;
    those with nothing to do pass at once. The first failure of a strict unit ends the stage and cancels the rest.

    resource_budget  bounds what is downloaded and not yet saved; default: the run's budget
    """

    def __init__(self, resource_budget: ResourceBudget | None = None, max_concurrent_content: int = 200) -> None:
        super().__init__()
        self.max_concurrent_content = max_concurrent_content
        self.resource_budget = resource_budget
        self._todo: deque[_Unit] = deque()
        self._work = asyncio.Event()
        self._room = asyncio.Event()
        self._in_flight = 0
        self._input_ended = False
        self._finished: dict[int, tuple[Batch, list[int]]] = {}
        self._flush_at: asyncio.TimerHandle | None = None
        self._flush_now = asyncio.Event()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hand_on(), name="hand on finished units")
                group.create_task(self._read_input(group), name="read units")
        except BaseExceptionGroup as failures:
            error = leaf(failures)
            raise error from error.__cause__
        self._progress_done()

    @property
    def is_idle(self) -> bool:
        return super().is_idle and not self._in_flight and not self._todo and not self._finished

    async def _read_input(self, group: asyncio.TaskGroup) -> None:
        workers = 0
        async for batch in self.columns(minsize=1):
            self._charge_given(batch)
            missing = batch.slots.missing()
            if not missing:
                await self.put(batch)
                continue
            units = _units(batch, missing)
            busy = {unit.row for unit in units}
            if len(busy) < len(batch):
                await self.put(batch.take([row for row in range(len(batch)) if row not in busy]))
            self._count_total(len(missing))
            self._todo.extend(units)
            while workers < min(self.max_concurrent_content, len(self._todo) + self._in_flight):
                group.create_task(self._worker(), name=f"download {workers}")
                workers += 1
            self._work.set()
            while len(self._todo) > self.max_concurrent_content:
                self._room.clear()
                await self._room.wait()
        self._input_ended = True
        self._work.set()
        if not self._in_flight and not self._todo:
            self._flush_now.set()

    async def _worker(self) -> None:
        while True:
            while not self._todo:
                if self._input_ended:
                    return
                self._work.clear()
                await self._work.wait()
            unit = self._todo.popleft()
            self._in_flight += 1
            if len(self._todo) <= self.max_concurrent_content:
                self._room.set()
            try:
                await self._download_unit(unit)
            finally:
                self._in_flight -= 1
                if self._input_ended and not self._todo:
                    self._work.set()
                    self._flush_now.set()

    async def _download_unit(self, unit: _Unit) -> None:
        item = unit.batch.items.get(unit.row)
        if item is not None and item.failure is not None:
            self._failed(unit, item.failure)
            return
        # For all files at once: a unit that holds a share while it waits for the rest of it could wait for ever, since
        # only whole units are saved, and only saving releases.
        sizes = unit.batch.slots.size
        unit.share_bytes = sum([max(sizes[slot], 0) for slot in unit.slots])
        await self._budget.acquire(unit.share_bytes, len(unit.slots))
        try:
            if len(unit.slots) == 1:
                await self._download(unit, unit.slots[0])
            else:
                async with asyncio.TaskGroup() as group:
                    for slot in unit.slots:
                        group.create_task(self._download(unit, slot))
        except BaseException as failure:
            self._budget.release(unit.share_bytes, len(unit.slots))
            error = leaf(failure) if isinstance(failure, BaseExceptionGroup) else failure
            if not isinstance(error, UpstreamError):
                raise error from error.__cause__
            self._failed(unit, error)
        else:
            self._keep(unit)

    async def _download(self, unit: _Unit, slot: int) -> None:
        batch = unit.batch
        size = batch.slots.size[slot]
        d_artifact = self._held(batch, slot)
        if d_artifact is not None:
            fetched = await d_artifact.download()
        else:
            fetched = await self._fetch(batch, slot)
        batch.set_fetched(slot, fetched)
        if size < 0:  # not promised: what arrived counts from here on, since the saver releases what arrived
            self._budget.charge(fetched.size_bytes)
            unit.share_bytes += fetched.size_bytes
        self._count_done(fetched)

    def _held(self, batch: Batch, slot: int) -> DeclarativeArtifact | None:
        """The artifact object that a stage holds, when it has a remote of its own: its download() may be the plugin's."""
        row = batch.slots.owner[slot]
        item = batch.items.get(row)
        if item is None or not item.is_touched:
            return None
        d_artifact = item.d_artifacts[slot - batch.slots.of(row).start]
        return None if d_artifact.remote in (UPSTREAM, self._own_remote()) else d_artifact

    def _own_remote(self) -> object:
        return getattr(self, "context", None) and self.context.remote

    async def _fetch(self, batch: Batch, slot: int) -> Fetched:
        slots = batch.slots
        digests = dict(slots.digests[slot] or ())
        sha256 = slots.sha256[slot]
        if sha256 is not None:
            digests["sha256"] = sha256.hex()
        size = slots.size[slot]
        urls = self.context.remote.absolute(slots.urls[slot] or (slots.path[slot],))
        return await self.context.fetcher.fetch(urls, Expected(size if size >= 0 else None, digests))

    def _failed(self, unit: _Unit, error: UpstreamError) -> None:
        item = unit.batch.items.get(unit.row)
        policy: OnFailure = (item.on_failure if item else None) or self.context.on_failure
        slots = unit.batch.slots
        for slot in slots.of(unit.row):  # files of the unit that did arrive are not for anyone
            fetched = slots.fetched[slot]
            if fetched is not None:
                fetched.path.unlink(missing_ok=True)
                if slot not in unit.slots and not slots.ids[slot]:  # came with it, and no saver will release it
                    self._budget.release(slots.size[slot])
        if policy == "strict":
            if item is not None:
                item.fail(error)
            raise error
        if policy == "skip":
            self.context.progress.skip(unit.batch.describe(unit.row), str(error))
        if item is not None:
            if policy == "deliver":
                item.fail(error)
            else:
                item.content = None
                item.resolve()
            self.context.awaited.discard(item)

    # --- finished units leave together ---------------------------------------------------------------------------

    def _keep(self, unit: _Unit) -> None:
        _, rows = self._finished.setdefault(id(unit.batch), (unit.batch, []))
        rows.append(unit.row)
        item = unit.batch.items.get(unit.row)
        if len(rows) >= FLUSH_ROWS or (item is not None and item.is_awaited):
            self._flush_now.set()
        elif self._flush_at is None:
            self._flush_at = asyncio.get_running_loop().call_later(FLUSH_S, self._flush_now.set)

    async def _hand_on(self) -> None:
        while True:
            await self._flush_now.wait()
            self._flush_now.clear()
            if self._flush_at is not None:
                self._flush_at.cancel()
                self._flush_at = None
            finished, self._finished = self._finished, {}
            for batch, rows in finished.values():
                await self.put(batch if len(rows) == len(batch) == rows[-1] + 1 == 1 else batch.take(rows))
            if self._input_ended and not self._in_flight and not self._todo and not self._finished:
                return

    # --- bookkeeping ------------------------------------------------------------------------------------------------

    @property
    def _budget(self) -> ResourceBudget:
        return self.resource_budget or self.context.budget

    def _charge_given(self, batch: Batch) -> None:
        """Files that came with their units: the saver releases them as it does those that were downloaded."""
        slots = batch.slots
        if any(slots.fetched):
            given = [
                slots.size[i] for i, fetched in enumerate(slots.fetched) if fetched is not None and not slots.ids[i]
            ]
            self._budget.charge(sum(given), len(given))

    def _count_total(self, files: int) -> None:
        self.context.progress.expect("download", files, unit="files")

    def _count_done(self, fetched: Fetched) -> None:
        self.context.progress.advance("download", 1, unit="files")

    def _progress_done(self) -> None:
        self.context.progress.finish("download")


class _Unit:
    """One row with the slots it misses, and its share of the budget."""

    __slots__ = ("batch", "row", "share_bytes", "slots")

    def __init__(self, batch: Batch, row: int, slots: list[int]) -> None:
        self.batch, self.row, self.slots, self.share_bytes = batch, row, slots, 0


def _units(batch: Batch, missing: list[int]) -> list[_Unit]:
    units: list[_Unit] = []
    for slot in missing:
        row = batch.slots.owner[slot]
        if units and units[-1].row == row:
            units[-1].slots.append(slot)
        else:
            units.append(_Unit(batch, row, [slot]))
    return units
