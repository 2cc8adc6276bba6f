"""The artifact store, on a real file system, with real processes."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mpsync.model.digests import Fetched
from mpsync.store import disk
from mpsync.store.blobs import BlobStore
from mpsync.store.errors import BlobDamaged, DiskFull, StoreUnwritable


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BlobStore]:
    store = BlobStore(tmp_path / "artifacts")
    yield store
    store.close()


def fetched(store: BlobStore, data: bytes) -> Fetched:
    sha256 = hashlib.sha256(data).hexdigest()
    path = store.temp_dir / os.urandom(8).hex()
    path.write_bytes(data)
    return Fetched(path, len(data), {"sha256": sha256}, "https://mirror.example/x")


async def test_landed_files_stand_under_their_digest_and_no_temp_file_is_left(store: BlobStore) -> None:
    files = [fetched(store, bytes([n]) * 100) for n in range(50)]

    await store.land(files)

    paths = [store.path_of(file.sha256) for file in files]
    assert [path.read_bytes() for path in paths] == [bytes([n]) * 100 for n in range(50)]
    assert [path.name for path in store.temp_dir.iterdir()] == ["lock"]


async def test_durable_by_fsync_where_there_is_no_syncfs(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    fsync = os.fsync

    def record(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        fsync(descriptor)

    monkeypatch.setattr(disk, "_syncfs", lambda: None)
    monkeypatch.setattr(os, "fsync", record)

    file = fetched(store, b"bytes")
    await store.land([file])

    path = store.path_of(file.sha256)
    assert {path.stat().st_ino, path.parent.stat().st_ino, store.root.stat().st_ino} <= set(synced)


def test_nothing_adopted_needs_no_sync(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mpsync.store.blobs.make_durable", lambda root, paths: pytest.fail("synced"))

    store.adopt_many([])
    store.make_durable([])


def test_a_good_file_that_stands_there_already_is_kept_and_the_new_one_dropped(store: BlobStore) -> None:
    first = store.adopt(fetched(store, b"same"))
    inode = first.stat().st_ino
    again = fetched(store, b"same")

    assert store.adopt(again) == first
    assert first.stat().st_ino == inode
    assert not again.path.exists()


@pytest.mark.parametrize("damage", [b"", b"sam", b"sane"])
def test_a_damaged_file_that_stands_there_already_is_replaced(store: BlobStore, damage: bytes) -> None:
    path = store.adopt(fetched(store, b"same"))
    path.write_bytes(damage)

    store.adopt(fetched(store, b"same"))

    assert path.read_bytes() == b"same"


def test_verify_tells_good_from_damaged_and_missing(store: BlobStore) -> None:
    path = store.adopt(fetched(store, b"bytes"))
    sha256 = path.name

    assert store.verify(sha256) == 5
    path.write_bytes(b"bytez")
    with pytest.raises(BlobDamaged, match="hash to"):
        store.verify(sha256)
    store.remove(sha256)
    with pytest.raises(BlobDamaged, match="missing"):
        store.verify(sha256)


def test_exists_open_and_remove(store: BlobStore) -> None:
    sha256 = store.adopt(fetched(store, b"bytes")).name

    assert store.exists(sha256)
    assert store.size_bytes(sha256) == 5
    with store.open(sha256) as file:
        assert file.read() == b"bytes"
    store.remove(sha256)
    store.remove(sha256)
    assert not store.exists(sha256)


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n", "ab/" + "a" * 61])
def test_what_is_no_digest_never_becomes_a_path(store: BlobStore, name: str) -> None:
    for method in (store.path_of, store.open, store.exists, store.verify, store.remove):
        with pytest.raises(ValueError, match="not a lowercase sha256"):
            method(name)


def test_a_link_in_place_of_a_file_is_not_followed(store: BlobStore, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"bytes")
    path = store.adopt(fetched(store, b"bytes"))
    path.unlink()
    path.symlink_to(secret)

    with pytest.raises(StoreUnwritable, match="symbolic link"):
        store.open(path.name)
    assert list(store.iter_stored()) == []
    store.adopt(fetched(store, b"bytes"))

    assert not path.is_symlink()
    assert secret.read_bytes() == b"bytes"


def test_a_link_in_place_of_a_folder_is_not_followed(store: BlobStore, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    new = fetched(store, b"bytes")
    store.path_of(new.sha256).parent.symlink_to(elsewhere)

    with pytest.raises(StoreUnwritable):
        store.adopt(new)

    assert list(elsewhere.iterdir()) == []
    assert new.path.exists()
    assert list(store.iter_stored()) == []


def test_a_pipe_in_place_of_a_file_is_damage_and_does_not_block(store: BlobStore) -> None:
    path = store.path_of("a" * 64)
    path.parent.mkdir()
    os.mkfifo(path)

    with pytest.raises(BlobDamaged, match="regular file"):
        store.open("a" * 64)


def test_stored_files_are_listed_in_order_and_strays_are_not(store: BlobStore) -> None:
    names = sorted(store.adopt(fetched(store, str(n).encode())).name for n in range(30))
    folder = store.path_of(names[0]).parent
    (folder / "note.txt").touch()
    (store.root / "sha256" / "stray").touch()
    wrong = store.root / "sha256" / "zz"
    wrong.mkdir()
    (wrong / names[0]).touch()

    assert list(store.iter_stored()) == [(name, store.path_of(name).stat().st_size) for name in names]


CRASH = """
import sys, time
from pathlib import Path
from mpsync.store.blobs import BlobStore
store = BlobStore(Path(sys.argv[1]))
(store.temp_dir / "part").write_bytes(b"half")
print(store.temp_dir, flush=True)
time.sleep(60)
"""


def test_a_sweep_removes_the_files_of_the_dead_and_none_of_the_living(store: BlobStore) -> None:
    mine = fetched(store, b"mine")
    with subprocess.Popen([sys.executable, "-c", CRASH, str(store.root)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        folder = Path(other.stdout.readline().strip())
        try:
            assert store.sweep_temp(older_than_s=0) == 0
            assert (folder / "part").exists()
        finally:
            os.kill(other.pid, signal.SIGKILL)
    assert (folder / "part").exists()

    assert store.sweep_temp() == 1

    assert not folder.exists()
    assert mine.path.exists()


def test_a_sweep_takes_stray_files_only_when_they_are_old(store: BlobStore, tmp_path: Path) -> None:
    temp = store.root / "tmp"
    (temp / "old").touch()
    (temp / "old-folder").mkdir()
    (temp / "link").symlink_to(tmp_path)
    (temp / "new").touch()
    for name in ("old", "old-folder", "link"):
        os.utime(temp / name, (1, time.time() - 100_000), follow_symlinks=False)

    assert store.sweep_temp() == 3

    assert [path.name for path in temp.iterdir()] == ["new"]
    assert tmp_path.exists()


def test_closing_removes_the_temp_folder(store: BlobStore) -> None:
    folder = fetched(store, b"rest").path.parent

    store.close()

    assert not folder.exists()
    assert store.temp_dir != folder


def test_too_little_room_is_refused_before_a_download(store: BlobStore) -> None:
    store.require_space(1)

    with pytest.raises(DiskFull, match=r"needs 1,000,000,000,000 MB, and 268 MB must stay free"):
        store.require_space(10**18)


def test_too_few_inodes_are_refused_before_a_download(store: BlobStore) -> None:
    if not os.statvfs(store.root).f_files:
        pytest.skip("this file system does not count inodes")

    with pytest.raises(DiskFull, match="inodes are left"):
        store.require_space(1, 10**12)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 8 MB and 20 inodes."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = tmp_path / "disk"
    where.mkdir()
    options = "size=8m,nr_inodes=20"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(where)], capture_output=True).returncode:
        pytest.skip("cannot mount here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk_while_adopting_is_said_and_the_temp_files_stay(small_disk: Path) -> None:
    store = BlobStore(small_disk / "artifacts")
    files = [fetched(store, str(n).encode()) for n in range(12)]  # each wants a folder of its own

    with pytest.raises(DiskFull):
        store.adopt_many(files)

    left = [file for file in files if file.path.exists()]
    assert left
    assert all(store.exists(file.sha256) for file in files if file not in left)


def test_a_read_only_disk_is_said(small_disk: Path) -> None:
    store = BlobStore(small_disk / "artifacts")
    path = store.root / "tmp" / "new"
    path.write_bytes(b"bytes")
    new = Fetched(path, 5, {"sha256": hashlib.sha256(b"bytes").hexdigest()}, "https://mirror.example/x")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)

    with pytest.raises(StoreUnwritable, match="read-only"):
        store.adopt(new)


async def test_landing_does_not_block_the_loop(store: BlobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    reached = asyncio.Event()

    def slow(root: Path, paths: object) -> None:
        # Blocks for ever if it runs on the loop.
        asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(20)
        loop.call_soon_threadsafe(reached.set)

    monkeypatch.setattr("mpsync.store.blobs.make_durable", slow)

    await store.land([fetched(store, b"bytes")])

    assert reached.is_set()


async def test_two_syncs_may_land_the_same_files_at_once(store: BlobStore) -> None:
    other = BlobStore(store.root)
    mine = [fetched(store, str(n).encode()) for n in range(200)]
    theirs = [fetched(other, str(n).encode()) for n in range(200)]

    async with asyncio.TaskGroup() as group:
        group.create_task(store.land(mine))
        group.create_task(other.land(theirs))

    assert len(list(store.iter_stored())) == 200
    assert all(store.verify(file.sha256) for file in mine)
    assert not any(file.path.exists() for file in [*mine, *theirs])
    other.close()


def test_a_sweep_that_is_killed_half_way_leaves_the_lock_for_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "artifacts" / "tmp" / "1-dead"
    store = BlobStore(tmp_path / "artifacts")
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "half-a-file").touch()
    with monkeypatch.context() as killed:
        killed.setattr("mpsync.store.blobs.shutil.rmtree", lambda *_, **__: None)
        store.sweep_temp()

    assert [path.name for path in folder.iterdir()] == ["lock"]
    assert store.has_dead_temp()
    store.sweep_temp()
    assert not folder.exists()
    store.close()
