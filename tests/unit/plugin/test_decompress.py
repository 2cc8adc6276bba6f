"""Bounded decompression: every format, and every way a file may lie about itself."""

from __future__ import annotations

import bz2
import gzip
import lzma
import pickle
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
import zstandard

from mpsync.model.digests import Expected
from mpsync.plugin.decompress import CorruptStream, DecompressionBomb, Digesting, compression_of, open_chunks, read_all

TEXT = b"".join(b"Package: p%d\nVersion: %d\n\n" % (n, n * 7919) for n in range(40_000))
PACK: dict[str, Callable[[bytes], bytes]] = {
    "xz": lzma.compress,
    "gz": gzip.compress,
    "bz2": bz2.compress,
    "zst": lambda data: zstandard.ZstdCompressor().compress(data),
}
ALL = pytest.mark.parametrize("suffix", PACK)


def stored(tmp_path: Path, name: str, data: bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@ALL
@pytest.mark.parametrize("chunk_bytes", [1000, 1 << 20])
def test_a_file_unpacks_to_its_text(tmp_path: Path, suffix: str, chunk_bytes: int) -> None:
    path = stored(tmp_path, f"Packages.{suffix}", PACK[suffix](TEXT))

    chunks = list(open_chunks(path, max_bytes=len(TEXT), chunk_bytes=chunk_bytes))

    assert b"".join(chunks) == TEXT
    assert all(chunks)


@ALL
def test_streams_behind_each_other_are_one_text(tmp_path: Path, suffix: str) -> None:
    pieces = [TEXT[:10], b"", TEXT[10:300_000], TEXT[300_000:]]
    path = stored(tmp_path, f"Packages.{suffix}", b"".join(map(PACK[suffix], pieces)))

    assert b"".join(open_chunks(path, max_bytes=None)) == TEXT


@ALL
def test_an_empty_text_is_no_chunk(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path, f"Packages.{suffix}", PACK[suffix](b""))

    assert list(open_chunks(path, max_bytes=0)) == []


@ALL
def test_garbage_behind_the_stream_is_an_error(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path, f"Packages.{suffix}", PACK[suffix](b"text") + b"garbage")

    with pytest.raises(CorruptStream, match="garbage after"):
        list(open_chunks(path, max_bytes=None))


@ALL
def test_a_file_cut_short_is_an_error(tmp_path: Path, suffix: str) -> None:
    whole = PACK[suffix](TEXT)
    for keep in (0, 1, 5, len(whole) // 2, len(whole) - 1):
        path = stored(tmp_path, f"Packages.{suffix}", whole[:keep])

        with pytest.raises(CorruptStream):
            list(open_chunks(path, max_bytes=None))


@ALL
def test_a_flipped_bit_is_an_error_or_shows_in_the_digest(tmp_path: Path, suffix: str) -> None:
    whole = bytearray(PACK[suffix](TEXT))
    whole[len(whole) // 2] ^= 0x10
    path = stored(tmp_path, f"Packages.{suffix}", bytes(whole))

    def unpack_and_check() -> None:
        text = Digesting(open_chunks(path, max_bytes=len(TEXT)))
        list(text)
        text.check(Expected.sha256(sha256(TEXT).hexdigest(), len(TEXT)), "Packages")

    with pytest.raises((CorruptStream, DecompressionBomb)):
        unpack_and_check()


@ALL
def test_a_bomb_stops_at_the_promised_size(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path, f"Packages.{suffix}", PACK[suffix](bytes(20 << 20)))
    got: list[bytes] = []

    with pytest.raises(DecompressionBomb, match="expected 1000 bytes"):
        got.extend(open_chunks(path, max_bytes=1000))

    assert sum(map(len, got)) <= 1000


@ALL
def test_a_name_that_lies_about_the_bytes_is_refused(tmp_path: Path, suffix: str) -> None:
    other = next(kind for kind in PACK if kind != suffix)
    path = stored(tmp_path, f"Packages.{suffix}", PACK[other](TEXT))

    with pytest.raises(CorruptStream, match="not what its name says"):
        list(open_chunks(path, max_bytes=None))


@ALL
def test_a_stored_artifact_without_a_suffix_is_known_by_its_bytes(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path, "ab12", PACK[suffix](TEXT))

    assert read_all(path, max_bytes=len(TEXT)) == TEXT
    assert read_all(path, max_bytes=len(TEXT), name=f"Packages.{suffix}") == TEXT


def test_plain_text_passes_and_is_bounded_too(tmp_path: Path) -> None:
    path = stored(tmp_path, "Packages", TEXT)

    assert read_all(path, max_bytes=len(TEXT)) == TEXT
    with pytest.raises(DecompressionBomb):
        read_all(path, max_bytes=len(TEXT) - 1)


def test_xz_padding_in_fours_is_part_of_the_format(tmp_path: Path) -> None:
    good = stored(tmp_path, "good.xz", lzma.compress(b"a") + bytes(4) + lzma.compress(b"b") + bytes(8))
    bad = stored(tmp_path, "bad.xz", lzma.compress(b"a") + bytes(3))

    assert read_all(good, max_bytes=2) == b"ab"
    with pytest.raises(CorruptStream):
        read_all(bad, max_bytes=2)


def zstd_frame(window_log: int, text: bytes) -> bytes:
    """A frame by hand: no content size, the window of ``window_log``, one raw block."""
    header = b"\x28\xb5\x2f\xfd\x00" + bytes(((window_log - 10) << 3,))
    return header + (len(text) << 3 | 1).to_bytes(3, "little") + text


def test_zstd_with_the_longest_window_unpacks_when_the_size_is_promised(tmp_path: Path) -> None:
    path = stored(tmp_path, "Packages.zst", zstd_frame(31, b"text"))

    assert read_all(path, max_bytes=4) == b"text"
    with pytest.raises(CorruptStream, match="is not valid zst"):
        list(open_chunks(path, max_bytes=None))


def test_zstd_skippable_frames_are_skipped(tmp_path: Path) -> None:
    skippable = b"\x50\x2a\x4d\x18" + (3).to_bytes(4, "little") + b"abc"
    path = stored(tmp_path, "Packages.zst", skippable + zstd_frame(20, b"te") + skippable + zstd_frame(20, b"xt"))

    assert read_all(path, max_bytes=4) == b"text"


def test_digests_are_taken_on_the_way_and_compared(tmp_path: Path) -> None:
    path = stored(tmp_path, "Packages.gz", gzip.compress(TEXT))
    text = Digesting(open_chunks(path, max_bytes=len(TEXT)), ("sha256", "md5"))

    assert b"".join(text) == TEXT

    assert text.digests["sha256"] == sha256(TEXT).hexdigest()
    text.check(Expected.sha256(sha256(TEXT).hexdigest(), len(TEXT)), "Packages")
    with pytest.raises(CorruptStream, match="wrong size") as caught:
        text.check(Expected(size_bytes=1), "Packages")
    assert caught.value.details()["expected"] == "1 bytes"
    with pytest.raises(CorruptStream, match="wrong sha256"):
        text.check(Expected.sha256("0" * 64), "Packages")


def test_the_errors_survive_pickling() -> None:
    for error in (CorruptStream("a", "b", "c", "d"), DecompressionBomb("a", "b", "c", "d")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_compression_is_read_off_the_last_suffix() -> None:
    assert [compression_of(name) for name in ("a.xz", "a/b.tar.GZ", "a.zst", "b.bz2", "Packages", "v1.2")] == [
        *("xz", "gz", "zst", "bz2"),
        *("plain", "plain"),
    ]
