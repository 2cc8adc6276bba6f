"""The pipeline alone, and what a stage that looks at every unit costs, alone and within whole syncs."""

from __future__ import annotations

import re
import sys
import time

from bench import deb_upstreams, pipelines, sync_runs
from bench.measure import run_command
from bench.pipelines import Counting, Passing, Source
from bench.scenario import Context, Scenario
from bench.sync_runs import Upstream, Variant
from mpsync.pipeline.stage import EndStage

_STAGES = 8


def run(context: Context) -> None:
    for scale in context.options.scale:
        upstream = deb_upstreams.suite(context, scale)
        for _ in range(context.options.repeat):
            for counters in (0, 1):
                _alone(context, upstream, counters, scale)
        with upstream.served(context.work):
            for _ in range(context.options.repeat):
                for counters in (0, 1):
                    _within_sync(context, upstream, counters, scale)


def _alone(context: Context, upstream: Upstream, counters: int, scale: int) -> None:
    batches = pipelines.batches_of(upstream.index)
    counting = [Counting() for _ in range(counters)]
    stages = [
        Source(batches),
        *(Passing() for _ in range(_STAGES // 2)),
        *counting,
        *(Passing() for _ in range(_STAGES // 2)),
    ]
    began = time.perf_counter()
    pipelines.run_stages([*stages, EndStage()])
    context.case(f"{_STAGES} passing stages", "s", scale=scale, counters=counters).values.append(
        time.perf_counter() - began
    )
    for counter in counting:
        _check(counter.seen, upstream.packages)


def _within_sync(context: Context, upstream: Upstream, counters: int, scale: int) -> None:
    with context.folder("data") as folder:
        command = sync_runs.command(upstream, folder / "data", Variant())
        at = command.index("mpsync")
        command = [sys.executable, "-m", "bench.counted_sync", str(counters), *command[at + 1 :]]
        measured = run_command(command, data_dir=folder / "data")
    context.case("cold sync", "s", scale=scale, counters=counters).values.append(measured.wall_s)
    context.case("cold sync", "s", scale=scale, counters=counters).details.append(measured.as_json())
    found = [int(seen) for seen in re.findall(r"^counted (\d+)$", measured.stderr, re.MULTILINE)]
    if len(found) != counters or any(seen < upstream.packages for seen in found):  # it sees the metadata files too
        raise RuntimeError(f"the counting stages saw {found} units instead of {upstream.packages} and a few files")


def _check(seen: int, wanted: int) -> None:
    if seen != wanted:
        raise RuntimeError(f"the counting stage saw {seen} units instead of {wanted}")


SCENARIO = Scenario(
    "stages",
    "What do the stages themselves cost, and what does a plugin's stage that reads items() add?",
    "Seconds; counters=0 and 1 differ by one stage that takes each unit in its hand. The whole sync is cold, on demand.",
    run,
)
