"""Cutting text at stanza borders."""

from __future__ import annotations

import itertools

import pytest

from mpsync.errors import MetadataError
from mpsync.plugins.deb import stanza
from mpsync.plugins.deb.stanza import blocks, cut_points, fields, split_stanzas

TEXT = b"\n".join(b"A: %d\nB: x\n y\n" % number for number in range(50))


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 200])
def test_cut_points_lose_and_split_no_stanza(parts: int, line_end: bytes) -> None:
    text = TEXT.replace(b"\n", line_end)
    points = cut_points(text, parts)

    ranges = [text[start:end] for start, end in itertools.pairwise(points)]

    assert (points[0], points[-1]) == (0, len(text))
    assert len(ranges) <= parts
    assert [raw for piece in ranges for raw in split_stanzas(piece)] == split_stanzas(text)


def test_cut_points_of_an_empty_text() -> None:
    assert cut_points(b"", 4) == [0, 0]


def test_a_stanza_without_end_is_an_error_not_a_full_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stanza, "MAX_STANZA_BYTES", 10_000)
    given = 0

    def endless():  # type: ignore[no-untyped-def]
        nonlocal given
        while True:
            given += 1000
            yield b"x" * 1000

    with pytest.raises(MetadataError, match="stanza without an end"):
        list(blocks(endless(), "sample main", block_bytes=2000))
    assert given < 50_000


def test_fields_are_read_without_regard_to_case_and_folds_are_kept() -> None:
    assert fields(b"Suite: a\nSHA256:\n one\n two\n#c\nEmpty:\nSUITE: b") == {
        "suite": b"a",
        "sha256": b"\n one\n two",
        "empty": b"",
    }
