"""file:// upstreams: the same promises as HTTP, from a folder on this machine.

A small file is read at once; a big one is copied and hashed in a thread. Nothing outside of the base folder is read:
symlinks may point about inside of it (suites are such links), not out of it.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from urllib.parse import unquote

from mpsync.errors import UpstreamError
from mpsync.fetch.errors import CutShort, ForbiddenUrl, NotFound, ReadFailed
from mpsync.fetch.sink import SMALL_BYTES, Sink

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)  # a FIFO must not hang us


class LocalFiles:
    """The files below ``folder``."""

    def __init__(self, folder: str) -> None:
        self._root = os.path.realpath(folder)

    async def copy(self, url: str, sink: Sink) -> None:
        """Put the file behind ``url`` into ``sink``, from byte 0. Raises NotFound, ForbiddenUrl, ReadFailed."""
        fd, size_bytes = self._open(url)
        try:
            if size_bytes > SMALL_BYTES:
                await _in_thread(url, fd, sink)
            else:
                _pump(url, fd, sink)
        finally:
            os.close(fd)

    def _open(self, url: str) -> tuple[int, int]:
        try:
            path = os.path.realpath(os.fsencode(unquote(url.removeprefix("file://"), errors="surrogateescape")))
            root = os.fsencode(self._root)
            if os.path.commonpath((path, root)) != root:
                raise ForbiddenUrl(url, "it leads out of the repository's folder")
            fd = os.open(path, _READ)
        except (OSError, ValueError) as error:
            raise _translated(url, error) from error
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            os.close(fd)
            raise NotFound(url, "not a regular file")
        return fd, found.st_size


def _pump(url: str, fd: int, sink: Sink, cancelled: threading.Event | None = None) -> None:
    if sink.cap is not None and (size_bytes := os.fstat(fd).st_size) > sink.cap:
        raise sink.too_many(url, size_bytes)
    while True:
        try:
            block = os.read(fd, SMALL_BYTES)
        except OSError as error:
            raise ReadFailed(url, error.strerror or str(error)) from error
        if not block:
            return
        if cancelled is not None and cancelled.is_set():
            raise CutShort(url, sink.size_bytes, "cancelled")
        sink.write(block, url)


async def _in_thread(url: str, fd: int, sink: Sink) -> None:
    """Run _pump in a thread; when cancelled, wait for the thread to let go of the file before going on."""
    cancelled = threading.Event()
    work = asyncio.get_running_loop().run_in_executor(None, _pump, url, fd, sink, cancelled)
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        cancelled.set()
        await asyncio.wait((work,))
        if not work.cancelled():
            work.exception()  # seen: it is our own CutShort, or too late to matter
        raise


def _translated(url: str, error: OSError | ValueError) -> UpstreamError:
    if isinstance(error, OSError):
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return NotFound(url, error.strerror or str(error))
        return ReadFailed(url, error.strerror or str(error))
    return ReadFailed(url, str(error))
