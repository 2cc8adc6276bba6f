"""A new version before its commit: a plugin looks at all of it at once, takes units back, and adds some.

Flow    all units seen -> Draft: plugin's SQL over ``pg_temp.draft`` -> withdraw(), add() -> NewVersion.commit()
Why     what only the whole of a version shows (two builds of one NEVRA, the newest N, an advisory in two wordings) is
        a join in SQL, not a future per package
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from mpsync.model.content import Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.progress import Progress
from mpsync.store import contents, records
from mpsync.store.db import Connection
from mpsync.store.statements import statements

if TYPE_CHECKING:
    from mpsync.store.versions import NewVersion

Member = tuple[int, int]
"""(content id, listing id)."""


class Draft:
    """Of one NewVersion. ``pg_temp.draft`` has content_id, listing_id, is_new; ``pg_temp.drafting`` one row with
    repository_id, remote_id, is_exact (mirror)."""

    def __init__(self, version: NewVersion, conn: Connection, progress: Progress) -> None:
        self._version, self._conn, self._progress = version, conn, progress

    @classmethod
    @asynccontextmanager
    async def open(
        cls, version: NewVersion, conn: Connection, progress: Progress, **described: Any
    ) -> AsyncIterator[Draft]:
        """described: the columns of ``pg_temp.drafting``."""
        sql = statements("mpsync.store", "sql/draft.sql")
        await conn.execute(sql["open"])
        try:
            await conn.execute(sql["describe"], described)
            yield cls(version, conn, progress)
        finally:
            if not conn.closed and conn.info.transaction_status == 0:
                await conn.execute(sql["close"])

    @property
    def has_skipped(self) -> bool:
        """Whether anything that upstream lists was left out on its way here."""
        return bool(self._progress.skipped)

    async def rows(self, sql: tuple[str, str, str], values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Rows of a statement of the plugin's own; ``sql`` is its (package, path in it, name)."""
        package, path, name = sql
        cursor = await self._conn.execute(statements(package, path)[name], values)
        return await cursor.fetchall()

    async def raw(self, content_ids: Sequence[int]) -> dict[int, bytes]:
        """{content id: raw record}."""
        return await records.read(self._conn, content_ids) if content_ids else {}

    async def withdraw(self, members: Sequence[Member]) -> None:
        """These will not be in the version. Their listings no longer count as the rows of a file: it is read again."""
        await self._version.withdraw(members)

    async def add(self, content: Content, listing: str) -> None:
        """One more unit, without a file; saved if it is new."""
        batch = Batch.of([DeclarativeContent(content, listing=listing)])
        found = await contents.ids_by_key(self._conn, batch.keys)
        batch.set_id(0, found.get(content.key, 0))
        if not batch.ids[0]:
            await contents.save(self._conn, batch, before=_nothing, after=_nothing)
        await self._version.add(batch.ids, batch.listings)

    def skip(self, what: str, why: str) -> None:
        """Report that something was left out."""
        self._progress.skip(what, why)

    def note(self, name: str, text: str) -> None:
        self._progress.note(name, text)


async def _nothing(_conn: Connection, _batch: Batch) -> None:
    """No hook."""
