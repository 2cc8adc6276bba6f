"""Packages and Sources text -> columns. The hot path of a Debian sync: 63,440 stanzas in a third of a second.

Flow    a block of whole stanzas (``stanza.blocks``) -> raw stanzas, six checked columns, and a key per stanza
Key     sha256(kind, NUL, raw stanza): the same bytes are the same unit, whatever they claim to be
Runs    in parse workers; pure: no asyncio, no network, no database

A *regular* block (no carriage return, one order of fields throughout, each stanza starting with ``Package:``) is
read by one split and one regular expression. Any other block is read stanza by stanza, about half as fast. Both
find the same values: tests/unit/deb/test_deb_parse.py mutates real stanzas and compares. Measured variants:
bench/micro/parse_deb.py.

What counts as a field: a line that starts with its name, in any case, directly followed by a colon. A field that we
read and that stands twice with different values is a problem of that stanza; twice the same is harmless. Other
fields are kept, not read.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from mpsync.plugin.declare import MetadataError, UnsafePath
from mpsync.plugins.deb import columns, kinds
from mpsync.plugins.deb.stanza import split_stanzas

PARSER_VERSION = 1
"""Part of what parse results are remembered by: raise it when the same bytes give other columns."""

MAX_BAD_STANZAS = 1000
"""In one block of a megabyte: more are no odd stanzas but a broken index, and no list of them would end (H7)."""

_REQUIRED = (b"package", b"version", b"architecture", b"filename", b"size")
_DIGESTS = {b"sha512": "sha512", b"sha256": "sha256", b"sha1": "sha1", b"md5sum": "md5"}
_WEAK = frozenset(("sha1", "md5"))

# A value is the rest of its line and the folded lines below it. The scoped (?i:) leaves "\n" a literal prefix, which
# is what makes the scan fast.
_VALUE = rb"[ \t]*([^\n]*(?:\n[ \t][^\n]*)*)"
_REGULAR = re.compile(rb"\n((?i:Package|Version|Architecture|Filename|Size|SHA256)):" + _VALUE)
_PACKAGE_FIELDS = re.compile(
    rb"\n((?i:Package|Version|Architecture|Filename|Size|SHA256|SHA512|SHA1|MD5sum)):" + _VALUE
)
_SOURCE_FIELDS = re.compile(
    rb"\n((?i:Package|Source|Version|Directory|Files|Checksums-Sha1|Checksums-Sha256|Checksums-Sha512)):" + _VALUE
)
_SOURCE_DIGESTS = {
    b"checksums-sha512": "sha512",
    b"checksums-sha256": "sha256",
    b"checksums-sha1": "sha1",
    b"files": "md5",
}
_COLUMNS = frozenset((b"Package", b"Version", b"Architecture", b"Filename", b"Size", b"SHA256"))


@dataclass(slots=True)
class Packages:
    """Columns of equal length, one row a binary package (deb or udeb), in file order.

    paths    Filename, checked, relative to the repository root
    sha256   32 raw bytes; None when the stanza has only other accepted digests: then see ``digests``
    keys     32 raw bytes
    raws     the stanza as written, without its last line end
    digests  {row: {algorithm: hex}} for the rows without a sha256
    problems one error per stanza left out (``strict=False``); stanzas = rows + problems
    """

    kind: str
    names: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    archs: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    sha256: list[bytes | None] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    digests: dict[int, dict[str, str]] = field(default_factory=dict)
    problems: list[MetadataError] = field(default_factory=list)
    stanzas: int = 0

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(slots=True)
class Sources:
    """Columns of source packages, and columns of their files: row ``i`` owns files ``starts[i]:starts[i + 1]``.

    paths    Directory and file name joined, checked, relative to the repository root; one per file, as ``sizes`` and
             ``sha256``
    digests  {file: {algorithm: hex}} for the files without a sha256
    problems, stanzas, keys, raws as in Packages
    """

    kind: str
    names: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    keys: list[bytes] = field(default_factory=list)
    raws: list[bytes] = field(default_factory=list)
    starts: list[int] = field(default_factory=lambda: [0])
    paths: list[str] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    sha256: list[bytes | None] = field(default_factory=list)
    digests: dict[int, dict[str, str]] = field(default_factory=dict)
    problems: list[MetadataError] = field(default_factory=list)
    stanzas: int = 0

    def __len__(self) -> int:
        return len(self.keys)


def key_of(kind: str, raw: bytes) -> bytes:
    """The content key of one raw record."""
    return hashlib.sha256(kind.encode() + b"\0" + raw, usedforsecurity=False).digest()


def keys_of(kind: str, raws: list[bytes]) -> list[bytes]:
    """``key_of`` for a column."""
    # One concatenation beats a copied hash state with an update by nothing that matters, and OpenSSL beats _sha256
    # three times.
    prefix, sha256 = kind.encode() + b"\0", hashlib.sha256
    return [sha256(prefix + raw).digest() for raw in raws]


def parse_packages(
    block: bytes,
    where: str,
    *,
    kind: str = kinds.PACKAGE,
    first_stanza: int = 1,
    strict: bool = True,
    allow_weak: bool = False,
) -> Packages:
    """Parse a block of whole Packages stanzas.

    where         "suite component architecture", for errors
    first_stanza  number of the block's first stanza, for errors
    strict        raise the first problem; else leave the stanza out and collect it in ``problems``
    allow_weak    accept a stanza whose only digests are sha1 or md5
    raises        MetadataError, UnsafePath
    """
    regular = _read_regular(block)
    raws, values, digests, problems = regular or _read_careful(block, allow_weak)
    return _checked(Packages(kind), raws, values, digests, problems, where, first_stanza, strict)


def _read_regular(
    block: bytes,
) -> tuple[list[bytes], list[list[bytes]], dict[int, dict[str, str]], dict[int, str]] | None:
    """Raw stanzas and six columns of a regular block, or None."""
    if b"\r" in block:
        return None
    text = b"\n" + block.strip(b"\n")
    raws = text[1:].split(b"\n\n")
    found = _REGULAR.findall(text)
    order = [name for name, _ in found[:6]]
    # Each stanza starts with Package, and there are as many Package lines as stanzas: so each stanza has one, and the
    # period of the order puts the other five, once each, into the same stanza.
    if len(found) != 6 * len(raws) or set(order) != _COLUMNS or order[0] != b"Package":
        return None
    names = [name for name, _ in found]
    if names != order * len(raws) or not all(raw.startswith(b"Package:") for raw in raws):
        return None
    values = [value for _, value in found]
    at = {name: position for position, name in enumerate(order)}
    wanted = (b"Package", b"Version", b"Architecture", b"Filename", b"Size", b"SHA256")
    return raws, [values[at[name] :: 6] for name in wanted], {}, {}


def _read_careful(
    block: bytes, allow_weak: bool
) -> tuple[list[bytes], list[list[bytes]], dict[int, dict[str, str]], dict[int, str]]:
    """The same from any block, stanza by stanza; a missing SHA256 is an empty value and a row in the digests."""
    raws = split_stanzas(block)
    values: list[list[bytes]] = [[], [], [], [], [], []]
    digests: dict[int, dict[str, str]] = {}
    problems: dict[int, str] = {}
    for row, raw in enumerate(raws):
        found, twice = _fields(_PACKAGE_FIELDS, raw)
        missing = [name for name in _REQUIRED if name not in found]
        if twice:
            problems[row] = f"field {twice} stands twice with different values"
        elif missing:
            problems[row] = f"no {missing[0].decode().title()}"
        elif b"sha256" not in found:
            try:
                digests[row] = _other_digests(found, _DIGESTS, allow_weak)
            except ValueError as exc:
                problems[row] = str(exc)
        for column, name in zip(values, (*_REQUIRED, b"sha256"), strict=True):
            column.append(found.get(name, b""))
    return raws, values, digests, problems


def _fields(pattern: re.Pattern[bytes], raw: bytes) -> tuple[dict[bytes, bytes], str | None]:
    """{lowercase name: value} of the fields we read, and the name of one that stands twice with different values."""
    found: dict[bytes, bytes] = {}
    twice = None
    for name, value in pattern.findall(b"\n" + raw):
        lower = name.lower()
        if found.setdefault(lower, value).strip() != value.strip():
            twice = name.decode()
    return found, twice


def _other_digests(found: dict[bytes, bytes], known: dict[bytes, str], allow_weak: bool) -> dict[str, str]:
    """{algorithm: hex} of a record without a sha256. Raises ValueError when no accepted algorithm is left."""
    digests = {
        algorithm: columns.digest(found[name], algorithm)
        for name, algorithm in known.items()
        if name in found and (allow_weak or algorithm not in _WEAK)
    }
    if not digests:
        weak = ", ".join(algorithm for name, algorithm in known.items() if name in found)
        raise ValueError(f"no accepted digest (only {weak})" if weak else "no digest")
    return digests


def _checked(
    into: Packages,
    raws: list[bytes],
    values: list[list[bytes]],
    digests: dict[int, dict[str, str]],
    problems: dict[int, str],
    where: str,
    first_stanza: int,
    strict: bool,
) -> Packages:
    """Check every column, leave out the rows with a problem, and key the rest."""
    into.stanzas = len(raws)
    if not raws:
        return into
    into.names, bad_names = columns.names(values[0])
    into.versions, bad_versions = columns.versions(values[1])
    into.archs, bad_archs = columns.architectures(values[2])
    into.paths, bad_paths = columns.paths(values[3])
    into.sizes, bad_sizes = columns.sizes(values[4])
    if digests or problems:
        filled = [b"0" * 64 if row in digests or row in problems else value for row, value in enumerate(values[5])]
        run, bad_sha256 = columns.sha256s(filled)
        into.sha256 = [None if row in digests else value for row, value in enumerate(run)]
    else:
        into.sha256, bad_sha256 = columns.sha256s(values[5])  # type: ignore[assignment]  # list is invariant
    into.raws, into.digests = raws, digests
    if problems or bad_names or bad_versions or bad_archs or bad_paths or bad_sizes or bad_sha256:
        found = bad_sizes | bad_sha256 | bad_paths | bad_archs | bad_versions | bad_names | problems
        _leave_out(into, found, bad_paths, values[0], where, first_stanza, strict)
    into.keys = keys_of(into.kind, into.raws)
    return into


def _leave_out(
    into: Packages,
    found: dict[int, str],
    unsafe: dict[int, str],
    names: list[bytes],
    where: str,
    first_stanza: int,
    strict: bool,
) -> None:
    for row in sorted(found):
        is_unsafe = found[row] == unsafe.get(row)
        error = _problem(where, first_stanza + row, names[row], found[row], is_unsafe)
        if strict:
            raise error
        _check_count(into.problems, where)
        into.problems.append(error)
    good = [row for row in range(len(into.raws)) if row not in found]
    into.digests = {new: into.digests[row] for new, row in enumerate(good) if row in into.digests}
    for name in ("names", "versions", "archs", "paths", "sizes", "sha256", "raws"):
        column = getattr(into, name)
        setattr(into, name, [column[row] for row in good])


def _check_count(problems: list[MetadataError], where: str) -> None:
    if len(problems) >= MAX_BAD_STANZAS:
        raise MetadataError(
            where, f"more than {MAX_BAD_STANZAS} bad stanzas within a megabyte; the first: {problems[0]}"
        )


def _problem(where: str, number: int, name: bytes, problem: str, is_unsafe: bool) -> MetadataError:
    shown = name.strip()[:80].decode("utf-8", "backslashreplace")
    stanza = f"{where} stanza {number} (Package: {shown})" if shown else f"{where} stanza {number}"
    return (UnsafePath if is_unsafe else MetadataError)(stanza, problem)


def parse_sources(
    block: bytes,
    where: str,
    *,
    kind: str = kinds.SOURCE,
    first_stanza: int = 1,
    strict: bool = True,
    allow_weak: bool = False,
) -> Sources:
    """Parse a block of whole Sources stanzas; every file of a source becomes a row of the file columns.

    Parameters and errors as in ``parse_packages``. Files, Checksums-Sha1, -Sha256 and -Sha512 must agree on sizes; a
    file
    counts when any of them lists it, and needs one accepted digest.
    """
    into = Sources(kind)
    raws = split_stanzas(block)
    into.stanzas = len(raws)
    for row, raw in enumerate(raws):
        found, twice = _fields(_SOURCE_FIELDS, raw)
        name = found.get(b"package", found.get(b"source", b""))
        try:
            if twice:
                raise ValueError(f"field {twice} stands twice with different values")
            _add_source(into, raw, name, found, allow_weak)
        except (ValueError, UnsafePath) as exc:
            unsafe = isinstance(exc, UnsafePath)
            problem = str(exc)
            if isinstance(exc, UnsafePath):
                problem = f"{exc.problem}: {exc.got}" if exc.got else exc.problem
            error = _problem(where, first_stanza + row, name, problem, unsafe)
            if strict:
                raise error from None
            _check_count(into.problems, where)
            into.problems.append(error)
    into.keys = keys_of(kind, into.raws)
    return into


def _add_source(into: Sources, raw: bytes, name: bytes, found: dict[bytes, bytes], allow_weak: bool) -> None:
    """Append one source and its files, or raise ValueError or UnsafePath and leave ``into`` as it was."""
    if not name:
        raise ValueError("no Package")
    names, bad_name = columns.names([name])
    versions, bad_version = columns.versions([found.get(b"version", b"")])
    for problem in (*bad_name.values(), *bad_version.values()):
        raise ValueError(problem)
    directory = found.get(b"directory", b"").strip(b" \t\r").rstrip(b"/")
    prefix = b"" if directory in (b"", b".") else directory + b"/"
    files = _source_files(found)
    if not files:
        raise ValueError("no files")
    paths, sizes, sha256, others = [], [], [], []
    for file_name, (size, by_field) in files.items():
        if b"/" in file_name:
            raise UnsafePath("", f"file name with a slash: {file_name[:200]!r}")
        paths.append(columns.path(prefix + file_name))
        sizes.append(size)
        best = by_field.get(b"checksums-sha256")
        sha256.append(bytes.fromhex(columns.digest(best, "sha256")) if best is not None else None)
        others.append(_other_digests(by_field, _SOURCE_DIGESTS, allow_weak) if best is None else None)
    into.names += names
    into.versions += versions
    into.raws.append(raw)
    into.digests.update((len(into.paths) + at, digests) for at, digests in enumerate(others) if digests is not None)
    into.paths += paths
    into.sizes += sizes
    into.sha256 += sha256
    into.starts.append(len(into.paths))


def _source_files(found: dict[bytes, bytes]) -> dict[bytes, tuple[int, dict[bytes, bytes]]]:
    """{file name: (size, {field: hex})} over all lists of one source. Raises ValueError."""
    files: dict[bytes, tuple[int, dict[bytes, bytes]]] = {}
    for field_name in _SOURCE_DIGESTS:
        for line in found.get(field_name, b"").split(b"\n"):
            parts = line.split()
            if not parts:
                continue
            if len(parts) != 3:
                raise ValueError(f"{field_name.decode()} has a line that is not 'digest size name': {line[:200]!r}")
            size = columns.size(parts[1])
            known_size, by_field = files.setdefault(parts[2], (size, {}))
            if known_size != size or by_field.setdefault(field_name, parts[0]) != parts[0]:
                raise ValueError(
                    f"{parts[2][:200].decode('utf-8', 'backslashreplace')} is listed with two sizes or digests"
                )
    return files
