"""Packing the raw records of a batch, however they lie in the run."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from mpsync.model.content import Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.raw import FRAME_BYTES, FRAME_RECORDS, MAX_SPAN, RawRun

RNG = random.Random(3)
RECORDS = {
    "many small": [RNG.randbytes(RNG.randrange(400)) for _ in range(3 * FRAME_RECORDS + 5)],
    "some larger than a frame": [RNG.randbytes(size) for size in (10, 2 * FRAME_BYTES, FRAME_BYTES, 1, 70_000, 70_000)],
    "empty ones": [b"", b"", b"x", b"", b"yy", b""],
    "one": [b"x"],
}


def make_batch(records: list[bytes], before: bytes = b"", between: bytes = b"") -> Batch:
    """Records in one plain run, with bytes that are of no row before and between them."""
    batch = Batch.of([DeclarativeContent(Content(record, kind="test")) for record in records])
    batch.items.clear()
    batch.raw = RawRun.plain(before + b"".join(record + between for record in records))
    sizes = [len(record) + len(between) for record in records]
    batch.starts = list(accumulate(sizes, initial=len(before)))[: len(records)]
    return batch


@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
@pytest.mark.parametrize("between", [b"", b"gap", b"-" * 5000], ids=["no gap", "small gap", "wide gap"])
@pytest.mark.parametrize("before", [b"", b"head"])
def test_packing_keeps_every_record_and_hardly_anything_else(
    records: list[bytes], before: bytes, between: bytes
) -> None:
    batch = make_batch(records, before, between)

    batch.pack_raw()

    assert [batch.raw_at(row) for row in range(len(batch))] == records
    assert batch.raw.size <= sum(map(len, records)) * MAX_SPAN
    assert all(segment.is_packed for segment in batch.raw.segments)
    assert all(segment.size <= FRAME_BYTES for segment in batch.raw.segments if segment.size not in map(len, records))


def test_records_that_lie_in_descending_order_are_packed_too() -> None:
    batch = make_batch([b"first", b"second", b"third"])
    batch = batch.take([2, 0, 1])

    batch.pack_raw()

    assert [batch.raw_at(row) for row in range(3)] == [b"third", b"first", b"second"]


def test_packing_a_batch_without_rows_is_harmless() -> None:
    batch = Batch(b"of no row")

    batch.pack_raw()

    assert batch.raw.size == 0
