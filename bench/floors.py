"""What this machine can't beat, measured in the same run as what is compared with it.

decompress and split   one process, the index into stanzas, nothing else
load                   one PostgreSQL backend, the same rows into the same tables and keys, by COPY and set-based SQL,
                       one synchronous commit; rows are encoded before the clock starts. ``load_direct`` is the same by COPY into
                       the final tables without a staging table: no floor by definition, but what mpsync itself does where it can
"""

from __future__ import annotations

import asyncio
import lzma
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import LiteralString

import psycopg

from mpsync.core import Storage
from mpsync.pipeline.raw import pack_records
from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.stanza import blocks
from mpsync.settings import Settings
from mpsync.store.copy_text import copy_text
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.statements import statements

_CONTENT = ("id", "block_id", "block_offset", "raw_bytes", "key", "kind", "name", "version", "arch")
_REMOTE_ARTIFACT = ("content_id", "size_bytes", "remote_id", "ordinal", "path", "sha256")
_MEMBERSHIP = ("content_id", "repository_id", "listing_id", "added")
_STEPS = ("record_block", "content", "remote_artifact", "membership")

# source: PostgreSQL 18 manual, COPY, "Binary Format"
_BINARY_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)
_BINARY_END = struct.pack("!h", -1)


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a suite, encoded for COPY, of ``units`` units."""

    units: int
    content: bytes
    record_block: bytes
    remote_artifact: bytes
    membership: bytes


def decompress_and_split_s(index: Path) -> float:
    """Seconds from a Packages.xz to a list of stanzas."""
    began = time.perf_counter()
    text = lzma.decompress(index.read_bytes())
    found = text.split(b"\n\n")
    took = time.perf_counter() - began
    assert len(found) > 1
    return took


def rows_of(index: Path) -> Rows:
    """Parse an index by the plugin's own parser, and encode what a sync saves of it; in order of keys."""
    found = [parse.parse_packages(block, "bench") for block in blocks(open_chunks(index, max_bytes=None), "bench")]
    raws = [raw for block in found for raw in block.raws]
    frames, _, places = pack_records(raws)
    columns = [
        [key for block in found for key in block.keys],
        [name for block in found for name in block.names],
        [version for block in found for version in block.versions],
        [arch for block in found for arch in block.archs],
        [path for block in found for path in block.paths],
        [size for block in found for size in block.sizes],
        [sha256 for block in found for sha256 in block.sha256],
        raws,
        places,
    ]
    unique = {row[0]: row for row in zip(*columns, strict=True)}
    keys, names, versions, archs, paths, sizes, sha256s, raws, places = map(
        list, zip(*(unique[key] for key in sorted(unique)), strict=True)
    )
    ids = list(range(1, len(keys) + 1))
    one = [1] * len(ids)
    content = (
        ids,
        [frame + 1 for frame, _ in places],
        [offset for _, offset in places],
        list(map(len, raws)),
        keys,
        ["deb.package"] * len(ids),
        names,
        versions,
        archs,
    )
    frame_rows = (struct.pack("!hiqi", 2, 8, number, len(frame)) + frame for number, frame in enumerate(frames, 1))
    return Rows(
        len(ids),
        copy_text(_CONTENT, content),
        _BINARY_HEADER + b"".join(frame_rows) + _BINARY_END,
        copy_text(_REMOTE_ARTIFACT, (ids, sizes, one, [0] * len(ids), paths, sha256s)),
        copy_text(_MEMBERSHIP, (ids, one, one, one)),
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


def load_s(rows: Rows, conninfo: str) -> float:
    """Seconds of loading ``rows`` into empty tables by way of temporary ones."""
    sql = statements("bench", "sql/load.sql")
    with psycopg.connect(conninfo, autocommit=True) as connection:
        began = time.perf_counter()
        with connection.transaction():
            for name in ("content", "record_block", "remote_artifact"):
                connection.execute(sql[f"stage_{name}"])
            _copy(connection, f"stage_content ({', '.join(_CONTENT)})", rows.content)
            _copy(connection, "stage_record_block", rows.record_block, is_binary=True)
            _copy(connection, f"stage_remote_artifact ({', '.join(_REMOTE_ARTIFACT)})", rows.remote_artifact)
            connection.execute(sql["analyze"])
            for step in _STEPS:
                connection.execute(sql[step])
        took = time.perf_counter() - began
        _check(connection, rows)
        return took


def load_direct_s(rows: Rows, conninfo: str) -> float:
    """Seconds of loading ``rows`` into empty tables by COPY alone."""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        began = time.perf_counter()
        with connection.transaction():
            _copy(connection, "core.record_block", rows.record_block, is_binary=True)
            _copy(connection, f"core.content ({', '.join(_CONTENT)})", rows.content)
            _copy(connection, f"core.remote_artifact ({', '.join(_REMOTE_ARTIFACT)})", rows.remote_artifact)
            _copy(connection, f"core.membership ({', '.join(_MEMBERSHIP)})", rows.membership)
        took = time.perf_counter() - began
        _check(connection, rows)
        return took


def _check(connection: psycopg.Connection[tuple[object, ...]], rows: Rows) -> None:
    """A floor that loaded less than it should would be a lie."""
    found = connection.execute(statements("bench", "sql/load.sql")["count"]).fetchone()
    if found != (rows.units,) * 3:
        raise RuntimeError(f"the floor loaded {found} rows instead of {rows.units} of each")


def _copy(
    connection: psycopg.Connection[tuple[object, ...]], target: str, body: bytes, *, is_binary: bool = False
) -> None:
    """``target``: a table with its columns, both from this file."""
    words = f"COPY {target} FROM STDIN" + (" (FORMAT BINARY)" if is_binary else "")
    statement: LiteralString = words  # made of names in this file only
    with connection.cursor().copy(statement) as copy:
        for at in range(0, len(body), 1 << 20):
            copy.write(body[at : at + (1 << 20)])


@dataclass(frozen=True, slots=True)
class SyncFloors:
    """Seconds. The floor of a cold sync is the larger of ``split_s`` and ``load_s``."""

    split_s: float
    load_s: float
    load_direct_s: float

    @property
    def cold_s(self) -> float:
        return max(self.split_s, self.load_s)


class SyncFloorMeter:
    """Measures the floors of syncing one index, once per call; the rows are made once."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._rows: Rows | None = None

    def measure(self, work: Path) -> SyncFloors:
        if self._rows is None:
            self._rows = rows_of(self._index)
        with database(work / "set-based") as conninfo:
            by_sets = load_s(self._rows, conninfo)
        with database(work / "direct") as conninfo:
            direct = load_direct_s(self._rows, conninfo)
        return SyncFloors(decompress_and_split_s(self._index), by_sets, direct)
