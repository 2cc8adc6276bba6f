"""Parsing RPM metadata alone: primary, filelists and other to checked columns, in this process."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

from bench import rpm_upstreams
from bench.micro import parse_rpm
from bench.scenario import Context, Scenario
from mpsync.plugins.rpm.repomd import PATH, RepomdRecord, parse_repomd


def run(context: Context) -> None:
    for scale in context.options.scale:
        for compression in ("gz", "zstd"):
            upstream = rpm_upstreams.repository(context, scale, compression)
            found = parse_repomd((upstream.index / PATH).read_bytes())
            for role in parse_rpm.DOCUMENTS:
                record = found.parsed[role]
                for _ in range(context.options.repeat):
                    _once(
                        context,
                        upstream.packages,
                        role,
                        record,
                        {"scale": str(scale), "packed": compression},
                        upstream.index,
                    )
                params = {"scale": str(scale), "packed": compression}
                case, floor = context.case(role, "s CPU", **params), context.case(f"floor {role}", "s CPU", **params)
                case.floor, case.floor_name = statistics.median(floor.values), "unpack and expat without handlers"


def _once(
    context: Context, packages: int, role: str, record: RepomdRecord, params: dict[str, str], folder: Path
) -> None:
    path = folder / record.location
    began = time.process_time()
    parse_rpm.check(parse_rpm.chunks_of(path, record))
    context.case(f"floor {role}", "s CPU", **params).values.append(time.process_time() - began)
    began = time.process_time()
    rows = parse_rpm.columns(role, parse_rpm.chunks_of(path, record))
    context.case(role, "s CPU", **params).values.append(time.process_time() - began)
    if rows != packages:
        raise RuntimeError(f"{rows} packages in {role} instead of {packages}")


SCENARIO = Scenario(
    "parse-rpm",
    "How much does parsing add to unpacking RPM metadata and checking that it is well-formed?",
    "CPU seconds of one process, for each of the three files, from the packed file to checked columns.",
    run,
)
