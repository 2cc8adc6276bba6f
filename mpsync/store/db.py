"""The door to psycopg: connections, transactions, COPY, and errors as StoreError leaves.

Flow    conninfo -> Database.open() -> connection() or transaction() -> a psycopg AsyncConnection for set-based SQL
Runs    in the main process only; psycopg is imported when a database is opened (50 ms)
Why     a pool of our own: psycopg_pool costs 6 ms of import and three worker tasks, and turns a database that is down
        into 30 s of silence; we want the first connection to say what is wrong
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from mpsync.errors import ConfigError, StoreError
from mpsync.store.errors import ConnectionLost, DatabaseError, DiskFull, SerializationConflict, StoreUnwritable

if TYPE_CHECKING:
    import psycopg

# psycopg warns of a ROLLBACK it could not send when a COPY is cancelled (Ctrl-C). Unhandled, logging would print that.
logging.getLogger("psycopg").addHandler(logging.NullHandler())

T = TypeVar("T")
Connection: TypeAlias = "psycopg.AsyncConnection[tuple[Any, ...]]"

MAX_CONNECTIONS = 8
RETRIES = 5

# A server of the operator's may have limits made for web requests; ours are long set-based statements.
_SESSION = (
    "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0;"
    " SET client_min_messages = warning; SET timezone = 'UTC'"
)

_CONFLICTS = frozenset(("40001", "40P01", "55P03"))
_GONE = frozenset(("57P01", "57P02", "57P03", "57P05", "53300"))


class Database:
    """A bounded set of connections, opened when first needed and kept until the end. Everything is autocommit."""

    def __init__(self, conninfo: str, max_connections: int = MAX_CONNECTIONS) -> None:
        self._conninfo = conninfo
        self._slots = asyncio.Semaphore(max_connections)
        self._idle: list[Connection] = []
        self._closed = False

    @classmethod
    @asynccontextmanager
    async def open(cls, conninfo: str, *, max_connections: int = MAX_CONNECTIONS) -> AsyncIterator[Self]:
        """Connect once, so that a wrong address fails here; close all connections at the end.

        conninfo  a libpq string or postgresql:// URL
        raises    ConfigError for a malformed one, ConnectionLost when nobody answers
        """
        database = cls(conninfo, max_connections)
        try:
            async with database.connection():
                pass
            yield database
        finally:
            database._closed = True
            while database._idle:
                await database._idle.pop().close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Borrow a connection; waits when all are in use.

        raises  StoreError leaves for whatever psycopg raises inside the block, except for mistakes in our SQL
        """
        async with self._slots:
            connection = self._idle.pop() if self._idle else await self._connect()
            try:
                with translated():
                    yield connection
            finally:
                await self._give_back(connection)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Borrow a connection inside a transaction: committed at the end, rolled back by any exception."""
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def retried(self, work: Callable[[Connection], Awaitable[T]], *, tries: int = RETRIES) -> T:
        """Run ``work`` in a transaction of its own, again from its start when it loses a conflict.

        raises  SerializationConflict after the last try
        """
        for left in reversed(range(tries)):
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except SerializationConflict:
                if not left:
                    raise
                await asyncio.sleep(0.01 * 2 ** (tries - left))  # back-off: let the winner commit
        raise AssertionError("tries is positive")

    async def _connect(self) -> Connection:
        import psycopg

        with translated():
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._conninfo, autocommit=True, application_name="mpsync", client_encoding="utf8"
                )
            except psycopg.ProgrammingError:
                # Not libpq's own words, nor a chained error: both quote the address, and with it the password.
                raise ConfigError(
                    "the database address is malformed; use postgresql://USER@HOST:PORT/NAME, special characters as %XX"
                ) from None
            try:
                await connection.execute(_SESSION)
            except BaseException:
                await connection.close()
                raise
        return connection

    async def _give_back(self, connection: Connection) -> None:
        """Keep it for the next borrower if it is whole: a cancelled or failed COPY may leave it in any state."""
        if self._closed or connection.closed or connection.info.transaction_status != 0:
            await connection.close()
        else:
            self._idle.append(connection)


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into ours. Mistakes in our SQL (SQLSTATE class 42) stay what they are: bugs."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        ours = _translate(error)
        if ours is None:
            raise
        raise ours from error


def _translate(error: psycopg.Error) -> StoreError | None:
    import psycopg

    code, problem = error.sqlstate or "", _problem(error)
    if code in _CONFLICTS:
        return SerializationConflict(code, problem)
    if code == "53100":
        return DiskFull("database", problem)
    if code == "58030":
        return StoreUnwritable("database", problem)
    if code in _GONE or code.startswith(("08", "28")):
        return ConnectionLost(problem)
    if code.startswith("42") and code != "42501":
        return None
    if not code and isinstance(error, psycopg.OperationalError):
        return ConnectionLost(problem)
    if not code and isinstance(error, psycopg.InterfaceError | psycopg.ProgrammingError):
        return None
    return DatabaseError(code, problem)


def _problem(error: psycopg.Error) -> str:
    """The first lines of what it says, on one line: a detail may quote a whole row."""
    primary = error.diag.message_primary or str(error)
    detail = error.diag.message_detail
    return " ".join((f"{primary} ({detail})" if detail else primary).split())[:500]


async def copy_in(connection: Connection, table: str, columns: Sequence[str], chunks: Iterable[bytes]) -> int:
    """COPY text into ``table``; returns the number of rows.

    table   a name, or schema.name; quoted here
    chunks  bytes as copy_text() makes them; made while earlier ones travel, so a generator keeps memory low
    """
    from psycopg import sql

    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*table.split(".")), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    async with connection.cursor() as cursor:
        async with cursor.copy(statement) as copy:
            for chunk in chunks:
                await copy.write(chunk)
        return cursor.rowcount
