"""Content rows and their raw records, in bulk.

Flow    a batch -> ids of known keys; new rows numbered here and COPYed into every table at once
Why     a COPY into the final table costs half of COPY to a temporary one and INSERT ... ON CONFLICT. Keys were looked up a
        moment ago, so a conflict needs another sync that saves the same unit in the same milliseconds: then the batch
        rolls back, looks the keys up again, and saves what is left (docs/decisions/0003)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from mpsync.errors import StoreError
from mpsync.pipeline.batch import Batch
from mpsync.store import records
from mpsync.store.copy_text import copy_text
from mpsync.store.db import Connection, copy_in
from mpsync.store.statements import statements

_SQL = "sql/contents.sql"
_IDS_PER_BLOCK = 4096
CONFLICT_TRIES = 20

_CONTENT = ("id", "block_id", "block_offset", "raw_bytes", "key", "kind", "name", "version", "arch")
_REFERENCE = ("content_id", "kind", "name", "version", "arch")
_CONTENT_ARTIFACT = ("content_id", "ordinal", "path", "artifact_id")

Hook = Callable[[Connection, Batch], Awaitable[None]]


async def has_any(conn: Connection) -> bool:
    """Whether the store holds any unit."""
    row = await (await conn.execute(statements("mpsync.store", _SQL)["has_any"])).fetchone()
    return bool(row and row[0])


async def ids_by_key(conn: Connection, keys: Sequence[bytes]) -> dict[bytes, int]:
    """{key: content id} of the keys that are known."""
    cursor = await conn.execute(statements("mpsync.store", _SQL)["ids_by_key"], {"keys": keys}, binary=True)
    return {key: content_id for content_id, key in await cursor.fetchall()}


async def save(conn: Connection, batch: Batch, *, before: Hook, after: Hook) -> None:
    """Save the rows of ``batch`` that have no id; every row has one afterwards. One transaction.

    before, after   run inside the transaction, around the writing
    """
    from psycopg.errors import UniqueViolation

    for _ in range(CONFLICT_TRIES):
        new = _new_rows(batch)
        packed = await asyncio.to_thread(records.pack, batch, new)
        try:
            async with conn.transaction():
                await before(conn, batch)
                ids = await _insert(conn, batch, new, packed) if new else {}
                await fill_artifacts(conn, batch, new, ids)
                batch.set_ids(ids)
                await after(conn, batch)
        except UniqueViolation:
            batch.set_ids(dict.fromkeys(new, 0))
            await _look_up_again(conn, batch)
            continue
        batch.saved_now.update(ids.values())
        return
    raise StoreError(f"units of a batch were saved by others {CONFLICT_TRIES} times in a row; run it again")


def _new_rows(batch: Batch) -> list[int]:
    """Rows without an id, ordered by key, so that concurrent syncs take locks in one order; one row per key."""
    first: dict[bytes, int] = {}
    for row, content_id in enumerate(batch.ids):
        if not content_id:
            if not batch.lengths[row] and not batch.names[row]:  # see ParseStage.known_keys()
                raise StoreError(
                    f"a {batch.kinds[row]} of {batch.listings[row]} that we had is gone; run the sync with --force"
                )
            first.setdefault(batch.keys[row], row)
    return [first[key] for key in sorted(first)]


async def _look_up_again(conn: Connection, batch: Batch) -> None:
    missing = [row for row, content_id in enumerate(batch.ids) if not content_id]
    found = await ids_by_key(conn, [batch.keys[row] for row in missing])
    for row in missing:
        if batch.keys[row] in found:
            batch.set_id(row, found[batch.keys[row]])


async def _insert(conn: Connection, batch: Batch, new: list[int], packed: records.Packed) -> dict[int, int]:
    """COPY new rows; returns {row: id}, for rows with a repeated key too."""
    ids = await _content_ids(conn, len(new))
    columns = (
        ids,
        await records.save(conn, packed),
        packed.offsets,
        [batch.lengths[row] for row in new],
        [batch.keys[row] for row in new],
        [batch.kinds[row] for row in new],
        [batch.names[row] for row in new],
        [batch.versions[row] for row in new],
        [batch.archs[row] for row in new],
    )
    await copy_in(conn, "core.content", _CONTENT, (copy_text(_CONTENT, columns),))
    await _save_references(conn, batch, dict(zip(new, ids, strict=True)))
    if len(new) == len(batch):
        return dict(zip(new, ids, strict=True))
    id_by_key = dict(zip((batch.keys[row] for row in new), ids, strict=True))
    return {row: id_by_key[batch.keys[row]] for row, content_id in enumerate(batch.ids) if not content_id}


async def _save_references(conn: Connection, batch: Batch, ids: Mapping[int, int]) -> None:
    named = [(ids[row], *found) for row, refers in batch.refers.items() if row in ids for found in refers]
    if named:
        columns = tuple(map(list, zip(*named, strict=True)))
        await copy_in(conn, "core.reference", _REFERENCE, (copy_text(_REFERENCE, columns),))


async def fill_artifacts(
    conn: Connection, batch: Batch, new: Sequence[int] = (), ids: Mapping[int, int] | None = None
) -> None:
    """Tell units which of their files we hold: new ones by COPY, known ones where it is not known yet.

    new, ids   rows that this very transaction inserted, and the ids of those whose batch doesn't have them yet
    """
    ids = ids or {}
    slots = batch.slots
    held = [slot for slot, artifact_id in enumerate(slots.ids) if artifact_id]
    if not held:
        return
    is_new = set(new)
    fresh: tuple[list[int], list[int], list[str], list[int]] = ([], [], [], [])
    known: tuple[list[int], list[int], list[str], list[int]] = ([], [], [], [])
    for slot in held:
        row = slots.owner[slot]
        into = fresh if row in is_new else known
        into[0].append(batch.ids[row] or ids[row])
        into[1].append(slot - slots.of(row).start)
        into[2].append(slots.path[slot])
        into[3].append(slots.ids[slot])
    if fresh[0]:
        await copy_in(conn, "core.content_artifact", _CONTENT_ARTIFACT, (copy_text(_CONTENT_ARTIFACT, fresh),))
    if known[0]:
        values = dict(zip(_CONTENT_ARTIFACT, known, strict=True))
        await conn.execute(statements("mpsync.store", _SQL)["fill_artifacts"], values)


async def _content_ids(conn: Connection, count: int) -> list[int]:
    """``count`` fresh ids, from a sequence that hands out blocks."""
    blocks = -(-count // _IDS_PER_BLOCK)
    cursor = await conn.execute(statements("mpsync.store", _SQL)["content_ids"], {"blocks": blocks})
    return [start + at for (start,) in await cursor.fetchall() for at in range(_IDS_PER_BLOCK)][:count]
