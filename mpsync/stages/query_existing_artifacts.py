"""QueryExistingArtifacts: which artifacts do we hold already?"""

from __future__ import annotations

from mpsync.pipeline.batch import Batch
from mpsync.stages.core_stage import CoreStage
from mpsync.store import artifacts


class QueryExistingArtifacts(CoreStage):
    """Gives every artifact that is stored its id, so that nothing is downloaded twice.

    A file that is wanted now also must be there: one that was lost from the disk counts as missing and is fetched again.
    Deferred files are not looked for in a store that holds none.
    """

    def __init__(self) -> None:
        super().__init__()
        self._had_any: bool | None = None

    async def run(self) -> None:
        async for batch in self.columns():
            await self._query(batch)
            await self.put(batch)

    async def _query(self, batch: Batch) -> None:
        slots = batch.slots
        if self._had_any is None:
            async with self.context.database.connection() as conn:
                self._had_any = await artifacts.has_any(conn)
        if not self._had_any and all(slots.deferred):
            return
        wanted = {
            sha256 for sha256, artifact_id in zip(slots.sha256, slots.ids, strict=True) if sha256 and not artifact_id
        }
        if not wanted:
            return
        async with self.context.database.connection() as conn:
            found = await artifacts.ids_by_sha256(conn, wanted)
        if not found:
            return
        for slot, sha256 in enumerate(slots.sha256):
            artifact_id = found.get(sha256) if sha256 else None
            if artifact_id and (slots.deferred[slot] or self._is_whole(sha256, slots.size[slot])):
                batch.set_artifact(slot, artifact_id)

    def _is_whole(self, sha256: bytes | None, size_bytes: int) -> bool:
        assert sha256 is not None
        found = self.context.blobs.size_bytes(sha256.hex())
        return found is not None and size_bytes in (found, -1)
