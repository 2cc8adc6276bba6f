"""What a run wrote into its database: WAL bytes and commits, read after the run from the embedded server."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg

from bench.upstreams.cache import out_dir
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.statements import statements


@dataclass(frozen=True, slots=True)
class Written:
    """Since the server's first start: counters that only grow."""

    wal_bytes: int
    commits: int
    size_bytes: int

    def since(self, before: Written) -> dict[str, int]:
        return {
            "wal_bytes": self.wal_bytes - before.wal_bytes,
            "commits": self.commits - before.commits,
            "database_bytes": self.size_bytes,
        }


def written(data_dir: Path) -> Written:
    """Of the embedded server below ``data_dir``; nobody may use it meanwhile, or their writes count too."""
    server = EmbeddedServer(data_dir)
    conninfo = server.start()
    try:
        with psycopg.connect(conninfo, autocommit=True) as connection:
            row = connection.execute(statements("bench", "sql/written.sql")["written"]).fetchone()
        assert row is not None
        return Written(*map(int, row))
    finally:
        server.stop(wait_s=5.0)


@cache
def empty() -> Written:
    """Of a server that was just made: what a first command starts from."""
    with tempfile.TemporaryDirectory(dir=out_dir()) as name:
        return written(Path(name))
