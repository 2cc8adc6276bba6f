"""Cold or warm: put files into the page cache, or drop them from it, without root."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

_READ_BYTES = 1 << 20
_WARM_BYTES = 4 << 30
"""No more is read: a whole mirror given by path may be larger than memory."""


def settle() -> None:
    """Write what earlier runs left to write: the disk is as idle for each run as for the first."""
    os.sync()


def drop(folder: Path) -> None:
    """Drop all files below ``folder``; a no-op where the system has no posix_fadvise. Only clean pages go: it syncs first."""
    if not hasattr(os, "posix_fadvise"):
        return
    settle()
    for fd in _opened(folder):
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def warm(folder: Path) -> None:
    """Read all files below ``folder`` once, up to 4 GB."""
    left = _WARM_BYTES
    for fd in _opened(folder):
        while left > 0 and (read := os.read(fd, _READ_BYTES)):
            left -= len(read)


def _opened(folder: Path) -> Iterator[int]:
    """A descriptor of each file, closed afterwards; a file that can't be opened is passed by."""
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            try:
                fd = os.open(os.path.join(parent, name), os.O_RDONLY)
            except OSError:
                continue
            try:
                yield fd
            finally:
                os.close(fd)
