"""What a first stage declares: content that should be there, and where its artifacts come from.

Pulp's words and promises. Two differences: a waiter is woken with an error when there is one, and cancelling one
waiter leaves the others waiting. An item also may be a *view* of one row of a columnar batch (pipeline/batch.py):
``content`` and ``d_artifacts`` are made on first use, and using them marks the row as touched, so that
the batch's columns are read from the item again.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal, Protocol

from mpsync.errors import MpsyncError, PluginError, UpstreamError
from mpsync.model.content import Artifact, Content

if TYPE_CHECKING:
    from mpsync.model.digests import Fetched
    from mpsync.pipeline.batch import Batch
    from mpsync.pipeline.runner import AwaitedItems

OnFailure = Literal["strict", "skip", "deliver"]
"""What a failed download does: end the sync, drop and report the item, or wake the item's waiter with the error."""


class Dropped(MpsyncError):
    """An awaited item was dropped because something failed; ``why`` says what."""

    def __init__(self, item: str, why: str) -> None:
        super().__init__(item, why)
        self.item, self.why = item, why

    def __str__(self) -> str:
        return f"{self.item} was dropped: {self.why}"


class Downloads(Protocol):
    """What DeclarativeArtifact asks of a remote: to turn URLs and promises into a verified file."""

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched: ...


class Upstream:
    """The sync's own remote, as a first stage names it: it knows no URL and cannot download anything itself."""

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        raise PluginError(f"{urls[0]}: only the core downloads; put the content and await its resolution()")


UPSTREAM = Upstream()


class DeclarativeArtifact:
    """An artifact, how to get it, and the path it is published at.

    url | urls         exactly one of the two; ``urls`` are tried in order, at sync and on demand. Absolute, or relative
                       to the remote's base URL
    remote             whom to ask; needed unless the artifact has a file. UPSTREAM: the sync's own
    deferred_download  True: download on demand, not now
    raises             ValueError when one is missing
    """

    __slots__ = ("artifact", "deferred_download", "extra_data", "relative_path", "remote", "urls")

    def __init__(
        self,
        artifact: Artifact | None = None,
        url: str | None = None,
        urls: list[str] | None = None,
        relative_path: str | None = None,
        remote: Any = None,  # any object with download(); mocks in pulpcore's tests, Remote handles in ours
        extra_data: dict[str, Any] | None = None,
        deferred_download: bool = False,
    ) -> None:
        if bool(url) == bool(urls):
            raise ValueError("DeclarativeArtifact needs exactly one of 'url' and 'urls'")
        if not relative_path:
            raise ValueError("DeclarativeArtifact needs a 'relative_path'")
        if not artifact:
            raise ValueError("DeclarativeArtifact needs an 'artifact'")
        if not remote and not artifact.file:
            raise ValueError("DeclarativeArtifact needs a 'remote' unless its artifact has a file")
        self.artifact = artifact
        self.urls: list[str] = [url] if url else list(urls or ())
        self.relative_path = relative_path
        self.remote = remote
        self.extra_data = extra_data or {}
        self.deferred_download = deferred_download

    @property
    def url(self) -> str:
        return self.urls[0]

    async def download(self) -> Fetched:
        """Fetch the file now, try ``urls`` in order, check the promised size and digests; the artifact then has a file."""
        fetched: Fetched = await self.remote.download(self.urls, self.artifact)
        self.artifact = Artifact(size=fetched.size_bytes, digests=dict(fetched.digests), file=fetched.path)
        return fetched


_UNMADE: Any = object()


class DeclarativeContent:
    """A unit of content and its artifacts, on their way through the stages.

    content      the unit; None once a stage has dropped it
    d_artifacts  its artifacts, in order
    extra_data   anything a plugin's stages pass along; plain JSON values if it crosses a process
    listing      which index lists the unit, e.g. ``bookworm/main/binary-amd64``; "" when there is only one
    on_failure   what a failed download of one of its artifacts does: see OnFailure; None = as the sync says
    failure      the error of one that has failed already, as it was read ahead: the downloader doesn't try again
    """

    __slots__ = (
        "__weakref__",
        "_batch",
        "_content",
        "_d_artifacts",
        "_error",
        "_resolved",
        "_row",
        "_thaw_queue_event",
        "_waiters",
        "_watch",
        "extra_data",
        "failure",
        "listing",
        "on_failure",
        "ticket",
        "wants_files",
    )

    def __init__(
        self,
        content: Content | None = None,
        d_artifacts: list[DeclarativeArtifact] | None = None,
        extra_data: dict[str, Any] | None = None,
        *,
        listing: str = "",
        on_failure: OnFailure | None = None,
    ) -> None:
        if not content:
            raise ValueError("DeclarativeContent needs a 'content'")
        self._content: Content | None = content
        self._d_artifacts = d_artifacts or []
        self.extra_data = extra_data or {}
        self.listing, self.on_failure = listing, on_failure
        self._batch: Batch | None = None
        self._row = -1
        self._init_future()

    def _init_future(self) -> None:
        self._resolved = False
        self._error: BaseException | None = None
        self._waiters: list[asyncio.Future[Content | None]] = []
        self._thaw_queue_event: Any = None  # anything with set(): an Event of batches(), or the bridge's ticket
        self._watch: AwaitedItems | None = None
        self.ticket = -1
        self.wants_files = False
        self.failure: UpstreamError | None = None

    @classmethod
    def view(cls, batch: Batch, row: int) -> DeclarativeContent:
        """An item that stands for one row; nothing is copied until it is used."""
        item = object.__new__(cls)
        item._content = item._d_artifacts = _UNMADE
        item._batch, item._row = batch, row
        item.extra_data = {}
        item.listing, item.on_failure = batch.listings[row], None
        item._init_future()
        return item

    @property
    def content(self) -> Content | None:
        if self._content is _UNMADE and self._batch is not None:
            self._content = self._batch.content_at(self._row)
        return self._content

    @content.setter
    def content(self, content: Content | None) -> None:
        self._content = content

    @property
    def d_artifacts(self) -> list[DeclarativeArtifact]:
        if self._d_artifacts is _UNMADE and self._batch is not None:
            self._d_artifacts = self._batch.d_artifacts_at(self._row)
        return self._d_artifacts

    @d_artifacts.setter
    def d_artifacts(self, d_artifacts: list[DeclarativeArtifact]) -> None:
        self._d_artifacts = d_artifacts

    @property
    def is_touched(self) -> bool:
        """Whether anybody holds the unit or its artifacts, so that the columns can't be trusted any more."""
        return self._content is not _UNMADE or self._d_artifacts is not _UNMADE

    @property
    def is_resolved(self) -> bool:
        return self._resolved

    @property
    def is_awaited(self) -> bool:
        return bool(self._waiters)

    @property
    def does_batch(self) -> bool:
        """False asks ``batches()`` not to hold the item back. A subclass may turn False into True, never the reverse."""
        return self._resolved or not self._waiters

    async def resolution(self) -> Content | None:
        """The saved unit; None if a stage dropped it.

        Waits for ResolveContentFutures, and thaws the batch that the item is waiting in meanwhile.
        raises  the error that the item failed with (on_failure="deliver"), Dropped, or NeverResolved
        """
        if not self._resolved:
            waiter: asyncio.Future[Content | None] = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            if self._watch is not None:
                self._watch.note_waiter(self)
            if self._thaw_queue_event is not None:
                self._thaw_queue_event.set()
            try:
                content = await waiter
            finally:
                # One waiter's cancellation is its own: the others keep their futures.
                if waiter in self._waiters:
                    self._waiters.remove(waiter)
            if self._error is None and content is not _UNMADE:
                return content  # as it was when the item was resolved, whatever a later stage made of it
        if self._error is not None:
            raise self._error
        return self.content

    async def files(self) -> Content | None:
        """The unit as soon as its files are here and verified: ``content.local_paths``. None if a stage dropped it.

        For who reads metadata: a first sync hands the files over while its database is still being made. The unit may not be
        saved yet then, and has no ``pk``; nor has it in a later ``resolution()`` of the same item.
        raises  as ``resolution()``
        """
        self.wants_files = True
        return await self.resolution()

    def resolve(self) -> None:
        """Wake every waiter with ``content`` as it is now. Resolving twice is harmless."""
        self._settle(None)

    def fail(self, error: BaseException) -> None:
        """Wake every waiter with ``error``; the item then counts as dropped."""
        self._content = None
        self._settle(error)

    def _settle(self, error: BaseException | None) -> None:
        if self._resolved:
            return
        self._resolved, self._error = True, error
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(self._content)  # not the property: a view that nobody reads stays unmade

    def __repr__(self) -> str:
        if self._content is _UNMADE and self._batch is not None:
            return f"<item {self._batch.describe(self._row)}>"
        return f"<item {self._content!r}>"
