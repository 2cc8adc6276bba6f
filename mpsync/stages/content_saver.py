"""ContentSaver: new units become rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpsync.pipeline.batch import Batch
from mpsync.stages.core_stage import CoreStage
from mpsync.store import contents

if TYPE_CHECKING:
    from psycopg import AsyncConnection


class ContentSaver(CoreStage):
    """Saves units that have no id, and tells existing ones which of their artifacts arrived. Each batch commits alone."""

    async def run(self) -> None:
        async for batch in self.columns():
            async with self.context.database.connection() as conn:
                await contents.save(conn, batch, before=self._pre_save, after=self._post_save)
            self.context.progress.advance("save", len(batch))
            await self.put(batch)
        self.context.progress.finish("save")

    async def _pre_save(self, conn: AsyncConnection, batch: Batch) -> None:
        """For subclasses: runs inside the batch's transaction, before its rows are written."""

    async def _post_save(self, conn: AsyncConnection, batch: Batch) -> None:
        """For subclasses: runs inside the batch's transaction, when every row of the batch has its id."""
