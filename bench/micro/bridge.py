"""What the process boundary costs: frames a second, megabytes a second, a ticket's round trip, and a child's start.

    python -m bench.micro.bridge [--rows 400000] [--repeat 3] [--packages PACKAGES.xz]

A real child on the bridge's own queues, and nothing behind them: rows are decoded in this process and dropped. Prints the
best of the repetitions. MB are of uncompressed records; encoding, with its compression, and decoding are part of it;
how fast that is depends on the records, so give it real ones (--packages: the first 2,000 of an index).
"""

from __future__ import annotations

import argparse
import asyncio
import lzma
import random
import tempfile
from itertools import accumulate
from pathlib import Path
from time import perf_counter
from typing import Any

import uvloop

from mpsync.bridge import Services, StageSpec
from mpsync.bridge.remote_stage import RemoteStage
from mpsync.model.content import Content, content_key
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage, ParseTask
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems, create_pipeline
from mpsync.pipeline.stage import Stage
from mpsync.settings import Settings

ROW_BYTES = 800
FRAME_ROWS = 2000
ROUND_TRIPS = 200
WORDS = ["library", "development", "files", "shared", "small", "tool", "that", "reads", "data", "version", "for", "and"]


def real_records(packages: str, rows: int = FRAME_ROWS) -> list[bytes]:
    """The first stanzas of a Packages.xz."""
    with lzma.open(packages) as file:
        return file.read(rows * 4 * ROW_BYTES).split(b"\n\n")[:rows]


def made_records(rows: int = FRAME_ROWS, seed: int = 1) -> list[bytes]:
    """Records that compress about as well as Debian's stanzas (four times)."""
    rng = random.Random(seed)
    raws = []
    for row in range(rows):
        text = f"Package: p{row}\nSHA256: {rng.randbytes(32).hex()}\nMD5sum: {rng.randbytes(16).hex()}\nDescription: "
        while len(text) < ROW_BYTES:
            text += rng.choice(WORDS) + (" " if rng.random() < 0.96 else f" {rng.getrandbits(32):x}\n ")
        raws.append(text[:ROW_BYTES].encode())
    return raws


def make_batch(raws: list[bytes]) -> Batch:
    rng, rows = random.Random(1), len(raws)
    batch = Batch(b"".join(raws))
    batch.kinds, batch.listings = ["bench"] * rows, ["bookworm/main"] * rows
    batch.names, batch.versions = [f"p{row}" for row in range(rows)], [f"1.{row}-1" for row in range(rows)]
    batch.archs, batch.ids = ["amd64"] * rows, [0] * rows
    batch.lengths = [len(raw) for raw in raws]
    batch.starts = list(accumulate(batch.lengths, initial=0))[:-1]
    batch.keys = [content_key("bench", raw) for raw in raws]
    for row in range(rows):
        batch.slots.add(row, f"pool/p/p{row}_1.{row}-1_amd64.deb", rng.randbytes(32), 12345, None, None, True)
    return batch


class Flood(FirstStage):
    """In the child: options.rows rows, in batches of FRAME_ROWS; is_packed: whose records are compressed already."""

    async def run(self) -> None:
        packages = self.options["packages"]
        batch = make_batch(real_records(packages) if packages else made_records())
        self.result["frame_bytes"] = batch.size_bytes
        if self.options["is_packed"]:
            batch.pack_raw()
        raw, starts = batch.raw, batch.starts
        began = perf_counter()
        for _ in range(self.options["rows"] // FRAME_ROWS):
            batch.raw, batch.starts = raw, starts  # pack_raw() replaces both
            await self.put(batch)
        self.result["seconds"] = perf_counter() - began


class PingPong(FirstStage):
    """In the child: one item after the other, each awaited."""

    async def run(self) -> None:
        trips = []
        for trip in range(ROUND_TRIPS):
            item = DeclarativeContent(Content(b"%d" % trip, kind="bench"))
            began = perf_counter()
            await self.put(item)
            await item.resolution()
            trips.append(perf_counter() - began)
        self.result["seconds"] = sorted(trips)[ROUND_TRIPS // 2]


class First(FirstStage):
    """In the child: one row."""

    async def run(self) -> None:
        await self.put(DeclarativeContent(Content(b"first", kind="bench")))


class Sink(Stage):
    """Resolves what comes, and counts it."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = self.frames = 0
        self.first_at = self.last_at = 0.0

    async def run(self) -> None:
        async for batch in self.columns(minsize=1):
            self.last_at = perf_counter()
            self.first_at = self.first_at or self.last_at
            self.rows += len(batch)
            self.frames += 1
            for item in batch.items.values():
                item.resolve()


async def run(stage: type[FirstStage], options: dict[str, Any], folder: Path) -> tuple[Sink, dict[str, Any], float]:
    """(sink, the stage's result, when the child was begun to be started)."""

    async def recall(task: ParseTask) -> None:
        return None

    async def top_file(path: str) -> None:
        return None

    awaited = AwaitedItems()
    services = Services(Settings(folder), Progress(), awaited, None, recall, top_file, folder)
    first, sink = RemoteStage(StageSpec(f"bench.micro.bridge:{stage.__name__}", options), services), Sink()
    began = perf_counter()
    try:
        await create_pipeline([first, sink], 2000, awaited=awaited)
    finally:
        await first.close()
    return sink, first.result, began


async def measure(rows: int, packages: str) -> dict[str, float]:
    """{figure: value}, of one run each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = {"rows": rows, "packages": packages}
        flood, found, _ = await run(Flood, {**options, "is_packed": False}, folder)
        packed, _, _ = await run(Flood, {**options, "is_packed": True}, folder)
        _, pinged, _ = await run(PingPong, {}, folder)
        first, _, began = await run(First, {}, folder)
    assert flood.rows == rows // FRAME_ROWS * FRAME_ROWS
    frame_mb = found["frame_bytes"] / 1e6
    return {
        "frames/s": _frames_per_s(flood),
        "MB/s": _frames_per_s(flood) * frame_mb,
        "MB/s, packed before": _frames_per_s(packed) * frame_mb,
        "ticket round trip, ms": pinged["seconds"] * 1e3,
        "child start to first frame, ms": (first.first_at - began) * 1e3,
    }


def _frames_per_s(sink: Sink) -> float:
    return (sink.frames - 1) / (sink.last_at - sink.first_at)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--packages", default="", metavar="PACKAGES.xz")
    arguments = parser.parse_args()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runs = [runner.run(measure(arguments.rows, arguments.packages)) for _ in range(arguments.repeat)]
    for figure in runs[0]:
        best = max if figure.endswith("/s") else min
        print(f"{figure:32} {best(found[figure] for found in runs):10.1f}")


if __name__ == "__main__":
    main()
