"""What we know of each upstream host: slots, how long it asked us to wait, whether it refused us, how well it did."""

from __future__ import annotations

import asyncio
from time import monotonic

from mpsync.errors import UpstreamError
from mpsync.fetch.errors import (
    ConnectFailed,
    DigestMismatch,
    ForbiddenUrl,
    NotFound,
    SizeMismatch,
    Stalled,
    TlsFailed,
    Unauthorized,
)

BAD_SCORE = 4
BAD_FOR_S = 1800.0
"""A host whose penalties reach this is asked last, and not again where there is another, for so long: most runs."""

_AT_ONCE = (ForbiddenUrl, Stalled, TlsFailed)
"""No second try makes these better, and each stall costs a stall time-out."""


class Host:
    """One upstream host and port (or the file system).

    requests, files, bytes, failures   counters that only grow; bytes are body bytes as received
    """

    __slots__ = (
        "_bad_until",
        "_busy_since",
        "_penalty",
        "blocked_until",
        "bytes",
        "failures",
        "files",
        "name",
        "refused",
        "requests",
        "slots",
    )

    def __init__(self, name: str, connections: int) -> None:
        self.name = name
        self.slots = asyncio.Semaphore(connections)
        self.requests = self.files = self.bytes = self.failures = 0
        self.blocked_until = 0.0
        self.refused: Unauthorized | None = None
        self._busy_since: float | None = None
        self._penalty = 0
        self._bad_until = 0.0

    @property
    def is_bad(self) -> bool:
        """Dead or lying lately: other mirrors go first."""
        return bool(self._bad_until) and self._bad_until > monotonic()

    @property
    def score(self) -> float:
        """Files per try, 0 … 1; 1 for a host never asked."""
        tries = self.files + self.failures
        return self.files / tries if tries else 1.0

    def served(self) -> None:
        """It answered, and well. Who is bad stays so: one who serves small files and stalls in large ones is left."""
        if self._penalty or self._busy_since is not None:
            self._penalty, self._busy_since = 0, None

    def failed(self, error: UpstreamError) -> None:
        """A try failed. A missing file says nothing about the host, as long as no other has it."""
        if isinstance(error, NotFound):
            return
        self.failures += 1
        if isinstance(error, Unauthorized):
            return
        if isinstance(error, _AT_ONCE):
            self._punish(BAD_SCORE)
        else:
            self._punish(2 if isinstance(error, ConnectFailed | DigestMismatch | SizeMismatch) else 1)

    def lacked(self) -> None:
        """Another host had the file that this one has not."""
        self._punish(1)

    def _punish(self, penalty: int) -> None:
        self._penalty += penalty
        if self._penalty >= BAD_SCORE:
            self._bad_until = monotonic() + BAD_FOR_S

    def ask_later(self, seconds: float) -> float:
        """The host said Retry-After: nobody asks it before. Returns for how long it will have kept us waiting then."""
        now = monotonic()
        if self._busy_since is None:
            self._busy_since = now
        self.blocked_until = max(self.blocked_until, now + seconds)
        return self.blocked_until - self._busy_since
