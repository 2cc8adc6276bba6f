"""Saving alone: batches from memory through the default stages into an empty database, committed."""

from __future__ import annotations

import asyncio
import statistics
import time

import uvloop

from bench import deb_upstreams, pipelines
from bench.floors import SyncFloorMeter
from bench.load_floor import database
from bench.scenario import Context, Scenario


def run(context: Context) -> None:
    for scale in context.options.scale:
        upstream = deb_upstreams.suite(context, scale)
        meter = SyncFloorMeter(upstream.index)
        floors = []
        case = context.case("save", "s", scale=scale)
        for _ in range(context.options.repeat):
            with context.folder("floor") as folder:
                found = meter.measure(folder)
            floors.append(found.load_s)
            context.case("floor load", "s", scale=scale).values.append(found.load_s)
            context.case("floor load_direct", "s", scale=scale).values.append(found.load_direct_s)
            batches = pipelines.batches_of(upstream.index)  # anew: saving writes ids into them
            with (
                context.folder("data") as folder,
                database(folder) as conninfo,
                asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
            ):
                began, cpu = time.perf_counter(), time.process_time()
                table = runner.run(pipelines.save(batches, folder, conninfo))
                case.values.append(time.perf_counter() - began)
                case.details.append({"cpu_s": {"main": time.process_time() - cpu}, "summary": {"stages": table}})
        case.floor, case.floor_name = statistics.median(floors), "load"


SCENARIO = Scenario(
    "save",
    "How long does the core take to save units that are already parsed, against one backend loading the same rows?",
    "Seconds from the first batch to the committed version; no child, no network, no server start.",
    run,
)
