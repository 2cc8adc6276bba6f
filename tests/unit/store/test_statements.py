"""SQL by name."""

from __future__ import annotations

import pytest

from mpsync.store.statements import parse_statements, statements


def test_statements_are_found_by_name_without_comments_and_the_last_semicolon() -> None:
    text = "-- About this file.\n\n-- name: one\n-- 100 % sure\nSELECT 1; -- why\n\n"
    text += "-- name: two\nSELECT\n  -- inside\n  2;\n"

    found = parse_statements(text, "x.sql")

    assert found == {"one": "SELECT 1; -- why", "two": "SELECT\n  2"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;\n", "statement a appears twice"),
        ("-- name: a\n-- only words\n", "statement a is empty"),
        ("-- name:\nSELECT 1;\n", "'' is no name"),
        ("-- name: two words\nSELECT 1;\n", "SQL before the first"),
        ("SELECT 1;\n-- name: a\nSELECT 2;\n", "SQL before the first"),
    ],
)
def test_a_bad_file_is_an_error_that_names_it(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=f"x.sql: {problem}"):
        parse_statements(text, "x.sql")


def test_statements_of_the_package_are_loaded_once() -> None:
    first = statements("mpsync.store", "sql/migrate.sql")

    assert set(first) == {"lock", "create_table", "applied", "insert"}
    assert statements("mpsync.store", "sql/migrate.sql") is first
