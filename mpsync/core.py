"""The core's services, opened together and closed in reverse: database, artifact store, HTTP.

Also the handles that stages and plugins get of them: RemoteHandle for artifacts, ProbeUpstream for a plugin's probe.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
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
    async def open(cls, settings: Settings, conninfo: str) -> AsyncIterator[Storage]:
        """Connect, bring the schema up to date, and make the store's folders."""
        from mpsync.store.blobs import BlobStore
        from mpsync.store.db import Database
        from mpsync.store.migrate import migrate

        blobs = BlobStore(settings.blobs_dir)
        try:
            async with Database.open(conninfo) as database:
                async with database.connection() as conn:
                    await migrate(conn, "core", files("mpsync.store").joinpath("sql"))
                yield cls(settings, database, blobs)
        finally:
            await asyncio.to_thread(blobs.close)


class RemoteHandle:
    """What DeclarativeArtifacts download with: the run's fetcher, and the base URL that relative URLs start from."""

    def __init__(self, fetcher: Fetcher, remote: Remote) -> None:
        self._fetcher, self.remote = fetcher, remote

    def absolute(self, urls: Sequence[str]) -> list[str]:
        """URLs as they are, paths below the remote's base URL."""
        return [url if "://" in url else self.remote.join(url) for url in urls]

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        return await self._fetcher.fetch(self.absolute(urls), artifact.expected)


class ProbeUpstream:
    """A plugin's view of the upstream while it probes."""

    def __init__(self, fetcher: Fetcher, remote: Remote) -> None:
        self._fetcher, self._remote = fetcher, remote
        self.url = remote.url

    async def top_file(self, path: str) -> Fetched | None:
        from mpsync.fetch.errors import NotFound

        try:
            return await self._fetcher.fetch(
                [self._remote.join(path)], Expected(limit_bytes=TOP_FILE_BYTES), fresh=True
            )
        except NotFound:
            return None
