"""filelists.xml and other.xml -> columns: who, and where the element lies. The files and changelogs inside are kept,
not read.

The largest bytes of a sync (11 KB a package), so as little as can be is done to them: expat once, one search for the
end tags, one short regular expression a package. The proof that a regular run is cut right is that of
parse_primary.py, with the end tag of ``package`` alone: each piece spans one, so it spans one start tag.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpsync.plugin.declare import ACCEPTED
from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.columns import Problems
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, Record

_PACKAGE = re.compile(
    rb'\s*(<)package pkgid="([^"<&\s]+)" name="([^"<&\s]+)" arch="([^"<&\s]+)">\s*'
    rb'<version epoch="([0-9]{1,9})" ver="([^"<&\s]+)" rel="([^"<&\s]+)"/>'
)
_END, _GREATER = b"</package", ord(">")
"""Whatever starts like an end tag of package must be one, without white space: ``</package >`` is an end tag too."""

_ALGORITHM = {64: b"sha256", 128: b"sha512", 96: b"sha384", 56: b"sha224", 40: b"sha1", 32: b"md5"}
"""filelists and other don't say the checksum's type: its length does."""


@dataclass(slots=True)
class FileRecords:
    """Columns of equal length, one row a ``<package>`` element of filelists.xml or other.xml, in file order.

    pkgids    raw bytes, to be joined with primary's
    evrs, names, archs   what the element calls the package: to be compared with primary's
    raw       the bytes that all elements lie in; starts, lengths say where
    packages  elements read, refused ones included
    """

    pkgids: list[bytes] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    archs: list[str] = field(default_factory=list)
    epochs: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    raw: bytes = b""
    starts: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    issues: Issues = field(default_factory=Issues)
    packages: int = 0

    def __len__(self) -> int:
        return len(self.pkgids)

    def raw_at(self, row: int) -> bytes:
        """The row's ``<package>`` element, byte for byte."""
        start = self.starts[row]
        return self.raw[start : start + self.lengths[row]]

    def keep(self, rows: Sequence[int]) -> None:
        """Only ``rows``, in that order; the raw run stays as it is."""
        for name in _LISTS:
            values = getattr(self, name)
            setattr(self, name, [values[row] for row in rows])


def regular(block: bytes, where: str, accepted: frozenset[str] = ACCEPTED) -> FileRecords | None:
    """Columns of a well-formed plain run of packages, or None when it is not regular."""
    fields: list[tuple[bytes, ...]] = []
    starts: list[int] = []
    lengths: list[int] = []
    at, end, size = 0, len(block), len(_END) + 1
    while at < end:
        found = _PACKAGE.match(block, at)
        if found is None:
            return None
        close = block.find(_END, found.end())
        at = close + size
        if close < 0 or block[at - 1] != _GREATER:
            return None
        start = found.start(1)
        starts.append(start)
        lengths.append(at - start)
        fields.append(found.groups())
    return _checked(fields, {}, block, starts, lengths, Issues(), where, accepted)


def from_records(records: Sequence[Record], where: str, accepted: frozenset[str] = ACCEPTED) -> FileRecords:
    """The same from expat's events, of any run of packages."""
    tally = Issues()
    fields: list[tuple[bytes, ...]] = []
    incomplete: Problems = {}
    starts: list[int] = []
    lengths: list[int] = []
    at = 0
    for row, record in enumerate(records):
        node = record.node
        version = node.child("version") or Node("", "", {})
        pkgid, name, arch = (node.get(key).strip() for key in ("pkgid", "name", "arch"))
        if not pkgid:
            incomplete[row] = (issues.INCOMPLETE, "no pkgid")
        epoch = version.get("epoch").strip() or "0"
        values = ("<", pkgid, name, arch, epoch, version.get("ver").strip(), version.get("rel").strip())
        fields.append(tuple(value.encode() for value in values))
        starts.append(at)
        lengths.append(len(record.raw))
        at += len(record.raw)
        if record.is_rewritten:
            tally.add(issues.REWRITTEN, f"{where}: {name}")
    raw = b"".join(record.raw for record in records)
    return _checked(fields, incomplete, raw, starts, lengths, tally, where, accepted)


_LISTS = ("pkgids", "names", "archs", "epochs", "versions", "releases", "starts", "lengths")


def _checked(
    fields: list[tuple[bytes, ...]],
    problems: Problems,
    raw: bytes,
    starts: list[int],
    lengths: list[int],
    tally: Issues,
    where: str,
    accepted: frozenset[str],
) -> FileRecords:
    made = FileRecords(raw=raw, starts=starts, lengths=lengths, issues=tally, packages=len(fields))
    if not fields:
        return made
    _, pkgids, names, archs, epochs, versions, releases = zip(*fields, strict=True)
    types = [_ALGORITHM.get(len(pkgid), b"?") for pkgid in pkgids]
    made.pkgids, _, odd = columns.checksums(pkgids, types, accepted)
    # Names here are only compared with primary's, never used: they need no check of their own.
    made.names, made.archs = _texts(names), _texts(archs)
    made.epochs, made.versions, made.releases = _texts(epochs), _texts(versions), _texts(releases)
    if problems or odd:
        bad: set[int] = set()
        for found in (problems, odd):
            for row, (code, text) in found.items():
                if row not in bad:
                    tally.add(code, f"{where}: package {made.names[row] or '?'}: {text}")
                    bad.add(row)
        made.keep([row for row in range(len(made)) if row not in bad])
    return made


def _texts(values: Sequence[bytes]) -> list[str]:
    found = b"\n".join(values).decode("utf-8").split("\n")
    return found if len(found) == len(values) else [value.decode("utf-8") for value in values]
