"""DeclarativeVersion: run the stages, and make a repository version of what came through."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mpsync.pipeline.runner import create_pipeline, stage_table
from mpsync.stages.core_stage import CoreStage, SyncContext
from mpsync.stages.recipe import Recipe, default_stages

if TYPE_CHECKING:
    from mpsync.pipeline.stage import Stage
    from mpsync.store.versions import Committed, NewVersion


class DeclarativeVersion:
    """A version that equals what ``first_stage`` declares (mirror), or adds it to what is there.

    first_stage  the Stage that declares content; one that stands for child processes in a sync
    context      the run's services; ``context.version`` is the new version, its lease held by the caller
    mirror       what isn't declared leaves the version
    acs          alternate content sources, as in Pulp; there are none yet, so True is a ValueError

    Subclass it and override ``pipeline_stages`` to change the pipeline.
    """

    def __init__(self, first_stage: Stage, context: SyncContext, mirror: bool = False, acs: bool = False) -> None:
        if acs:
            raise ValueError("alternate content sources are not supported yet")
        self.first_stage, self.context, self.mirror = first_stage, context, mirror
        self.stages: list[Stage] = []

    def pipeline_stages(self, new_version: NewVersion) -> Recipe:
        """The pipeline, first stage included."""
        return default_stages(self.mirror).first(self.first_stage)

    async def run(self) -> None:
        """Run the pipeline; every unit is saved when it ends, and no version is visible yet."""
        self.stages = list(self.pipeline_stages(self.context.version))
        for stage in self.stages:
            if isinstance(stage, CoreStage):
                stage.context = self.context
        await create_pipeline(self.stages, self.context.settings.queue_rows, awaited=self.context.awaited)

    async def create(self, state: dict[str, Any] | None = None, unique_kinds: tuple[str, ...] = ()) -> Committed | None:
        """Run the pipeline and commit the version; None when nothing changed."""
        await self.run()
        committed = await self.context.version.commit(state or {}, unique_kinds)
        return committed if committed.number is not None else None

    def table(self) -> list[dict[str, float | int | str]]:
        """Rows, batches and seconds by stage."""
        return stage_table(self.stages)
