"""A repository's end: its rows, and the files that only it had.

Flow    lease -> (artifacts lock) -> one transaction that removes rows -> files, by page
Why     two locks: the repository's lease keeps its own sync away; the artifacts lock keeps away every sync and fetch that
        may have looked an artifact up a moment ago and counts on it
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from mpsync.errors import StoreError
from mpsync.store.db import Connection, Database
from mpsync.store.repositories import Repository
from mpsync.store.statements import statements
from mpsync.store.versions import take_lease

_SQL = "sql/deletion.sql"
PAGE_ROWS = 5000


class ArtifactsBusy(StoreError):
    """Artifacts can't be removed while a sync or fetch may count on them."""

    def __str__(self) -> str:
        return "a sync or fetch is running, and may count on files that would be removed; nothing was deleted"

    hint = "run it again later, or without --artifacts: the files then stay until a clean-up"


@dataclass(frozen=True, slots=True)
class Deleted:
    """had: files of the repository's units that were stored; removed: those of them that are gone now, with their bytes."""

    had: int
    had_bytes: int
    removed: int = 0
    removed_bytes: int = 0


class Deletion:
    """A deletion that holds the locks it needs. ``run()`` removes rows; ``files()`` then says which files go."""

    def __init__(self, conn: Connection, repository: Repository, with_artifacts: bool) -> None:
        self._conn, self._repository, self._with_artifacts = conn, repository, with_artifacts

    @classmethod
    @asynccontextmanager
    async def begin(
        cls, database: Database, repository: Repository, *, with_artifacts: bool, wait: bool
    ) -> AsyncIterator[Deletion]:
        """Take the locks. Raises RepositoryBusy unless ``wait``, and ArtifactsBusy."""
        async with database.connection() as conn:
            await take_lease(conn, repository.id, repository.name, wait=wait)
            try:
                if with_artifacts and not await _one(conn, statements("mpsync.store", _SQL)["own_artifacts"], {}):
                    raise ArtifactsBusy
                yield cls(conn, repository, with_artifacts)
            finally:
                await conn.close()  # all locks and the temporary table end with the session

    async def run(self) -> Deleted:
        """One transaction: either all rows of the repository are gone, or none."""
        sql, key = statements("mpsync.store", _SQL), {"repository_id": self._repository.id}
        async with self._conn.transaction():
            had, had_bytes = await _row(self._conn, sql["own_files"], key)
            removed = removed_bytes = 0
            if self._with_artifacts:
                await self._conn.execute(sql["create_doomed"])
                await self._conn.execute(sql["find_doomed"], key)
                removed, removed_bytes = await _row(self._conn, sql["doomed_size"], {})
                await self._conn.execute(sql["remove_doomed_links"])
                await self._conn.execute(sql["remove_doomed"])
            await self._conn.execute(sql["delete_members"], key)
            await self._conn.execute(sql["delete_repository"], key)
        return Deleted(had, had_bytes, removed, removed_bytes)

    async def files(self) -> AsyncIterator[list[str]]:
        """Pages of the sha256 of files that have no row any more."""
        after = b""
        while self._with_artifacts:
            cursor = await self._conn.execute(
                statements("mpsync.store", _SQL)["doomed_page"], {"after": after, "rows": PAGE_ROWS}
            )
            page = [sha256 for (sha256,) in await cursor.fetchall()]
            if not page:
                return
            yield [sha256.hex() for sha256 in page]
            after = page[-1]


async def _row(conn: Connection, statement: Any, values: dict[str, Any]) -> tuple[Any, ...]:
    row = await (await conn.execute(statement, values)).fetchone()
    assert row is not None
    return row


async def _one(conn: Connection, statement: Any, values: dict[str, Any]) -> Any:
    return (await _row(conn, statement, values))[0]
