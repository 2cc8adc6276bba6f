"""When to try again, and how long to wait before."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from mpsync.errors import UpstreamError
from mpsync.fetch import errors
from mpsync.fetch.retry import LONGEST_S, back_off_s, is_worth_retrying, retry_after_s

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 01 Jan 2026 12:00:30 GMT", 30.0),
        ("Thursday, 01-Jan-26 12:00:30 GMT", 30.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("99999999999999", 999999999.0),
        ("soon", None),
        ("-5", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_s(value, NOW) == seconds


def test_the_back_off_grows_and_is_bounded() -> None:
    assert 0.05 <= back_off_s(1) <= 0.1
    assert 0.45 <= back_off_s(3) <= 0.9
    assert back_off_s(50) <= LONGEST_S
    assert len({back_off_s(4) for _ in range(10)}) > 1  # jitter


@pytest.mark.parametrize(
    ("error", "again"),
    [
        (errors.ConnectFailed("u", "refused"), True),
        (errors.CutShort("u", 3, "reset"), True),
        (errors.Stalled("u", 0, 30.0, 1000), True),
        (errors.DigestMismatch("u", "sha256", "a", "b"), True),
        (errors.SizeMismatch("u", 1, 2), True),
        (errors.HttpStatus("u", 500, ""), True),
        (errors.HttpStatus("u", 429, ""), True),
        (errors.HttpStatus("u", 400, ""), False),
        (errors.NotFound("u", "404"), False),
        (errors.Unauthorized("u", 401, ""), False),
        (errors.TlsFailed("u", "expired"), False),
        (errors.TooLarge("u", 1, 2), False),
        (errors.BadRedirect("u", "v", "loop"), False),
        (errors.ForbiddenUrl("u", "no"), False),
    ],
)
def test_only_what_may_pass_is_tried_again(error: UpstreamError, again: bool) -> None:
    assert is_worth_retrying(error) is again
