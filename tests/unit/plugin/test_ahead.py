"""Chunks made ahead by a thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from mpsync.plugin.ahead import ahead


def numbered(count: int, made: list[int]) -> Iterator[bytes]:
    for number in range(count):
        made.append(number)
        yield b"%d" % number


def test_all_chunks_come_in_their_order() -> None:
    assert list(ahead(numbered(100, []))) == [b"%d" % number for number in range(100)]


def test_no_more_are_made_ahead_than_asked_for() -> None:
    made: list[int] = []
    chunks = ahead(numbered(100, made), count=2)

    next(chunks)

    chunks.close()  # type: ignore[attr-defined]  # a generator
    assert len(made) <= 1 + 2 + 1 + 1  # read, waiting, in hand, and one that the reader's leaving lets go


def test_an_error_comes_behind_what_was_made_before_it() -> None:
    def broken() -> Iterator[bytes]:
        yield b"good"
        raise ValueError("cut short")

    chunks = ahead(broken())

    assert next(chunks) == b"good"
    with pytest.raises(ValueError, match="cut short"):
        next(chunks)


def test_a_reader_who_leaves_takes_the_thread_along() -> None:
    before = threading.active_count()
    chunks = ahead(numbered(1000, []))
    next(chunks)

    chunks.close()  # type: ignore[attr-defined]  # a generator

    assert threading.active_count() == before
