"""Whole ``mpsync sync rpm`` commands: cold, unchanged, forced, one new package."""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

from bench import rpm_upstreams, sync_runs
from bench.micro import parse_rpm
from bench.scenario import Context, Scenario
from bench.sync_runs import Upstream, Variant
from mpsync.plugin import registry
from mpsync.plugins.rpm.repomd import PATH, parse_repomd


def run(context: Context) -> None:
    options = context.options
    if "rpm" not in registry.names():
        context.note("SKIPPED: this mpsync has no rpm plugin")
        return
    variants = [Variant(workers, loop, options.policy) for workers in options.workers for loop in options.loop]
    for scale in options.scale:
        upstream = rpm_upstreams.repository(context, scale)
        context.say(f"scale {scale}: {upstream.packages:,} packages")
        floor = context.case("floor expat", "s", scale=scale)
        with upstream.served(context.work):
            for number in range(options.repeat):
                floor.values.append(_expat_s(upstream.index))
                for variant in variants:
                    _repetition(context, upstream, variant, scale)
                context.say(f"scale {scale}: repetition {number + 1} of {options.repeat}")
            if options.profile:
                with context.folder("data") as folder:
                    upstream.show(0)
                    sync_runs.profile(context, "cold", upstream, folder / "data", variants[0])
        for case in context.result.cases:
            if case.params.get("scale") == scale and case.name in ("cold", "forced"):
                case.floor = statistics.median(floor.values)
                case.floor_name = "unpack and expat, over all cores; without the database"


def _expat_s(folder: Path) -> float:
    """CPU seconds of unpacking and checking all three files, by the number of cores."""
    found = parse_repomd((folder / PATH).read_bytes())
    began = time.process_time()
    for role in parse_rpm.DOCUMENTS:
        if role in found.parsed:
            parse_rpm.check(parse_rpm.chunks_of(folder / found.parsed[role].location, found.parsed[role]))
    return (time.process_time() - began) / len(os.sched_getaffinity(0))


def _repetition(context: Context, upstream: Upstream, variant: Variant, scale: int) -> None:
    params: dict[str, Any] = {"scale": scale, "workers": variant.workers, "loop": variant.loop}
    with context.folder("data") as folder:
        data_dir = folder / "data"
        upstream.show(0)
        summary = sync_runs.repetition(context, context.case("cold", "s", **params), upstream, data_dir, variant)
        if summary["content"]["rpm.package"]["total"] != upstream.packages:
            context.note(f"{upstream.packages} packages upstream, {summary['content']['rpm.package']['total']} saved")
        sync_runs.repetition(context, context.case("unchanged", "s", **params), upstream, data_dir, variant)
        forced = context.case("forced", "s", **params)
        sync_runs.repetition(context, forced, upstream, data_dir, variant, extra=["--force"])
        if upstream.generations[0] != upstream.generations[1]:
            upstream.show(1)
            sync_runs.repetition(context, context.case("one new", "s", **params), upstream, data_dir, variant)


SCENARIO = Scenario(
    "sync-rpm",
    "How long does a whole RPM sync take, cold, unchanged, forced and with one new package?",
    "Seconds of the whole command. The floor is the CPU of unpacking and well-formedness checking, divided by the cores.",
    run,
)
