"""What the nine stages share: a context, given by whoever runs the pipeline.

Stages are made without arguments, so that ``default_stages().after(ArtifactDownloader, MyStage())`` reads as a recipe; the
context arrives when the pipeline is put together. A plugin's own stage may subclass CoreStage to get at it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems
from mpsync.pipeline.stage import Stage

if TYPE_CHECKING:
    from mpsync.fetch.session import Fetcher
    from mpsync.settings import Settings
    from mpsync.store.blobs import BlobStore
    from mpsync.store.db import Database
    from mpsync.store.versions import NewVersion


@dataclass(slots=True)
class SyncContext:
    """The services of one sync run.

    remote_id   which remote's URLs the artifacts have
    remote      the handle that DeclarativeArtifacts download with
    on_failure  what a failed package download does: strict ends the sync, skip drops and reports the unit
    """

    settings: Settings
    database: Database
    blobs: BlobStore
    fetcher: Fetcher
    version: NewVersion
    remote_id: int
    remote: Any
    progress: Progress
    budget: ResourceBudget
    on_failure: Literal["strict", "skip"] = "strict"
    awaited: AwaitedItems = field(default_factory=AwaitedItems)


class CoreStage(Stage):
    """A stage of the main process, with the run's services in ``self.context``."""

    context: SyncContext
