"""Cold or warm: drop files from the page cache, without root. Only clean pages go, so new files are synced first."""

from __future__ import annotations

import os
from pathlib import Path


def drop(folder: Path) -> None:
    """Drop all files below ``folder``; a no-op where the system has no posix_fadvise."""
    if not hasattr(os, "posix_fadvise"):
        return
    os.sync()
    for parent, _, names in os.walk(folder, followlinks=True):
        for name in names:
            try:
                fd = os.open(os.path.join(parent, name), os.O_RDONLY)
            except OSError:
                continue
            try:
                os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
            finally:
                os.close(fd)
