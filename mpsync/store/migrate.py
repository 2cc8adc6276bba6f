"""Forward-only migrations: ``NNNN_name.sql`` files, applied in order, each exactly once, never changed afterwards.

Flow    folder of one namespace (the core's, or a plugin's) -> migrate() -> schema, and a row each in schema_migration
Runs    at the start of every command; one query when there is nothing to do
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources.abc import Traversable
from typing import LiteralString

from mpsync.store.db import Connection, translated
from mpsync.store.errors import MigrationError
from mpsync.store.statements import statements

_FILE = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, name, text, and the digest of its bytes."""

    number: int
    name: str
    sql: LiteralString
    sha256: bytes


def read_migrations(namespace: str, folder: Traversable) -> list[Migration]:
    """The migrations in ``folder``, by number; other files are left alone. Raises MigrationError for gaps."""
    found: list[Migration] = []
    for file in folder.iterdir():
        match = _FILE.fullmatch(file.name)
        if match:
            data = file.read_bytes()
            found.append(Migration(int(match[1]), match[2], data.decode(), sha256(data).digest()))
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        numbers = ", ".join(f"{migration.number:04}" for migration in found)
        raise MigrationError(namespace, f"migrations must be numbered 0001, 0002, ... without gaps; found {numbers}")
    return found


async def migrate(connection: Connection, namespace: str, folder: Traversable) -> int:
    """Bring the schema of ``namespace`` up to date; returns how many migrations were applied now.

    connection  autocommit and outside of a transaction; all missing migrations are applied in one
    raises      MigrationError for a database that is newer than this program, and for a migration that was changed
    """
    sql = statements("mpsync.store", "sql/migrate.sql")
    wanted = read_migrations(namespace, folder)
    with translated():
        if not _missing(namespace, wanted, await _applied(connection, namespace)):
            return 0
        async with connection.transaction():
            # The lock comes first and alone: two first commands at once would both create the table.
            await connection.execute(sql["lock"])
            await connection.execute(sql["create_table"])
            missing = _missing(namespace, wanted, await _applied(connection, namespace))
            for migration in missing:
                await connection.execute(migration.sql)
                row = {
                    "namespace": namespace,
                    "number": migration.number,
                    "name": migration.name,
                    "sha256": migration.sha256,
                }
                await connection.execute(sql["insert"], row)
        return len(missing)


async def _applied(connection: Connection, namespace: str) -> dict[int, tuple[str, bytes]]:
    """{number: (name, sha256)}; empty when the table is not there yet."""
    from psycopg.errors import UndefinedTable

    query = statements("mpsync.store", "sql/migrate.sql")["applied"]
    try:
        cursor = await connection.execute(query, {"namespace": namespace})
    except UndefinedTable:
        return {}
    return {number: (name, digest) async for number, name, digest in cursor}


def _missing(namespace: str, wanted: Sequence[Migration], applied: dict[int, tuple[str, bytes]]) -> list[Migration]:
    for number, (name, digest) in sorted(applied.items()):
        if number > len(wanted):
            raise MigrationError(
                namespace,
                f"the database is newer than this mpsync (it has migration {number:04}_{name}): upgrade mpsync",
            )
        if digest != wanted[number - 1].sha256:
            raise MigrationError(
                namespace,
                f"migration {number:04}_{name} was changed after it was applied: a change needs a new migration",
            )
    return [migration for migration in wanted if migration.number not in applied]


async def schema_dump(connection: Connection) -> str:
    """The schema as sorted lines from the catalogs: equal for equal schemas, however they were made.

    Says nothing of column order, not-null constraint names, owners and grants. Leaves out schema_migration.
    """
    with translated():
        cursor = await connection.execute(statements("mpsync.store", "sql/schema_dump.sql")["dump"])
        rows = await cursor.fetchall()
    return "".join(f"{line}\n" for (line,) in rows)
