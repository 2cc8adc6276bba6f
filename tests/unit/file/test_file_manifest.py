"""A manifest's lines: what becomes an entry, what becomes an error in its place, and what an entry says."""

from __future__ import annotations

import pytest

from mpsync.errors import MetadataError, UnsafePath
from mpsync.plugins.file.manifest import Entry, parse

ONE, TWO = "1" * 64, "2" * 64


def entries(text: str) -> list[Entry | MetadataError]:
    return list(parse(text.encode(), "MANIFEST"))


def test_lines_become_entries_in_their_order() -> None:
    assert entries(f"b/two.iso,{TWO},2\na.iso,{ONE},1\n") == [Entry("b/two.iso", TWO, 2), Entry("a.iso", ONE, 1)]


def test_a_path_may_hold_commas_spaces_and_any_script() -> None:
    found = entries(f"a, b,c.iso,{ONE},1\nücret/文件.iso,{TWO},2\n")

    assert [entry.path for entry in found if isinstance(entry, Entry)] == ["a, b,c.iso", "ücret/文件.iso"]


@pytest.mark.parametrize(
    "text",
    [
        f"a,{ONE},1\r\nb,{TWO},2\r\n",
        f"a,{ONE},1\nb,{TWO},2",
        f"\n  \na,{ONE},1\n\nb,{TWO},2\n\n",
        f"a, {ONE} , 1 \nb,{TWO},2\n",
    ],
    ids=["CRLF", "no final newline", "empty lines", "spaces around the fields"],
)
def test_how_lines_end_and_are_spaced_changes_nothing(text: str) -> None:
    assert entries(text) == [Entry("a", ONE, 1), Entry("b", TWO, 2)]


def test_an_empty_manifest_has_no_entries() -> None:
    assert entries("") == []


def test_digests_are_compared_and_kept_in_lower_case() -> None:
    assert entries(f"a,{'AB' * 32},1\na,{'ab' * 32},1\n") == [Entry("a", "ab" * 32, 1)]


def test_an_empty_file_is_a_file() -> None:
    assert entries(f"empty,{ONE},0\n") == [Entry("empty", ONE, 0)]


@pytest.mark.parametrize(
    "line",
    [
        "no commas",
        "path,3",
        f"{ONE},3",
        "path,notahash,3",
        f"path,{'1' * 63},3",
        f"path,{'1' * 65},3",
        f"path,{'g' * 64},3",
        f"path,{ONE},",
        f"path,{ONE},-3",
        f"path,{ONE},3.5",
        f"path,{ONE},three",
        f"path,3,{ONE}",
    ],
)
def test_a_bad_line_gives_an_error_that_names_it_and_the_rest_is_read(line: str) -> None:
    before, error, after = entries(f"a,{ONE},1\n{line}\nb,{TWO},2\n")

    assert (before, after) == (Entry("a", ONE, 1), Entry("b", TWO, 2))
    assert isinstance(error, MetadataError)
    assert error.where == "MANIFEST line 2"
    assert "path,sha256,size" in str(error)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a/..",
        "./a",
        "a//b",
        "a\\b",
        "a\0b",
        "http://mirror.example/a",
        "%2e%2e/a",
    ],
)
def test_a_path_that_leaves_the_repository_is_an_unsafe_path(path: str) -> None:
    (error,) = entries(f"{path},{ONE},1\n")

    assert isinstance(error, UnsafePath)
    assert error.where == "MANIFEST line 1"


def test_a_repeated_line_is_one_entry() -> None:
    assert entries(f"a,{ONE},1\nb,{TWO},2\na,{ONE},1\n") == [Entry("a", ONE, 1), Entry("b", TWO, 2)]


@pytest.mark.parametrize("again", [f"a,{TWO},1", f"a,{ONE},2"], ids=["another digest", "another size"])
def test_a_path_listed_twice_with_different_files_is_an_error(again: str) -> None:
    first, error = entries(f"a,{ONE},1\n{again}\n")

    assert first == Entry("a", ONE, 1)
    assert isinstance(error, MetadataError)
    assert error.where == "MANIFEST line 2"
    assert "a is listed twice" in str(error)


def test_one_file_under_two_paths_is_two_units_of_one_artifact() -> None:
    first, second = entries(f"a,{ONE},1\nb,{ONE},1\n")

    assert isinstance(first, Entry)
    assert isinstance(second, Entry)
    assert first.content().key != second.content().key
    assert first.artifact().sha256 == second.artifact().sha256 == ONE


def test_an_entry_is_the_same_unit_however_its_line_was_written() -> None:
    (plain,) = entries(f"a,{'ab' * 32},1\n")
    (odd,) = entries(f"a, {'AB' * 32},01\r\n")

    assert isinstance(plain, Entry)
    assert isinstance(odd, Entry)
    assert plain.content().key == odd.content().key


def test_a_changed_digest_is_another_unit_of_the_same_name() -> None:
    old, new = Entry("a", ONE, 1).content(), Entry("a", TWO, 1).content()

    assert old.key != new.key
    assert old.name == new.name == "a"
