"""COPY text: what the bytes look like; that PostgreSQL reads them back is in integration/test_db_copy.py."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mpsync.store.copy_text import copy_text
from mpsync.store.errors import UnstorableText


def test_columns_become_lines_of_tab_separated_values() -> None:
    encoded = copy_text(
        ["id", "key", "name", "ok", "size"],
        [[1, 2], [b"\x00\xff", b""], ["a", "ü"], [True, False], [1.5, None]],
    )

    assert encoded == "1\t\\\\x00ff\ta\tt\t1.5\n2\t\\\\x\tü\tf\t\\N\n".encode()


def test_special_characters_are_escaped_and_null_is_not_the_text_that_looks_like_it() -> None:
    encoded = copy_text(["text"], [["a\tb", "a\nb", "a\rb", "a\\b", "\\N", None, "", "\\."]])

    assert encoded == b"a\\tb\na\\nb\na\\rb\na\\\\b\n\\\\N\n\\N\n\n\\\\.\n"


def test_a_column_of_nulls_and_times_and_no_rows_at_all() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert copy_text(["a", "b"], [[None], [moment]]) == b"\\N\t2026-01-02 03:04:05+00:00\n"
    assert copy_text(["a"], [[]]) == b""


@pytest.mark.parametrize("bad", ["a\0b", "\0", "lone \ud800 surrogate"])
def test_text_that_the_database_cannot_hold_names_its_column(bad: str) -> None:
    with pytest.raises(UnstorableText, match="column name: ") as caught:
        copy_text(["fine", "name"], [["x", "y"], ["ok", bad]])

    assert caught.value.value == bad


def test_columns_of_different_length_and_of_mixed_types_are_mistakes() -> None:
    with pytest.raises(ValueError, match="shorter"):
        copy_text(["a", "b"], [["x", "y"], ["z"]])
    with pytest.raises(TypeError, match="column a mixes"):
        copy_text(["a"], [["x", 1]])
    with pytest.raises(TypeError, match="column a mixes"):
        copy_text(["a"], [[{}]])
