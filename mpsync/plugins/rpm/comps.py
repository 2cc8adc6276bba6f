"""comps.xml: groups, categories, environments and langpacks, each a raw record of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from mpsync.plugins.rpm import columns, issues, kinds
from mpsync.plugins.rpm.document import COMPS
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, read_records
from mpsync.plugins.rpm.xmltext import utf8

_KINDS = {
    "group": kinds.GROUP,
    "category": kinds.CATEGORY,
    "environment": kinds.ENVIRONMENT,
    "langpacks": kinds.LANGPACKS,
}


@dataclass(slots=True)
class CompsUnit:
    """One element of comps.xml.

    id        what it is known by; "langpacks" for the one that has none
    name      in no particular language
    packages  of a group: the names its <packagelist> asks for
    """

    kind: str
    id: str
    name: str
    raw: bytes
    packages: list[str] = field(default_factory=list)


def parse_comps(chunks: Iterable[bytes], where: str) -> tuple[list[CompsUnit], Issues]:
    """Units of a comps.xml in file order. Raises MetadataError."""
    units: list[CompsUnit] = []
    tally = Issues()
    seen: set[tuple[str, str]] = set()
    for record in read_records(utf8(chunks, where), COMPS, where):
        node = record.node
        kind = _KINDS.get(node.name)
        if kind is None or node.space:
            is_known = node.name in COMPS.records and not node.space
            tally.add(issues.ELEMENT_DROPPED if is_known else issues.STRAY_ELEMENT, f"{where}: <{node.name}>")
            continue
        ident = "langpacks" if kind == kinds.LANGPACKS else node.value("id")
        if not ident:
            tally.add(issues.INCOMPLETE, f"{where}: <{node.name}> without an id")
        elif not columns.is_label(ident):
            tally.add(issues.WORD_ODD, f"{where}: <{node.name}> id {ident[:100]!r}")
        elif (kind, ident) in seen:
            tally.add(issues.DUPLICATE_RECORD, f"{where}: <{node.name}> {ident}")
        else:
            seen.add((kind, ident))
            asked = node.child("packagelist")
            packages = [wanted.text.strip() for wanted in asked.all("packagereq")] if asked else []
            units.append(CompsUnit(kind, ident, _plain_name(node), record.raw, packages))
    return units, tally


def _plain_name(node: Node) -> str:
    return next((child.text.strip() for child in node.all("name") if not child.get("xml:lang")), "")
