"""Lock files by flock: the kernel drops a lock whatever way its process ends, and a reused pid can't fool it."""

from __future__ import annotations

import fcntl
import os
import weakref
from pathlib import Path


class FileLock:
    """A lock file, open and perhaps locked; the file itself stays, since removing lock files races."""

    def __init__(self, path: Path) -> None:
        """Open ``path``, making it if need be. Raises OSError."""
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        _open_locks.add(self)

    @property
    def fd(self) -> int:
        return self._fd

    def try_exclusive(self) -> bool:
        """Take it alone, or change a shared hold into that; False when others hold it (a shared hold may be lost)."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        return self._try(fcntl.LOCK_SH)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._fd, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def is_in_place(self) -> bool:
        """Whether our file still is the one at ``path``."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.lstat(self.path))
        except FileNotFoundError:
            return False

    def read_note(self) -> bytes:
        """What the last holder wrote, at most 64 bytes."""
        return os.pread(self._fd, 64, 0)

    def write_note(self, note: bytes) -> None:
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, note, 0)

    def close(self) -> None:
        """Close our descriptor: that unlocks, unless an inherited copy is open elsewhere."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


_open_locks: weakref.WeakSet[FileLock] = weakref.WeakSet()


def _close_in_child() -> None:
    """A forked child shares our locks: it would keep the server up after we are gone."""
    for lock in list(_open_locks):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
