"""Raw upstream records at rest: some dozens to a zstd frame, a unit pointing to (block, offset, length).

Why     63,440 Debian stanzas are 50 MB; in frames of 64 they are 10 MB in 1,000 rows, written in a tenth of the time
        (docs/decisions/0002). Frames come packed from the children, and are written as they came if all of theirs is new
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mpsync.errors import StoreError
from mpsync.pipeline.raw import pack_records, unpack
from mpsync.store.db import Connection
from mpsync.store.statements import statements

if TYPE_CHECKING:
    from mpsync.pipeline.batch import Batch

_IDS_PER_BLOCK = 256
_SQL = "sql/contents.sql"

# source: PostgreSQL 18 manual, COPY, "Binary Format"
_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_ROW = struct.Struct("!hiqi")
_TRAILER = struct.pack("!h", -1)


@dataclass(frozen=True, slots=True)
class Packed:
    """Frames, and of each row asked for, in which it lies and where in its text."""

    frames: list[bytes]
    frame_of: list[int]
    offsets: list[int]


def pack(batch: Batch, rows: Sequence[int]) -> Packed:
    """The raw records of ``rows`` in frames. Runs in a thread: zstd lets go of the GIL."""
    run, starts = batch.raw, batch.starts
    segment_of = list(map(run.segment_of, starts))
    held, wanted = Counter(segment_of), Counter([segment_of[row] for row in rows])
    # A frame is written as it came when all of it is wanted.
    whole = [i for i in sorted(wanted) if i >= 0 and run.segments[i].is_packed and wanted[i] == held[i]]
    frames = [run.segments[i].data for i in whole]
    number = {index: at for at, index in enumerate(whole)}
    loose = sorted((row for row in rows if segment_of[row] not in number), key=lambda row: (segment_of[row], row))
    packed, _, places = pack_records([batch.raw_at(row) for row in loose])
    loose_at = dict(zip(loose, places, strict=True))
    return Packed(
        frames + packed,
        [len(frames) + loose_at[row][0] if row in loose_at else number[segment_of[row]] for row in rows],
        [loose_at[row][1] if row in loose_at else starts[row] - run.segments[segment_of[row]].start for row in rows],
    )


async def save(conn: Connection, packed: Packed) -> list[int]:
    """Write the frames; returns the block id of each row."""
    if not packed.frames:
        return []
    wanted = -(-len(packed.frames) // _IDS_PER_BLOCK)
    cursor = await conn.execute(statements("mpsync.store", _SQL)["block_ids"], {"blocks": wanted})
    ids = [start + at for (start,) in await cursor.fetchall() for at in range(_IDS_PER_BLOCK)][: len(packed.frames)]
    async with conn.cursor().copy("COPY core.record_block (id, body) FROM STDIN (FORMAT BINARY)") as copy:
        await copy.write(_HEADER)
        for block_id, frame in zip(ids, packed.frames, strict=True):
            await copy.write(_ROW.pack(2, 8, block_id, len(frame)) + frame)
        await copy.write(_TRAILER)
    return [ids[frame] for frame in packed.frame_of]


async def read(conn: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """{content id: raw record}, byte for byte as upstream wrote it."""
    values = {"ids": list(ids)}
    cursor = await conn.execute(statements("mpsync.store", _SQL)["raw"], values, binary=True)
    found: dict[int, bytes] = {}
    last: tuple[int, bytes] = (-1, b"")  # ordered by block: one is unpacked at a time
    for content_id, block_id, offset, size, body in await cursor.fetchall():
        if block_id != last[0]:
            try:
                last = (block_id, unpack(body))
            except ValueError as exc:
                raise StoreError(f"raw record of content {content_id} cannot be read: {exc}") from exc
        found[content_id] = last[1][offset : offset + size]
    return found
