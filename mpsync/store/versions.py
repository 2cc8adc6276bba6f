"""A new version of a repository, from the first unit seen to the one transaction that makes it visible.

Flow    NewVersion.begin() takes the lease -> add() and carry() note what upstream lists -> commit()
Where   a connection of its own: the lease and the temporary tables live and die with it
"""

from __future__ import annotations

import asyncio
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Self

import orjson

from mpsync.errors import StoreError, UpstreamError
from mpsync.pipeline.progress import Progress
from mpsync.store import artifacts
from mpsync.store.copy_text import copy_text
from mpsync.store.db import Connection, Database
from mpsync.store.draft import Draft
from mpsync.store.statements import statements

LEASE_GRACE_S = 1.0

Results = list[dict[str, Any]]
"""What the parse steps of one file said: plain JSON values."""

Counts = dict[str, dict[str, int]]
"""{kind: {total, added, removed}}."""


class RepositoryBusy(StoreError):
    """Another sync of this repository is running."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"another command syncs or deletes {self.name}"

    hint = "try again when it has ended, or give --wait to wait for it"


class LeaseLost(StoreError):
    """This sync was held up so long that another one took over; it may not commit."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name

    def __str__(self) -> str:
        return f"{self.name}: another sync took over while this one was stalled; nothing was changed by this one"


class AmbiguousUnit(UpstreamError):
    """One name, version and architecture, and files with different bytes, in one version."""

    hint = "upstream has to remove one of them; sync the components, suites or folders that hold them apart, under a --name each"

    def __init__(self, kind: str, name: str, version: str, arch: str, sha256: list[str], paths: list[str]) -> None:
        super().__init__(kind, name, version, arch, sha256, paths)
        self.kind, self.name, self.version, self.arch, self.sha256, self.paths = (
            kind,
            name,
            version,
            arch,
            sha256,
            paths,
        )
        self.expected, self.got = "one sha256", ", ".join(sha256)

    def __str__(self) -> str:
        unit = " ".join(part for part in (self.kind, self.name, self.version, self.arch) if part)
        return f"{unit} is listed with different files: {', '.join(self.paths)} (sha256 {', '.join(self.sha256)})"


@dataclass(frozen=True, slots=True)
class Committed:
    """number is None when nothing changed and no version was made."""

    number: int | None
    counts: Counts


async def take_lease(conn: Connection, repository_id: int, name: str, *, wait: bool) -> None:
    """Nobody else syncs or deletes the repository until ``conn`` releases it, or ends.

    raises  RepositoryBusy after LEASE_GRACE_S, unless ``wait``
    """
    sql, key = statements("mpsync.store", "sql/versions.sql"), {"repository_id": repository_id}
    if wait:
        await conn.execute(sql["lease_waiting"], key)
        return
    deadline = monotonic() + LEASE_GRACE_S
    while not await _one(conn, sql["lease"], key):
        if monotonic() > deadline:
            raise RepositoryBusy(name)
        await asyncio.sleep(0.05)  # a killed command's session ends only with the statement that it was in


class NewVersion:
    """The version that a sync is making. Nobody sees anything of it before commit()."""

    def __init__(self, conn: Connection, repository_id: int, name: str, remote_id: int, exact: bool) -> None:
        self._conn, self._id, self._name, self._remote_id = conn, repository_id, name, remote_id
        self._exact = exact
        self._sql = statements("mpsync.store", "sql/versions.sql")
        self._listings: dict[str, int] = {}
        self._memory: dict[int, tuple[str, bytes, Results]] = {}
        self._carried: set[int] = set()
        self._epoch = 0
        self._removes = False
        self.latest = 0

    @classmethod
    @asynccontextmanager
    async def begin(
        cls, database: Database, repository_id: int, name: str, remote_id: int, *, exact: bool, wait: bool
    ) -> AsyncIterator[Self]:
        """Take the lease and hold it until the block ends.

        exact   the new version will equal upstream (mirror): then listings are remembered for other repositories too
        wait    wait for another sync of this repository; else raise RepositoryBusy
        """
        async with database.connection() as conn:
            version = cls(conn, repository_id, name, remote_id, exact)
            key = {"repository_id": repository_id}
            await take_lease(conn, repository_id, name, wait=wait)
            try:
                await artifacts.share(conn)  # what was looked up and found may not be deleted meanwhile
                row = await (await conn.execute(version._sql["take_epoch"], key)).fetchone()
                if row is None:
                    raise StoreError(f"repository {name} was deleted meanwhile")
                version._epoch, version.latest = row
                await conn.execute(version._sql["plan_for_sets"])
                await conn.execute(version._sql["create_seen"])
                yield version
            finally:
                await version._let_go()

    async def _let_go(self) -> None:
        if self._conn.closed:
            return
        if self._conn.info.transaction_status != 0:
            await self._conn.close()  # cancelled in mid-statement: the session's end frees the lease
            return
        await self._conn.execute(self._sql["drop_seen"])
        await self._conn.execute(self._sql["plan_as_usual"])
        await artifacts.unshare(self._conn)
        await self._conn.execute(self._sql["release"], {"repository_id": self._id})

    async def add(self, ids: Sequence[int], listings: Sequence[str]) -> None:
        """Units that upstream lists; the same may come several times."""
        for name in set(listings).difference(self._listings):
            self._listings[name] = await self._listing(name)
        columns = (ids, [self._listings[name] for name in listings])
        names = ("content_id", "listing_id")
        async with (
            self._conn.cursor() as cursor,
            cursor.copy("COPY pg_temp.seen (content_id, listing_id) FROM STDIN") as copy,
        ):
            await copy.write(copy_text(names, columns))

    async def recall(self, listing: str, parser: str, sha256: str) -> tuple[int, Results] | None:
        """Take the rows of an index file that was parsed before, here or for another repository.

        returns  how many rows, and what the parse steps said then; None when the file has to be parsed
        """
        values: dict[str, Any] = {
            "repository_id": self._id,
            "name": listing,
            "parser": self._parser(parser),
            "sha256": bytes.fromhex(sha256),
            "remote_id": self._remote_id,
        }
        listing_id = values["listing_id"] = self._listings[listing] = await self._listing(listing)
        found = await (await self._conn.execute(self._sql["carry_own"], values)).fetchone()
        if found is not None:
            self._carried.add(listing_id)
            return found[0], found[1] or []
        if not self._exact:
            return None
        found = await (await self._conn.execute(self._sql["carry_from_other"], values)).fetchone()
        if found is None or not found[0]:
            return None
        self._memory[listing_id] = (values["parser"], values["sha256"], found[1] or [])
        return found[0], found[1] or []

    async def known_keys(self, listing: str, into: Path) -> array[int]:
        """Write the keys of the units that ``listing`` holds, 32 bytes each; returns their ids, in the same order.

        They stay in the database while this lease is held, and so does what the remote says of their files.
        """
        values = {"repository_id": self._id, "name": listing}
        found = await (await self._conn.execute(self._sql["known_keys"], values, binary=True)).fetchall()
        if found:
            await asyncio.to_thread(into.write_bytes, b"".join([key for _, key in found]))
        return array("q", [content_id for content_id, _ in found])

    async def remember(self, listing: str, parser: str, sha256: str, results: Results) -> None:
        """Once committed, the rows of ``listing`` are those of the file with this digest; ``results`` goes with them."""
        listing_id = self._listings.get(listing) or await self._listing(listing)
        self._memory[listing_id] = (self._parser(parser), bytes.fromhex(sha256), results)

    def _parser(self, parser: str) -> str:
        # An additive repository keeps old rows in its listings: nobody else may take them for the file's.
        return parser if self._exact else f"{parser} additive"

    async def _listing(self, name: str) -> int:
        return int(await _one(self._conn, self._sql["listing"], {"repository_id": self._id, "name": name}))

    async def latest_counts(self) -> Counts:
        """Totals of the newest version by kind, with nothing added or removed; empty when there is none."""
        values = {"repository_id": self._id, "number": self.latest}
        return _unchanged(await _one(self._conn, self._sql["previous_counts"], values) or {})

    async def remove_unseen(self) -> None:
        """Whatever upstream no longer lists leaves the new version. Call it when everything was seen."""
        await self._conn.execute(self._sql["analyze_seen"])
        await self._conn.execute(self._sql["find_gone"], {"repository_id": self._id})
        self._removes = True

    def draft(self, progress: Progress) -> AbstractAsyncContextManager[Draft]:
        """All of the version, for a plugin's last word on it."""
        return Draft.open(
            self, self._conn, progress, repository_id=self._id, remote_id=self._remote_id, is_exact=self._exact
        )

    async def withdraw(self, members: Sequence[tuple[int, int]]) -> None:
        """(content id, listing id) of what is not to be in the new version, though upstream lists it, or it was there."""
        if not members:
            return
        content_ids, listing_ids = map(list, zip(*members, strict=True))
        values = {"repository_id": self._id, "content_ids": content_ids, "listing_ids": listing_ids}
        sql = statements("mpsync.store", "sql/draft.sql")
        await self._conn.execute(sql["withdraw_seen"], values)
        await self._conn.execute(sql["withdraw_members"], values)
        self._removes = True
        for listing_id in listing_ids:
            self._memory.pop(listing_id, None)
            self._carried.discard(listing_id)

    async def commit(self, state: dict[str, Any], unique_kinds: Sequence[str]) -> Committed:
        """Make the version visible, whole, in one transaction; none is made when nothing changed.

        state         what the plugin's next probe compares with; saved in the same transaction
        unique_kinds  kinds of which a version holds one file per name, version and architecture
        raises        LeaseLost, AmbiguousUnit; nothing has changed then
        """
        if not self._removes:
            await self._conn.execute(self._sql["analyze_seen"])
        async with self._conn.transaction():
            key: dict[str, Any] = {"repository_id": self._id}
            row = await (await self._conn.execute(self._sql["guard"], key)).fetchone()
            if row is None or row[1] != self._epoch:
                raise LeaseLost(self._name)
            number = key["number"] = row[0] + 1
            added = (await self._conn.execute(self._sql["add_members"], key)).rowcount
            removed = (await self._conn.execute(self._sql["remove_members"], key)).rowcount if self._removes else 0
            await self._save_memory()
            await self._conn.execute(self._sql["save_state"], key | {"state": orjson.dumps(state).decode()})
            previous = await _one(self._conn, self._sql["previous_counts"], key | {"number": row[0]}) or {}
            if not added and not removed:
                return Committed(None, _unchanged(previous))
            if added:
                await self._check_unique(key | {"kinds": list(unique_kinds)})
            counts = await self._count(previous, key)
            await self._conn.execute(self._sql["publish"], key | {"counts": orjson.dumps(counts).decode()})
        return Committed(number, counts)

    async def _save_memory(self) -> None:
        keep = [*self._memory, *self._carried]
        await self._conn.execute(self._sql["forget_others"], {"repository_id": self._id, "keep": keep})
        for listing_id, (parser, sha256, results) in self._memory.items():
            said = orjson.dumps(results).decode()
            values = {"listing_id": listing_id, "parser": parser, "sha256": sha256, "results": said}
            await self._conn.execute(self._sql["remember"], values)

    async def _check_unique(self, values: dict[str, Any]) -> None:
        if not values["kinds"] or not await _one(self._conn, self._sql["has_twins"], values):
            return
        twins = await (await self._conn.execute(self._sql["twins"], values)).fetchall()
        ids = [content_id for *_, twin_ids in twins for content_id in twin_ids]
        cursor = await self._conn.execute(self._sql["first_files"], {"ids": ids})
        files: dict[int, set[tuple[str, str]]] = {}
        for content_id, sha256, path in await cursor.fetchall():
            files.setdefault(content_id, set()).add((sha256, path))
        for kind, name, version, arch, twin_ids in twins:
            found = set().union(*(files.get(content_id, ()) for content_id in twin_ids))
            if len({sha256 for sha256, _ in found}) > 1:
                digests, paths = sorted({sha256 for sha256, _ in found}), sorted({path for _, path in found})
                raise AmbiguousUnit(kind, name, version, arch, digests, paths)

    async def _count(self, previous: Counts, key: dict[str, Any]) -> Counts:
        is_first = key["number"] == 1
        cursor = await self._conn.execute(self._sql["first_counts" if is_first else "counts"], key)
        counts = _unchanged(previous)
        for kind, added, removed in await cursor.fetchall():
            total = counts.get(kind, {}).get("total", 0) + added - removed
            counts[kind] = {"total": total, "added": added, "removed": removed}
        return {kind: counts[kind] for kind in sorted(counts)}


def _unchanged(counts: Counts) -> Counts:
    return {kind: {**count, "added": 0, "removed": 0} for kind, count in counts.items()}


async def _one(conn: Connection, statement: Any, values: dict[str, Any]) -> Any:
    """The first column of the first row; None when there is no row."""
    row = await (await conn.execute(statement, values)).fetchone()
    return None if row is None else row[0]
