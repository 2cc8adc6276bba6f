"""An immediate sync of small real .debs, whole command, against a bare loop that downloads, hashes and syncs to disk."""

from __future__ import annotations

import asyncio
import ctypes
import os
import re
import statistics
import time
from pathlib import Path

import uvloop

from bench import deb_upstreams, page_cache, sync_runs
from bench.micro import fetch_files
from bench.micro.fetch_files import File
from bench.results import Case
from bench.scenario import Context, Scenario
from bench.sync_runs import Variant
from mpsync.plugin.decompress import open_chunks

PACKAGES = 20_000
_CONCURRENCY = 16
_FIELDS = re.compile(rb"^(?:Filename: (?P<path>.+)|Size: (?P<size>\d+)|SHA256: (?P<sha256>\w+))$", re.MULTILINE)


def run(context: Context) -> None:
    options = context.options
    for scale in options.scale:
        upstream = deb_upstreams.suite(context, scale, payload=True, full=PACKAGES)
        files = files_of(upstream.index)
        variants = [Variant(workers, loop, "immediate") for workers in options.workers for loop in options.loop]
        bare = context.case("bare loop", "files/s", is_better="higher", scale=scale)
        with upstream.served(context.work):
            _bare(context, upstream.url, files, bare)
            for number in range(options.repeat):
                for variant in variants:
                    with context.folder("data") as folder:
                        params = variant.params(scale=scale) | context.cache_params()
                        seconds = context.case("cold, seconds", "s", **params)
                        summary = sync_runs.repetition(context, seconds, upstream, folder / "data", variant)
                    if summary["downloaded"]["files"] < len(files):
                        raise RuntimeError(f"{summary['downloaded']['files']} files downloaded of {len(files)}")
                    rate = context.case("cold", "files/s", is_better="higher", **params)
                    rate.values.append(len(files) / seconds.values[-1])
                    inner = context.case("cold, without start", "files/s", is_better="higher", **params)
                    inner.values.append(len(files) / (summary["seconds"]["sync"] + summary["seconds"]["commit"]))
                    _bare(context, upstream.url, files, bare)
                    # A disk may change its pace tenfold from minute to minute: compared is what ran side by side.
                    beside = statistics.mean(bare.values[-2:])
                    for name, found in (("cold", rate), ("cold, without start", inner)):
                        part = context.case(f"{name}, of bare loops beside it", "", is_better="higher", **params)
                        part.values.append(found.values[-1] / beside)
                context.say(f"scale {scale}: repetition {number + 1} of {options.repeat}")
            if options.profile:
                with context.folder("data") as folder:
                    sync_runs.profile(context, "cold", upstream, folder / "data", variants[0])
        for case in context.result.cases:
            if case.params.get("scale") == scale and case.unit == "files/s":
                case.floor, case.floor_name = statistics.median(bare.values), "bare aiohttp loop, hashing, syncfs"


def _bare(context: Context, url: str, files: list[File], bare: Case) -> None:
    with context.folder("bare") as folder:
        bare.values.append(len(files) / _bare_s(url, files, folder))


def files_of(index: Path) -> list[File]:
    """(path, sha256, size) of each package of an index."""
    found: list[File] = []
    row: dict[str, str] = {}
    for match in _FIELDS.finditer(b"".join(open_chunks(index, max_bytes=None))):
        row.update((name, value.decode()) for name, value in match.groupdict().items() if value is not None)
        if len(row) == 3:
            found.append((row["path"], row["sha256"], int(row["size"])))
            row = {}
    return found


def _bare_s(url: str, files: list[File], into: Path) -> float:
    page_cache.settle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        began = time.perf_counter()
        runner.run(fetch_files.bare(url, files, into, _CONCURRENCY))
        _syncfs(into)
        return time.perf_counter() - began


def _syncfs(folder: Path) -> None:
    """Make everything of one file system durable. source: syncfs(2)"""
    fd = os.open(folder, os.O_RDONLY)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(fd):
            raise OSError(ctypes.get_errno(), "syncfs")
    finally:
        os.close(fd)


SCENARIO = Scenario(
    "sync-deb-immediate",
    "How fast are 20,000 small packages stored, hashed, durable and committed, against a bare loop without stages or database?",
    "Files a second of the whole command, and without its start; and as a part of the rate of the bare loops that ran just "
    "before and after it (aim: 0.8 or more).",
    run,
)
