"""What a repository's newest version holds, read from its database: raw records as upstream wrote them."""

from __future__ import annotations

import asyncio

from command import Command

from mpsync.store import records
from mpsync.store.db import Database
from mpsync.store.embedded import EmbeddedServer

_MEMBERS = """
SELECT content.id, content.kind, listing.name
FROM core.repository
JOIN core.membership ON membership.repository_id = repository.id AND membership.removed IS NULL
JOIN core.listing ON listing.id = membership.listing_id
JOIN core.content ON content.id = membership.content_id
WHERE repository.name = %(name)s
ORDER BY content.block_id, content.block_offset
"""


def stored(command: Command, name: str) -> dict[str, list[bytes]]:
    """{kind: raw records, sorted}; a unit that two listings have is there twice."""
    server = EmbeddedServer(command.data_dir)
    conninfo = server.start()
    try:
        return asyncio.run(_read(conninfo, name))
    finally:
        server.stop()


async def _read(conninfo: str, name: str) -> dict[str, list[bytes]]:
    async with Database.open(conninfo) as database, database.connection() as conn:
        members = await (await conn.execute(_MEMBERS, {"name": name})).fetchall()
        raws = await records.read(conn, [content_id for content_id, *_ in members])
    found: dict[str, list[bytes]] = {}
    for content_id, kind, _ in members:
        found.setdefault(kind, []).append(raws[content_id])
    return {kind: sorted(values) for kind, values in found.items()}


_FILES = """
SELECT content_artifact.path, artifact.sha256
FROM core.repository
JOIN core.membership ON membership.repository_id = repository.id AND membership.removed IS NULL
JOIN core.content_artifact ON content_artifact.content_id = membership.content_id
JOIN core.artifact ON artifact.id = content_artifact.artifact_id
WHERE repository.name = %(name)s
"""


def held_files(command: Command, name: str) -> dict[str, bytes]:
    """{path: bytes} of the files of its units that are here."""
    server = EmbeddedServer(command.data_dir)
    conninfo = server.start()
    try:
        rows = asyncio.run(_files(conninfo, name))
    finally:
        server.stop()
    folder = command.data_dir / "artifacts" / "sha256"
    return {path: (folder / sha256.hex()[:2] / sha256.hex()).read_bytes() for path, sha256 in rows}


async def _files(conninfo: str, name: str) -> list[tuple[str, bytes]]:
    async with Database.open(conninfo) as database, database.connection() as conn:
        return await (await conn.execute(_FILES, {"name": name})).fetchall()
