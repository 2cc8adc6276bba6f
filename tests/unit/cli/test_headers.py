"""--header on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpsync.cli.headers import headers_of
from mpsync.errors import ConfigError


def test_names_and_values_are_taken_apart() -> None:
    assert headers_of(["X-Token: a:b ", "Cookie:c=1"]) == {"X-Token": "a:b", "Cookie": "c=1"}


def test_a_file_holds_one_a_line(tmp_path: Path) -> None:
    file = tmp_path / "headers"
    file.write_text("X-Token: secret\n\nX-Other: 2\n")

    assert headers_of([f"@{file}", "X-Other: 3"]) == {"X-Token": "secret", "X-Other": "3"}


@pytest.mark.parametrize("text", ["no colon", ": value", "X-A: b\r\nX-C: d", "X A: b", "X-A: \x00"])
def test_what_is_no_header_is_refused_without_its_value(text: str) -> None:
    with pytest.raises(ConfigError, match="expected NAME: VALUE") as caught:
        headers_of([text])

    assert text not in str(caught.value)


@pytest.mark.parametrize("name", ["Range", "accept-encoding", "Host"])
def test_what_the_transfer_depends_on_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="ours to set"):
        headers_of([f"{name}: x"])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="gone"):
        headers_of([f"@{tmp_path / 'gone'}"])
