"""Sums files of installer images."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpsync.errors import MetadataError, UnsafePath
from mpsync.plugins.deb.installer import InstallerFile, parse_sums

IMAGES = "dists/sample/main/installer-amd64/current/images"
ROOT = Path(__file__).parents[2] / "data" / "sample-deb"
A = "ab" * 32


def test_a_real_sums_file_names_files_below_its_own_folder() -> None:
    found = parse_sums((ROOT / IMAGES / "SHA256SUMS").read_bytes(), IMAGES, "SHA256SUMS", "x")

    assert len(found) == 3
    assert all((ROOT / file.path).is_file() for file in found)


def test_text_and_binary_marks_and_repeats_are_understood() -> None:
    text = f"{A}  ./a/b.img\n{A.upper()} *c d\r\n\n{A}  a/b.img\n".encode()

    assert parse_sums(text, "f", "f/SHA256SUMS", "x") == [
        InstallerFile("f/a/b.img", {"sha256": A}),
        InstallerFile("f/c d", {"sha256": A}),
    ]


@pytest.mark.parametrize("line", [A, f"{A[:-1]}  a", f"{A[:32]}  a", "not a sum"])
def test_a_bad_line_is_named(line: str) -> None:
    with pytest.raises(MetadataError, match="line 2: bad line"):
        parse_sums(f"{A}  ok\n{line}\n".encode(), "f", "SHA256SUMS", "x")


def test_two_digests_for_one_file_and_climbing_paths_are_refused() -> None:
    with pytest.raises(MetadataError, match="two digests"):
        parse_sums(f"{A}  a\n{'cd' * 32}  a\n".encode(), "f", "SHA256SUMS", "x")
    with pytest.raises(UnsafePath):
        parse_sums(f"{A}  ../../x\n".encode(), "f", "SHA256SUMS", "x")
    with pytest.raises(MetadataError, match="known sums file"):
        parse_sums(b"", "f", "CRC32SUMS", "x")
