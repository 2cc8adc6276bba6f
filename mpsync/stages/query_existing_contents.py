"""QueryExistingContents: which units do we have already, in whatever repository?"""

from __future__ import annotations

from mpsync.pipeline.batch import Batch
from mpsync.stages.core_stage import CoreStage
from mpsync.store import contents


class QueryExistingContents(CoreStage):
    """Gives every known unit its id. Identity is the key, a digest of the raw record: never the name.

    A store without any unit knows none, until a second listing may repeat what the first one brought. Whoever else saves the
    same unit meanwhile, and what one listing repeats, the ContentSaver finds out.
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_known_empty: bool | None = None
        self._listing_of: dict[str, str] = {}  # of each kind, while every kind comes from one listing

    async def run(self) -> None:
        async for batch in self.columns():
            async with self.context.database.connection() as conn:
                if self._is_known_empty is None:
                    self._is_known_empty = not await contents.has_any(conn)
                asked = [] if self._are_all_new(batch) else batch.keys_without_id()
                found = await contents.ids_by_key(conn, asked) if asked else {}
            if found:
                for row, key in enumerate(batch.keys):
                    content_id = found.get(key)
                    if content_id:
                        batch.set_id(row, content_id)
            await self.put(batch)

    def _are_all_new(self, batch: Batch) -> bool:
        if self._is_known_empty:
            pairs = set(zip(batch.kinds, batch.listings, strict=True))
            self._is_known_empty = all(self._listing_of.setdefault(kind, name) == name for kind, name in pairs)
        return bool(self._is_known_empty)
