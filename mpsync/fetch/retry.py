"""When to try again, and how long to wait before: pure rules."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from mpsync.errors import UpstreamError
from mpsync.fetch.errors import BadResponse, ConnectFailed, CutShort, DigestMismatch, HttpStatus, SizeMismatch, Stalled

FIRST_S = 0.1
FACTOR = 3.0
LONGEST_S = 30.0
"""Back-off: 0.1, 0.3, 0.9, 2.7 … 30 s, each less up to a half, so that many clients don't come back together."""

_BROKEN = (BadResponse, ConnectFailed, CutShort, DigestMismatch, SizeMismatch, Stalled)
_PASSING = frozenset((408, 425, 429))  # request timeout, too early, too many requests


def is_worth_retrying(error: UpstreamError) -> bool:
    """Whether the same URL may answer better in a moment. Not for TLS, credentials, redirects, or a plain no."""
    if isinstance(error, HttpStatus):
        return error.status >= 500 or error.status in _PASSING
    return isinstance(error, _BROKEN)


def is_wrong_content(error: UpstreamError) -> bool:
    """The bytes arrived and are not the promised ones: start at byte 0, past the caches (Cache-Control: no-cache)."""
    return isinstance(error, DigestMismatch | SizeMismatch | BadResponse)


def back_off_s(failures: int) -> float:
    """How long to wait after so many failures in a row (1, 2 …)."""
    longest = min(FIRST_S * FACTOR ** (failures - 1), LONGEST_S)
    return longest * random.uniform(0.5, 1.0)


def retry_after_s(value: str | None, now: datetime | None = None) -> float | None:
    """Retry-After as seconds from now, never negative; None when absent or unreadable. Source RFC 9110 10.2.3."""
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - (now or datetime.now(UTC))).total_seconds())
