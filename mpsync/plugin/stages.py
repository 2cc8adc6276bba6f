"""What a plugin with stages of its own imports: the recipe, the stages to find a place beside, and the base that has the
run's services. For the main process only: stages save to the database.
"""

from __future__ import annotations

from mpsync.stages.artifact_downloader import ArtifactDownloader
from mpsync.stages.artifact_saver import ArtifactSaver
from mpsync.stages.content_association import ContentAssociation, ContentUnassociation
from mpsync.stages.content_saver import ContentSaver
from mpsync.stages.core_stage import CoreStage, SyncContext
from mpsync.stages.query_existing_artifacts import QueryExistingArtifacts
from mpsync.stages.query_existing_contents import QueryExistingContents
from mpsync.stages.recipe import Recipe
from mpsync.stages.remote_artifact_saver import RemoteArtifactSaver
from mpsync.stages.resolve_content_futures import ResolveContentFutures

__all__ = [
    "ArtifactDownloader",
    "ArtifactSaver",
    "ContentAssociation",
    "ContentSaver",
    "ContentUnassociation",
    "CoreStage",
    "QueryExistingArtifacts",
    "QueryExistingContents",
    "Recipe",
    "RemoteArtifactSaver",
    "ResolveContentFutures",
    "SyncContext",
]
