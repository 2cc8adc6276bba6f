"""Small signed Debian repositories, made in memory and served by an Upstream: generations, faults, odd stanzas.

repo = DebRepo()
repo.add("hello", "1.0")
repo.publish(upstream)            # InRelease, indices by name and by hash, pool files
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pysequoia as pgp
from upstream import Upstream

KEY = pgp.Tsk.generate("archive <archive@mirror.example>")
OTHER_KEY = pgp.Tsk.generate("other <other@mirror.example>")


def keyring(folder: Path, *keys: pgp.Tsk) -> Path:
    """A keyring file with the public parts of ``keys`` (default: KEY)."""
    path = folder / f"keyring-{len(keys)}.gpg"
    path.write_bytes(b"".join(bytes(key.extract_certificate()) for key in keys or (KEY,)))
    return path


@dataclass
class DebRepo:
    """One suite with one component and architecture. ``publish`` may be called again: that is the next generation.

    packages  {stanza name: (stanza, path, payload)}
    """

    suite: str = "stable"
    component: str = "main"
    arch: str = "amd64"
    suffixes: tuple[str, ...] = (".xz", ".gz")
    by_hash: bool = True
    date: datetime = field(default_factory=lambda: datetime.now(UTC) - timedelta(hours=1))
    valid_until: datetime | None = None
    packages: dict[str, tuple[bytes, str, bytes]] = field(default_factory=dict)
    extra: dict[str, bytes] = field(default_factory=dict)  # path below the suite -> bytes, named in Release
    fields: dict[str, str] = field(default_factory=dict)
    release: bytes = b""

    def add(self, name: str, version: str = "1.0", *, payload: bytes | None = None, more: str = "") -> str:
        """Add or replace a package; returns its path."""
        payload = f"{name} {version} payload".encode() if payload is None else payload
        path = f"pool/{name}_{version}_{self.arch}.deb"
        stanza = (
            f"Package: {name}\nVersion: {version}\nArchitecture: {self.arch}\nFilename: {path}\n"
            f"Size: {len(payload)}\nSHA256: {hashlib.sha256(payload).hexdigest()}\n{more}Description: {name}\n"
        )
        self.packages[name] = (stanza.encode(), path, payload)
        return path

    def stanza(self, name: str, stanza: bytes) -> None:
        """A stanza as it is, without a payload."""
        self.packages[name] = (stanza, "", b"")

    @property
    def folder(self) -> str:
        return f"dists/{self.suite}"

    @property
    def index_path(self) -> str:
        return f"{self.component}/binary-{self.arch}/Packages"

    def files(self) -> dict[str, bytes]:
        """{path below the suite: bytes} of everything Release names and serves."""
        text = b"\n".join(stanza for stanza, _, _ in self.packages.values())
        made = dict(self.extra)
        for suffix in self.suffixes:
            packed = {".xz": lzma.compress, ".gz": lambda data: gzip.compress(data, mtime=0), "": bytes}[suffix](text)
            made[self.index_path + suffix] = packed
        return made

    def publish(
        self,
        upstream: Upstream,
        *,
        key: pgp.Tsk | None = KEY,
        inline: bool = True,
        tick: bool = True,
        pool: bool = True,
    ) -> None:
        """Serve this generation. key None: unsigned. inline False: Release and Release.gpg instead of InRelease."""
        if tick:
            self.date += timedelta(seconds=1)
        files = self.files()
        text = b"\n".join(stanza for stanza, _, _ in self.packages.values())
        named = {**files, self.index_path: text}
        lines = [f" {hashlib.sha256(data).hexdigest()} {len(data)} {path}" for path, data in sorted(named.items())]
        head = {
            "Origin": "Test",
            "Suite": self.suite,
            "Codename": self.suite,
            "Date": format_datetime(self.date, usegmt=True).replace("GMT", "UTC"),
            "Architectures": f"all {self.arch}",
            "Components": self.component,
            "Acquire-By-Hash": "yes" if self.by_hash else "no",
            **self.fields,
        }
        if self.valid_until is not None:
            head["Valid-Until"] = format_datetime(self.valid_until, usegmt=True).replace("GMT", "UTC")
        self.release = "\n".join(
            [*(f"{name}: {value}" for name, value in head.items()), "SHA256:", *lines, ""]
        ).encode()
        for path, data in files.items():
            upstream.serve(f"{self.folder}/{path}", data)
            if self.by_hash:
                digest = hashlib.sha256(data).hexdigest()
                upstream.serve(f"{self.folder}/{path.rpartition('/')[0]}/by-hash/SHA256/{digest}", data)
        if pool:
            for _, path, payload in self.packages.values():
                if path:
                    upstream.serve(path, payload)
        self.sign(upstream, key, inline)

    def sign(self, upstream: Upstream, key: pgp.Tsk | None, inline: bool = True) -> None:
        """Serve the top files of the last generation."""
        for name in ("InRelease", "Release", "Release.gpg"):
            with suppress(KeyError):
                upstream.remove(f"{self.folder}/{name}")
        if key is not None and inline:
            signed = pgp.sign(key.signer(), self.release, mode=pgp.SignatureMode.CLEAR)
            upstream.serve(f"{self.folder}/InRelease", signed)
            return
        upstream.serve(f"{self.folder}/Release", self.release)
        if key is not None:
            signature = pgp.sign(key.signer(), self.release, mode=pgp.SignatureMode.DETACHED, armor=True)
            upstream.serve(f"{self.folder}/Release.gpg", signature)
