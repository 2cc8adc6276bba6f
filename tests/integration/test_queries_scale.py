"""Long answers pass through; they don't pile up."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from importlib.resources import files
from pathlib import Path

import pytest
from command import Command

from mpsync.store.db import Database
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.migrate import migrate
from mpsync.store.queries import like, ordered

UNITS = 200_000


@pytest.mark.parametrize(
    ("glob", "pattern"),
    [("lib*", "lib%"), ("a?c", "a_c"), ("100%_", "100\\%\\_"), ("a\\b", "a\\\\b"), ("*", "%"), ("", "")],
)
def test_a_glob_becomes_a_pattern_that_means_the_same(glob: str, pattern: str) -> None:
    assert like(glob) == pattern


def test_counts_are_in_order_and_complete() -> None:
    assert list(ordered({"b": {"total": 1}, "a": {"removed": 2, "total": 3, "added": 1}}).items()) == [
        ("a", {"total": 3, "added": 1, "removed": 2}),
        ("b", {"total": 1, "added": 0, "removed": 0}),
    ]


_FILL = (
    "INSERT INTO core.remote (url) VALUES ('http://mirror.example/')",
    "INSERT INTO core.repository (name, plugin, remote_id, latest) VALUES ('large', 'deb', 1, 1)",
    "INSERT INTO core.version (repository_id, number, counts)"
    ' VALUES (1, 1, \'{"deb.package": {"total": 200000, "added": 200000, "removed": 0}}\')',
    "INSERT INTO core.listing (repository_id, name) VALUES (1, 'dists/stable/main/binary-amd64/Packages')",
    "INSERT INTO core.content (id, block_id, block_offset, raw_bytes, key, kind, name, version, arch)"
    " SELECT n, 1, 0, 0, sha256(n::text::bytea), 'deb.package', 'package-' || n, '1.0', 'amd64'"
    f" FROM generate_series(1, {UNITS}) AS n",
    f"INSERT INTO core.membership SELECT n, 1, 1, 1 FROM generate_series(1, {UNITS}) AS n",
    "ANALYZE",
)


@pytest.fixture
async def large(tmp_path: Path) -> AsyncIterator[Command]:
    """A repository of 200,000 units that no sync made; its server runs, so that its memory is not the command's."""
    command = Command(tmp_path / "large")
    server = EmbeddedServer(command.data_dir)
    conninfo = server.start()
    try:
        async with Database.open(conninfo) as database, database.connection() as conn:
            await migrate(conn, "core", files("mpsync.store").joinpath("sql"))
            for statement in _FILL:
                await conn.execute(statement)  # type: ignore[arg-type]  # literals
        yield command
    finally:
        server.stop(wait_s=10)


_PEAK = """
import resource, subprocess, sys
with open(sys.argv[1], "w") as out:
    subprocess.run([sys.executable, "-m", "mpsync", *sys.argv[2:]], stdout=out, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_kb(command: Command, into: Path, *arguments: str) -> int:
    """Peak resident memory of the command, the database not included."""
    found = subprocess.run(
        [sys.executable, "-c", _PEAK, into, *arguments], env=command.env, capture_output=True, text=True, check=True
    )
    return int(found.stdout)


async def test_a_long_listing_takes_no_more_memory_than_a_short_one(large: Command, tmp_path: Path) -> None:
    short = peak_kb(large, tmp_path / "short", "content", "large", "--name", "package-1", "--json")
    long = peak_kb(large, tmp_path / "long", "content", "large", "--json")

    lines = (tmp_path / "long").read_text().splitlines()
    assert len(lines) == UNITS + 2
    assert long < short + 15_000, "200,000 units as Python objects would be a hundred megabytes"
