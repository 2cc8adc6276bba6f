"""The default pipeline, as a recipe that can be changed in place of being typed again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from mpsync.errors import PluginError
from mpsync.pipeline.stage import EndStage, Stage
from mpsync.stages.artifact_downloader import ArtifactDownloader
from mpsync.stages.artifact_saver import ArtifactSaver
from mpsync.stages.content_association import ContentAssociation, ContentUnassociation
from mpsync.stages.content_saver import ContentSaver
from mpsync.stages.query_existing_artifacts import QueryExistingArtifacts
from mpsync.stages.query_existing_contents import QueryExistingContents
from mpsync.stages.remote_artifact_saver import RemoteArtifactSaver
from mpsync.stages.resolve_content_futures import ResolveContentFutures


class Recipe:
    """An ordered list of stages. Every change gives a new Recipe; stages are found by class."""

    def __init__(self, stages: Iterable[Stage]) -> None:
        self._stages = tuple(stages)

    def __iter__(self) -> Iterator[Stage]:
        return iter(self._stages)

    def __len__(self) -> int:
        return len(self._stages)

    def first(self, stage: Stage) -> Recipe:
        """``stage`` in front of all."""
        return Recipe((stage, *self._stages))

    def after(self, kind: type[Stage], stage: Stage) -> Recipe:
        """``stage`` right behind the stage of class ``kind``. Raises PluginError when there is none."""
        at = self._find(kind) + 1
        return Recipe((*self._stages[:at], stage, *self._stages[at:]))

    def before(self, kind: type[Stage], stage: Stage) -> Recipe:
        at = self._find(kind)
        return Recipe((*self._stages[:at], stage, *self._stages[at:]))

    def replace(self, kind: type[Stage], stage: Stage) -> Recipe:
        at = self._find(kind)
        return Recipe((*self._stages[:at], stage, *self._stages[at + 1 :]))

    def _find(self, kind: type[Stage]) -> int:
        for at, stage in enumerate(self._stages):
            if isinstance(stage, kind):
                return at
        raise PluginError(f"no {kind.__name__} in this pipeline: {', '.join(map(str, self._stages))}")


def default_stages(mirror: bool = False) -> Recipe:
    """Everything behind the first stage, in Pulp's order."""
    return Recipe(
        [
            QueryExistingArtifacts(),
            ArtifactDownloader(),
            ArtifactSaver(),
            QueryExistingContents(),
            ContentSaver(),
            RemoteArtifactSaver(),
            ResolveContentFutures(),
            ContentAssociation(),
            *([ContentUnassociation()] if mirror else []),
            EndStage(),
        ]
    )
