"""The bridge alone: units from a child through one queue, and the round trip of a ticket."""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import uvloop

from bench.scenario import Context, Scenario
from mpsync.bridge import Services, StageSpec, first_stage
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems, create_pipeline
from mpsync.pipeline.stage import Stage
from mpsync.settings import Settings

UNIT_BYTES = 800


class Resolving(Stage):
    """Resolves what it sees at once: the bridge's own latency is all that is left."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = self.frames = 0

    async def run(self) -> None:
        async for batch in self.columns(minsize=1):
            assert isinstance(batch, Batch)
            self.rows += len(batch)
            self.frames += 1
            for row, item in batch.items.items():
                if item.content is not None:
                    item.content.pk = row + 1
                item.resolve()


async def _run(factory: str, options: dict[str, Any], work: Path, workers: int) -> tuple[dict[str, Any], Resolving]:
    settings = Settings(data_dir=work, workers=workers)

    async def nothing(_: Any) -> None:
        return None

    awaited = AwaitedItems()
    services = Services(settings, Progress(), awaited, None, nothing, nothing, work)
    first = first_stage(StageSpec(factory, options), services)
    last = Resolving()
    try:
        await create_pipeline([first, last], settings.queue_rows, awaited=awaited)
    finally:
        await first.close()
    return first.result, last


def _on_loop(factory: str, options: dict[str, Any], work: Path, workers: int) -> tuple[dict[str, Any], Resolving]:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_run(factory, options, work, workers))


def run(context: Context) -> None:
    quick = context.options.quick
    units, tickets = (20_000, 20) if quick else (500_000, 500)
    for workers in _workers(context.options.workers):
        for _ in range(context.options.repeat):
            flood = {"units": units, "unit_bytes": UNIT_BYTES, "batch_rows": 2000}
            result, last = _on_loop("bench.bridge_stages:Flood", flood, context.work, workers)
            if last.rows != result["units"]:
                raise RuntimeError(f"{last.rows} units came through instead of {result['units']}")
            rates = {"MB/s": last.rows * UNIT_BYTES / 1e6, "frames/s": float(last.frames), "units/s": float(last.rows)}
            for unit, amount in rates.items():
                case = context.case(f"throughput {unit}", unit, is_better="higher", workers=workers)
                case.values.append(amount / result["seconds"])
            trips, _ = _on_loop("bench.bridge_stages:RoundTrips", {"tickets": tickets}, context.work, workers)
            took_ms = sorted(seconds * 1000 for seconds in trips["seconds"][5:])
            context.case("ticket p50", "ms", workers=workers).values.append(statistics.median(took_ms))
            context.case("ticket p99", "ms", workers=workers).values.append(took_ms[int(len(took_ms) * 0.99)])


def _workers(asked: Sequence[int | None]) -> list[int]:
    """One queue is what is measured; 0 is the same stages in-process, as a comparison."""
    return [workers for workers in asked if workers is not None and workers < 2] or [1]


SCENARIO = Scenario(
    "bridge",
    "How much comes through one child's queue, packing and encoding included, and how long does a ticket take?",
    "MB/s of 800-byte units, uncompressed (aim: 400 or more); milliseconds from put() to resolution() (aim: 2 or less).",
    run,
)
