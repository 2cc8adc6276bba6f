"""Downloading alone: the Fetcher against a bare aiohttp loop, and both against raw sockets and wrk."""

from __future__ import annotations

import asyncio
import socket
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import uvloop

from bench import wrk
from bench.micro import fetch_files
from bench.micro.fetch_files import File
from bench.scenario import Context, Scenario
from bench.upstreams.serve import serving

_CONCURRENCY = 16
_LOOPS: dict[str, Any] = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}


def run(context: Context) -> None:
    count = context.options.count(5000)
    with context.folder("www") as folder:
        files = fetch_files.make_files(folder, count)
        with serving(folder) as server:
            for number in range(context.options.repeat):
                _add_wrk(context, server.url, files)
                case = context.case("raw sockets", "files/s", is_better="higher")
                case.values.append(count / _raw_s(server.url, files))
                ways = [fetch_files.bare, fetch_files.fetcher]
                for loop in context.options.loop:
                    for way in ways if number % 2 else reversed(ways):
                        with context.folder("out") as out, asyncio.Runner(loop_factory=_LOOPS[loop]) as runner:
                            began = time.perf_counter()
                            runner.run(way(server.url, files, out, _CONCURRENCY))
                            took = time.perf_counter() - began
                        case = context.case(way.__name__, "files/s", is_better="higher", loop=loop)
                        case.values.append(count / took)
    cases = {case.key: case for case in context.result.cases}
    for loop in context.options.loop:
        bare = cases[f"bare loop={loop}"]
        bare.floor, bare.floor_name = cases["raw sockets"].median, "raw sockets, no hashing, nothing written"
        fetcher = cases[f"fetcher loop={loop}"]
        fetcher.floor, fetcher.floor_name = statistics.median(bare.values), "bare aiohttp loop with hashing"


def _add_wrk(context: Context, url: str, files: Sequence[File]) -> None:
    seconds = 1 if context.options.quick else 3
    with context.folder("wrk") as folder:
        rate = wrk.files_per_s(url, [path for path, _, _ in files], folder, connections=_CONCURRENCY, seconds=seconds)
    if rate is None:
        context.note("SKIPPED wrk: not installed; apt install wrk")
    else:
        context.case("wrk", "files/s", is_better="higher").values.append(rate)


def _raw_s(url: str, files: Sequence[File]) -> float:
    """Seconds to read all files over kept-open sockets, two at a time: what server and kernel give."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    address = (parts.hostname, parts.port)

    def some(mine: Sequence[File]) -> int:
        got = 0
        with socket.create_connection(address) as connection:
            stream = connection.makefile("rb")
            for path, _, size in mine:
                connection.sendall(f"GET /{path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
                while stream.readline() not in (b"\r\n", b""):
                    pass
                got += len(stream.read(size))
        return got

    with ThreadPoolExecutor(2) as pool:
        began = time.perf_counter()
        total = sum(pool.map(some, (files[::2], files[1::2])))
        took = time.perf_counter() - began
    if total != sum(size for _, _, size in files):
        raise RuntimeError(f"raw sockets got {total} bytes")
    return took


SCENARIO = Scenario(
    "download",
    "What does the Fetcher (retries, limits, verification, resuming) cost over a bare aiohttp loop that hashes and writes?",
    "Files of 2–87 KB a second; the ratio is the part of the floor's rate that is reached, so higher is better.",
    run,
)
