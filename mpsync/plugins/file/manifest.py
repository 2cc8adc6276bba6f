"""A manifest -> entries. Pure: text in, values out; everything in it is hostile until checked.

source  Pulp's file plugin: a line a file, ``path,sha256,size in bytes``; the path may hold commas
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mpsync.plugin.declare import Artifact, Content, MetadataError, safe_relative_path

KIND = "file.file"
MANIFEST = "PULP_MANIFEST"

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SIZE = re.compile(r"[0-9]{1,18}")


class FileContent(Content):
    """One file of a repository; its raw record is its line of the manifest."""

    KIND = KIND
    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: relative path, sha256 (lowercase hex), size in bytes."""

    path: str
    sha256: str
    size_bytes: int

    def content(self) -> FileContent:
        return FileContent(f"{self.path},{self.sha256},{self.size_bytes}".encode(), name=self.path)

    def artifact(self) -> Artifact:
        return Artifact(size=self.size_bytes, sha256=self.sha256)


def parse(text: bytes, where: str) -> Iterator[Entry | MetadataError]:
    """The entries of a manifest, in order; a bad line gives its error in place of an entry, for the caller's policy."""
    seen: dict[str, Entry] = {}
    for number, raw in enumerate(text.split(b"\n"), 1):
        if not raw.strip():
            continue
        at = f"{where} line {number}"
        try:
            entry = _entry(_decoded(raw, at), at)
        except MetadataError as error:
            yield error
            continue
        known = seen.setdefault(entry.path, entry)
        if known != entry:
            yield MetadataError(at, f"{entry.path} is listed twice", known.sha256, entry.sha256)
        elif known is entry:
            yield entry


def _decoded(line: bytes, at: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError:
        raise MetadataError(at, "is not UTF-8", "path,sha256,size", repr(line[:200])) from None


def _entry(line: str, at: str) -> Entry:
    parts = line.rstrip("\r").rsplit(",", 2)
    if len(parts) != 3 or not _SHA256.fullmatch(parts[1].strip()) or not _SIZE.fullmatch(parts[2].strip()):
        raise MetadataError(at, "bad line", "path,sha256,size", repr(line[:200]))
    return Entry(safe_relative_path(parts[0], at), parts[1].strip().lower(), int(parts[2]))
