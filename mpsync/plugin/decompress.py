"""Compressed files become bounded streams of bytes: xz, gz, bz2, zst and plain.

Flow    local path -> chunks of uncompressed bytes, and on the way their size and digests
Bounds  the output by ``max_bytes`` (what the signed metadata promised), the memory by the chunk and the decoder's
        window
Runs    anywhere, children included; no network, no database
"""

from __future__ import annotations

import bz2
import hashlib
import lzma
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

from mpsync.errors import MetadataError
from mpsync.model.digests import Expected

CHUNK_BYTES = 1 << 20
_INPUT_BYTES = 1 << 18

MAGICS = {
    "xz": b"\xfd7zXZ\x00",
    "gz": b"\x1f\x8b",
    "bz2": b"BZh",
    "zst": b"\x28\xb5\x2f\xfd",
}
_SKIPPABLE_ZST = tuple(bytes((0x50 + i,)) + b"\x2a\x4d\x18" for i in range(16))
SUFFIXES = {".xz": "xz", ".gz": "gz", ".bz2": "bz2", ".zst": "zst", ".zstd": "zst"}
PLAIN = "plain"

# Decoders reserve a window but touch only what they have written, so a wide window is as harmless as the promised size.
# Without a promise the window is capped at zstd's own default.
MAX_WINDOW_BYTES = 1 << 31
DEFAULT_WINDOW_BYTES = 1 << 27
_XZ_MEMORY_BYTES = 1 << 29


class DecompressionBomb(MetadataError):
    """A file unpacks to more bytes than the metadata promised."""

    hint = "the mirror is broken, or hostile: use another one"


class CorruptStream(MetadataError):
    """A compressed file is broken, cut short, followed by garbage, not what its name says, or fails its digest."""

    hint = "upstream made it so, or the mirror is in the middle of an update: run it again later, or use another mirror"


class _Decoder(Protocol):
    """The interface that bz2, lzma and igzip_lib share."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


def compression_of(name: str) -> str:
    """``xz``, ``gz``, ``bz2``, ``zst`` or ``plain``, by the last suffix of ``name``."""
    dot = name.rfind(".")
    return SUFFIXES.get(name[dot:].lower(), PLAIN) if dot >= 0 else PLAIN


def open_chunks(
    path: Path, *, max_bytes: int | None, chunk_bytes: int = CHUNK_BYTES, name: str | None = None
) -> Iterator[bytes]:
    """Uncompressed bytes of ``path``, none of them empty, each at most about ``chunk_bytes``.

    max_bytes  promised size of the uncompressed text; never yields more. None: the caller bounds it
    name       upstream's name, when ``path`` is a stored artifact without one: its suffix and the first bytes must
               agree.
               A name without a known suffix leaves the decision to the first bytes
    raises     DecompressionBomb; CorruptStream
    """
    name = path.name if name is None else name
    with path.open("rb") as source:
        head = source.read(_INPUT_BYTES)
        chosen = _agree(name, head)
        if chosen == PLAIN:
            chunks = _plain(source, head, chunk_bytes)
        else:
            chunks = _unpack(source, head, chosen, name, max_bytes, chunk_bytes)
        total = 0
        for chunk in chunks:
            total += len(chunk)
            if max_bytes is not None and total > max_bytes:
                raise DecompressionBomb(
                    name, "unpacks to more than promised", f"{max_bytes} bytes", f"at least {total}"
                )
            yield chunk


def read_all(path: Path, *, max_bytes: int, name: str | None = None) -> bytes:
    """The whole uncompressed text of a small file. Raises as ``open_chunks``."""
    return b"".join(open_chunks(path, max_bytes=max_bytes, name=name))


class Digesting:
    """An iterator of chunks that hashes and counts what passes.

    ``digests`` and ``size_bytes`` are complete once the iteration has ended; ``check`` compares them with a promise.
    """

    def __init__(self, chunks: Iterator[bytes], algorithms: tuple[str, ...] = ("sha256",)) -> None:
        self._chunks = chunks
        self._hashes = {algorithm: hashlib.new(algorithm, usedforsecurity=False) for algorithm in algorithms}
        self.size_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        chunk = next(self._chunks)
        self.size_bytes += len(chunk)
        for running in self._hashes.values():
            running.update(chunk)
        return chunk

    @property
    def digests(self) -> dict[str, str]:
        """{algorithm: lowercase hex} of what has passed so far."""
        return {algorithm: running.hexdigest() for algorithm, running in self._hashes.items()}

    def check(self, expected: Expected, where: str) -> None:
        """Raises CorruptStream unless size and every digest that was computed are the promised ones."""
        if expected.size_bytes is not None and self.size_bytes != expected.size_bytes:
            raise CorruptStream(where, "wrong size unpacked", f"{expected.size_bytes} bytes", str(self.size_bytes))
        for algorithm, got in self.digests.items():
            want = expected.digests.get(algorithm)
            if want is not None and want.lower() != got:
                raise CorruptStream(where, f"wrong {algorithm} unpacked", want, got)


def _agree(name: str, head: bytes) -> str:
    by_name = compression_of(name)
    by_magic = next((kind for kind, magic in MAGICS.items() if head.startswith(magic)), PLAIN)
    if by_magic == PLAIN and head.startswith(_SKIPPABLE_ZST):
        by_magic = "zst"
    if by_name not in (PLAIN, by_magic):
        raise CorruptStream(name, "is not what its name says", by_name, f"bytes {head[:16]!r}")
    return by_magic


def _plain(source: BinaryIO, head: bytes, chunk_bytes: int) -> Iterator[bytes]:
    for start in range(0, len(head), chunk_bytes):
        yield head[start : start + chunk_bytes]
    while chunk := source.read(chunk_bytes):
        yield chunk


def _unpack(
    source: BinaryIO, pending: bytes, kind: str, name: str, max_bytes: int | None, chunk_bytes: int
) -> Iterator[bytes]:
    """All streams (frames, members) of a file, one after the other; anything behind the last one is an error."""
    make = _maker(kind, max_bytes)
    total = 0
    try:
        while True:
            decoder = make()
            while not decoder.eof:
                if decoder.needs_input and not pending and not (pending := source.read(_INPUT_BYTES)):
                    raise CorruptStream(name, "is cut short", f"a complete {kind} stream", f"{total} bytes unpacked")
                room = chunk_bytes if max_bytes is None else min(chunk_bytes, max_bytes - total + 1)
                chunk = decoder.decompress(pending, room)
                pending = b""
                if chunk:
                    total += len(chunk)
                    yield chunk
            pending = decoder.unused_data or source.read(_INPUT_BYTES)
            if kind == "xz":
                pending = _skip_stream_padding(source, pending)
            if len(pending) < 6:
                pending += source.read(_INPUT_BYTES)  # a magic may lie across two reads
            if not pending:
                return
            if not pending.startswith((MAGICS[kind], *(_SKIPPABLE_ZST if kind == "zst" else ()))):
                raise CorruptStream(name, f"garbage after the {kind} stream", "the end", f"bytes {pending[:16]!r}")
    except MetadataError:
        raise
    except Exception as exc:  # lzma.LZMAError, OSError (bz2), isal's and zstandard's own errors: one door for all
        raise CorruptStream(
            name, f"is not valid {kind}: {exc}", f"a complete {kind} stream", f"{total} bytes unpacked"
        ) from exc


def _skip_stream_padding(source: BinaryIO, pending: bytes) -> bytes:
    """Zeros in fours between and after xz streams are part of the format (The .xz File Format, 2.2)."""
    skipped = 0
    while pending:
        rest = pending.lstrip(b"\0")
        skipped += len(pending) - len(rest)
        if rest:
            return b"\0" + rest if skipped % 4 else rest
        pending = source.read(_INPUT_BYTES)
    return b"\0" if skipped % 4 else b""


def _maker(kind: str, max_bytes: int | None) -> Callable[[], _Decoder]:
    if kind == "xz":
        return lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)
    if kind == "bz2":
        return bz2.BZ2Decompressor
    if kind == "gz":
        from isal import igzip_lib  # lazily: an unchanged sync unpacks nothing

        def gz() -> _Decoder:
            decoder: _Decoder = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
            return decoder

        return gz
    window_bytes = DEFAULT_WINDOW_BYTES if max_bytes is None else MAX_WINDOW_BYTES
    return lambda: _ZstdDecoder(window_bytes)


class _ZstdDecoder:
    """zstandard's decompressobj knows no ``max_length``; short slices of input keep each burst of output bounded.

    A zstd block of 4 bytes may unpack to 128 KiB: 1 KiB of input gives at most 32 MiB.
    """

    _SLICE_BYTES = 1 << 10

    def __init__(self, window_bytes: int) -> None:
        import zstandard

        self._decoder = zstandard.ZstdDecompressor(max_window_size=window_bytes).decompressobj()
        self._input = memoryview(b"")
        self.unused_data = b""

    @property
    def eof(self) -> bool:
        return self._decoder.eof

    @property
    def needs_input(self) -> bool:
        return not self._input and not self._decoder.eof

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._input = memoryview(bytes(self._input) + data)
        out: list[bytes] = []
        got = 0
        while self._input and not self._decoder.eof and (max_length < 0 or got < max_length):
            piece, self._input = self._input[: self._SLICE_BYTES], self._input[self._SLICE_BYTES :]
            text = self._decoder.decompress(piece)
            got += len(text)
            out.append(text)
        if self._decoder.eof:
            self.unused_data = self._decoder.unused_data + bytes(self._input)
            self._input = memoryview(b"")
        return b"".join(out)
