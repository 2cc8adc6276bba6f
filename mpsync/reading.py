"""The half of a run that reads upstream: the fetcher, the probe, and the first stage in its children.

Flow    Request -> Reading.open() -> probe() -> first_stage(), which the pipeline starts with
Why     none of it needs the database. A first sync, of which nothing can be remembered, reads while its database is made:
        ``begin()``, and the children parse until they have no credit left
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from mpsync.core import ProbeUpstream, RemoteHandle
from mpsync.pipeline.first_stage import ParseTask
from mpsync.pipeline.progress import Progress
from mpsync.pipeline.runner import AwaitedItems
from mpsync.pipeline.tasks import end_task
from mpsync.plugin.repository import Held, Probed
from mpsync.request import Request

if TYPE_CHECKING:
    from mpsync.bridge.local_stage import LocalStage
    from mpsync.bridge.process import ChildProcess
    from mpsync.bridge.remote_stage import RemoteStage
    from mpsync.fetch.session import Fetcher, FetchEvent
    from mpsync.settings import Settings
    from mpsync.store.blobs import BlobStore

Recall = Callable[[ParseTask], Awaitable["tuple[int, list[dict[str, Any]]] | None"]]
Known = Callable[[ParseTask, Path], Awaitable["array[int] | None"]]


class Reading:
    """One run's upstream. The fetcher downloads packages too, later.

    awaited  the items of the run that somebody may wait for
    """

    def __init__(
        self,
        request: Request,
        settings: Settings,
        blobs: BlobStore,
        fetcher: Fetcher,
        progress: Progress,
        spares: list[ChildProcess] | None = None,
    ) -> None:
        self.blobs, self.fetcher = blobs, fetcher
        self.awaited = AwaitedItems()
        self.remote = RemoteHandle(fetcher, request.remote)
        self._request, self._settings, self._progress, self._spares = request, settings, progress, spares or []
        self._ahead: asyncio.Task[Probed] | None = None
        self._first: LocalStage | RemoteStage | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        request: Request,
        settings: Settings,
        blobs: BlobStore,
        progress: Progress,
        spares: list[ChildProcess] | None = None,
    ) -> AsyncIterator[Self]:
        """With a fetcher; its connections and all children have ended behind the block.

        spares  a child that was started ahead (bridge/spare.py): who takes it out ends it
        """
        from mpsync.fetch.session import Fetcher

        async with Fetcher(settings, request.remote, temp_dir=blobs.temp_dir, on_event=left_hosts(progress)) as fetcher:
            reading = cls(request, settings, blobs, fetcher, progress, spares)
            try:
                yield reading
            finally:
                await reading._give_up()

    def begin(self) -> None:
        """Probe and parse from now on, as of a repository of which nothing is held. Errors are raised by ``probe()``."""
        self._ahead = asyncio.create_task(self._begin(), name="read ahead")

    async def _begin(self) -> Probed:
        probed = await self._probe(nothing_held(self._request))
        from mpsync.bridge.spec import nothing_known, nothing_recalled

        await self._make_first(probed, nothing_recalled, nothing_known).start()
        return probed

    async def probe(self, held: Held) -> Probed:
        """What the plugin finds upstream, compared with what is held."""
        if self._ahead is not None:
            if not held.state:
                return await self._ahead
            await self._give_up()  # another command has synced the repository meanwhile
            self._progress.skipped.clear()  # who begins again says again what it leaves out
        return await self._probe(held)

    def first_stage(self, probed: Probed, recall: Recall, known: Known) -> LocalStage | RemoteStage:
        """The first stage: the one that has begun, or a new one that asks ``recall`` and ``known`` (bridge/spec.py)."""
        return self._first or self._make_first(probed, recall, known)

    async def _probe(self, held: Held) -> Probed:
        request = self._request
        return await request.plugin.probe(ProbeUpstream(self.fetcher, request.remote), request.options, held)

    def options(self, probed: Probed) -> dict[str, Any]:
        """The first stage's: the plugin's, what the probe found, and the run's."""
        request = self._request
        return {
            **request.options,
            **probed.options,
            "url": ProbeUpstream(self.fetcher, request.remote).url,
            "deferred": request.policy != "immediate",
            "policy": request.policy,
            "mirror": request.mirror,
            "strict": request.on_failure == "strict",
        }

    def _make_first(self, probed: Probed, recall: Recall, known: Known) -> LocalStage | RemoteStage:
        from mpsync.bridge import Services, StageSpec, first_stage

        services = Services(
            settings=self._settings,
            progress=self._progress,
            awaited=self.awaited,
            remote=self.remote,
            recall=recall,
            top_file=ProbeUpstream(self.fetcher, self._request.remote).top_file,
            temp_dir=self.blobs.temp_dir,
            known=known,
            spares=self._spares,
        )
        self._first = first_stage(StageSpec(self._request.plugin.first_stage, self.options(probed)), services)
        return self._first

    async def _give_up(self) -> None:
        """End what was begun, and forget it."""
        ahead, self._ahead = self._ahead, None
        try:
            await end_task(ahead)
        finally:  # also when this is cancelled meanwhile
            first, self._first = self._first, None
            if first is not None:
                await first.close()


def nothing_held(request: Request) -> Held:
    """What a first sync compares with."""
    return Held({}, datetime.now(UTC), same_options=False, is_forced=request.is_forced)


def left_hosts(progress: Progress) -> Callable[[FetchEvent], None]:
    """A note of each host that was left for another URL, once: of one that merely lacks a file, none."""
    told: set[str] = set()

    def tell(event: FetchEvent) -> None:
        host = urlsplit(event.url).netloc
        if event.kind == "failed" and not event.is_missing and host not in told:
            told.add(host)
            progress.note(host, f"{event.text}; going on with another URL of it")

    return tell
