"""The raw records of a batch: one run of bytes in segments, plain ones and zstd frames.

A child packs the records it parsed, some dozens to a frame; they stay packed through queues and stages into the database.
Nobody unpacks a record that nobody reads: 725 MB of RPM file lists are 190 MB here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

FRAME_RECORDS = 64
FRAME_BYTES = 128 << 10
"""A frame holds at most this many records, and is closed once it holds this many bytes (docs/decisions/0002)."""

ZSTD_LEVEL = 1


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a run. start, size: of its text in the run, uncompressed. data: that text, or a zstd frame of it."""

    start: int
    size: int
    data: bytes
    is_packed: bool


class RawRun:
    """Bytes that records lie in, addressed as if they were one uncompressed text. Never changes."""

    __slots__ = ("_last", "_starts", "segments", "size")

    def __init__(self, segments: Sequence[Segment]) -> None:
        self.segments = tuple(segments)
        self._starts = [segment.start for segment in self.segments]
        self.size = self.segments[-1].start + self.segments[-1].size if self.segments else 0
        self._last: tuple[int, bytes] = (-1, b"")

    @classmethod
    def plain(cls, text: bytes) -> RawRun:
        return cls((Segment(0, len(text), text, False),) if text else ())

    @property
    def held_bytes(self) -> int:
        """What it takes in memory."""
        return sum(len(segment.data) for segment in self.segments)

    def segment_of(self, start: int) -> int:
        """Index of the segment that holds the record starting at ``start``; records never span two."""
        return bisect_right(self._starts, start) - 1

    def read(self, start: int, length: int) -> bytes:
        """One record."""
        if not length:
            return b""
        index = self.segment_of(start)
        at = start - self._starts[index]
        return self.text_of(index)[at : at + length]

    def text_of(self, index: int) -> bytes:
        """A segment's text; the last one that was unpacked is kept."""
        segment = self.segments[index]
        if not segment.is_packed:
            return segment.data
        if self._last[0] != index:
            self._last = (index, unpack(segment.data, segment.size))
        return self._last[1]

    def shifted(self, by: int) -> tuple[Segment, ...]:
        """The segments as they are in a run that has ``by`` more bytes in front."""
        if not by:
            return self.segments
        return tuple(Segment(found.start + by, found.size, found.data, found.is_packed) for found in self.segments)


def pack_records(records: Sequence[bytes]) -> tuple[list[bytes], list[int], list[tuple[int, int]]]:
    """Compress records in order.

    returns  (frames, size of each frame's text, (frame, offset in its text) of each record)
    """
    from zstandard import ZstdCompressor

    compress = ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress
    frames: list[bytes] = []
    sizes: list[int] = []
    places: list[tuple[int, int]] = []
    held: list[bytes] = []
    size = 0
    for record in records:
        if held and (len(held) >= FRAME_RECORDS or size + len(record) > FRAME_BYTES):
            frames.append(compress(b"".join(held)))
            sizes.append(size)
            held, size = [], 0
        places.append((len(frames), size))
        held.append(record)
        size += len(record)
    if held:
        frames.append(compress(b"".join(held)))
        sizes.append(size)
    return frames, sizes, places


def pack_text(text: bytes, start: int, lengths: Sequence[int]) -> list[Segment]:
    """Compress records that lie one behind the other in ``text`` from ``start`` on, without touching each one.

    The frames are those of pack_records(); a quarter less time: bench/micro/bridge.py.
    """
    from zstandard import ZstdCompressor

    compress = ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress
    view = memoryview(text)[start:]
    segments: list[Segment] = []
    at = first = 0
    while first < len(lengths):
        end = min(first + FRAME_RECORDS, len(lengths))
        while (size := sum(lengths[first:end])) > FRAME_BYTES and end > first + 1:
            end -= 1
        segments.append(Segment(at, size, compress(view[at : at + size]), True))
        at, first = at + size, end
    return segments


def unpack(frame: bytes, size: int | None = None) -> bytes:
    """The text of a frame that this program made; ``size`` is what it must have. Raises ValueError for a broken one."""
    from zstandard import ZstdDecompressor, ZstdError

    try:
        text: bytes = ZstdDecompressor().decompress(frame)
    except ZstdError as exc:
        raise ValueError(f"a frame of raw records is broken: {exc}") from exc
    if size is not None and len(text) != size:
        raise ValueError(f"a frame of raw records holds {len(text)} bytes instead of {size}")
    return text
