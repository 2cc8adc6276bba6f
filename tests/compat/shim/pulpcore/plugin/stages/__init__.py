"""``pulpcore.plugin.stages`` on top of mpsync: names only, no behaviour of its own."""

from mpsync import (
    ArtifactDownloader,
    ArtifactSaver,
    ContentAssociation,
    ContentSaver,
    ContentUnassociation,
    DeclarativeArtifact,
    DeclarativeContent,
    DeclarativeVersion,
    EndStage,
    QueryExistingArtifacts,
    QueryExistingContents,
    RemoteArtifactSaver,
    ResolveContentFutures,
    ResourceBudget,
    Stage,
    create_pipeline,
)

ArtifactResourceBudget = ResourceBudget

__all__ = [
    "ArtifactDownloader",
    "ArtifactResourceBudget",
    "ArtifactSaver",
    "ContentAssociation",
    "ContentSaver",
    "ContentUnassociation",
    "DeclarativeArtifact",
    "DeclarativeContent",
    "DeclarativeVersion",
    "EndStage",
    "QueryExistingArtifacts",
    "QueryExistingContents",
    "RemoteArtifactSaver",
    "ResolveContentFutures",
    "Stage",
    "create_pipeline",
]
