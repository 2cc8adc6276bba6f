"""How fast, and with how much CPU, one PostgreSQL backend loads rows: the database's part of a floor.

Flow    Rows, encoded for COPY before the clock starts -> mpsync's own tables and keys, empty -> Loaded
Ways    load         COPY into temporary tables, sets from there by key, as for rows that may be there already; raw records
                     have no key to be looked up by, and are copied into their table at once
        load_direct  COPY alone: no floor by definition, but what mpsync itself does where it can
        Both in one transaction, committed synchronously
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from bench.measure import process_cpu_s
from mpsync.core import Storage
from mpsync.settings import Settings
from mpsync.store.copy_text import copy_text
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.statements import statements

CONTENT = ("id", "block_id", "block_offset", "raw_bytes", "key", "kind", "name", "version", "arch")
REMOTE_ARTIFACT = ("content_id", "size_bytes", "remote_id", "ordinal", "path", "sha256")
MEMBERSHIP = ("content_id", "repository_id", "listing_id", "added")
_STEPS = ("content", "remote_artifact", "membership")
_COPY_BYTES = 1 << 20

# source: PostgreSQL 18 manual, COPY, "Binary Format"
_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_BINARY_END = struct.pack("!h", -1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows encoded for COPY, in order of keys: of ``units`` units, which have ``artifacts`` files."""

    units: int
    artifacts: int
    content: bytes
    record_block: bytes
    remote_artifact: bytes
    membership: bytes


@dataclass(frozen=True, slots=True)
class Loaded:
    """Seconds until the commit has returned, and how much CPU the backend took (0 where there is no /proc)."""

    wall_s: float
    cpu_s: float


def encode(content: Sequence[Sequence[Any]], remote_artifact: Sequence[Sequence[Any]], frames: Sequence[bytes]) -> Rows:
    """Columns in the order of CONTENT and REMOTE_ARTIFACT; frames are the blocks 1, 2, …"""
    ids = content[0]
    one = [1] * len(ids)
    frame_rows = (struct.pack("!hiqi", 2, 8, number, len(frame)) + frame for number, frame in enumerate(frames, 1))
    return Rows(
        len(ids),
        len(remote_artifact[0]),
        copy_text(CONTENT, content),
        _BINARY_HEADER + b"".join(frame_rows) + _BINARY_END,
        copy_text(REMOTE_ARTIFACT, remote_artifact),
        copy_text(MEMBERSHIP, (ids, one, one, one)),
    )


@contextmanager
def database(work: Path) -> Iterator[str]:
    """A fresh embedded server with mpsync's schema, below ``work``; yields its conninfo."""
    server = EmbeddedServer(work)
    conninfo = server.start()
    try:

        async def migrated() -> None:
            async with Storage.open(Settings(data_dir=work), conninfo):
                pass

        asyncio.run(migrated())
        yield conninfo
    finally:
        server.stop(wait_s=5.0)


def load(rows: Rows, conninfo: str) -> Loaded:
    """Load ``rows`` into empty tables by way of temporary ones."""
    sql = statements("bench", "sql/load.sql")

    def by_sets(connection: psycopg.Connection[Any]) -> None:
        for name in ("content", "remote_artifact"):
            connection.execute(sql[f"stage_{name}"])
        _copy(connection, "core.record_block", rows.record_block, is_binary=True)
        _copy(connection, f"stage_content ({', '.join(CONTENT)})", rows.content)
        _copy(connection, f"stage_remote_artifact ({', '.join(REMOTE_ARTIFACT)})", rows.remote_artifact)
        connection.execute(sql["analyze"])
        for step in _STEPS:
            connection.execute(sql[step])

    return _timed(by_sets, rows, conninfo)


def load_direct(rows: Rows, conninfo: str) -> Loaded:
    """Load ``rows`` into empty tables by COPY alone."""

    def at_once(connection: psycopg.Connection[Any]) -> None:
        _copy(connection, "core.record_block", rows.record_block, is_binary=True)
        _copy(connection, f"core.content ({', '.join(CONTENT)})", rows.content)
        _copy(connection, f"core.remote_artifact ({', '.join(REMOTE_ARTIFACT)})", rows.remote_artifact)
        _copy(connection, f"core.membership ({', '.join(MEMBERSHIP)})", rows.membership)

    return _timed(at_once, rows, conninfo)


def _timed(work: Callable[[psycopg.Connection[Any]], None], rows: Rows, conninfo: str) -> Loaded:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        pid = connection.info.backend_pid
        cpu_before, began = _backend_cpu_s(pid), time.perf_counter()
        with connection.transaction():
            work(connection)
        took = time.perf_counter() - began
        cpu_s = _backend_cpu_s(pid) - cpu_before
        # A floor that loaded less than it should would be a lie.
        found = connection.execute(statements("bench", "sql/load.sql")["count"]).fetchone()
        if found != (rows.units, rows.artifacts, rows.units):
            raise RuntimeError(f"the floor loaded {found} rows instead of {rows.units} units, {rows.artifacts} files")
        return Loaded(took, cpu_s)


def _backend_cpu_s(pid: int) -> float:
    """A backend has one thread, so its first thread's account, in nanoseconds, is all of it. source: proc(5), schedstat"""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return process_cpu_s(pid) or 0.0


def _copy(connection: psycopg.Connection[Any], target: str, body: bytes, *, is_binary: bool = False) -> None:
    """``target``: a table with its columns, both from this file."""
    words = f"COPY {target} FROM STDIN" + (" (FORMAT BINARY)" if is_binary else "")
    statement: LiteralString = words  # made of names in this file only
    with connection.cursor().copy(statement) as copy:
        for at in range(0, len(body), _COPY_BYTES):
            copy.write(body[at : at + _COPY_BYTES])
