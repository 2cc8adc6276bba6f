"""file:// upstreams: the same promises as HTTP, from a folder on this machine.

Files are opened, copied and hashed in threads, small ones many per hop. Nothing outside of the base folder is read:
symlinks may point about inside of it (suites are such links), not out of it.
"""

from __future__ import annotations

import errno
import os
import stat
from urllib.parse import unquote

from mpsync.errors import UpstreamError
from mpsync.fetch.errors import CutShort, ForbiddenUrl, NotFound, ReadFailed
from mpsync.fetch.hops import Hops
from mpsync.fetch.sink import SMALL_BYTES, Sink

_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | getattr(os, "O_NOFOLLOW", 0)  # a FIFO must not hang us


class LocalFiles:
    """The files below ``folder``."""

    def __init__(self, folder: str, hops: Hops) -> None:
        self._root = os.path.realpath(folder)
        self._hops = hops

    async def copy(self, url: str, sink: Sink) -> None:
        """Put the file behind ``url`` into ``sink``, from byte 0, and save it if it is right.

        raises  NotFound, ForbiddenUrl, ReadFailed; what ``sink`` says of wrong bytes and of a full disk
        """
        copy = _Copy(self, url, sink)
        await self._hops.run(copy.run, cancel=copy.cancel)

    def open(self, url: str) -> int:
        """A descriptor of the file behind ``url``."""
        try:
            path = os.path.realpath(os.fsencode(unquote(url.removeprefix("file://"), errors="surrogateescape")))
            root = os.fsencode(self._root)
            if os.path.commonpath((path, root)) != root:
                raise ForbiddenUrl(url, "it leads out of the repository's folder")
            fd = os.open(path, _READ)
        except (OSError, ValueError) as error:
            raise _translated(url, error) from error
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound(url, "not a regular file")
        return fd


class _Copy:
    """One file on its way; runs in a thread, where ``sink`` is nobody else's until it has ended."""

    def __init__(self, files: LocalFiles, url: str, sink: Sink) -> None:
        self._files, self._url, self._sink = files, url, sink
        self._is_cancelled = False

    def cancel(self) -> None:
        self._is_cancelled = True

    def run(self) -> None:
        fd = self._files.open(self._url)
        try:
            self._pump(fd)
        finally:
            os.close(fd)
        self._sink.verify(self._url)
        self._sink.save()

    def _pump(self, fd: int) -> None:
        url, sink = self._url, self._sink
        if sink.cap is not None and (size_bytes := os.fstat(fd).st_size) > sink.cap:
            raise sink.too_many(url, size_bytes)
        while True:
            try:
                block = os.read(fd, SMALL_BYTES)
            except OSError as error:
                raise ReadFailed(url, error.strerror or str(error)) from error
            if not block:
                return
            if self._is_cancelled:
                raise CutShort(url, sink.size_bytes, "cancelled")
            if sink.write(block, url):
                sink.drain()


def _translated(url: str, error: OSError | ValueError) -> UpstreamError:
    if isinstance(error, OSError):
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
            return NotFound(url, error.strerror or str(error))
        return ReadFailed(url, error.strerror or str(error))
    return ReadFailed(url, str(error))
