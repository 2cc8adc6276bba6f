"""LocalStage: the same stages in this process (``--workers 0``): the baseline of comparisons, and how to debug a plugin."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any

from mpsync.bridge.known import KnownIds
from mpsync.bridge.spec import Services, StageSpec
from mpsync.bridge.step_host import StepHost
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage, Parsed, ParseStage, ParseTask, TopFile, load
from mpsync.pipeline.stage import Stage


class LocalStage(Stage):
    """Runs ``spec`` and its parse steps on the core's own loop."""

    def __init__(self, spec: StageSpec, services: Services) -> None:
        super().__init__()
        self._services = services
        self._stage: FirstStage = load(spec.factory)(spec.options)
        self._stage.host = self
        self._parsing = 0
        self._has_run = False
        self._all_parsed = asyncio.Event()
        self._missed_error: Exception | None = None
        self._known = KnownIds()

    @property
    def result(self) -> dict[str, Any]:
        return self._stage.result

    @property
    def is_idle(self) -> bool:
        """It puts into the pipeline itself: what isn't in a queue by now can't resolve what is awaited by now."""
        return True

    async def start(self) -> None:
        """Nothing to start."""

    async def run(self) -> None:
        self._stage._connect(None, _Tap(self))  # type: ignore[arg-type]  # quacks like the queue that put() needs
        await self._stage.run()
        self._has_run = True  # what it asked for without waiting for it belongs to the sync too: see child.py
        if self._parsing:
            await self._all_parsed.wait()
        if self._missed_error is not None:
            raise self._missed_error

    async def close(self) -> None:
        """Nothing to end."""

    # --- Host ------------------------------------------------------------------------------------------------

    async def parse(self, task: ParseTask) -> Parsed:
        remembered = await self._services.recall(task)
        if remembered is not None:
            rows, results = remembered
            return Parsed(rows, True, results)
        self._parsing += 1
        known = self._services.temp_dir / f"known-{os.getpid()}-{id(task):x}"
        try:
            ids = await self._services.known(task, known)
            if ids:
                self._known.keep(task.listing, ids)
                task = replace(task, known=known)
            step: ParseStage = load(task.step)(task)
            step.host = StepHost(self, task.step)
            step._connect(None, _Tap(self))  # type: ignore[arg-type]  # as above
            await step.run()
        except Exception as error:
            if self._has_run:
                self._missed_error = error
            raise
        finally:
            known.unlink(missing_ok=True)
            self._parsing -= 1
            if self._has_run and not self._parsing:
                self._all_parsed.set()
        return Parsed(step.rows, results=[step.result])

    async def top_file(self, path: str) -> TopFile | None:
        found = await self._services.top_file(path)
        return None if found is None else TopFile(found.path, found.size_bytes, found.sha256)

    def skip(self, what: str, why: str) -> None:
        self._services.progress.skip(what, why)

    def note(self, name: str, text: str) -> None:
        self._services.progress.note(name, text)

    def progress(self, name: str, by: int, total: int | None) -> None:
        self._services.progress.advance(name, by, total=total)


class _Tap:
    """The output of a local first stage or parse step: the pipeline's first queue, with what a bridge would add."""

    def __init__(self, stage: LocalStage) -> None:
        self._stage = stage

    def full(self) -> bool:
        return True  # so that everything comes through put()

    async def put(self, element: DeclarativeContent | Batch) -> None:
        if isinstance(element, Batch):
            element.remote = self._stage._services.remote
            self._stage._known.put_in(element)
            self._stage.meter.count(len(element))
        else:
            self._stage._services.awaited.add(element)
            self._stage.meter.count(1)
        await self._stage.put(element)
