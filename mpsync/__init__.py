"""mpsync syncs huge Debian and RPM repositories.

    upstream --HTTP--> fetch --> QueryExistingArtifacts -> ArtifactDownloader -> ArtifactSaver            --> artifacts
        ^                        -> QueryExistingContents -> ContentSaver -> RemoteArtifactSaver  (COPY)  --> PostgreSQL
    children                     -> ResolveContentFutures -> ContentAssociation -> ContentUnassociation
    first stage, parsers --bridge--^        | resolved: id, local path            |
        ^-----------------------------------'                                     '-> reconcile -> commit --> a version

A plugin's first stage, in a child process, turns an upstream URL into declarative content; the bridge carries it home in
columnar batches; the stages download and save it; the plugin settles what only the whole shows; one transaction makes it
a version. docs/architecture.md follows a sync step by step.

model     plain values             pipeline  stages, batches, the runner     bridge   the process boundary
fetch     HTTP out                 store     PostgreSQL and disk             stages   the nine steps
plugin    the facade for plugins   plugins   deb, rpm, file                  cli      the command line
sync      one run                  core      its services                    operations  fetch and delete

What stands below is public, and loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from mpsync.declarative_version import DeclarativeVersion
    from mpsync.model.content import Artifact, Content
    from mpsync.pipeline.budget import ResourceBudget
    from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
    from mpsync.pipeline.first_stage import FirstStage, ParseStage, ParseTask
    from mpsync.pipeline.progress import Event, Progress
    from mpsync.pipeline.runner import create_pipeline
    from mpsync.pipeline.stage import EndStage, Stage
    from mpsync.stages.artifact_downloader import ArtifactDownloader
    from mpsync.stages.artifact_saver import ArtifactSaver
    from mpsync.stages.content_association import ContentAssociation, ContentUnassociation
    from mpsync.stages.content_saver import ContentSaver
    from mpsync.stages.core_stage import CoreStage
    from mpsync.stages.query_existing_artifacts import QueryExistingArtifacts
    from mpsync.stages.query_existing_contents import QueryExistingContents
    from mpsync.stages.recipe import Recipe, default_stages
    from mpsync.stages.remote_artifact_saver import RemoteArtifactSaver
    from mpsync.stages.resolve_content_futures import ResolveContentFutures

_WHERE = {
    "mpsync.declarative_version": ("DeclarativeVersion",),
    "mpsync.model.content": ("Artifact", "Content"),
    "mpsync.pipeline.budget": ("ResourceBudget",),
    "mpsync.pipeline.declarative": ("UPSTREAM", "DeclarativeArtifact", "DeclarativeContent"),
    "mpsync.pipeline.first_stage": ("FirstStage", "ParseStage", "ParseTask"),
    "mpsync.pipeline.progress": ("Event", "Progress"),
    "mpsync.pipeline.runner": ("create_pipeline",),
    "mpsync.pipeline.stage": ("EndStage", "Stage"),
    "mpsync.stages.artifact_downloader": ("ArtifactDownloader",),
    "mpsync.stages.artifact_saver": ("ArtifactSaver",),
    "mpsync.stages.content_association": ("ContentAssociation", "ContentUnassociation"),
    "mpsync.stages.content_saver": ("ContentSaver",),
    "mpsync.stages.core_stage": ("CoreStage",),
    "mpsync.stages.query_existing_artifacts": ("QueryExistingArtifacts",),
    "mpsync.stages.query_existing_contents": ("QueryExistingContents",),
    "mpsync.stages.recipe": ("Recipe", "default_stages"),
    "mpsync.stages.remote_artifact_saver": ("RemoteArtifactSaver",),
    "mpsync.stages.resolve_content_futures": ("ResolveContentFutures",),
}
_MODULE_OF = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [  # one list, computed: it can't disagree with what is found
    "__version__",
    *_MODULE_OF,
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'mpsync' has no attribute {name!r}")
    return getattr(import_module(_MODULE_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
