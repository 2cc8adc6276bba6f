"""What a killed command left: files without a row are adopted, its temporary files removed.

Flow    dead temp folder found -> every stored file without a row: hashed, made durable, given its row -> folder removed
When    at the start of whatever downloads. Without a dead folder it costs one look into ``tmp/``
Why     files are durable before their rows commit: a kill in between must not cost a download again
"""

from __future__ import annotations

import asyncio
from itertools import islice

from mpsync.store import artifacts
from mpsync.store.blobs import BlobStore
from mpsync.store.db import Database
from mpsync.store.errors import BlobDamaged

CHUNK_FILES = 2000


async def recover(database: Database, blobs: BlobStore) -> int:
    """Returns how many files were adopted. Safe beside running commands: their folders are locked, their files whole."""
    if not await asyncio.to_thread(blobs.has_dead_temp):
        return 0
    adopted = 0
    stored = blobs.iter_stored()
    while chunk := await asyncio.to_thread(lambda: dict(islice(stored, CHUNK_FILES))):
        async with database.connection() as conn:
            known = await artifacts.ids_by_sha256(conn, [bytes.fromhex(sha256) for sha256 in chunk])
        loose = [sha256 for sha256 in chunk if bytes.fromhex(sha256) not in known]
        whole = await asyncio.to_thread(_verified, blobs, loose)
        if whole:
            async with database.connection() as conn:
                await artifacts.save(conn, whole)
        adopted += len(whole)
    await asyncio.to_thread(blobs.sweep_temp)  # last: until then the next command would do all this again
    return adopted


def _verified(blobs: BlobStore, loose: list[str]) -> dict[bytes, int]:
    """{sha256: size} of those that are what their name says, durable now; the others are removed."""
    whole: dict[bytes, int] = {}
    for sha256 in loose:
        try:
            whole[bytes.fromhex(sha256)] = blobs.verify(sha256)
        except BlobDamaged:
            blobs.remove(sha256)
    blobs.make_durable([sha256.hex() for sha256 in whole])
    return whole
