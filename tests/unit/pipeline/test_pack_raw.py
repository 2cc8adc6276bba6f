"""Packing the raw records of a batch: the same frames whether the records lie in a row or not."""

from __future__ import annotations

import random
from itertools import accumulate

import pytest

from mpsync.model.content import Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.raw import FRAME_BYTES, FRAME_RECORDS, RawRun

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
@pytest.mark.parametrize(("before", "between"), [(b"", b""), (b"head", b""), (b"", b"gap"), (b"head", b"gap")])
def test_packing_keeps_every_record_and_drops_the_rest(records: list[bytes], before: bytes, between: bytes) -> None:
    batch = make_batch(records, before, between)

    batch.pack_raw()

    assert [batch.raw_at(row) for row in range(len(batch))] == records
    assert batch.raw.size == sum(map(len, records))
    assert all(segment.is_packed for segment in batch.raw.segments)


@pytest.mark.parametrize("records", RECORDS.values(), ids=RECORDS)
def test_frames_are_the_same_whether_records_lie_in_a_row_or_not(records: list[bytes]) -> None:
    in_a_row, scattered = make_batch(records), make_batch(records, between=b"gap")

    in_a_row.pack_raw()
    scattered.pack_raw()

    assert in_a_row.raw.segments == scattered.raw.segments
    assert in_a_row.starts == scattered.starts


def test_packing_a_batch_without_rows_is_harmless() -> None:
    batch = Batch(b"of no row")

    batch.pack_raw()

    assert batch.raw.size == 0
