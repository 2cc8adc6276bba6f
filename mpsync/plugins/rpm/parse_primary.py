"""primary.xml -> columns. The hot path of an RPM sync.

Flow    a run of whole ``<package>`` elements (``cut.blocks``) -> the run itself, where each element lies in it, and
        checked columns
Runs    in parse workers; pure: no asyncio, no network, no database

A *regular* run is written as createrepo_c writes it: the children of ``<package>`` in its order, attributes in its
order, no entity in a field that we read. One regular expression reads a package of it. Why this is as good as a
parser's events: expat has found the run well-formed and it holds no comment, CDATA section or processing instruction,
so each ``<`` starts a tag. Each package read this way begins with the start tags of ``package`` and ``format`` and
spans exactly one end tag of ``format``, directly followed by one of ``package``; as tags balance, it spans exactly
one start tag of each too. So it is whole, directly below the root, and the fields in front of its ``format`` are its
only children beside it. Anything else is read from expat's events
(``from_records``), some four times slower, with the same values.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from mpsync.plugin.declare import ACCEPTED
from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.columns import Problems
from mpsync.plugins.rpm.cut import CLOSE
from mpsync.plugins.rpm.document import PRIMARY
from mpsync.plugins.rpm.evr import epoch_number
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, Record

PARSER_VERSION = 1
"""Part of what parse results are remembered by: raise it when the same bytes give other columns."""

# A value without an entity, and without the white space that an attribute's normalisation or ours would change.
_WORD = rb'"([^"<&\s]+)"'
_TEXT = rb"[^<]*"


def _optional(name: bytes, value: bytes = _TEXT) -> bytes:
    return rb"(?:<" + name + rb"(?:/>|>" + value + rb"</" + name + rb">)\s*)"


_PACKAGE = re.compile(
    rb'\s*(<)package type="rpm">\s*'
    rb"<name>([^<&\s]+)</name>\s*"
    rb"<arch>([^<&\s]+)</arch>\s*"
    rb'<version epoch="([0-9]{1,9})" ver=' + _WORD + rb" rel=" + _WORD + rb"/>\s*"
    rb"<checksum type="
    + _WORD
    + rb' pkgid="YES">([^<&\s]+)</checksum>\s*'
    + _optional(rb"summary")
    + _optional(rb"description")
    + _optional(rb"packager")
    + _optional(rb"url")
    + rb'<time file="[0-9]*" build="([0-9]+)"/>\s*'
    rb'<size package="([0-9]+)" installed="[0-9]*" archive="[0-9]*"/>\s*'
    rb"<location(?: xml:base=" + _WORD + rb")? href=" + _WORD + rb"/>\s*"
    rb"<format>\s*"
    + _optional(rb"rpm:license")
    + rb"?"
    + _optional(rb"rpm:vendor")
    + rb"?"
    + _optional(rb"rpm:group")
    + rb"?"
    + _optional(rb"rpm:buildhost")
    + rb"?"
    + _optional(rb"rpm:sourcerpm")
    + rb'?(?:<rpm:header-range start="([0-9]+)" end="([0-9]+)"/>)'
)
_END_OF_PACKAGE = re.compile(rb"\s*</package>")
_FORMAT_END, _GREATER = b"</format", b">"
"""Whatever starts like an end tag of format must be one, without white space: ``</format >`` is an end tag too."""


@dataclass(slots=True)
class Primary:
    """Columns of equal length, one row a package, in file order; packages refused by name are in ``issues`` only.

    pkgids          the package's checksum, raw bytes; checksum_types: hashlib's name of its algorithm
    epochs          as written; "0" when missing
    paths           ``location href``, checked, relative to the repository's root or to the row's base
    bases           {row: xml:base} of the rows that have one
    sizes           of the .rpm, bytes; build_times in seconds since 1970
    header_starts, header_ends   where the RPM's header lies in it; 0, 0 when not said
    raw             the bytes that all ``<package>`` elements lie in; starts, lengths say where
    packages        elements read, refused ones included: what the root's packages attribute counts
    """

    pkgids: list[bytes] = field(default_factory=list)
    checksum_types: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    epochs: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    releases: list[str] = field(default_factory=list)
    archs: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    bases: dict[int, str] = field(default_factory=dict)
    sizes: list[int] = field(default_factory=list)
    build_times: list[int] = field(default_factory=list)
    header_starts: list[int] = field(default_factory=list)
    header_ends: list[int] = field(default_factory=list)
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
        if self.bases:
            self.bases = {at: self.bases[row] for at, row in enumerate(rows) if row in self.bases}


def regular(block: bytes, where: str, accepted: frozenset[str] = ACCEPTED) -> Primary | None:
    """Columns of a well-formed plain run of packages, or None when it is not regular."""
    fields: list[tuple[bytes, ...]] = []
    starts: list[int] = []
    lengths: list[int] = []
    at, end = 0, len(block)
    while at < end:
        found = _PACKAGE.match(block, at)
        if found is None:
            return None
        close = block.find(_FORMAT_END, found.end())
        if close < 0 or not block.startswith(_GREATER, close + len(_FORMAT_END)):
            return None
        close += len(_FORMAT_END) + 1
        if block.startswith(b"\n" + CLOSE, close):
            at = close + 1 + len(CLOSE)
        else:
            tail = _END_OF_PACKAGE.match(block, close)
            if tail is None:
                return None
            at = tail.end()
        start = found.start(1)
        starts.append(start)
        lengths.append(at - start)
        fields.append(found.groups())
    return _checked(fields, {}, block, starts, lengths, Issues(), where, accepted)


def from_records(records: Sequence[Record], where: str, accepted: frozenset[str] = ACCEPTED) -> Primary:
    """The same from expat's events, of any run of packages."""
    tally = Issues()
    fields: list[tuple[bytes, ...]] = []
    incomplete: Problems = {}
    starts: list[int] = []
    lengths: list[int] = []
    at = 0
    for row, record in enumerate(records):
        values, missing = _fields(record.node, tally, where)
        if missing:
            incomplete[row] = (issues.INCOMPLETE, f"no {', '.join(missing)}")
        fields.append(tuple(value.encode() for value in values))
        starts.append(at)
        lengths.append(len(record.raw))
        at += len(record.raw)
        if record.is_rewritten:
            tally.add(issues.REWRITTEN, f"{where}: {values[1]}")
    raw = b"".join(record.raw for record in records)
    return _checked(fields, incomplete, raw, starts, lengths, tally, where, accepted)


_KNOWN = frozenset(
    ("name", "arch", "version", "checksum", "summary", "description", "packager", "url")
    + ("time", "size", "location", "format")
)


def _fields(package: Node, tally: Issues, where: str) -> tuple[tuple[str, ...], list[str]]:
    """The groups of _PACKAGE, from a tree; and the names of what is missing."""
    by_name: dict[str, Node] = {}
    for child in package.children:
        if child.name not in _KNOWN or child.space not in ("", PRIMARY.space):
            tally.add(issues.UNKNOWN_ELEMENT, f"{where}: <{child.name}> in a package")
        else:
            by_name.setdefault(child.name, child)
    empty = Node("", "", {})
    version, checksum = by_name.get("version", empty), by_name.get("checksum", empty)
    time, size = by_name.get("time", empty), by_name.get("size", empty)
    location = by_name.get("location", empty)
    header = by_name.get("format", empty).child("header-range") or empty
    name = by_name.get("name", empty).text.strip()
    if version is not empty and not version.get("epoch"):
        tally.add(issues.EPOCH_MISSING, f"{where}: {name}")
    epoch = version.get("epoch").strip() or "0"
    if epoch_number(epoch) is None:
        tally.add(issues.EPOCH_NOT_A_NUMBER, f"{where}: {name}: epoch {epoch[:60]!r}")
    if not _is_number(time.get("build")):
        tally.add(issues.TIME_ODD, f"{where}: {name}: build time {time.get('build')[:60]!r}")
    build = time.get("build").strip() if _is_number(time.get("build")) else "0"
    start, end = header.get("start").strip(), header.get("end").strip()
    if not (_is_number(start) and _is_number(end)):
        start, end = "0", "0"
    values = (
        "<",
        name,
        by_name.get("arch", empty).text.strip(),
        epoch,
        version.get("ver").strip(),
        version.get("rel").strip(),
        checksum.get("type").strip(),
        checksum.text.strip(),
        build,
        size.get("package").strip(),
        location.get("xml:base").strip(),
        location.get("href"),
        start,
        end,
    )
    needed = {"name": values[1], "arch": values[2], "version": values[4], "release": values[5]}
    needed |= {"checksum": values[7], "size": values[9], "location": values[11]}
    return values, [what for what, value in needed.items() if not value]


def _is_number(text: str) -> bool:
    stripped = text.strip()
    return stripped.isascii() and stripped.isdigit() and len(stripped) <= columns.MAX_SIZE_DIGITS


def _checked(
    fields: list[tuple[bytes, ...]],
    problems: Problems,
    raw: bytes,
    starts: list[int],
    lengths: list[int],
    tally: Issues,
    where: str,
    accepted: frozenset[str],
) -> Primary:
    """Typed columns; the rows with a problem are left out and counted."""
    made = Primary(raw=raw, starts=starts, lengths=lengths, issues=tally, packages=len(fields))
    if not fields:
        return made
    _, names, archs, epochs, versions, releases, types, digests, builds, sizes, bases, hrefs, head, tail = zip(
        *fields, strict=True
    )
    found: list[Problems] = [problems]

    def take(result: tuple[list[str], Problems]) -> list[str]:
        found.append(result[1])
        return result[0]

    made.names = take(columns.words(names, "name"))
    made.archs = take(columns.words(archs, "arch"))
    made.versions = take(columns.words(versions, "version"))
    made.releases = take(columns.words(releases, "release"))
    made.epochs = take(columns.words(epochs, "epoch"))
    made.paths = take(columns.locations(hrefs))
    made.pkgids, made.checksum_types, odd = columns.checksums(digests, types, accepted)
    found.append(odd)
    made.sizes, odd = columns.numbers(sizes, "package size")
    found.append(odd)
    made.build_times, made.header_starts, made.header_ends = (
        list(map(int, builds)),
        list(map(int, head)),
        list(map(int, tail)),
    )
    if any(bases):
        made.bases = {row: base.decode("utf-8") for row, base in enumerate(bases) if base}
        for row, base in made.bases.items():
            if columns.is_http(base):
                tally.add(issues.XML_BASE, f"{where}: {made.names[row]}: {base}")
            else:
                problems[row] = (issues.LOCATION_UNSAFE, f"xml:base {base[:200]!r}")
    if b'"./' in b'"'.join((b"", *hrefs)):
        for row, href in enumerate(hrefs):
            if href.startswith(b"./"):
                tally.add(issues.RELATIVE_DOT, f"{where}: {made.names[row]}: {href.decode('utf-8')!r}")
    if any(found):
        _leave_out(made, found, where)
    return made


_LISTS = (
    "pkgids",
    "checksum_types",
    "names",
    "epochs",
    "versions",
    "releases",
    "archs",
    "paths",
    "sizes",
    "build_times",
    "header_starts",
    "header_ends",
    "starts",
    "lengths",
)


def _leave_out(made: Primary, found: list[Problems], where: str) -> None:
    bad: set[int] = set()
    for problems in found:
        for row, (code, text) in problems.items():
            if row not in bad:  # one package counts once, by its first problem
                made.issues.add(code, f"{where}: package {made.names[row] or '?'}: {text}")
                bad.add(row)
    made.keep([row for row in range(len(made)) if row not in bad])
