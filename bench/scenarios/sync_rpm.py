"""Whole ``mpsync sync rpm`` commands: cold by two policies, unchanged, forced, one new package."""

from __future__ import annotations

import statistics
from typing import Any

from bench import rpm_upstreams, sync_runs
from bench.floors_rpm import RpmFloorMeter, RpmFloors
from bench.scenario import Context, Scenario
from bench.sync_runs import Upstream, Variant

_COMPLETE = ("--mirror-complete",)
_FLOORS = {
    "cold": ("mirror_s", "expat and load of three files, CPU by cores"),
    "cold mirror-complete": ("complete_s", "expat and load of primary, CPU by cores"),
    "forced": ("read_s", "expat of three files, CPU by cores"),
    "one new": ("read_s", "expat of three files, CPU by cores"),
}


def run(context: Context) -> None:
    options = context.options
    variants = [Variant(workers, loop, options.policy) for workers in options.workers for loop in options.loop]
    for scale in options.scale:
        upstream = rpm_upstreams.repository(context, scale)
        context.say(f"scale {scale}: {upstream.packages:,} packages")
        meter = RpmFloorMeter(upstream.index)
        floors: list[RpmFloors] = []
        with upstream.served(context.work):
            for number in range(options.repeat):
                with context.folder("floor") as folder:
                    floors.append(meter.measure(folder))
                for variant in variants:
                    _repetition(context, upstream, variant, scale)
                context.say(f"scale {scale}: repetition {number + 1} of {options.repeat}")
            if options.profile:
                _profile(context, upstream, variants[0])
        _set_floors(context, floors, scale)


def _set_floors(context: Context, floors: list[RpmFloors], scale: int) -> None:
    for role in floors[0].expat_s:
        context.case(f"floor expat {role}", "s CPU", scale=scale).values += [found.expat_s[role] for found in floors]
    context.case("floor load", "s CPU", scale=scale).values += [found.load_all_s for found in floors]
    context.case("floor load primary", "s CPU", scale=scale).values += [found.load_primary_s for found in floors]
    for case in context.result.cases:
        if case.params.get("scale") == scale and case.name in _FLOORS:
            name, case.floor_name = _FLOORS[case.name]
            case.floor = statistics.median(getattr(found, name) for found in floors)


def _repetition(context: Context, upstream: Upstream, variant: Variant, scale: int) -> None:
    one = sync_runs.Run(context, upstream, variant, variant.params(scale=scale))
    with context.folder("data") as folder:
        upstream.show(0)
        _check(context, upstream, one.sync("cold", folder / "data"))
        if one.sync("unchanged", folder / "data")["changed"]:
            raise RuntimeError("the unchanged sync made a version")
        one.sync("forced", folder / "data", "--force")
        if upstream.generations[0] != upstream.generations[1]:
            upstream.show(1)
            found = one.sync("one new", folder / "data")["content"]["rpm.package"]
            if (found["added"], found["removed"]) != (1, 0):
                raise RuntimeError(f"one new package, and the sync says {found}")
    with context.folder("complete") as folder:
        upstream.show(0)
        _check(context, upstream, one.sync("cold mirror-complete", folder / "data", *_COMPLETE))


def _check(context: Context, upstream: Upstream, summary: dict[str, Any]) -> None:
    """Fewer packages than upstream has are worth a note, not an error: of two builds of one NEVRA a mirror keeps one."""
    saved = summary["content"]["rpm.package"]["total"]
    if saved != upstream.packages:
        context.note(f"{upstream.packages} packages upstream, {saved} saved")


def _profile(context: Context, upstream: Upstream, variant: Variant) -> None:
    with context.folder("data") as folder:
        upstream.show(0)
        sync_runs.profile(context, "cold", upstream, folder / "data", variant)
        sync_runs.profile(context, "forced", upstream, folder / "data", variant, extra=["--force"])


SCENARIO = Scenario(
    "sync-rpm",
    "How long does a whole RPM sync take, cold by both mirror policies, unchanged, forced and with one new package?",
    "Seconds of the whole command, and MB of all its processes. The floor is CPU by the number of cores: unpacking and "
    "expat of the files that the policy needs and, where rows are new, one PostgreSQL backend loading them.",
    run,
)
