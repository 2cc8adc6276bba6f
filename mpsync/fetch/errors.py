"""What can go wrong with an upstream, each as one leaf.

Child-safe: imports no HTTP library. ``url`` never holds credentials. All arguments are positional, for pickling.
"""

from __future__ import annotations

from mpsync.errors import StoreError, UpstreamError


class FetchError(UpstreamError):
    """A transfer failed; ``url``, and what was ``expected`` and ``got``, as text."""

    url: str

    def __init__(self, url: str, *rest: object) -> None:
        super().__init__(url, *rest)
        self.url = url


class NotFound(FetchError):
    """404 or 410, no such file, or 403: what S3-like stores say for a missing file."""

    hint = "check the URL; a mirror in the middle of an update has it soon: run it again; --skip-failed leaves out the missing"

    def __init__(self, url: str, got: str) -> None:
        super().__init__(url, got)
        self.got = got

    def __str__(self) -> str:
        return f"{self.url}: not found ({self.got})"


class Unauthorized(FetchError):
    """401 or 407: the host is not asked again with these credentials."""

    hint = "give --username and --password-file (or MPSYNC_USERNAME and MPSYNC_PASSWORD), or --client-cert"

    def __init__(self, url: str, status: int, what: str) -> None:
        super().__init__(url, status, what)
        self.status, self.what, self.got = status, what, str(status)
        if status == 407:
            self.hint = "give them in the proxy's URL: --proxy http://USER:PASSWORD@HOST:PORT"

    def __str__(self) -> str:
        return f"{self.url}: {self.status}: {self.what}"


class HttpStatus(FetchError):
    """A status that is neither success nor a known no."""

    hint = "the server is in trouble, or the URL is wrong: run it again later, or use another mirror"

    def __init__(self, url: str, status: int, reason: str) -> None:
        super().__init__(url, status, reason)
        self.status, self.reason = status, reason
        self.expected, self.got = "200", f"{status} {reason}".rstrip()

    def __str__(self) -> str:
        return f"{self.url}: the server answered {self.got}"


class TooBusy(FetchError):
    """429 or 503 with Retry-After for longer than we are willing to wait."""

    hint = "run it again later, or use another mirror; what has arrived stays"

    def __init__(self, url: str, status: int, asked_s: float, budget_s: float) -> None:
        super().__init__(url, status, asked_s, budget_s)
        self.status, self.asked_s, self.budget_s = status, asked_s, budget_s
        self.got = f"{status}, retry after {asked_s:.0f} s"

    def __str__(self) -> str:
        return f"{self.url}: the host keeps us waiting: {self.got}; we wait {self.budget_s:.0f} s at most"


class AskedToWait(FetchError):
    """429 or 503 with Retry-After; never leaves the fetch room."""

    def __init__(self, url: str, status: int, seconds: float) -> None:
        super().__init__(url, status, seconds)
        self.status, self.seconds = status, seconds


class ConnectFailed(FetchError):
    """No connection: name resolution, refusal, time-out, proxy."""

    hint = "check the host and the port, the network, and the proxy (--proxy, http_proxy, https_proxy)"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.url}: can't connect: {self.reason}"


class TlsFailed(FetchError):
    """The certificate or the handshake is not right: never retried, never worked around."""

    hint = "--ca-file trusts a private authority; check the clock, and whether this port speaks https"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.reason = self.got = reason

    def __str__(self) -> str:
        return f"{self.url}: TLS: {self.reason}"


class Stalled(FetchError):
    """No byte for the stall time-out, or too few bytes per second over it."""

    hint = "the network or the mirror is too slow: run it again later, or use another mirror"

    def __init__(self, url: str, got_bytes: int, seconds: float, least_bytes_per_s: int) -> None:
        super().__init__(url, got_bytes, seconds, least_bytes_per_s)
        self.got_bytes, self.seconds, self.least_bytes_per_s = got_bytes, seconds, least_bytes_per_s
        self.expected, self.got = f"{least_bytes_per_s} B/s", f"{got_bytes} B in {seconds:.1f} s"

    def __str__(self) -> str:
        return f"{self.url}: stalled: {self.got}, less than {self.expected}"


class CutShort(FetchError):
    """The connection ended before the body did."""

    hint = "the network, a proxy or the mirror cuts connections: run it again later, or use another mirror"

    def __init__(self, url: str, got_bytes: int, reason: str) -> None:
        super().__init__(url, got_bytes, reason)
        self.got_bytes, self.reason, self.got = got_bytes, reason, f"{got_bytes} B"

    def __str__(self) -> str:
        return f"{self.url}: the connection was cut after {self.got}: {self.reason}"


class SizeMismatch(FetchError):
    """Not as many bytes as the metadata promised. ``looks_like``: the first bytes, if they look like a web page."""

    hint = "a mirror in the middle of an update, a damaged copy or a stale cache: run it again later, or use another mirror"

    def __init__(self, url: str, want_bytes: int, got_bytes: int, looks_like: str | None = None) -> None:
        super().__init__(url, want_bytes, got_bytes, looks_like)
        self.want_bytes, self.got_bytes, self.looks_like = want_bytes, got_bytes, looks_like
        self.expected, self.got = f"{want_bytes} B", f"{got_bytes} B"

    def __str__(self) -> str:
        return f"{self.url}: size is {self.got}, metadata promised {self.expected}{_page(self.looks_like)}"


class DigestMismatch(FetchError):
    """The bytes received are not the bytes the metadata promised."""

    hint = "a mirror in the middle of an update, a damaged copy or a stale cache: run it again later, or use another mirror"

    def __init__(self, url: str, algorithm: str, want: str, got: str, looks_like: str | None = None) -> None:
        super().__init__(url, algorithm, want, got, looks_like)
        self.algorithm, self.want, self.looks_like = algorithm, want, looks_like
        self.expected, self.got = f"{algorithm}:{want}", f"{algorithm}:{got}"

    def __str__(self) -> str:
        return f"{self.url}: {self.got}, metadata promised {self.expected}{_page(self.looks_like)}"


class TooLarge(FetchError):
    """More bytes than the limit for a file whose size nobody promised."""

    hint = "no such file is that large: check the URL, or use another mirror"

    def __init__(self, url: str, limit_bytes: int, got_bytes: int) -> None:
        super().__init__(url, limit_bytes, got_bytes)
        self.limit_bytes, self.got_bytes = limit_bytes, got_bytes
        self.expected, self.got = f"at most {limit_bytes} B", f"{got_bytes} B or more"

    def __str__(self) -> str:
        return f"{self.url}: too large: {self.got}, the limit is {self.limit_bytes} B"


class BadResponse(FetchError):
    """An answer that does not fit the question: a range we did not ask for, 304 to an unconditional request."""

    hint = "a broken server or proxy: run it again later, or use another mirror, or without the proxy"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.problem = self.got = problem

    def __str__(self) -> str:
        return f"{self.url}: bad response: {self.problem}"


class BadRedirect(FetchError):
    """A redirect that we don't follow: a loop, too many, a downgrade, a forbidden place, a malformed one."""

    hint = "if that is where the repository is now, give that URL; else the mirror or a proxy is broken"

    def __init__(self, url: str, location: str, problem: str) -> None:
        super().__init__(url, location, problem)
        self.location, self.problem, self.got = location, problem, location

    def __str__(self) -> str:
        return f"{self.url}: redirect to {self.location} refused: {self.problem}"


class ForbiddenUrl(FetchError):
    """A URL from metadata that leads where this remote may not go."""

    hint = "a mirror may not lead us into another network; use the repository's own URL, or another mirror"

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(url, problem)
        self.problem = problem

    def __str__(self) -> str:
        return f"{self.url}: refused: {self.problem}"


class ReadFailed(FetchError):
    """A file:// upstream can't be read."""

    hint = "check that it is mounted, and that this user may read it"

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(url, reason)
        self.reason = self.got = reason

    def __str__(self) -> str:
        return f"{self.url}: can't read: {self.reason}"


class TempFileFailed(StoreError):
    """The temporary file can't be written: the disk is full, or read-only."""

    hint = "free some space or give another --data-dir, and run it again"

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path, self.reason = path, reason

    def __str__(self) -> str:
        return f"{self.path}: can't write: {self.reason}"


def _page(looks_like: str | None) -> str:
    return "" if looks_like is None else f"; the bytes look like a web page: {looks_like}"


def looks_like_page(head: bytes) -> str | None:
    """The first 80 characters of a HTML page, harmless to print; None for anything else."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text[:1] != b"<" or not any(tag in text[:200].lower() for tag in (b"<html", b"<!doctype html", b"<head")):
        return None
    return "".join(char if char.isprintable() else " " for char in text[:80].decode("utf-8", "replace"))
