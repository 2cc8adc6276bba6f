"""Migrations, against a real PostgreSQL and small folders of our own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from mpsync.store.db import Database
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.errors import MigrationError
from mpsync.store.migrate import migrate, read_migrations, schema_dump


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedServer(tmp_path_factory.mktemp("migrate"))
    yield server.start()
    server.stop(wait_s=10)


def fresh_database(server: str, name: str) -> str:
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        admin.execute(f"CREATE DATABASE {name}")
    return server.replace("dbname=postgres", f"dbname={name}")


@pytest.fixture
async def database(server: str) -> AsyncIterator[Database]:
    async with Database.open(fresh_database(server, "fresh")) as database:
        yield database


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.sql").write_text("CREATE TABLE unit (id bigint PRIMARY KEY);\nCREATE SCHEMA other;\n")
    (tmp_path / "0002_more.sql").write_text("ALTER TABLE unit ADD COLUMN name text NOT NULL DEFAULT '100 %';\n")
    (tmp_path / "schema.sql").write_text("this is no migration\n")
    return tmp_path


async def test_missing_migrations_are_applied_once_and_in_order(database: Database, folder: Path) -> None:
    async with database.connection() as connection:
        assert await migrate(connection, "mpsync", folder) == 2
        assert await migrate(connection, "mpsync", folder) == 0

        (folder / "0003_last.sql").write_text("CREATE INDEX unit_name ON unit (name);\n")
        assert await migrate(connection, "mpsync", folder) == 1
        rows = await (
            await connection.execute("SELECT namespace, number, name FROM schema_migration ORDER BY number")
        ).fetchall()

    assert rows == [("mpsync", 1, "first"), ("mpsync", 2, "more"), ("mpsync", 3, "last")]


async def test_each_namespace_counts_for_itself(database: Database, folder: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "plugin"
    plugin.mkdir()
    (plugin / "0001_own.sql").write_text("CREATE TABLE own (id int);\n")

    async with database.connection() as connection:
        await migrate(connection, "mpsync", folder)

        assert await migrate(connection, "deb", plugin) == 1
        assert await migrate(connection, "deb", plugin) == 0


async def test_several_first_commands_at_once_apply_each_migration_once(database: Database, folder: Path) -> None:
    async def one() -> int:
        async with database.connection() as connection:
            return await migrate(connection, "mpsync", folder)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one()) for _ in range(5)]

    assert sorted(task.result() for task in tasks) == [0, 0, 0, 0, 2]


async def test_a_migration_that_fails_leaves_the_schema_as_it_was(database: Database, folder: Path) -> None:
    async with database.connection() as connection:
        await migrate(connection, "mpsync", folder)
        before = await schema_dump(connection)
        (folder / "0003_good.sql").write_text("CREATE TABLE good (id int);\n")
        (folder / "0004_bad.sql").write_text("CREATE TABLE bad (id nonsense);\n")

    with pytest.raises(psycopg.errors.UndefinedObject):
        async with database.connection() as connection:
            await migrate(connection, "mpsync", folder)

    async with database.connection() as connection:
        assert await schema_dump(connection) == before


async def test_a_database_newer_than_the_program_is_refused(database: Database, folder: Path) -> None:
    async with database.connection() as connection:
        await migrate(connection, "mpsync", folder)
        (folder / "0002_more.sql").unlink()

        with pytest.raises(MigrationError, match=r"newer than this mpsync \(it has migration 0002_more\)"):
            await migrate(connection, "mpsync", folder)


async def test_a_changed_migration_is_refused(database: Database, folder: Path) -> None:
    async with database.connection() as connection:
        await migrate(connection, "mpsync", folder)
        first = folder / "0001_first.sql"
        first.write_text(first.read_text() + "-- harmless?\n")

        with pytest.raises(MigrationError, match="0001_first was changed after it was applied"):
            await migrate(connection, "mpsync", folder)


async def test_a_gap_in_the_numbers_is_refused(database: Database, folder: Path) -> None:
    (folder / "0004_gap.sql").write_text("SELECT 1;\n")

    async with database.connection() as connection:
        with pytest.raises(MigrationError, match="0001, 0002, 0004"):
            await migrate(connection, "mpsync", folder)


RICH = """
CREATE SCHEMA core;
CREATE TYPE core.colour AS ENUM ('red', 'blue');
CREATE DOMAIN core.small AS int CONSTRAINT small_check CHECK (VALUE < 10);
CREATE TABLE core.parent (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT parent_pkey PRIMARY KEY,
    key bytea NOT NULL CONSTRAINT parent_key_unique UNIQUE,
    colour core.colour DEFAULT 'red',
    twice int GENERATED ALWAYS AS (size * 2) STORED,
    size core.small
);
ALTER TABLE core.parent ALTER COLUMN key SET STORAGE EXTERNAL;
CREATE TABLE core.child (parent_id bigint CONSTRAINT child_fk REFERENCES core.parent ON DELETE CASCADE);
CREATE INDEX child_parent ON core.child (parent_id) WHERE parent_id > 5;
CREATE SEQUENCE core.ticket INCREMENT BY 5;
CREATE VIEW core.red AS SELECT id FROM core.parent WHERE colour = 'red';
CREATE FUNCTION core.one() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION core.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON core.parent FOR EACH ROW EXECUTE FUNCTION core.touch();
"""

CHANGES = [
    "ALTER TABLE core.parent ADD COLUMN extra text",
    "ALTER TABLE core.parent ALTER COLUMN key DROP NOT NULL",
    "ALTER TABLE core.parent ALTER COLUMN colour SET DEFAULT 'blue'",
    "ALTER TABLE core.parent ALTER COLUMN key SET STORAGE EXTENDED",
    "ALTER TABLE core.parent ALTER COLUMN id SET GENERATED BY DEFAULT",
    "ALTER TABLE core.parent SET (fillfactor = 50)",
    "ALTER TABLE core.child SET UNLOGGED",
    "ALTER TABLE core.child DROP CONSTRAINT child_fk",
    "ALTER TABLE core.parent RENAME CONSTRAINT parent_key_unique TO other",
    "DROP INDEX core.child_parent",
    "ALTER SEQUENCE core.ticket INCREMENT BY 6",
    "ALTER TYPE core.colour ADD VALUE 'green'",
    "ALTER DOMAIN core.small DROP CONSTRAINT small_check",
    "CREATE OR REPLACE VIEW core.red AS SELECT id FROM core.parent WHERE colour = 'blue'",
    "CREATE OR REPLACE FUNCTION core.one() RETURNS int LANGUAGE sql AS 'SELECT 2'",
    "DROP TRIGGER touched ON core.parent",
    "CREATE SCHEMA another",
]


async def test_the_dump_is_the_same_for_the_same_schema_made_another_way(server: str, tmp_path: Path) -> None:
    (tmp_path / "0001_all.sql").write_text(RICH.replace("    size core.small\n", "    size core.small, later text\n"))
    (tmp_path / "0002_less.sql").write_text("ALTER TABLE core.parent DROP COLUMN later;\n")

    async with Database.open(fresh_database(server, "replayed")) as one, one.connection() as connection:
        await migrate(connection, "mpsync", tmp_path)
        replayed = await schema_dump(connection)
    async with Database.open(fresh_database(server, "direct")) as two, two.connection() as connection:
        await connection.execute(RICH.encode())
        direct = await schema_dump(connection)

    assert replayed == direct
    assert "schema_migration" not in replayed


async def test_the_migrations_of_the_store_add_up_to_its_schema_file(server: str) -> None:
    folder = files("mpsync.store").joinpath("sql")

    async with Database.open(fresh_database(server, "migrated")) as one, one.connection() as connection:
        applied = await migrate(connection, "core", folder)
        replayed = await schema_dump(connection)
    async with Database.open(fresh_database(server, "read")) as two, two.connection() as connection:
        await connection.execute(folder.joinpath("schema.sql").read_bytes())
        read = await schema_dump(connection)

    assert applied == len(read_migrations("core", folder)) > 1
    assert replayed.splitlines() == read.splitlines()
    assert len(read.splitlines()) > 50


@pytest.fixture(scope="module")
def rich(server: str) -> str:
    address = fresh_database(server, "rich")
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(RICH.encode())
    return address


@pytest.mark.parametrize("change", CHANGES)
async def test_the_dump_sees(rich: str, change: str) -> None:
    async with Database.open(rich) as database, database.connection() as connection:
        before = await schema_dump(connection)
        async with connection.transaction(force_rollback=True):
            await connection.execute(change.encode())
            changed = await schema_dump(connection)

        assert changed != before
        assert await schema_dump(connection) == before
