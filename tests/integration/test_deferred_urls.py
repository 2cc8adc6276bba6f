"""What a DeclarativeArtifact says of where its file is holds for a fetch on demand too, not only for the sync."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from upstream import Upstream

from mpsync import Content, DeclarativeArtifact, DeclarativeContent, DeclarativeVersion, Progress, ResourceBudget
from mpsync.core import RemoteHandle, Storage
from mpsync.fetch.session import Fetcher
from mpsync.model.content import Artifact
from mpsync.model.remote import Remote
from mpsync.operations import FetchRequest, FetchResult, fetch
from mpsync.settings import Settings
from mpsync.stages.core_stage import CoreStage, SyncContext
from mpsync.store import queries, repositories
from mpsync.store.versions import NewVersion

BODY = b"the bytes"


@pytest.fixture
async def storage(conninfo: str, tmp_path: Path) -> AsyncIterator[Storage]:
    async with Storage.open(Settings(tmp_path, retries=0), conninfo) as storage:
        yield storage


class Declares(CoreStage):
    """One unit with one deferred file, that is at any of ``urls``."""

    def __init__(self, name: str, urls: list[str]) -> None:
        super().__init__()
        self.name, self.urls = name, urls

    async def run(self) -> None:
        body = BODY + self.name.encode()
        artifact = Artifact(size=len(body), sha256=hashlib.sha256(body).hexdigest())
        where = DeclarativeArtifact(
            artifact,
            urls=self.urls,
            relative_path=f"{self.name}.bin",
            remote=self.context.remote,
            deferred_download=True,
        )
        await self.put(DeclarativeContent(Content(self.name.encode(), kind="test.unit", name=self.name), [where]))


async def deferred(storage: Storage, upstream: Upstream, name: str, urls: list[str]) -> None:
    """A repository of one unit whose file is at any of ``urls``, synced on demand."""
    remote = Remote(upstream.url)
    async with storage.database.connection() as conn:
        repository = await repositories.save(conn, name, "test", remote.url, {})
    assert repository.remote_id is not None
    begun = NewVersion.begin(storage.database, repository.id, name, repository.remote_id, exact=True, wait=False)
    async with begun as version, Fetcher(storage.settings, remote, temp_dir=storage.blobs.temp_dir) as fetcher:
        context = SyncContext(
            settings=storage.settings,
            database=storage.database,
            blobs=storage.blobs,
            fetcher=fetcher,
            version=version,
            remote_id=repository.remote_id,
            remote=RemoteHandle(fetcher, remote),
            progress=Progress(),
            budget=ResourceBudget(),
        )
        first = Declares(name, urls)
        first.context = context
        await DeclarativeVersion(first, context).create()


async def fetched(storage: Storage, upstream: Upstream, name: str) -> FetchResult:
    remote = Remote(upstream.url)
    async with storage.database.connection() as conn:
        repository = await repositories.find(conn, name)
        assert repository is not None
        selection = await queries.select(conn, repository, kind=None, glob="*")
    async with Fetcher(storage.settings, remote, temp_dir=storage.blobs.temp_dir) as fetcher:
        return await fetch(FetchRequest(repository, selection, remote), storage, fetcher, Progress())


async def test_a_file_is_asked_for_at_each_of_its_urls_in_order(storage: Storage, upstream: Upstream) -> None:
    upstream.serve("second/a", BODY + b"order")
    upstream.serve("third/a", BODY + b"order")
    await deferred(storage, upstream, "order", ["first/a", "second/a", "third/a"])
    assert upstream.count() == 0

    result = await fetched(storage, upstream, "order")

    assert (result.before.deferred, result.after.deferred, result.after.held) == (1, 0, 1)
    assert [request.path for request in upstream.requests] == ["first/a", "second/a"]


async def test_an_absolute_url_leads_elsewhere_when_the_base_lacks_the_file(
    storage: Storage, upstream: Upstream
) -> None:
    with Upstream() as other:
        other.serve("b", BODY + b"else")
        await deferred(storage, upstream, "else", ["b", f"{other.url}/b"])

        result = await fetched(storage, upstream, "else")

        assert result.after.held == 1
        assert (upstream.count("b"), other.count("b")) == (1, 1)


async def test_wrong_bytes_at_one_url_are_left_for_the_next(storage: Storage, upstream: Upstream) -> None:
    upstream.serve("bad", b"x" * len(BODY + b"wrong"))
    upstream.serve("good", BODY + b"wrong")
    await deferred(storage, upstream, "wrong", ["bad", "good"])

    result = await fetched(storage, upstream, "wrong")

    assert result.after.held == 1
    assert upstream.count("good") == 1


async def test_a_repository_that_moved_is_asked_at_the_new_place_then_at_the_one_that_named_the_file(
    storage: Storage, upstream: Upstream
) -> None:
    upstream.serve("second", BODY + b"moved")
    await deferred(storage, upstream, "moved", ["first", "second"])
    with Upstream() as new:
        async with storage.database.connection() as conn:
            await repositories.save(conn, "moved", "test", new.url, {})

        result = await fetched(storage, new, "moved")

        assert result.after.held == 1
        assert [request.path for request in new.requests] == ["first", "second"]
        assert [request.path for request in upstream.requests] == ["first", "second"]
