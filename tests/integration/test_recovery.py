"""After a kill between a file's landing and its row: the file is adopted, once it has proved to be whole."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from importlib.resources import files
from pathlib import Path

import pytest

from mpsync.store import artifacts
from mpsync.store.blobs import BlobStore
from mpsync.store.db import Database
from mpsync.store.migrate import migrate
from mpsync.store.recovery import recover


@pytest.fixture
async def database(conninfo: str) -> AsyncIterator[Database]:
    async with Database.open(conninfo) as database:
        async with database.connection() as conn:
            await migrate(conn, "core", files("mpsync.store").joinpath("sql"))
        yield database


@pytest.fixture
def blobs(tmp_path: Path) -> Iterator[BlobStore]:
    store = BlobStore(tmp_path / "artifacts")
    yield store
    store.close()


def place(blobs: BlobStore, body: bytes, name: str | None = None) -> str:
    """A file as a killed sync leaves it: in its place, without a row."""
    sha256 = name or hashlib.sha256(body).hexdigest()
    path = blobs.path_of(sha256)
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(body)
    return sha256


def dead_folder(blobs: BlobStore) -> Path:
    """The temp folder of a process that is gone: its lock is free."""
    folder = blobs.root / "tmp" / "1-dead"
    folder.mkdir()
    (folder / "lock").touch()
    (folder / "half-a-file").write_bytes(b"half")
    return folder


async def rows(database: Database, *sha256: str) -> list[bool]:
    async with database.connection() as conn:
        found = await artifacts.ids_by_sha256(conn, [bytes.fromhex(digest) for digest in sha256])
    return [bytes.fromhex(digest) in found for digest in sha256]


async def test_a_whole_file_without_a_row_is_adopted(database: Database, blobs: BlobStore) -> None:
    folder = dead_folder(blobs)
    names = [place(blobs, f"whole {number}".encode()) for number in range(20)]

    adopted = await recover(database, blobs)

    assert adopted == 20
    assert all(await rows(database, *names))
    assert not folder.exists()
    assert await recover(database, blobs) == 0


async def test_a_file_that_is_not_what_its_name_says_is_removed(database: Database, blobs: BlobStore) -> None:
    dead_folder(blobs)
    name = place(blobs, b"cut sho", hashlib.sha256(b"cut short").hexdigest())

    adopted = await recover(database, blobs)

    assert adopted == 0
    assert await rows(database, name) == [False]
    assert not blobs.exists(name)


async def test_without_a_dead_folder_nothing_is_looked_at(database: Database, blobs: BlobStore) -> None:
    name = place(blobs, b"of a sync that runs")
    assert blobs.temp_dir.exists(), "our own folder is locked by us"
    os.mkdir(blobs.root / "tmp" / "no lock in it")

    assert await recover(database, blobs) == 0
    assert await rows(database, name) == [False]
