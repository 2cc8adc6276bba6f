"""The raw records of a batch: one run of bytes in segments, plain ones and zstd frames.

A child packs the records it parsed, some dozens to a frame; they stay packed through queues and stages into the database.
Nobody unpacks a record that nobody reads: 725 MB of RPM file lists are 190 MB here.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import add, gt

FRAME_RECORDS = 64
FRAME_BYTES = 128 << 10
"""A frame holds at most this many records, and is closed once it holds this many bytes (docs/decisions/0002)."""

ZSTD_LEVEL = 1

MAX_SPAN = 1.1
"""Records that lie further apart than this, by their own bytes, are packed one by one."""


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


def pack_run(text: bytes, starts: Sequence[int], lengths: Sequence[int]) -> tuple[list[Segment], list[int]] | None:
    """Compress records that lie in ``text`` in ascending order, with little between them, without copying each one.

    What lies between two records of a frame, such as a line end, goes along. A quarter less time than pack_records():
    bench/micro/bridge.py.
    returns  (segments, where each record starts in them); None when the records lie otherwise
    """
    from zstandard import ZstdCompressor

    if not starts:
        return [], []
    ends = list(map(add, starts, lengths))
    if any(map(gt, ends, starts[1:])) or ends[-1] - starts[0] > sum(lengths) * MAX_SPAN:
        return None
    compress = ZstdCompressor(level=ZSTD_LEVEL, write_content_size=True).compress
    view = memoryview(text)
    segments: list[Segment] = []
    moved: list[int] = []
    at = first = 0
    while first < len(starts):
        begin = starts[first]
        end = max(bisect_right(ends, begin + FRAME_BYTES, first, min(first + FRAME_RECORDS, len(ends))), first + 1)
        size = ends[end - 1] - begin
        segments.append(Segment(at, size, compress(view[begin : begin + size]), True))
        shift = at - begin
        moved.extend([start + shift for start in starts[first:end]])
        at, first = at + size, end
    return segments, moved


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
