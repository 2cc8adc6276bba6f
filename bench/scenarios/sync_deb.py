"""Whole ``mpsync sync deb`` commands: cold, unchanged, forced, 1 % changed; scales, workers and loops."""

from __future__ import annotations

import statistics

from bench import deb_upstreams, sync_runs
from bench.floors import SyncFloorMeter, xz_s
from bench.scenario import Context, Scenario
from bench.sync_runs import Upstream, Variant


def run(context: Context) -> None:
    options = context.options
    variants = [Variant(workers, loop, options.policy) for workers in options.workers for loop in options.loop]
    for scale in options.scale:
        upstream = deb_upstreams.suite(context, scale)
        context.say(f"scale {scale}: {upstream.packages:,} packages")
        meter = SyncFloorMeter(upstream.index)
        cold, split = [], []
        with upstream.served(context.work):
            for number in range(options.repeat):
                with context.folder("floor") as folder:
                    floors = meter.measure(folder)
                cold.append(floors.cold_s)
                split.append(floors.split_s)
                for name in ("split_s", "load_s", "load_direct_s"):
                    context.case(f"floor {name.removesuffix('_s')}", "s", scale=scale).values.append(
                        getattr(floors, name)
                    )
                xz = xz_s(upstream.index)
                if xz is None:
                    context.note("SKIPPED floor xz: not installed; apt install xz-utils")
                else:
                    context.case("floor xz", "s", scale=scale).values.append(xz)
                for variant in variants:
                    _repetition(context, upstream, variant, scale)
                context.say(f"scale {scale}: repetition {number + 1} of {options.repeat}")
            if options.profile:
                _profile(context, upstream, variants[0])
        for case in context.result.cases:
            if case.params.get("scale") != scale:
                continue
            if case.name == "cold":
                case.floor, case.floor_name = statistics.median(cold), "larger of split and load"
            elif case.name in ("forced", "changed"):
                case.floor, case.floor_name = statistics.median(split), "decompress and split"


def _repetition(context: Context, upstream: Upstream, variant: Variant, scale: int) -> None:
    one = sync_runs.Run(context, upstream, variant, variant.params(scale=scale))
    with context.folder("data") as folder:
        data_dir = folder / "data"
        upstream.show(0)
        saved = one.sync("cold", data_dir)["content"]["deb.package"]["total"]
        if saved != upstream.packages:
            context.note(f"{upstream.packages} packages upstream, {saved} saved")
        if one.sync("unchanged", data_dir)["changed"]:
            raise RuntimeError("the unchanged sync made a version")
        one.sync("forced", data_dir, "--force")
        upstream.show(1)
        if not one.sync("changed", data_dir)["changed"]:
            raise RuntimeError("the sync of the changed generation made no version")


def _profile(context: Context, upstream: Upstream, variant: Variant) -> None:
    with context.folder("data") as folder:
        upstream.show(0)
        sync_runs.profile(context, "cold", upstream, folder / "data", variant)
        sync_runs.profile(context, "forced", upstream, folder / "data", variant, extra=["--force"])


SCENARIO = Scenario(
    "sync-deb",
    "How long does a whole sync take, cold, unchanged, forced and with 1 % changed; how far is it from the floor?",
    "Seconds of the whole command. The floor of a cold sync is the larger of one process decompressing and splitting the "
    "index, and one PostgreSQL backend loading the same rows; that of a forced or changed one is decompressing and splitting.",
    run,
)
