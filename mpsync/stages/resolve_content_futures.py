"""ResolveContentFutures: wake whoever waits for a unit to be saved."""

from __future__ import annotations

from mpsync.pipeline.batch import Batch
from mpsync.stages.core_stage import CoreStage


class ResolveContentFutures(CoreStage):
    """Resolves every item that somebody may hold. It never waits, not even for a child that doesn't listen."""

    async def run(self) -> None:
        async for batch in self.columns(minsize=1):
            for row, item in batch.items.items():
                content = item.content if item.is_touched or item.is_awaited or item.ticket >= 0 else None
                if content is not None:
                    content.pk = batch.ids[row]
                    self._set_local_paths(batch, row)
                item.resolve()
                self.context.awaited.discard(item)
            await self.put(batch)

    def _set_local_paths(self, batch: Batch, row: int) -> None:
        """A waiter gets the verified files; those of deferred artifacts it may not ask for."""
        content = batch.items[row].content
        assert content is not None
        slots = batch.slots
        content.local_paths = {
            slots.path[slot]: self.context.blobs.path_of(sha256.hex())
            for slot in slots.of(row)
            if slots.ids[slot] and not slots.deferred[slot] and (sha256 := slots.sha256[slot]) is not None
        }
