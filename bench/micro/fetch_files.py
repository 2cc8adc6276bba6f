"""How close is the Fetcher to a bare aiohttp loop that hashes and writes files?

    python bench/micro/fetch_files.py [FILES] [--repeat N] [--asyncio] [--concurrency N] [--only bare|fetcher]

Files of 2–87 KB (seeded) from nginx on loopback; without nginx it says so and stops.
Both loops take turns, so that a noisy machine hurts both; the ratio of the medians is the figure.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mpsync.fetch.session import Fetcher
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote
from mpsync.settings import Settings

File = tuple[str, str, int]  # path, sha256, size

_CONFIG = """
worker_processes 1;
daemon off;
pid {root}/nginx.pid;
error_log {root}/error.log crit;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nopush on; keepalive_requests 1000000;
    client_body_temp_path {root}/t1; proxy_temp_path {root}/t2; fastcgi_temp_path {root}/t3;
    uwsgi_temp_path {root}/t4; scgi_temp_path {root}/t5;
    server {{ listen 127.0.0.1:{port} backlog=1024; root {root}/www; }}
}}
"""


def make_files(folder: Path, count: int) -> list[File]:
    """Seeded files, log-uniform between 2 and 87 KB like small packages."""
    draw = random.Random(1)
    made = []
    for number in range(count):
        size = int(2000 * (87_000 / 2000) ** draw.random())
        body = draw.randbytes(64) * (size // 64 + 1)
        body = body[:size]
        path = f"pool/{number % 256:02x}/p{number}_1.0+b1_all.deb"
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(body)
        made.append((path, hashlib.sha256(body).hexdigest(), size))
    return made


@contextmanager
def nginx(root: Path) -> Iterator[str]:
    """Our own nginx on loopback; yields the base URL."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    if not os.path.exists(program):
        sys.exit("nginx is not installed: apt install nginx-light")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    (root / "nginx.conf").write_text(_CONFIG.format(root=root, port=port))
    root.chmod(0o755)
    server = subprocess.Popen([program, "-c", str(root / "nginx.conf"), "-e", str(root / "error.log")])
    try:
        for _ in range(100):
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}/"
    finally:
        server.terminate()
        server.wait()


async def _workers(files: list[File], concurrency: int, one: Callable[[File], Awaitable[None]]) -> None:
    left = iter(files)

    async def worker() -> None:
        for file in left:
            await one(file)

    async with asyncio.TaskGroup() as group:
        for _ in range(concurrency):
            group.create_task(worker())


async def bare(base: str, files: list[File], into: Path, concurrency: int) -> None:
    """What anybody would write: aiohttp, hash, compare, write; no retries, no limits."""
    import aiohttp

    connector = aiohttp.TCPConnector(limit=0, limit_per_host=concurrency)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def one(file: File) -> None:
            path, sha256, _ = file
            async with session.get(base + path) as response:
                body = await response.read()
            if hashlib.sha256(body).hexdigest() != sha256:
                raise SystemExit(f"{path}: wrong digest")
            (into / path.rpartition("/")[2]).write_bytes(body)

        await _workers(files, concurrency, one)


async def fetcher(base: str, files: list[File], into: Path, concurrency: int) -> None:
    """The same through the Fetcher."""
    settings = Settings(data_dir=into, host_connections=concurrency)
    remote = Remote(base)
    async with Fetcher(settings, remote, temp_dir=into) as session:

        async def one(file: File) -> None:
            path, sha256, size = file
            await session.fetch((remote.join(path),), Expected.sha256(sha256, size))

        await _workers(files, concurrency, one)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("files", type=int, nargs="?", default=5000)
    options.add_argument("--repeat", type=int, default=3)
    options.add_argument("--concurrency", type=int, default=16)
    options.add_argument("--asyncio", action="store_true", help="the plain loop instead of uvloop")
    options.add_argument("--only", choices=["bare", "fetcher"])
    chosen = options.parse_args()
    loop_factory = None
    if not chosen.asyncio:
        import uvloop

        loop_factory = uvloop.new_event_loop
    with tempfile.TemporaryDirectory(prefix="fetch-bench-") as name:
        root = Path(name)
        files = make_files(root / "www", chosen.files)
        seconds: dict[str, list[float]] = {}
        with nginx(root) as base:
            for turn in range(chosen.repeat + 1):
                for way in (bare, fetcher) if turn % 2 else (fetcher, bare):
                    if chosen.only not in (None, way.__name__):
                        continue
                    into = Path(tempfile.mkdtemp(prefix="out-", dir=root))
                    with asyncio.Runner(loop_factory=loop_factory) as runner:
                        began = time.perf_counter()
                        runner.run(way(base, files, into, chosen.concurrency))
                        took = time.perf_counter() - began
                    shutil.rmtree(into)
                    if turn:  # the first round warms caches and imports
                        seconds.setdefault(way.__name__, []).append(took)
        for way_name, took_all in seconds.items():
            median = statistics.median(took_all)
            print(f"{way_name:8} {chosen.files / median:7.0f} files/s  median {median:.2f} s of {chosen.repeat}")
        if len(seconds) == 2:
            ratio = statistics.median(seconds["bare"]) / statistics.median(seconds["fetcher"])
            print(f"fetcher / bare: {ratio:.2f} x the files per second")


if __name__ == "__main__":
    main()
