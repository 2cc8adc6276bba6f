"""DeclarativeVersion and ContentSaver's hooks, on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from mpsync import (
    Content,
    ContentSaver,
    DeclarativeContent,
    DeclarativeVersion,
    Progress,
    Recipe,
    ResourceBudget,
    Stage,
)
from mpsync.core import RemoteHandle, Storage
from mpsync.fetch.session import Fetcher
from mpsync.model.remote import Remote
from mpsync.settings import Settings
from mpsync.stages.core_stage import SyncContext
from mpsync.store import repositories
from mpsync.store.versions import NewVersion


@pytest.fixture
async def storage(conninfo: str, tmp_path: Path) -> AsyncIterator[Storage]:
    async with Storage.open(Settings(tmp_path), conninfo) as storage:
        yield storage


class Declares(Stage):
    """A first stage: units by name."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self.names = names

    async def run(self) -> None:
        for name in self.names:
            await self.put(DeclarativeContent(Content(name.encode(), kind="test.unit", name=name)))


@asynccontextmanager
async def context(storage: Storage, name: str, *, mirror: bool = True) -> AsyncIterator[SyncContext]:
    remote = Remote(f"file://{storage.settings.data_dir}")
    async with storage.database.connection() as conn:
        repository = await repositories.save(conn, name, "test", remote.url, {})
    assert repository.remote_id is not None
    begun = NewVersion.begin(storage.database, repository.id, name, repository.remote_id, exact=mirror, wait=False)
    async with begun as version, Fetcher(storage.settings, remote, temp_dir=storage.blobs.temp_dir) as fetcher:
        yield SyncContext(
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


async def create(storage: Storage, name: str, units: Sequence[str], *, mirror: bool = True) -> Any:
    async with context(storage, name, mirror=mirror) as found:
        return await DeclarativeVersion(Declares(units), found, mirror=mirror).create()


async def test_create_gives_the_new_version_and_none_when_nothing_changed(storage: Storage) -> None:
    first = await create(storage, "changes", ["a", "b"])
    unchanged = await create(storage, "changes", ["a", "b"])
    second = await create(storage, "changes", ["b", "c"])

    assert (first.number, second.number) == (1, 2)
    assert unchanged is None
    assert second.counts["test.unit"] == {"total": 2, "added": 1, "removed": 1}


async def test_without_mirror_what_is_not_declared_any_more_stays(storage: Storage) -> None:
    await create(storage, "additive", ["a", "b"], mirror=False)

    second = await create(storage, "additive", ["c"], mirror=False)

    assert second.counts["test.unit"] == {"total": 3, "added": 1, "removed": 0}


async def test_alternate_content_sources_are_refused_in_plain_words(storage: Storage) -> None:
    async with context(storage, "acs") as found:
        with pytest.raises(ValueError, match="alternate content sources"):
            DeclarativeVersion(Declares([]), found, acs=True)


class Hooked(ContentSaver):
    """Notes what its hooks see, through the connection of the batch's transaction; may fail in the last one."""

    def __init__(self, *, fails: bool = False) -> None:
        super().__init__()
        self.fails, self.seen = fails, []  # type: ignore[var-annotated]

    async def _note(self, conn: Any, batch: Any) -> None:
        statement = "SELECT count(*) FROM core.content WHERE key = ANY(%s)"
        row = await (await conn.execute(statement, [list(batch.keys)])).fetchone()
        self.seen.append((row[0], all(batch.ids), conn.info.transaction_status.name))

    async def _pre_save(self, conn: Any, batch: Any) -> None:
        await self._note(conn, batch)

    async def _post_save(self, conn: Any, batch: Any) -> None:
        await self._note(conn, batch)
        if self.fails:
            raise ZeroDivisionError


class WithHooks(DeclarativeVersion):
    saver: Hooked

    def pipeline_stages(self, new_version: NewVersion) -> Recipe:
        return super().pipeline_stages(new_version).replace(ContentSaver, self.saver)


async def hooked(storage: Storage, saver: Hooked, name: str) -> Any:
    async with context(storage, name) as found:
        version = WithHooks(Declares([f"{name} {number}" for number in range(3)]), found)
        version.saver = saver
        async with asyncio.timeout(20):
            return await version.create()


async def test_the_hooks_of_content_saver_run_inside_the_transaction_around_the_writing(storage: Storage) -> None:
    saver = Hooked()

    made = await hooked(storage, saver, "hooks")

    assert made.number == 1
    befores, afters = saver.seen[::2], saver.seen[1::2]
    assert {(count, status) for count, _, status in befores} == {(0, "INTRANS")}
    assert sum(count for count, *_ in afters) == 3
    assert {(has_ids, status) for _, has_ids, status in afters} == {(True, "INTRANS")}


async def test_a_hook_that_fails_takes_its_batch_back_and_makes_no_version(storage: Storage) -> None:
    with pytest.raises(ZeroDivisionError):
        await hooked(storage, Hooked(fails=True), "failing")

    async with storage.database.connection() as conn:
        found = await repositories.find(conn, "failing")
        rows = await (await conn.execute("SELECT count(*) FROM core.content WHERE name LIKE 'failing%'")).fetchone()
    assert found is not None
    assert found.latest == 0
    assert rows == (0,)
