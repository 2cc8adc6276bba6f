"""The core's services, opened together and closed in reverse: database, artifact store, HTTP.

Also the handles that stages and plugins get of them: RemoteHandle for artifacts, ProbeUpstream for a plugin's probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import TYPE_CHECKING

from mpsync.model.content import Artifact
from mpsync.model.digests import Expected, Fetched
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.fetch.session import Fetcher
    from mpsync.model.remote import Remote
    from mpsync.store.blobs import BlobStore
    from mpsync.store.db import Database

TOP_FILE_BYTES = 64 << 20
"""No InRelease, Release.gpg or repomd.xml is larger; Debian's InRelease is 150 KB."""


@dataclass(slots=True)
class Storage:
    """The database and the artifact store."""

    settings: Settings
    database: Database
    blobs: BlobStore

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings, conninfo: str, blobs: BlobStore | None = None) -> AsyncIterator[Storage]:
        """Connect, bring the schema up to date, and make the store's folders, unless they are given."""
        from mpsync.store.db import Database
        from mpsync.store.migrate import migrate

        async with Database.open(conninfo) as database:
            async with database.connection() as conn:
                await migrate(conn, "core", files("mpsync.store").joinpath("sql"))
            if blobs is not None:
                yield cls(settings, database, blobs)
                return
            async with opened_blobs(settings) as own:  # behind the database: a wrong address leaves no folders
                yield cls(settings, database, own)


@asynccontextmanager
async def opened_blobs(settings: Settings) -> AsyncIterator[BlobStore]:
    """The artifact store, made if need be."""
    from mpsync.store.blobs import BlobStore

    blobs = BlobStore(settings.blobs_dir)
    try:
        yield blobs
    finally:
        await asyncio.to_thread(blobs.close)


class RemoteHandle:
    """What DeclarativeArtifacts download with: the run's fetcher, and the base URL that relative URLs start from."""

    def __init__(self, fetcher: Fetcher, remote: Remote) -> None:
        self._fetcher, self.remote = fetcher, remote

    def absolute(self, urls: Sequence[str]) -> Sequence[str]:
        """URLs as they are, paths below the remote's base URL and its mirrors; walk it no further than need be."""
        return self._fetcher.bases.urls(urls)

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        return await self._fetcher.fetch(self.absolute(urls), artifact.expected)


class ProbeUpstream:
    """A plugin's view of the upstream while it probes."""

    def __init__(self, fetcher: Fetcher, remote: Remote) -> None:
        from mpsync.fetch.reach import shown

        self._fetcher, self._remote = fetcher, remote
        self.url = shown(remote.url)

    def is_own(self, url: str) -> bool:
        from mpsync.model.remote import Remote

        return Remote(url).url == self._remote.url

    async def top_file(self, path: str) -> Fetched | None:
        from mpsync.fetch.errors import NotFound

        promises = self._fetcher.bases.promises.get(path)
        if promises:  # read again, since its signature is of another generation
            return await self.first_file(path, promises)
        try:
            return await self._fetcher.fetch(
                self._fetcher.bases.urls([path], proven=False),
                Expected(limit_bytes=TOP_FILE_BYTES),
                fresh=True,
                believed_missing=1,  # which of the optional files there are, one mirror knows for all
            )
        except NotFound:
            return None

    async def first_file(self, path: str, promises: Sequence[Expected] = ()) -> Fetched | None:
        from mpsync.errors import MetadataError
        from mpsync.fetch.errors import NotFound

        bases = self._fetcher.bases
        bases.promises[path] = promises
        wants = [replace(promise, limit_bytes=TOP_FILE_BYTES) for promise in promises] or [
            Expected(limit_bytes=TOP_FILE_BYTES)
        ]
        for want in wants:
            if want.size_bytes is not None and want.size_bytes > TOP_FILE_BYTES:
                raise MetadataError(
                    path, "too large for a top file", f"at most {TOP_FILE_BYTES} B", f"{want.size_bytes} B"
                )
        urls = bases.urls([path], proven=bool(promises))
        try:
            fetched = await self._fetcher.fetch(urls, wants[0], others=wants[1:], fresh=True)
        except NotFound:
            return None
        bases.lead_with(path, fetched.url)
        return fetched

    async def named_file(self, url: str) -> Fetched:
        from mpsync.model.remote import Remote

        clean = Remote(url).url
        self._fetcher.name_url(clean)
        return await self._fetcher.fetch([clean], Expected(limit_bytes=TOP_FILE_BYTES), fresh=True)

    def use_mirrors(self, urls: Sequence[str], *, listed_by: str) -> list[str]:
        return self._fetcher.use_mirrors(urls, listed_by=listed_by, has_base=not self.is_own(listed_by))
