"""The leaves cross processes and say what is needed."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys

import pytest

from mpsync.errors import MpsyncError
from mpsync.fetch import errors

MADE: list[MpsyncError] = [
    errors.NotFound("http://h/a", "404 Not Found"),
    errors.Unauthorized("http://h/a", 401, "credentials are required"),
    errors.HttpStatus("http://h/a", 500, "No"),
    errors.TooBusy("http://h/a", 429, 300.0, 120.0),
    errors.AskedToWait("http://h/a", 429, 300.0),
    errors.ConnectFailed("http://h/a", "refused"),
    errors.TlsFailed("http://h/a", "expired"),
    errors.Stalled("http://h/a", 10, 30.0, 1000),
    errors.CutShort("http://h/a", 10, "reset"),
    errors.SizeMismatch("http://h/a", 5, 6, "<html>"),
    errors.DigestMismatch("http://h/a", "sha256", "aa", "bb", None),
    errors.TooLarge("http://h/a", 5, 6),
    errors.BadResponse("http://h/a", "206"),
    errors.BadRedirect("http://h/a", "file:///", "no"),
    errors.ForbiddenUrl("http://h/a", "no"),
    errors.ReadFailed("file:///a", "I/O error"),
    errors.TempFileFailed("/tmp/a", "no space left"),
]


@pytest.mark.parametrize("error", MADE, ids=lambda error: type(error).__name__)
def test_a_leaf_survives_pickling_with_its_words(error: MpsyncError) -> None:
    again = pickle.loads(pickle.dumps(error))

    assert type(again) is type(error)
    assert str(again) == str(error)
    assert again.details() == error.details()


def test_every_leaf_is_in_that_list() -> None:
    leaves = {
        made
        for _, made in inspect.getmembers(errors, inspect.isclass)
        if made.__module__ == errors.__name__ and made is not errors.FetchError
    }

    assert leaves == {type(error) for error in MADE}


def test_details_name_url_expected_and_got() -> None:
    details = errors.DigestMismatch("http://h/a", "sha256", "aa", "bb").details()

    assert (details["url"], details["expected"], details["got"]) == ("http://h/a", "sha256:aa", "sha256:bb")


def test_errors_remotes_and_the_fetcher_itself_load_no_http_library() -> None:
    code = (
        "import sys, mpsync.fetch.errors, mpsync.model.remote, mpsync.fetch.session;"
        "print([name for name in ('aiohttp', 'psycopg') if name in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_only_html_is_shown_and_harmlessly() -> None:
    assert errors.looks_like_page(b"\n<!DOCTYPE html><title>\x1b[2J" + b"x" * 100) == (
        "<!DOCTYPE html><title> [2J" + "x" * 54
    )
    assert errors.looks_like_page(b"!<arch>\ndebian") is None
    assert errors.looks_like_page(b"<?xml version='1.0'?><repomd>") is None
