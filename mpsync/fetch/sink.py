"""Where the bytes of a transfer go: held, hashed in runs, and to a file only once there is a reason for one.

A small file stays in memory until it is verified, then becomes a file by one open, one write and one close: a wrong one
never touches the disk. ``write`` only holds; ``drain``, ``verify`` of much and ``save`` block, and belong into a thread.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mpsync.errors import MetadataError
from mpsync.fetch.errors import DigestMismatch, SizeMismatch, TempFileFailed, TooLarge, looks_like_page
from mpsync.model.digests import Expected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from hashlib import _Hash

SMALL_BYTES = 256 << 10
"""Held in memory up to this; beyond, hashed and written in runs of this size."""

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | getattr(os, "O_NOFOLLOW", 0)


@dataclass(slots=True)
class Stats:
    """Counters that only grow; ``bytes`` are body bytes, of failed tries too, counted at the end of each try."""

    requests: int = 0
    files: int = 0
    bytes: int = 0


class Sink:
    """The body of one file in the making; survives a cut, so that the next try may go on from ``size_bytes``.

    want       what the metadata promises
    others     what would be as good: a metalink's alternates
    sizes      the sizes it may have, None = any
    path       where a file is to be made (it must not exist), or None: in memory only
    received_bytes   all that came, of failed tries too
    validator  the ETag or Last-Modified that a resumed transfer must match; None = can't be resumed
    """

    __slots__ = (
        "_chunks",
        "_fd",
        "_hashed",
        "_hashers",
        "_held",
        "_is_made",
        "_others",
        "_path",
        "cap",
        "head",
        "received_bytes",
        "size_bytes",
        "sizes",
        "validator",
        "want",
    )

    def __init__(self, want: Expected, path: str | None, others: Sequence[Expected] = ()) -> None:
        self.want, self._path, self._others = want, path, others
        self._is_made = False
        self.received_bytes = 0
        known = [one.size_bytes for one in (want, *others) if one.size_bytes is not None]
        self.sizes = frozenset(known) if len(known) > len(others) else None
        self.cap: int | None = want.limit_bytes if self.sizes is None else max(known)
        self._fd: int | None = None
        self._reset()

    def _reset(self) -> None:
        self._hashers: dict[str, _Hash] = {"sha256": hashlib.sha256()}
        for want in (self.want, *self._others):
            for algorithm in want.digests:
                if algorithm not in self._hashers:
                    self._hashers[algorithm] = _new_hash(algorithm)
        self._chunks: list[bytes] = []
        self._hashed = self._held = self.size_bytes = 0
        self.validator: str | None = None
        self.head = b""

    def write(self, chunk: bytes, url: str) -> bool:
        """Hold the next bytes. Raises SizeMismatch or TooLarge as soon as there are too many.

        returns  whether so many are held that ``drain`` is due
        """
        if not self.size_bytes:
            self.head = chunk[:200]
        size = len(chunk)
        self.size_bytes += size
        self.received_bytes += size
        if self.cap is not None and self.size_bytes > self.cap:
            raise self.too_many(url, self.size_bytes)
        self._chunks.append(chunk)
        self._held += size
        return self._held >= SMALL_BYTES and self._path is not None

    def drain(self) -> None:
        """Hash what is held, and write it to the file. Raises TempFileFailed."""
        self._hash()
        self._flush()

    def too_many(self, url: str, got_bytes: int) -> SizeMismatch | TooLarge:
        """The error for ``got_bytes`` when that is more than expected."""
        if self.sizes is None or self.want.size_bytes is None:
            return TooLarge(url, self.cap or 0, got_bytes)
        return SizeMismatch(url, self.want.size_bytes, got_bytes, looks_like_page(self.head))

    def restart(self) -> None:
        """Forget everything and begin at byte 0."""
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
        self._reset()

    def verify(self, url: str) -> dict[str, str]:
        """All digests, if size and digests are as promised. Raises SizeMismatch, DigestMismatch."""
        self._hash()
        found = {algorithm: hasher.hexdigest() for algorithm, hasher in self._hashers.items()}
        if self._others and any(_keeps(other, self.size_bytes, found) for other in self._others):
            return found
        if self.want.size_bytes is not None and self.size_bytes != self.want.size_bytes:
            raise SizeMismatch(url, self.want.size_bytes, self.size_bytes, looks_like_page(self.head))
        for algorithm, digest in self.want.digests.items():
            if found[algorithm] != digest:
                raise DigestMismatch(url, algorithm, digest, found[algorithm], looks_like_page(self.head))
        return found

    @property
    def is_saved(self) -> bool:
        """Whether there is a file, whole and closed; or none is wanted."""
        return self._path is None or (self._is_made and self._fd is None)

    def save(self) -> None:
        """Everything to the file, and close it; again: nothing. Raises TempFileFailed."""
        if self.is_saved:
            return
        self._hash()
        self._flush()
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)

    def body(self) -> bytes:
        """The bytes, of a sink without a path."""
        return b"".join(self._chunks)

    def discard(self) -> None:
        """Leave no file."""
        self._chunks.clear()
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)
        if self._is_made and self._path is not None:
            self._is_made = False
            Path(self._path).unlink(missing_ok=True)

    def _hash(self) -> None:
        for at in range(self._hashed, len(self._chunks)):
            for hasher in self._hashers.values():
                hasher.update(self._chunks[at])
        self._hashed = len(self._chunks)

    def _flush(self) -> None:
        assert self._path is not None
        try:
            if self._fd is None:
                self._fd = os.open(self._path, _NEW, 0o644)
                self._is_made = True
            left = self._held
            if left:
                written = os.writev(self._fd, self._chunks) if len(self._chunks) <= 1000 else 0
                if written < left:  # a signal, a nearly full disk, or a thousand crumbs
                    _write_all(self._fd, memoryview(b"".join(self._chunks))[written:])
        except OSError as error:
            raise TempFileFailed(self._path, error.strerror or str(error)) from error
        self._chunks = []
        self._hashed = self._held = 0


def _keeps(promise: Expected, size_bytes: int, found: dict[str, str]) -> bool:
    return promise.size_bytes in (None, size_bytes) and promise.digests.items() <= found.items()


def _write_all(fd: int, data: memoryview) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _new_hash(algorithm: str) -> _Hash:
    new: Callable[..., _Hash] | None = getattr(hashlib, algorithm, None) if algorithm in _KNOWN else None
    if new is None:
        raise MetadataError("expected digests", "unknown digest algorithm", ", ".join(sorted(_KNOWN)), algorithm)
    return new()


_KNOWN = frozenset(("md5", "sha1", "sha224", "sha256", "sha384", "sha512"))
