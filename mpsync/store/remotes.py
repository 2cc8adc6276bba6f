"""Remotes, and what each says of the files of a unit: paths, sizes, digests, URLs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import orjson

from mpsync.pipeline.batch import Batch
from mpsync.store.copy_text import copy_text
from mpsync.store.db import Connection, copy_in
from mpsync.store.statements import statements

_SQL = "sql/remotes.sql"
_COLUMNS = ("content_id", "size_bytes", "remote_id", "ordinal", "path", "sha256", "urls", "digests")
CONFLICT_TRIES = 20


async def remote_id(conn: Connection, url: str) -> int:
    """The id of the remote with this base URL (without credentials), made when new."""
    cursor = await conn.execute(statements("mpsync.store", _SQL)["upsert"], {"url": url})
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])


async def save_artifacts(conn: Connection, batch: Batch, remote: int) -> None:
    """Write a row per artifact of every unit that ``remote`` has not named yet."""
    from psycopg.errors import UniqueViolation

    for _ in range(CONFLICT_TRIES):
        rows = await _rows_to_write(conn, batch, remote)
        if not rows:
            return
        text = await _encode(batch, rows, remote)
        try:
            async with conn.transaction():
                await copy_in(conn, "core.remote_artifact", _COLUMNS, (text,))
            return
        except UniqueViolation:  # another sync of the same remote was quicker
            batch.saved_now.clear()


async def _rows_to_write(conn: Connection, batch: Batch, remote: int) -> list[int]:
    """One row per unit, ordered by id; units that this sync saved itself need no look-up."""
    first: dict[int, int] = {}
    has_slots = set(batch.slots.owner)
    for row, content_id in enumerate(batch.ids):
        if row in has_slots:
            first.setdefault(content_id, row)
    asked = [content_id for content_id in first if content_id not in batch.saved_now]
    if asked:
        values = {"ids": asked, "remote_id": remote}
        cursor = await conn.execute(statements("mpsync.store", _SQL)["without_rows"], values)
        missing = {content_id for (content_id,) in await cursor.fetchall()}
        first = {
            content_id: row
            for content_id, row in first.items()
            if content_id in missing or content_id in batch.saved_now
        }
    return [first[content_id] for content_id in sorted(first)]


async def _encode(batch: Batch, rows: Sequence[int], remote: int) -> bytes:
    slots = batch.slots
    order, ordinals = slots.of_all(rows)
    await asyncio.sleep(0)  # a long batch is two short blocks of the loop, not one
    columns = (
        [batch.ids[slots.owner[slot]] for slot in order],
        [slots.size[slot] if slots.size[slot] >= 0 else None for slot in order],
        [remote] * len(order),
        ordinals,
        [slots.path[slot] for slot in order],
        [slots.sha256[slot] for slot in order],
        [_text_array(urls) if urls else None for urls in map(slots.urls.__getitem__, order)],
        [orjson.dumps(digests).decode() if digests else None for digests in map(slots.digests.__getitem__, order)],
    )
    return copy_text(_COLUMNS, columns)


def _text_array(values: Sequence[str]) -> str:
    """A text[] literal; source: PostgreSQL 18 manual, 8.15.2 Array Value Input."""
    quoted = ('"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' for value in values)
    return "{" + ",".join(quoted) + "}"
