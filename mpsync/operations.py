"""What is done to a repository besides syncing it: fetch what on-demand deferred, and delete.

Flow    fetch: rows of units that lack a file -> batches -> QueryExistingArtifacts -> ArtifactDownloader -> ArtifactSaver ->
        ContentArtifactSaver. The stages of a sync, fed from the database: the same checks, retries, budget and durability
Runs    in the main process; no child is started
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, cast

from mpsync.core import ProbeUpstream, RemoteHandle, Storage
from mpsync.model.remote import Remote
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import create_pipeline, stage_table
from mpsync.pipeline.stage import EndStage, Stage
from mpsync.stages.artifact_downloader import ArtifactDownloader
from mpsync.stages.artifact_saver import ArtifactSaver
from mpsync.stages.core_stage import CoreStage, SyncContext
from mpsync.stages.query_existing_artifacts import QueryExistingArtifacts
from mpsync.store import artifacts, contents, queries
from mpsync.store.deletion import Deleted, Deletion
from mpsync.store.recovery import recover

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mpsync.fetch.session import Fetcher
    from mpsync.plugin.repository import Plugin
    from mpsync.store.db import Connection, Database
    from mpsync.store.queries import Files, Selection
    from mpsync.store.repositories import Repository

PAGE_ROWS = 500
"""Units read at a time; with the queues, so many times four are in memory."""


@dataclass(slots=True)
class FetchRequest:
    """What to fetch.

    on_failure  the first file that can't be had ends the fetch, or is left out and reported
    plugin      the repository's; it knows the mirrors. None: only the base URL is asked
    """

    repository: Repository
    selection: Selection
    remote: Remote
    on_failure: Literal["strict", "skip"] = "strict"
    plugin: Plugin | None = None


@dataclass(slots=True)
class FetchResult:
    """before, after: what was held and deferred of the selection; stages: the table of the summary."""

    before: Files
    after: Files
    stages: list[dict[str, float | int | str]]


async def fetch(request: FetchRequest, storage: Storage, fetcher: Fetcher, progress: Progress) -> FetchResult:
    """Download the deferred files of the selected units. Each batch of files stays, whatever happens later.

    raises  MpsyncError leaves; DiskFull before anything is downloaded when it can't fit
    """
    repository, selection, database = request.repository, request.selection, storage.database
    async with database.connection() as conn:
        await artifacts.share(conn)
        try:
            await recover(database, storage.blobs)
            before = await queries.files(conn, repository, selection)
            if not before.deferred:
                return FetchResult(before, before, [])
            await asyncio.to_thread(storage.blobs.require_space, before.deferred_bytes, before.deferred)
            if request.plugin is not None:
                upstream, options = ProbeUpstream(fetcher, request.remote), repository.options.get("plugin", {})
                for note in await request.plugin.locate(upstream, options):
                    progress.note(repository.name, note)
            context = SyncContext(
                settings=storage.settings,
                database=database,
                blobs=storage.blobs,
                fetcher=fetcher,
                version=cast(Any, None),  # no version is made, and no stage here asks for one
                remote_id=repository.remote_id or 0,
                remote=RemoteHandle(fetcher, request.remote),
                progress=progress,
                budget=ResourceBudget(storage.settings.budget_bytes, storage.settings.budget_items),
                on_failure=request.on_failure,
            )
            stages: list[Stage] = [
                DeferredContent(request),
                QueryExistingArtifacts(),
                ArtifactDownloader(),
                ArtifactSaver(),
                ContentArtifactSaver(),
                EndStage(),
            ]
            for stage in stages:
                if isinstance(stage, CoreStage):
                    stage.context = context
            await create_pipeline(stages, PAGE_ROWS)
            return FetchResult(before, await queries.files(conn, repository, selection), stage_table(stages))
        finally:
            await _unshare(conn)


async def delete(
    repository: Repository, storage: Storage, *, with_artifacts: bool = False, wait: bool = False
) -> Deleted:
    """Delete a repository with its versions. Its units stay until a clean-up, since others may have them too.

    with_artifacts  remove the files that no other repository has
    wait            for a sync of it that is running; else raise RepositoryBusy
    raises          ArtifactsBusy when any sync or fetch is running and ``with_artifacts``
    """
    async with Deletion.begin(storage.database, repository, with_artifacts=with_artifacts, wait=wait) as deletion:
        deleted = await deletion.run()
        async for page in deletion.files():
            await asyncio.to_thread(_remove, storage, page)
    return deleted


class DeferredContent(CoreStage):
    """The first stage of a fetch: reads units that lack a file, page by page in order of their ids."""

    def __init__(self, request: FetchRequest) -> None:
        super().__init__()
        self._request = request

    async def run(self) -> None:
        database = self.context.database
        after = 0
        while True:
            rows = await self._page(database, after)
            if not rows:
                return
            batch = _batch(rows)
            after = batch.ids[-1]
            self.meter.count(len(batch))
            self.meter.batches += 1
            await self.put(batch)

    async def _page(self, database: Database, after: int) -> Sequence[tuple[Any, ...]]:
        async with database.connection() as conn:
            return await queries.deferred_page(
                conn, self._request.repository, self._request.selection, after, PAGE_ROWS
            )


class ContentArtifactSaver(CoreStage):
    """Tells units which of their files have arrived."""

    async def run(self) -> None:
        async for batch in self.columns():
            async with self.context.database.transaction() as conn:
                await contents.fill_artifacts(conn, batch)
            await self.put(batch)


def _batch(rows: Sequence[tuple[Any, ...]]) -> Batch:
    """Rows of queries.deferred_page as a batch. Raw records stay where they are: nobody here reads them.

    Paths stay relative: each is asked for at the base URL and its mirrors.
    """
    batch = Batch()
    for content_id, key, kind, name, version, arch, _, path, sha256, size, urls, digests, base, artifact_id in rows:
        if not batch.ids or batch.ids[-1] != content_id:
            columns = (batch.ids, batch.keys, batch.kinds, batch.names, batch.versions, batch.archs)
            values = (content_id, bytes(key), kind, name, version, arch)
            for column, value in zip(columns, values, strict=True):
                cast("list[Any]", column).append(value)
            batch.listings.append("")
            batch.starts.append(0)
            batch.lengths.append(0)
        if base is not None:  # the repository moved: its own URL first, then the one that named the file
            relative = tuple(urls or (path,))
            urls = (*relative, *Remote(base).absolute(relative))
        batch.slots.add(
            len(batch) - 1,
            path,
            None if sha256 is None else bytes(sha256),
            -1 if size is None else size,
            tuple(dict.fromkeys(urls)) if urls else None,
            digests,
            False,
            artifact_id or 0,
        )
    return batch


def _remove(storage: Storage, page: list[str]) -> None:
    for sha256 in page:
        storage.blobs.remove(sha256)


async def _unshare(conn: Connection) -> None:
    if not conn.closed and conn.info.transaction_status == 0:
        await artifacts.unshare(conn)
