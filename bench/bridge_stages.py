"""First stages that do nothing but use the bridge. They run in children: child-safe imports only."""

from __future__ import annotations

import random
import time

from bench.upstreams import words
from mpsync.model.content import Content, content_key
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage
from mpsync.pipeline.slots import Slots

KIND = "bench.unit"


def batch_of(rows: int, unit_bytes: int) -> Batch:
    """Rows as a parser makes them: distinct records, one deferred artifact each."""
    draw = random.Random(1)
    text = words.sentence(draw, 20_000).encode()  # packs about as well as stanzas do
    starts = [draw.randrange(len(text) - unit_bytes) for _ in range(rows)]
    raws = [b"%08d" % number + text[at : at + unit_bytes - 8] for number, at in enumerate(starts)]
    batch = Batch(b"".join(raws))
    batch.kinds, batch.listings = [KIND] * rows, ["bench"] * rows
    batch.keys = [content_key(KIND, raw) for raw in raws]
    batch.names = [f"unit{number}" for number in range(rows)]
    batch.versions, batch.archs = ["1.0-1"] * rows, ["all"] * rows
    batch.starts = [number * unit_bytes for number in range(rows)]
    batch.lengths, batch.ids = [unit_bytes] * rows, [0] * rows
    batch.slots = Slots(
        owner=list(range(rows)),
        path=[f"pool/main/u/unit/{name}_1.0-1_all.deb" for name in batch.names],
        sha256=list(batch.keys),
        size=[1000] * rows,
        urls=[None] * rows,
        digests=[None] * rows,
        deferred=[True] * rows,
        ids=[0] * rows,
        fetched=[None] * rows,
    )
    return batch


def _copy(batch: Batch) -> Batch:
    made = Batch(batch.raw, batch.slots)
    for column in ("kinds", "keys", "names", "versions", "archs", "listings", "starts", "lengths", "ids"):
        setattr(made, column, list(getattr(batch, column)))
    return made


class Flood(FirstStage):
    """Options: units, unit_bytes, batch_rows. Makes one batch, and puts copies of it: each is packed and encoded anew."""

    async def run(self) -> None:
        rows = self.options["batch_rows"]
        batch = batch_of(rows, self.options["unit_bytes"])
        began = time.perf_counter()
        sent = 0
        while sent < self.options["units"]:
            await self.put(_copy(batch))
            sent += rows
        self.result = {"units": sent, "seconds": time.perf_counter() - began}


class RoundTrips(FirstStage):
    """Options: tickets. Puts an item, awaits its resolution, again and again; one at a time."""

    async def run(self) -> None:
        took: list[float] = []
        for number in range(self.options["tickets"]):
            item = DeclarativeContent(Content(b"ticket %d" % number, name=f"ticket{number}", kind=KIND))
            began = time.perf_counter()
            await self.put(item)
            await item.resolution()
            took.append(time.perf_counter() - began)
        self.result = {"seconds": took}
