"""When two units claim one name: which advisory, which package stays, or what new advisory comes of both.

source  pulp_rpm's rules (docs: compatibility); each rule has its test in tests/unit/rpm/test_merge.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from xml.sax.saxutils import escape

from mpsync.plugin.declare import MetadataError
from mpsync.plugins.rpm.document import UPDATEINFO
from mpsync.plugins.rpm.evr import version_key
from mpsync.plugins.rpm.updateinfo import Advisory, advisory_of
from mpsync.plugins.rpm.xmlsafe import Node, Record, raw_of, read_records

Outcome = Literal["held", "incoming", "merged"]


class AdvisoryConflict(MetadataError):
    """Two advisories of one id that no rule reconciles."""


@dataclass(frozen=True, slots=True)
class Merged:
    """Which advisory stays (``held`` or ``incoming``), or a new one of both (``merged``), and the rule in words."""

    outcome: Outcome
    advisory: Advisory
    why: str


def merge_advisories(held: Advisory, incoming: Advisory, where: str, *, allow_conflict: bool = False) -> Merged:
    """Two advisories of the same id become one.

    held            what the repository has, or what stands first in the file
    allow_conflict  let the incoming one win where the rules say conflict
    raises          AdvisoryConflict
    """
    if held.raw == incoming.raw:
        return Merged("held", held, "the same")
    ours, theirs = held.packages, incoming.packages
    is_same_state = held.date == incoming.date and held.version == incoming.version
    if is_same_state:
        if ours == theirs:
            return Merged("incoming", incoming, "the same packages, other fields changed")
        if not ours & theirs:
            return Merged("merged", _joined(held, incoming, where), "the same date and version, other packages")
        if ours < theirs:
            return Merged("incoming", incoming, "a superset of the packages")
        if theirs < ours:
            return Merged("held", held, "a superset of the packages")
        problem = "the same date and version, and package lists that overlap only in part"
    else:
        is_newer = _age(incoming) > _age(held)
        newer: Merged = Merged("incoming", incoming, "newer") if is_newer else Merged("held", held, "newer")
        if ours & theirs or (not ours and not theirs):
            return newer
        if {package[0] for package in ours} & {package[0] for package in theirs}:
            return newer
        problem = "another date or version, and no package in common"
    if allow_conflict:
        return Merged("incoming", incoming, f"conflict allowed: {problem}")
    raise AdvisoryConflict(where, f"two advisories {held.id}: {problem}", _told(held), _told(incoming))


def _age(advisory: Advisory) -> tuple[object, object]:
    return advisory.date, version_key(advisory.version)


def _told(advisory: Advisory) -> str:
    date = advisory.updated or advisory.issued or "?"
    return f"version {advisory.version or '?'} of {date}, {len(advisory.packages)} packages"


def _joined(held: Advisory, incoming: Advisory, where: str) -> Advisory:
    """The incoming advisory with the held one's collections in front of its own; names made unique."""
    first, second = _reread(held, where), _reread(incoming, where)
    taken: set[str] = set()
    found = [
        _renamed(record, node, taken)
        for record in (first, second)
        for pkglist in record.node.all("pkglist")
        for node in pkglist.all("collection")
    ]
    body = b"<pkglist>\n" + b"\n".join(found) + b"\n</pkglist>"
    pieces: list[bytes] = []
    at = 0
    is_placed = False
    for pkglist in second.node.all("pkglist"):
        start = pkglist.offset - second.node.offset
        pieces += [second.raw[at:start], b"" if is_placed else body]
        at, is_placed = start + len(raw_of(second, pkglist)), True
    if not is_placed:  # the incoming one lists nothing
        at = second.raw.rfind(b"</")
        pieces += [second.raw[:at], body]
    return advisory_of(_read(b"".join((*pieces, second.raw[at:])), where))


def _renamed(record: Record, node: Node, taken: set[str]) -> bytes:
    """A collection's bytes, with ``_1``, ``_2``, … behind a name that is taken."""
    raw = raw_of(record, node)
    name = node.child("name")
    wanted = name.text.strip() if name is not None else ""
    unique, count = wanted, 0
    while unique in taken:
        count += 1
        unique = f"{wanted}_{count}"
    taken.add(unique)
    if unique == wanted:
        return raw
    new = f"<name>{escape(unique)}</name>".encode()
    if name is None:
        at = raw.find(b">") + 1
        return raw[:at] + new + raw[at:]
    at = name.offset - node.offset
    return raw[:at] + new + raw[at + len(raw_of(record, name)) :]


def _reread(advisory: Advisory, where: str) -> Record:
    return _read(advisory.raw, where)


def _read(raw: bytes, where: str) -> Record:
    wrapped = UPDATEINFO.open_tag + raw + UPDATEINFO.close_tag
    return next(read_records([wrapped], UPDATEINFO, where))


def newest_builds(
    nevras: Sequence[str], pkgids: Sequence[bytes], build_times: Sequence[int]
) -> tuple[list[int], list[tuple[int, int]]]:
    """One pkgid for each NEVRA: the newest build, the first seen on a tie. One pkgid at two locations stays twice.

    returns  (rows that stay, in order; (row that goes, row that replaces it) for each that goes)
    """
    best: dict[str, int] = {}
    for row, nevra in enumerate(nevras):
        known = best.get(nevra)
        if known is None or build_times[row] > build_times[known]:
            best[nevra] = row
    if len(best) == len(nevras):
        return list(range(len(nevras))), []
    stay: list[int] = []
    go: list[tuple[int, int]] = []
    for row, nevra in enumerate(nevras):
        chosen = best[nevra]
        if pkgids[row] == pkgids[chosen]:
            stay.append(row)
        else:
            go.append((row, chosen))
    return stay, go
