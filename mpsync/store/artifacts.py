"""Artifact rows: which bytes we hold. Files themselves: blobs.py."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from mpsync.store.db import Connection
from mpsync.store.statements import statements

_SQL = "sql/artifacts.sql"


async def has_any(conn: Connection) -> bool:
    """Whether the store holds any file."""
    row = await (await conn.execute(statements("mpsync.store", _SQL)["has_any"])).fetchone()
    return bool(row and row[0])


async def ids_by_sha256(conn: Connection, sha256: Collection[bytes]) -> dict[bytes, int]:
    """{sha256: id} of those that are stored."""
    cursor = await conn.execute(
        statements("mpsync.store", _SQL)["ids_by_sha256"], {"sha256": list(sha256)}, binary=True
    )
    return {digest: artifact_id async for artifact_id, digest in cursor}


async def save(conn: Connection, size_by_sha256: Mapping[bytes, int]) -> dict[bytes, int]:
    """Insert rows for files that stand durable in the store; returns {sha256: id} for all of them, new or known."""
    ordered = sorted(size_by_sha256)
    sizes = [size_by_sha256[digest] for digest in ordered]
    values = {"sha256": ordered, "size_bytes": sizes}
    cursor = await conn.execute(statements("mpsync.store", _SQL)["insert"], values, binary=True)
    ids = {digest: artifact_id for artifact_id, digest in await cursor.fetchall()}
    if len(ids) < len(ordered):  # a statement of its own: it sees what others committed meanwhile
        ids |= await ids_by_sha256(conn, [digest for digest in ordered if digest not in ids])
    return ids


async def share(conn: Connection) -> None:
    """Until ``unshare``, or the end of the session, no artifact is removed. Waits while somebody removes some."""
    await conn.execute(statements("mpsync.store", _SQL)["share"])


async def unshare(conn: Connection) -> None:
    await conn.execute(statements("mpsync.store", _SQL)["unshare"])
