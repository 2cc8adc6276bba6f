"""repomd.xml: what files the repository's metadata consists of, which of them we read, keep or ignore.

source  createrepo_c's repomd format; librepo for ``zck-location`` and the ``_zck`` and ``_db`` records
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mpsync.plugin.declare import ACCEPTED, Expected, MetadataError, UnsafePath
from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.document import REPOMD
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, read_records
from mpsync.plugins.rpm.xmltext import utf8

MAX_REPOMD_BYTES = 16 << 20
MAX_RECORDS = 1000
"""Each is a file that is fetched."""
PATH = "repodata/repomd.xml"
_TOP_FILES = frozenset((PATH, f"{PATH}.asc", f"{PATH}.key"))

PARSED = ("primary", "filelists", "other", "updateinfo", "group", "modules")
"""Roles whose files are read; ``group`` is comps.xml, whatever its record is called."""
DELTAS = frozenset(("prestodelta", "deltainfo", "susedata_deltas"))
"""Records about delta RPMs, which we don't mirror: kept nowhere, refused by mirror-complete."""

_GROUP_VARIANTS = ("group", "group_gz", "group_zst", "group_xz", "group_bz2")
_TYPE = re.compile(r"[\x21-\x2e\x30-\x7e]{1,128}")
_UNPROMISED_RATIO, _UNPROMISED_LEAST, _UNPROMISED_MOST = 200, 64 << 20, 4 << 30


@dataclass(frozen=True, slots=True)
class RepomdRecord:
    """One ``<data>`` of a repomd.xml.

    location     checked, relative to the repository's root, or to ``base`` (xml:base) if that is not empty
    expected     size and digest of the file; open_expected of its uncompressed text (empty when not promised)
    timestamp    as written; 0 when missing or no number
    raw          the element, byte for byte
    """

    type: str
    location: str
    base: str
    expected: Expected
    open_expected: Expected
    timestamp: int
    raw: bytes

    @property
    def open_limit_bytes(self) -> int:
        """Never unpack more: the promised size, or without a promise 200 times the file, between 64 MiB and 4 GiB."""
        if self.open_expected.size_bytes is not None:
            return self.open_expected.size_bytes
        guess = (self.expected.size_bytes or 0) * _UNPROMISED_RATIO
        return min(max(guess, _UNPROMISED_LEAST), _UNPROMISED_MOST)


@dataclass(slots=True)
class Repomd:
    """A repomd.xml.

    revision  as written
    records   every usable ``<data>`` by type, in file order, ignored ones included: what mirror-complete copies
    parsed    {role: record} of the files that are read (PARSED)
    kept      records kept as files: productid, custom ones, everything unknown
    ignored   types left aside: sqlite, zchunk beside a plain one, other compressions of comps, deltas
    tags      the ``<tags>`` element, byte for byte; b"" = none
    """

    revision: str = ""
    records: dict[str, RepomdRecord] = field(default_factory=dict)
    parsed: dict[str, RepomdRecord] = field(default_factory=dict)
    kept: list[RepomdRecord] = field(default_factory=list)
    ignored: list[str] = field(default_factory=list)
    tags: bytes = b""
    issues: Issues = field(default_factory=Issues)

    @property
    def generation(self) -> int:
        """What may not go back (A6): the revision if it is a number, else the newest timestamp."""
        if self.revision.isascii() and self.revision.isdigit() and len(self.revision) <= columns.MAX_SIZE_DIGITS:
            return int(self.revision)
        return max((record.timestamp for record in self.records.values()), default=0)

    def obstacles(self) -> list[str]:
        """Why the metadata can't be mirrored bit for bit: one sentence each, none when it can."""
        found = [
            f"{record.type} lies below {record.base} (xml:base)" for record in self.records.values() if record.base
        ]
        found += [f"{name} describes delta RPMs" for name in self.records if name in DELTAS]
        return found


def parse_repomd(data: bytes, where: str = PATH, accepted: frozenset[str] = ACCEPTED) -> Repomd:
    """Read a repomd.xml.

    accepted  algorithms that prove a file; ``sha`` is sha1
    raises    MetadataError: not a repomd.xml, no primary, a record that is used has no accepted checksum; UnsafePath
    """
    if len(data) > MAX_REPOMD_BYTES:
        raise MetadataError(where, "repomd.xml too large", f"at most {MAX_REPOMD_BYTES} bytes", str(len(data)))
    made = Repomd()
    for record in read_records(utf8([data], where), REPOMD, where):
        node = record.node
        if node.name == "revision":
            made.revision = node.text.strip()[:256]
        elif node.name == "tags":
            made.tags = record.raw
        elif node.name == "data":
            found = _record(node, record.raw, where)
            if found.type in made.records:
                made.issues.add(issues.DUPLICATE_RECORD, f"{where}: data of type {found.type}")
            elif len(made.records) >= MAX_RECORDS:
                raise MetadataError(where, "too many records", f"at most {MAX_RECORDS}")
            else:
                made.records[found.type] = found
        else:
            made.issues.add(issues.STRAY_ELEMENT, f"{where}: <{node.name}>")
    _choose(made, where)
    if "primary" not in made.parsed:
        raise MetadataError(where, "no primary", "a record of type primary", ", ".join(made.records) or "no record")
    for role in ("filelists", "other"):
        if role not in made.parsed:
            made.issues.add(issues.FILE_MISSING, f"{where}: no {role}")
    for used in (*made.parsed.values(), *made.kept):
        if not accepted.intersection(used.expected.digests):
            raise (issues.WeakDigests if used.expected.digests else MetadataError)(
                f"{where}: {used.type}",
                "no checksum that proves the file",
                " or ".join(sorted(accepted)),
                ", ".join(used.expected.digests) or "none",
            )
    return made


def _record(node: Node, raw: bytes, where: str) -> RepomdRecord:
    kind = node.get("type").strip()
    if not _TYPE.fullmatch(kind):
        raise MetadataError(where, "data without a usable type", "a word", repr(kind[:60]))
    here = f"{where}: {kind}"
    place = node.child("location")
    if place is None:
        raise MetadataError(here, "no location", "<location href>")
    base = (place.get("xml:base") or node.get("xml:base")).strip()
    if base and not columns.is_http(base):
        raise UnsafePath(here, "xml:base is not an http(s) URL", "http:// or https://", repr(base[:200]))
    try:
        location = columns.location(place.get("href"))
    except UnsafePath as exc:
        raise UnsafePath(here, exc.problem, exc.expected, exc.got) from None
    if location in _TOP_FILES and not base:
        raise UnsafePath(here, "location is that of repomd.xml itself", "a file of its own", repr(location))
    return RepomdRecord(
        kind,
        location,
        base,
        Expected(_number(node, "size"), _digest(node, "checksum", here)),
        Expected(_number(node, "open-size"), _digest(node, "open-checksum", here)),
        _number(node, "timestamp") or 0,
        raw,
    )


def _digest(node: Node, name: str, where: str) -> dict[str, str]:
    found = node.child(name)
    if found is None or not found.text.strip():
        return {}
    algorithm = columns.ALGORITHMS.get(found.get("type").strip().lower())
    digest = columns.hex_digest(found.text.encode(), algorithm) if algorithm else None
    if algorithm is None or digest is None:
        raise MetadataError(where, f"{name} is not a checksum", found.get("type")[:20], repr(found.text.strip()[:140]))
    return {algorithm: digest.hex()}


def _number(node: Node, name: str) -> int | None:
    # Timestamps of old repositories have a fraction.
    text = node.value(name).partition(".")[0]
    return int(text) if text.isascii() and text.isdigit() and len(text) <= columns.MAX_SIZE_DIGITS else None


def _choose(made: Repomd, where: str) -> None:
    records = made.records
    group = next((name for name in _GROUP_VARIANTS if name in records and not _is_zck(records[name])), None)
    for name, record in records.items():
        plain = name.removesuffix("_zck")
        if name in _GROUP_VARIANTS:
            role = "group" if name == group else None
        elif name in PARSED:
            role = name
        elif name in DELTAS or name.endswith("_db") or (name != plain and plain in records):
            role = None
        elif _is_zck(record):
            raise MetadataError(
                where, f"{name} is there as zchunk only", "a plain or gz, xz, bz2 or zstd file beside it"
            )
        else:
            made.kept.append(record)
            continue
        if role is None:
            made.ignored.append(name)
            made.issues.add(issues.RECORD_IGNORED, f"{where}: {name}")
        elif _is_zck(record):
            raise MetadataError(where, f"{name} is there as zchunk only", "a gz, xz, bz2, zstd or plain file")
        else:
            made.parsed[role] = record


def _is_zck(record: RepomdRecord) -> bool:
    return record.type.endswith("_zck") or record.location.lower().endswith(".zck")
