"""A Debian suite on disk: indexes in their compressions, by-hash, Release, InRelease and Release.gpg."""

from __future__ import annotations

import gzip
import hashlib
import lzma
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.upstreams.signing import Signer

_FIRST = datetime(2025, 1, 2, tzinfo=UTC)
"""Date of generation 1; the next ones follow by days. In the past: a reader's clock may be behind ours."""


class Suite:
    """Collects files of ``dists/<suite>``, then signs a Release of them.

    The plain index is named in Release and not stored, as Debian does it.
    """

    def __init__(self, root: Path, suite: str, *, xz_preset: int = 6, by_hash: bool = True) -> None:
        self.root, self.suite, self._preset, self._by_hash = root, suite, xz_preset, by_hash
        self._dist = root / "dists" / suite
        self._dist.mkdir(parents=True, exist_ok=True)
        self._promised: dict[str, tuple[str, str, int]] = {}  # path -> md5, sha256, size

    def add_index(self, path: str, text: bytes, suffixes: tuple[str, ...] = (".xz",)) -> None:
        """Store ``text`` at ``path`` below the suite's folder, once for each suffix: "", .gz or .xz."""
        self._promise(path, text)
        for suffix in suffixes:
            data = self._packed(text, suffix)
            self._promise(path + suffix, data)
            target = self._dist / (path + suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            if not self._by_hash:
                continue
            by_hash = target.parent / "by-hash" / "SHA256" / hashlib.sha256(data).hexdigest()
            by_hash.parent.mkdir(parents=True, exist_ok=True)
            by_hash.write_bytes(data)

    def sign(self, fields: Mapping[str, str], signer: Signer, *, generation: int = 1) -> None:
        """Write Release with ``fields`` first, its signatures, and the keyring at ``<root>/keyring.gpg``."""
        date = (_FIRST + timedelta(days=generation - 1)).strftime("%a, %d %b %Y %H:%M:%S UTC")
        given = {**fields, "Date": date, "Acquire-By-Hash": "yes" if self._by_hash else "no"}
        text = "".join(f"{field}: {value}\n" for field, value in given.items())
        for section, at in (("MD5Sum", 0), ("SHA256", 1)):
            text += f"{section}:\n"
            for path, promised in sorted(self._promised.items()):
                text += f" {promised[at]} {promised[2]:8d} {path}\n"
        release = text.encode()
        (self._dist / "Release").write_bytes(release)
        (self._dist / "InRelease").write_bytes(signer.inline(release))
        (self._dist / "Release.gpg").write_bytes(signer.detached(release))
        (self.root / "keyring.gpg").write_bytes(signer.keyring())

    def _promise(self, path: str, data: bytes) -> None:
        self._promised[path] = (hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), len(data))

    def _packed(self, text: bytes, suffix: str) -> bytes:
        if suffix == ".xz":
            return lzma.compress(text, preset=self._preset)
        return gzip.compress(text, mtime=0) if suffix == ".gz" else text
