"""What the operating system knows about a disk: making files durable, and the room that is left."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from mpsync.store.errors import DiskFull, from_os_error

RESERVE_BYTES = 256 << 20
"""Stays free, so that the database can still write what a sync learned, and the operator can still log in."""

_FSYNC_THREADS = 8


def make_durable(root: Path, files: Iterable[Path]) -> None:
    """Return when ``files``, all below ``root``, and the names of their folders survive a power cut. Blocks.

    One syncfs for all, where there is one: 2,000 files of 40 KB take 0.03 s, with fsync in 8 threads 0.16 s.
    raises  StoreError leaves; syncfs reports write errors since Linux 5.8
    """
    try:
        syncfs = _syncfs()
        if syncfs is not None:
            descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                syncfs(descriptor)
            finally:
                os.close(descriptor)
            return
        paths = list(files)
        folders = {folder for path in paths for folder in path.parents if folder.is_relative_to(root)}
        with ThreadPoolExecutor(_FSYNC_THREADS, thread_name_prefix="fsync") as threads:
            for _ in threads.map(_fsync, paths):
                pass
            for _ in threads.map(_fsync, folders):
                pass
    except OSError as error:
        raise from_os_error(error, root) from error


@cache
def _syncfs() -> Callable[[int], None] | None:
    """syncfs(2) that raises OSError, or None where libc has none."""
    try:
        function = ctypes.CDLL(None, use_errno=True).syncfs
    except (AttributeError, OSError):
        return None

    def syncfs(descriptor: int) -> None:
        if function(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    return syncfs


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def require_space(folder: Path, need_bytes: int, need_files: int = 0) -> None:
    """Refuse work that can't fit, before it begins: better than a full disk in the middle of it.

    folder  exists, on the file system in question
    raises  DiskFull when less than ``need_bytes`` + RESERVE_BYTES, or fewer than ``need_files`` inodes are left
    """
    try:
        disk = os.statvfs(folder)
    except OSError as error:
        raise from_os_error(error, folder) from error
    free_bytes = disk.f_bavail * disk.f_frsize
    if free_bytes < need_bytes + RESERVE_BYTES:
        raise DiskFull(
            str(folder),
            f"needs {_mb(need_bytes)} MB, and {_mb(RESERVE_BYTES)} MB must stay free; {_mb(free_bytes)} MB are left",
        )
    if disk.f_files and disk.f_favail < need_files:  # btrfs and others count no inodes: f_files is 0
        raise DiskFull(str(folder), f"{need_files:,} files are needed, {disk.f_favail:,} inodes are left")


def _mb(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f}"
