"""One sync run: probe, pipeline, commit, and the summary of it.

Flow    Request -> lease -> probe -> (unchanged: done, no child started) -> children + stages -> one transaction -> Summary
Runs    in the main process, on its loop
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import orjson

from mpsync.core import Storage
from mpsync.declarative_version import DeclarativeVersion
from mpsync.errors import ConfigError
from mpsync.measure import LoopLag
from mpsync.pipeline.budget import ResourceBudget
from mpsync.pipeline.first_stage import ParseTask
from mpsync.pipeline.progress import Progress
from mpsync.plugin.repository import Held, Plugin, Probed
from mpsync.reading import Reading
from mpsync.request import Request
from mpsync.stages.core_stage import SyncContext
from mpsync.stages.recipe import Recipe, default_stages

if TYPE_CHECKING:
    from mpsync.fetch.session import Fetcher
    from mpsync.store.repositories import Repository
    from mpsync.store.versions import NewVersion, Results

MADE_WITH = "made_with"
"""Key in a repository's state: the options and the URL that its newest version was made with."""


@dataclass(slots=True)
class Summary:
    """What a run did; ``as_json`` is the contract of ``--json`` (docs/reference/json.md)."""

    repository: str
    version: int = 0
    changed: bool = False
    content: dict[str, dict[str, int]] = field(default_factory=dict)
    files: int = 0
    bytes: int = 0
    requests: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    stages: list[dict[str, float | int | str]] = field(default_factory=list)
    skipped: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    loop_lag_ms: dict[str, float] = field(default_factory=dict)
    has_heartbeat: bool = False
    peak_pss_bytes: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "version": self.version,
            "changed": self.changed,
            "content": self.content,
            "downloaded": {"files": self.files, "bytes": self.bytes},
            "requests": self.requests,
            "seconds": {name: round(seconds, 3) for name, seconds in self.seconds.items()},
            "stages": self.stages,
            "peak_pss_bytes": self.peak_pss_bytes,
            "loop_lag_ms": self.loop_lag_ms,
            "skipped": self.skipped,
            "notes": self.notes,
        }


async def sync(
    request: Request, storage: Storage, progress: Progress, summary: Summary, reading: Reading | None = None
) -> None:
    """Sync once and fill ``summary``, also as far as it came when an error is raised.

    reading  of the same request, if it has begun already
    raises  MpsyncError leaves; the repository's versions are then what they were
    """
    from mpsync.store import remotes, repositories
    from mpsync.store.recovery import recover

    summary.repository = request.name
    async with AsyncExitStack() as stack:
        # What was read ahead has notes already; one that was given up, and begun again, has said them twice.
        stack.callback(lambda: summary.notes.extend(dict.fromkeys(progress.notes)))
        stack.callback(lambda: summary.skipped.extend(progress.skipped))
        await stack.enter_async_context(heartbeat(summary))
        await recover(storage.database, storage.blobs)
        async with storage.database.connection() as conn:
            options: dict[str, Any] = orjson.loads(orjson.dumps(_options(request)))
            repository = await repositories.find(conn, request.name)
            if repository is not None and not repository.latest and repository.plugin != request.plugin.name:
                repository = await _forget(storage, repository)
            if repository is None or not repository.latest:
                repository = await repositories.save(
                    conn, request.name, request.plugin.name, request.remote.url, options
                )
            elif repository.plugin != request.plugin.name:
                raise ConfigError(f"repository {request.name} is of type {repository.plugin}; choose another --name")
            remote_id = await remotes.remote_id(conn, request.remote.url)
        if reading is None:
            opened = Reading.open(request, storage.settings, storage.blobs, progress)
            reading = await stack.enter_async_context(opened)
        stack.callback(_count_traffic, summary, reading.fetcher)
        await _Run(request, storage, progress, summary, reading, repository, remote_id, options).run()


async def _forget(storage: Storage, repository: Repository) -> Repository | None:
    """Delete what a first sync that failed left of its name, such as one by the wrong plugin; unless it has got a version.

    raises  RepositoryBusy while that sync runs
    """
    from mpsync.store import repositories
    from mpsync.store.deletion import Deletion

    async with Deletion.begin(storage.database, repository, with_artifacts=False, wait=False) as deletion:
        async with storage.database.connection() as conn:
            found = await repositories.find(conn, repository.name)
        if found is not None and not found.latest:
            await deletion.run()
            return None
    return found


def _options(request: Request) -> dict[str, Any]:
    """What is remembered of a request; credentials are not among it, nor what holds for one run."""
    once = request.plugin.once
    return {
        "plugin": {name: value for name, value in request.options.items() if name not in once},
        "arguments": {name: value for name, value in request.arguments.items() if name not in once},
        "policy": request.policy,
        "mirror": request.mirror,
        "on_failure": request.on_failure,
    }


class _Run:
    """The state of one run between its steps."""

    def __init__(
        self,
        request: Request,
        storage: Storage,
        progress: Progress,
        summary: Summary,
        reading: Reading,
        repository: Repository,
        remote_id: int,
        options: dict[str, Any],
    ) -> None:
        self.request, self.storage, self.progress, self.summary = request, storage, progress, summary
        self.reading, self.repository, self.remote_id, self.options = reading, repository, remote_id, options
        self.made_with = {"options": options, "url": request.remote.url}
        self.moved = False
        self.held = Held({}, datetime.now(UTC))

    async def run(self) -> None:
        from mpsync.store.versions import NewVersion

        repository, request = self.repository, self.request
        async with NewVersion.begin(
            self.storage.database,
            repository.id,
            repository.name,
            self.remote_id,
            exact=request.mirror,
            wait=request.waits,
        ) as version:
            self.summary.version = version.latest
            await self._look_back()
            with timed(self.summary, "probe"):
                probed = await self.reading.probe(self.held)
            if probed.is_unchanged and self.held.same_options and not request.is_forced and version.latest:
                self.summary.content = await version.latest_counts()
            else:
                await self._make(version, probed)
            await self._remember()

    async def _look_back(self) -> None:
        """What the version that stands was made with, and its state. Under the lease: nobody changes it from here on."""
        from mpsync.store import repositories

        async with self.storage.database.connection() as conn:
            found = await repositories.find(conn, self.repository.name)
        assert found is not None, "who holds the lease deletes it"
        self.repository = found
        state = dict(found.state)
        before = state.pop(MADE_WITH, None)
        self.held = Held(state, datetime.now(UTC), before == self.made_with, self.request.is_forced)
        self.moved = before is not None and before["url"] != self.request.remote.url

    async def _remember(self) -> None:
        """The options, once their version stands: a run that fails or is killed changes nothing that is remembered."""
        from mpsync.store import repositories

        async with self.storage.database.connection() as conn:
            found = await repositories.find(
                conn, self.repository.name
            )  # a rival that was refused may have saved its own
            if found is not None and (found.options, found.url) == (self.options, self.request.remote.url):
                return
            await repositories.save(
                conn, self.repository.name, self.request.plugin.name, self.request.remote.url, self.options
            )

    async def _make(self, version: NewVersion, probed: Probed) -> None:
        request, settings, reading = self.request, self.storage.settings, self.reading
        context = SyncContext(
            settings=settings,
            database=self.storage.database,
            blobs=self.storage.blobs,
            fetcher=reading.fetcher,
            version=version,
            remote_id=self.remote_id,
            remote=reading.remote,
            progress=self.progress,
            budget=ResourceBudget(settings.budget_bytes, settings.budget_items),
            on_failure=request.on_failure,
            awaited=reading.awaited,
        )
        options = reading.options(probed)

        async def recall(task: ParseTask) -> tuple[int, Results] | None:
            if task.memory is None or request.is_forced or self.moved:  # another remote has to name every file itself
                return None
            return await version.recall(task.listing, *task.memory)

        async def known(task: ParseTask, into: Path) -> array[int] | None:
            usual = default_stages(request.mirror)
            sees_all = [*request.plugin.stages(usual, options)] != [*usual]  # a stage of the plugin's wants whole units
            if not task.asks_known or request.is_forced or self.moved or sees_all or not version.latest:
                return None
            return await version.known_keys(task.listing, into)

        first = reading.first_stage(probed, recall, known)
        try:
            with timed(self.summary, "sync"):
                made = _PluginVersion(first, context, request.mirror, request.plugin, options)
                await made.run()
            for listing, parser, sha256, results in first.result.pop("parsed", ()):
                await version.remember(listing, parser, sha256, results)
            if type(request.plugin).reconcile is not Plugin.reconcile:
                with timed(self.summary, "reconcile"):
                    async with version.draft(self.progress) as draft:
                        await request.plugin.reconcile(draft, options, first.result)
            with timed(self.summary, "commit"):
                state = request.plugin.next_state(self.held, first.result)
                committed = await version.commit({**state, MADE_WITH: self.made_with}, request.plugin.unique_kinds)
        finally:
            await first.close()
        self.summary.stages = made.table()
        self.summary.content = committed.counts
        if committed.number is not None:
            self.summary.version, self.summary.changed = committed.number, True


class _PluginVersion(DeclarativeVersion):
    """The default pipeline, with what the plugin changes in it."""

    def __init__(self, first: Any, context: SyncContext, mirror: bool, plugin: Plugin, options: dict[str, Any]) -> None:
        super().__init__(first, context, mirror)
        self._plugin, self._options = plugin, options

    def pipeline_stages(self, new_version: NewVersion) -> Recipe:
        return self._plugin.stages(super().pipeline_stages(new_version), self._options)


@asynccontextmanager
async def heartbeat(summary: Summary) -> AsyncIterator[None]:
    """The loop's lag while the block runs, into the summary: of the outermost block, a command's whole time on the loop."""
    if summary.has_heartbeat:
        yield
        return
    summary.has_heartbeat = True
    lag = LoopLag()
    task = asyncio.create_task(lag.run(), name="heartbeat")
    try:
        yield
    finally:
        lag.stop()
        summary.loop_lag_ms, summary.has_heartbeat = lag.summary(), False
        task.cancel()
        await asyncio.wait((task,))


class timed:
    """Seconds of one phase, into the summary, whatever its end."""

    def __init__(self, summary: Summary, phase: str) -> None:
        self._summary, self._phase = summary, phase

    def __enter__(self) -> None:
        self._began = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._summary.seconds[self._phase] = perf_counter() - self._began


def _count_traffic(summary: Summary, fetcher: Fetcher) -> None:
    summary.requests += fetcher.stats.requests
    summary.files += fetcher.stats.files
    summary.bytes += fetcher.stats.bytes
