"""ArtifactSaver: downloaded files become artifacts."""

from __future__ import annotations

from mpsync.pipeline.batch import Batch
from mpsync.pipeline.budget import ResourceBudget
from mpsync.stages.core_stage import CoreStage
from mpsync.store import artifacts

SAVE_ROWS = 200
"""Rows whose files are made durable together: one syncfs for all of them (docs/decisions/0004)."""


class ArtifactSaver(CoreStage):
    """Adopts downloaded files into the store, makes them durable, and only then commits their rows.

    Releases the budget of what it saved. Saves early when the budget has somebody waiting.
    """

    def __init__(self, resource_budget: ResourceBudget | None = None) -> None:
        super().__init__()
        self.resource_budget = resource_budget

    async def run(self) -> None:
        budget = self.resource_budget or self.context.budget
        async for batch in self.columns(SAVE_ROWS, budget.flush_event):
            await self._save(batch, budget)
            await self.put(batch)

    async def _save(self, batch: Batch, budget: ResourceBudget) -> None:
        slots = batch.slots
        unsaved = [i for i, fetched in enumerate(slots.fetched) if fetched is not None and not slots.ids[i]]
        if not unsaved:
            return
        fetched = [found for i in unsaved if (found := slots.fetched[i]) is not None]
        await self.context.blobs.land(fetched)
        async with self.context.database.connection() as conn:
            ids = await artifacts.save(conn, {bytes.fromhex(file.sha256): file.size_bytes for file in fetched})
        for slot, file in zip(unsaved, fetched, strict=True):
            batch.set_artifact(slot, ids[bytes.fromhex(file.sha256)])
        budget.release(sum(file.size_bytes for file in fetched), items=len(fetched))
