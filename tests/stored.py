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
