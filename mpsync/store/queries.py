"""Questions about what the store holds, each one set-based statement; long answers are streamed.

Flow    a repository and a Selection -> rows. A million units pass through a server-side cursor, some thousand at a time
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mpsync.errors import ConfigError
from mpsync.store.db import Connection
from mpsync.store.repositories import Repository
from mpsync.store.statements import statements

_SQL = "sql/queries.sql"
STREAM_ROWS = 2000

Counts = dict[str, dict[str, int]]
"""{kind: {total, added, removed}}, kinds in order."""


@dataclass(frozen=True, slots=True)
class Overview:
    """One line of ``mpsync list``; latest 0 and None: there is no version yet."""

    name: str
    plugin: str
    url: str | None
    latest: int
    synced_at: datetime | None
    counts: Counts


@dataclass(frozen=True, slots=True)
class Version:
    number: int
    created_at: datetime
    counts: Counts


@dataclass(frozen=True, slots=True)
class Selection:
    """Units of one version.

    number   of the version
    kinds    full names, such as deb.package
    pattern  for LIKE, on names
    """

    number: int
    kinds: tuple[str, ...]
    pattern: str = "%"

    @property
    def values(self) -> dict[str, Any]:
        return {"number": self.number, "kinds": list(self.kinds), "pattern": self.pattern}


@dataclass(frozen=True, slots=True)
class Unit:
    """files: how many the unit has; held: how many of them we have. refers, referred_by: units of the version that it speaks
    of, and that speak of it, as ``kind name version arch``."""

    kind: str
    name: str
    version: str
    arch: str
    listings: tuple[str, ...]
    files: int
    held: int
    refers: tuple[str, ...] = ()
    referred_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    came: bool
    kind: str
    name: str
    version: str
    arch: str


@dataclass(frozen=True, slots=True)
class Files:
    """Files of some units: those we hold, and those that were deferred. Bytes as far as metadata promised them."""

    held: int
    held_bytes: int
    deferred: int
    deferred_bytes: int


async def overview(conn: Connection) -> list[Overview]:
    cursor = await conn.execute(statements("mpsync.store", _SQL)["overview"])
    return [
        Overview(name, plugin, url, latest, synced_at, ordered(counts or {}))
        for name, plugin, url, latest, synced_at, counts in await cursor.fetchall()
    ]


async def versions(conn: Connection, repository: Repository) -> list[Version]:
    """From the first to the newest."""
    cursor = await conn.execute(statements("mpsync.store", _SQL)["versions"], {"repository_id": repository.id})
    return [Version(number, at, ordered(counts)) for number, at, counts in await cursor.fetchall()]


async def select(
    conn: Connection, repository: Repository, *, number: int | None = None, kind: str | None = None, glob: str = "*"
) -> Selection:
    """Check what the user asks for.

    number  of a version; None: the newest
    kind    deb.package, or package for whatever.package; None: all
    raises  ConfigError when there is no such version or kind; the message says which there are
    """
    found = {version.number: version for version in await versions(conn, repository)}
    if not found:
        raise ConfigError(f"{repository.name} has no version yet; make one: mpsync sync {repository.name}")
    number = max(found) if number is None else number
    if number not in found:
        there = f"{min(found)} to {max(found)}" if len(found) > 1 else f"only {max(found)}"
        raise ConfigError(f"{repository.name} has no version {number}; there is {there}")
    kinds = {known for version in found.values() for known in version.counts}
    wanted = {known for known in kinds if kind is None or known == kind or known.endswith(f".{kind}")}
    if not wanted:
        raise ConfigError(f"{repository.name} has no units of kind {kind!r}; it has {', '.join(sorted(kinds))}")
    return Selection(number, tuple(sorted(wanted)), like(glob))


async def content(conn: Connection, repository: Repository, selection: Selection) -> AsyncGenerator[Unit, None]:
    """Units by kind, name, version and architecture. Close it (``aclosing``): it holds a cursor of ``conn``."""
    values = {"repository_id": repository.id, **selection.values}
    async with aclosing(_stream(conn, "content", values)) as rows:
        async for _, kind, name, version, arch, listings, files, held, refers, referred_by in rows:
            yield Unit(kind, name, version, arch, tuple(listings), files, held, tuple(refers), tuple(referred_by))


async def diff(conn: Connection, repository: Repository, old: int, new: int) -> AsyncGenerator[Change, None]:
    """What came and went from version ``old`` to ``new``, by kind and name; what went first. Close it, as ``content``."""
    values = {"repository_id": repository.id, "old": old, "new": new}
    async with aclosing(_stream(conn, "diff", values)) as rows:
        async for row in rows:
            yield Change(*row)


async def files(conn: Connection, repository: Repository, selection: Selection) -> Files:
    values = {"repository_id": repository.id, **selection.values}
    cursor = await conn.execute(statements("mpsync.store", _SQL)["files"], values)
    row = await cursor.fetchone()
    assert row is not None
    return Files(*row)


async def deferred_page(
    conn: Connection, repository: Repository, selection: Selection, after: int, rows: int
) -> Sequence[tuple[Any, ...]]:
    """The next ``rows`` units with an id above ``after`` that lack a file; see the statement for the columns."""
    values = {
        "repository_id": repository.id,
        "remote_id": repository.remote_id or 0,
        "after": after,
        "rows": rows,
        **selection.values,
    }
    cursor = await conn.execute(statements("mpsync.store", _SQL)["deferred_page"], values)
    return await cursor.fetchall()


def like(glob: str) -> str:
    """``lib*`` -> ``lib%``: a pattern for LIKE, in which ``*`` and ``?`` alone mean something. Raises ConfigError."""
    if "[" in glob:
        raise ConfigError(f"pattern {glob!r}: [...] is not supported; use * and ?")
    escaped = glob.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return escaped.replace("*", "%").replace("?", "_")


def ordered(counts: Counts) -> Counts:
    """As they are documented: kinds by name, total before added before removed. The database keeps an order of its own."""
    return {
        kind: {what: counts[kind].get(what, 0) for what in ("total", "added", "removed")} for kind in sorted(counts)
    }


async def _stream(conn: Connection, statement: str, values: dict[str, Any]) -> AsyncGenerator[tuple[Any, ...], None]:
    async with conn.transaction(), conn.cursor(f"mpsync_{statement}") as cursor:
        cursor.itersize = STREAM_ROWS
        await cursor.execute(statements("mpsync.store", _SQL)[statement], values)
        async for row in cursor:
            yield row
