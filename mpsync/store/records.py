"""Raw upstream records at rest: some dozens to a zstd frame, a unit pointing to (block, offset, length).

Why     63,440 Debian stanzas are 50 MB; in frames of 64 they are 10 MB in 1,000 rows, written in a tenth of the time
        (docs/decisions/0002)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mpsync.errors import StoreError
from mpsync.store.copy_text import copy_text
from mpsync.store.db import Connection, copy_in
from mpsync.store.statements import statements

if TYPE_CHECKING:
    from mpsync.pipeline.batch import Batch

BLOCK_RECORDS = 64
BLOCK_BYTES = 128 << 10
"""A frame holds at most this many records, and is closed once it holds this many bytes."""

ZSTD_LEVEL = 1
_IDS_PER_BLOCK = 256

Block = tuple[bytes, list[int]]
"""A zstd frame, and the offset of each of its records in the uncompressed text."""


def pack(batch: Batch, rows: Sequence[int]) -> list[Block]:
    """Compress the raw records of ``rows`` in order. Runs in a thread: zstd lets go of the GIL."""
    from zstandard import ZstdCompressor

    compress = ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress
    blocks: list[Block] = []
    held: list[bytes] = []
    offsets: list[int] = []
    size = 0
    for row in rows:
        offsets.append(size)
        held.append(batch.raw_at(row))
        size += batch.lengths[row]
        if len(held) >= BLOCK_RECORDS or size >= BLOCK_BYTES:
            blocks.append((compress(b"".join(held)), offsets))
            held, offsets, size = [], [], 0
    if held:
        blocks.append((compress(b"".join(held)), offsets))
    return blocks


async def save(conn: Connection, blocks: Sequence[Block]) -> list[tuple[int, int]]:
    """Write the frames; returns (block id, offset) for every record, in order."""
    if not blocks:
        return []
    wanted = -(-len(blocks) // _IDS_PER_BLOCK)
    cursor = await conn.execute(statements("mpsync.store", "sql/contents.sql")["block_ids"], {"blocks": wanted})
    ids = [start + at for (start,) in await cursor.fetchall() for at in range(_IDS_PER_BLOCK)][: len(blocks)]
    names = ("id", "body")
    await copy_in(conn, "core.record_block", names, (copy_text(names, (ids, [body for body, _ in blocks])),))
    return [(block_id, offset) for block_id, (_, offsets) in zip(ids, blocks, strict=True) for offset in offsets]


async def read(conn: Connection, ids: Sequence[int]) -> dict[int, bytes]:
    """{content id: raw record}, byte for byte as upstream wrote it."""
    from zstandard import ZstdDecompressor, ZstdError

    cursor = await conn.execute(statements("mpsync.store", "sql/contents.sql")["raw"], {"ids": list(ids)}, binary=True)
    found: dict[int, bytes] = {}
    decompress = ZstdDecompressor().decompress
    texts: dict[bytes, bytes] = {}
    for content_id, offset, size, body in await cursor.fetchall():
        try:
            text = texts.get(body) or texts.setdefault(body, decompress(body))
        except ZstdError as exc:
            raise StoreError(f"raw record of content {content_id} cannot be read: {exc}") from exc
        found[content_id] = text[offset : offset + size]
    return found
