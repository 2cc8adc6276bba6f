"""Digests and sizes: what metadata promises of a file, and what a transfer found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

STRENGTH = ("sha512", "sha384", "sha256", "sha224", "sha1", "md5")
"""Algorithms from strong to weak."""

ACCEPTED = frozenset(("sha512", "sha384", "sha256", "sha224"))
"""Algorithms that prove identity by default; md5 and sha1 are refused unless a plugin option allows them."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What the metadata promises of a file.

    size_bytes  exact size, or None when unknown
    digests     {algorithm: lowercase hex}; empty when unknown (top files such as InRelease)
    limit_bytes never read more than this when the size is unknown
    """

    size_bytes: int | None = None
    digests: dict[str, str] = field(default_factory=dict)
    limit_bytes: int | None = None

    @classmethod
    def sha256(cls, digest: str, size_bytes: int | None = None) -> Expected:
        """The usual case: one sha256."""
        return cls(size_bytes, {"sha256": digest})


def strongest(digests: Mapping[str, str]) -> tuple[str, str]:
    """(algorithm, hex) of the strongest digest of ``{algorithm: hex}``, which has one that we know."""
    return next((name, digests[name]) for name in STRENGTH if name in digests)


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that a transfer left on disk, verified against what was expected.

    path        the temporary file, on the artifact store's own file system, not yet durable
    size_bytes  its size
    digests     {algorithm: lowercase hex}; sha256 always, and every algorithm that was expected
    url         the URL that served it, without credentials
    """

    path: Path
    size_bytes: int
    digests: dict[str, str]
    url: str

    @property
    def sha256(self) -> str:
        return self.digests["sha256"]
