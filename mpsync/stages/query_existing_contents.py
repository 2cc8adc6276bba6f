"""QueryExistingContents: which units do we have already, in whatever repository?"""

from __future__ import annotations

from mpsync.stages.core_stage import CoreStage
from mpsync.store import contents


class QueryExistingContents(CoreStage):
    """Gives every known unit its id. Identity is the key, a digest of the raw record: never the name."""

    async def run(self) -> None:
        async for batch in self.columns():
            async with self.context.database.connection() as conn:
                found = await contents.ids_by_key(conn, batch.keys)
            if found:
                for row, key in enumerate(batch.keys):
                    content_id = found.get(key)
                    if content_id:
                        batch.set_id(row, content_id)
            await self.put(batch)
