"""The door to psycopg, against a real PostgreSQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from typing import Any

import psycopg
import pytest

from mpsync.errors import ConfigError
from mpsync.store.copy_text import copy_text
from mpsync.store.db import Connection, Database, copy_in
from mpsync.store.errors import ConnectionLost, DatabaseError, SerializationConflict


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[Database]:
    async with Database.open(conninfo, max_connections=3) as database:
        yield database


@pytest.fixture
async def counter(database: Database) -> str:
    """A table of two rows, 1 and 2, with 0 each."""
    async with database.connection() as connection:
        await connection.execute("DROP TABLE IF EXISTS counter")
        await connection.execute("CREATE TABLE counter (id int CONSTRAINT counter_pkey PRIMARY KEY, value int)")
        await connection.execute("INSERT INTO counter VALUES (1, 0), (2, 0)")
    return "counter"


async def one(connection: Connection, query: Any) -> Any:
    cursor = await connection.execute(query)
    row = await cursor.fetchone()
    assert row is not None
    return row[0]


async def test_a_session_has_our_name_and_no_limits_of_the_operator(conninfo: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute("ALTER ROLE mpsync SET statement_timeout = '1s'")

    async with Database.open(conninfo) as database, database.connection() as connection:
        assert await one(connection, "SHOW statement_timeout") == "0"
        assert await one(connection, "SHOW application_name") == "mpsync"

    with psycopg.connect(conninfo, autocommit=True) as admin:
        admin.execute("ALTER ROLE mpsync RESET statement_timeout")


async def test_connections_are_kept_and_never_more_than_the_bound(database: Database) -> None:
    used: list[int] = []
    now = most = 0

    async def borrow() -> None:
        nonlocal now, most
        async with database.connection() as connection:
            now += 1
            most = max(most, now)
            used.append(await one(connection, "SELECT pg_backend_pid() FROM pg_sleep(0.01)"))
            now -= 1

    async with asyncio.TaskGroup() as group:
        for _ in range(12):
            group.create_task(borrow())

    assert most == 3
    assert len(set(used)) == 3


async def test_closing_closes_the_connections(conninfo: str) -> None:
    async with Database.open(conninfo) as database, database.connection() as connection:
        pid = await one(connection, "SELECT pg_backend_pid()")

    with psycopg.connect(conninfo, autocommit=True) as admin:
        for _ in range(1000):
            found = admin.execute("SELECT count(*) FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
            if found == (0,):
                break
            await asyncio.sleep(0.005)
    assert found == (0,)


async def test_a_transaction_that_fails_leaves_nothing_and_its_connection_is_good(
    database: Database, counter: str
) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("UPDATE counter SET value = 5")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()

    async with database.connection() as connection:
        assert await one(connection, "SELECT sum(value) FROM counter") == 0


async def test_a_cancelled_statement_gives_its_place_back(database: Database, counter: str) -> None:
    async def too_slow() -> None:
        async with asyncio.timeout(0.05), database.transaction() as connection:
            await connection.execute("UPDATE counter SET value = 5")
            await connection.execute("SELECT pg_sleep(30)")

    for _ in range(5):
        with pytest.raises(TimeoutError):
            await too_slow()

    async with database.connection() as connection:
        assert await one(connection, "SELECT sum(value) FROM counter") == 0


async def test_a_connection_that_the_server_ended_is_lost_and_the_next_one_is_new(database: Database) -> None:
    with pytest.raises(ConnectionLost) as caught:
        async with database.connection() as connection:
            await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    assert isinstance(caught.value.__cause__, psycopg.Error)
    async with database.connection() as connection:
        assert await one(connection, "SELECT 1") == 1


async def test_nobody_there_is_connection_lost_and_a_bad_address_the_users_mistake(tmp_path: Any) -> None:
    with pytest.raises(ConnectionLost, match="No such file"):
        async with Database.open(f"host={tmp_path} user=x dbname=x"):
            pass
    with pytest.raises(ConfigError, match="malformed"):
        async with Database.open("no address"):
            pass


async def test_a_broken_constraint_is_a_database_error_and_bad_sql_stays_a_bug(
    database: Database, counter: str
) -> None:
    with pytest.raises(DatabaseError, match=r"23505.*counter_pkey"):
        async with database.connection() as connection:
            await connection.execute("INSERT INTO counter VALUES (1, 0)")
    with pytest.raises(psycopg.errors.SyntaxError):
        async with database.connection() as connection:
            await connection.execute("SELEC 1")


async def both_ways(database: Database, met: asyncio.Barrier, first: int, second: int) -> int:
    """Update two rows in the given order, meeting somebody in between the first time. Returns the tries."""
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute("SET LOCAL deadlock_timeout = '10ms'")
        await connection.execute("UPDATE counter SET value = value + 1 WHERE id = %s", [first])
        if tries == 1:
            await met.wait()
        await connection.execute("UPDATE counter SET value = value + 1 WHERE id = %s", [second])

    await database.retried(work)
    return tries


async def test_the_loser_of_a_deadlock_runs_again_from_its_start(database: Database, counter: str) -> None:
    met = asyncio.Barrier(2)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(both_ways(database, met, *order)) for order in ((1, 2), (2, 1))]

    assert sorted(task.result() for task in tasks) == [1, 2]
    async with database.connection() as connection:
        assert await one(connection, "SELECT array_agg(value ORDER BY id) FROM counter") == [2, 2]


async def test_a_conflict_that_never_ends_is_raised_after_the_last_try(database: Database) -> None:
    tries = 0

    async def work(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        await connection.execute("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$")

    with pytest.raises(SerializationConflict, match=r"40001\): no"):
        await database.retried(work, tries=3)

    assert tries == 3


NASTY = [
    "",
    "\\N",
    "\\.",
    "\\",
    "\\\\n",
    "\t",
    "\n",
    "\r\n",
    "a\tb\\c\nd\re",
    "\x01\x7f",
    "🎉 ü \u2028",
    "NULL",
    "'\"",
    None,
]


def random_text(dice: random.Random) -> str | None:
    if dice.random() < 0.1:
        return None
    return "".join(dice.choice("ab\\\t\n\r.N'\"ü🎉\x01\x0b\x1f\u0085 ") for _ in range(dice.randrange(12)))


@pytest.mark.parametrize("seed", range(20))
async def test_what_copy_writes_reads_back_the_same(database: Database, seed: int) -> None:
    dice = random.Random(seed)
    text = [*NASTY, *(random_text(dice) for _ in range(200))]
    rows = len(text)
    data = [None if dice.random() < 0.1 else dice.randbytes(dice.randrange(40)) for _ in range(rows)]
    numbers = [None if dice.random() < 0.1 else dice.randrange(-(2**63), 2**63) for _ in range(rows)]
    flags = [None if dice.random() < 0.1 else dice.random() < 0.5 for _ in range(rows)]
    reals = [None if dice.random() < 0.1 else dice.uniform(-1e300, 1e300) for _ in range(rows)]
    names = ["n", "a text", "data", "number", "flag", "real"]

    async with database.connection() as connection:
        await connection.execute(
            'CREATE TEMP TABLE copied (n int, "a text" text, data bytea, number bigint, flag bool, real float8)'
        )
        chunk = copy_text(names, [list(range(rows)), text, data, numbers, flags, reals])
        # Cut anywhere: what a chunk ends with is no concern of the database.
        copied = await copy_in(connection, "pg_temp.copied", names, [chunk[:100], chunk[100:]])
        found = await (await connection.execute("SELECT * FROM copied ORDER BY n")).fetchall()
        await connection.execute("DROP TABLE copied")

    assert copied == rows
    assert found == list(zip(range(rows), text, data, numbers, flags, reals, strict=True))


async def test_a_copy_that_fails_half_way_leaves_no_row_and_a_good_database(database: Database, counter: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b"3\t0\n"
        raise RuntimeError("source broke")

    with pytest.raises(RuntimeError, match="source broke"):
        async with database.connection() as connection:
            await copy_in(connection, "counter", ["id", "value"], chunks())
    with pytest.raises(DatabaseError, match="22P02"):
        async with database.connection() as connection:
            await copy_in(connection, "counter", ["id", "value"], [b"4\t0\nx\t0\n"])

    async with database.connection() as connection:
        assert await one(connection, "SELECT count(*) FROM counter") == 2
