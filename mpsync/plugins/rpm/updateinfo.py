"""updateinfo.xml: advisories, each a raw record with the fields that merging and searching need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.document import UPDATEINFO
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, Record, read_records
from mpsync.plugins.rpm.xmltext import utf8

OLDEST = datetime(1, 1, 1, tzinfo=UTC)
"""Where a date that is missing or no date is ordered."""

_DATE = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?)?(?:\s*(?:UTC|GMT|Z|\+00:?00))?"
)

PackageName = tuple[str, str, str, str, str]
"""(name, epoch, version, release, arch); an epoch that is missing or empty is "0"."""


@dataclass(slots=True)
class Collection:
    """A ``<collection>`` of an advisory. module: (name, stream, version, context, arch), or None."""

    name: str
    short: str
    module: tuple[str, str, str, str, str] | None
    packages: list[PackageName] = field(default_factory=list)


@dataclass(slots=True)
class Advisory:
    """An ``<update>``.

    version          as written; "" = none
    issued, updated  as written; ``date`` is what they are compared by
    raw              the element, byte for byte
    """

    id: str
    type: str
    status: str
    version: str
    title: str
    severity: str
    issued: str
    updated: str
    collections: list[Collection]
    raw: bytes

    @property
    def date(self) -> datetime:
        """The date of the last update, else of issue, else OLDEST; aware UTC."""
        return parse_date(self.updated) or parse_date(self.issued) or OLDEST

    @property
    def packages(self) -> frozenset[PackageName]:
        return frozenset(package for collection in self.collections for package in collection.packages)


def parse_date(text: str) -> datetime | None:
    """``2012-12-12[ 00:00[:00]] [UTC]`` or seconds since 1970; None when it is neither."""
    text = text.strip()
    try:
        if text.isascii() and text.isdigit():
            return datetime.fromtimestamp(int(text), UTC) if len(text) <= 11 else None
        found = _DATE.fullmatch(text)
        if found is None:
            return None
        year, month, day, hour, minute, second = (int(part or 0) for part in found.groups())
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def parse_updateinfo(chunks: Iterable[bytes], where: str, tally: Issues) -> Iterator[Advisory]:
    """Advisories in file order, one at a time: the same id may come again (``merge.merge_advisories``).

    tally   gets the named outcomes
    raises  MetadataError
    """
    for record in read_records(utf8(chunks, where), UPDATEINFO, where):
        if record.node.name != "update" or record.node.space:
            tally.add(issues.STRAY_ELEMENT, f"{where}: <{record.node.name}>")
            continue
        advisory = advisory_of(record)
        if not advisory.id:
            tally.add(issues.INCOMPLETE, f"{where}: <update> without an id")
            continue
        if not columns.is_label(advisory.id):
            tally.add(issues.WORD_ODD, f"{where}: <update> id {advisory.id[:100]!r}")
            continue
        for what, date in (("issued", advisory.issued), ("updated", advisory.updated)):
            if date and parse_date(date) is None:
                tally.add(issues.DATE_ODD, f"{where}: {advisory.id}: {what} {date[:60]!r}")
        if record.is_rewritten:
            tally.add(issues.REWRITTEN, f"{where}: {advisory.id}")
        yield advisory


def advisory_of(record: Record) -> Advisory:
    """The fields of one ``<update>`` element; missing ones are empty."""
    node = record.node
    return Advisory(
        id=node.value("id"),
        type=node.get("type"),
        status=node.get("status"),
        version=node.get("version").strip(),
        title=node.value("title"),
        severity=node.value("severity"),
        issued=_date_text(node.child("issued")),
        updated=_date_text(node.child("updated")),
        collections=[_collection(found) for pkglist in node.all("pkglist") for found in pkglist.all("collection")],
        raw=record.raw,
    )


def _date_text(node: Node | None) -> str:
    return "" if node is None else (node.get("date") or node.text).strip()


def _collection(node: Node) -> Collection:
    module = node.child("module")
    return Collection(
        node.value("name"),
        node.get("short"),
        None
        if module is None
        else (
            module.get("name"),
            module.get("stream"),
            module.get("version"),
            module.get("context"),
            module.get("arch"),
        ),
        [
            (
                package.get("name"),
                package.get("epoch") or "0",
                package.get("version"),
                package.get("release"),
                package.get("arch"),
            )
            for package in node.all("package")
        ],
    )
