"""ContentAssociation and ContentUnassociation: what the new version holds."""

from __future__ import annotations

from mpsync.stages.core_stage import CoreStage


class ContentAssociation(CoreStage):
    """Collects the units of the new version. Nothing of it can be seen before the version is committed, whole."""

    async def run(self) -> None:
        async for batch in self.columns():
            await self.context.version.add(batch.ids, batch.listings)
            await self.put(batch)


class ContentUnassociation(CoreStage):
    """With ``mirror=True``: what upstream no longer lists leaves the new version."""

    async def run(self) -> None:
        async for batch in self.columns():
            await self.put(batch)
        await self.context.version.remove_unseen()
