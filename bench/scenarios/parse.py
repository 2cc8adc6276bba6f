"""Parsing alone: a Packages index to checked columns and keys, in this process."""

from __future__ import annotations

import statistics
import time

from bench import deb_upstreams
from bench.floors import decompress_and_split_s, xz_s
from bench.micro import parse_deb
from bench.scenario import Context, Scenario
from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.stanza import blocks


def run(context: Context) -> None:
    for scale in context.options.scale:
        upstream = deb_upstreams.suite(context, scale)
        case = context.case("parse", "s", scale=scale)
        floors = context.case("floor split", "s", scale=scale)
        for _ in range(context.options.repeat):
            floors.values.append(decompress_and_split_s(upstream.index))
            xz = xz_s(upstream.index)
            if xz is None:
                context.note("SKIPPED floor xz: not installed; apt install xz-utils")
            else:
                context.case("floor xz", "s", scale=scale).values.append(xz)
            began = time.perf_counter()
            rows = sum(
                len(parse.parse_packages(block, "bench"))
                for block in blocks(open_chunks(upstream.index, max_bytes=None), "bench")
            )
            case.values.append(time.perf_counter() - began)
            if rows != upstream.packages:
                raise RuntimeError(f"{rows} packages parsed instead of {upstream.packages}")
        case.floor, case.floor_name = statistics.median(floors.values), "decompress and split"
        for step, took_ms in parse_deb.measure(upstream.index, 1).items():
            context.case(f"step {step.replace(':', '')}", "s", scale=scale).values.append(took_ms / 1000)


SCENARIO = Scenario(
    "parse",
    "How much does parsing add to decompressing and splitting an index?",
    "Seconds of one process from Packages.xz to checked columns with keys; the steps show where they go (once each).",
    run,
)
