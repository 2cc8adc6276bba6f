"""RemoteArtifactSaver: where a unit's files can be had, later too."""

from __future__ import annotations

from mpsync.stages.core_stage import CoreStage
from mpsync.store import remotes


class RemoteArtifactSaver(CoreStage):
    """Writes paths, sizes, digests and URLs as the remote states them: what on-demand serving downloads by."""

    async def run(self) -> None:
        async for batch in self.columns():
            async with self.context.database.connection() as conn:
                await remotes.save_artifacts(conn, batch, self.context.remote_id)
            await self.put(batch)
