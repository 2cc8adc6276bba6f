"""Named outcomes: what was odd in upstream's metadata, what was done about it, and how often.

Metadata of 300,000 packages may be odd 300,000 times: a code is counted, and only the first few places are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from mpsync.plugin.declare import MetadataError

EXAMPLES = 5

# Reported; the unit is kept.
EPOCH_MISSING = "epoch-missing"  # read as 0
EPOCH_NOT_A_NUMBER = "epoch-not-a-number"  # kept as written, ordered as 0
XML_BASE = "xml-base"  # the package lies below another URL: mirror-complete refuses it
TIME_ODD = "time-not-a-number"  # read as 0
RELATIVE_DOT = "location-with-dot"  # a leading ./ was removed
UNKNOWN_ELEMENT = "unknown-element"  # kept inside its record
ELEMENT_DROPPED = "element-dropped"  # yum's blacklist and whiteout in comps.xml: nothing reads them any more
REWRITTEN = "namespaces-rewritten"  # the record was written anew with the usual prefixes
TRANSCODED = "transcoded"  # the file was not UTF-8 and is kept in UTF-8
DATE_ODD = "date-not-a-date"  # kept as written, ordered as the oldest
COUNT_WRONG = "package-count-wrong"  # the root's packages attribute disagrees with the packages
FILE_MISSING = "metadata-file-missing"  # repomd names no filelists or no other
PACKAGE_NOT_LISTED = "package-not-in-file"  # in primary, but not in filelists or other
NEVRA_DIFFERS = "name-or-version-differs"  # filelists or other call the pkgid something else
DUPLICATE_NEVRA = "duplicate-nevra"  # the newest build was kept
ADVISORY_MERGED = "advisory-merged"
ADVISORY_REPLACED = "advisory-replaced"
DOCUMENT_UNKNOWN = "document-unknown"  # a YAML document of a kind that we don't read
VARIANT_OUTSIDE = "variant-outside"  # a tree's variant lies outside the root: not followed
MIRROR_IGNORED = "mirror-ignored"  # a scheme that we don't fetch
RECORD_IGNORED = "record-ignored"  # sqlite, or zchunk beside a plain one

# Reported; the unit is left out.
STRAY_ELEMENT = "stray-element"  # an element at the top of the file that doesn't belong there
INCOMPLETE = "record-incomplete"  # no name, version, checksum, location, ...
LOCATION_UNSAFE = "location-unsafe"  # climbs, is absolute, has a scheme
CHECKSUM_WEAK = "checksum-weak"  # md5 or sha1, and not allowed
CHECKSUM_ODD = "checksum-not-a-checksum"
SIZE_ODD = "size-not-a-number"
WORD_ODD = "word-with-odd-characters"  # a name, version or architecture with spaces, slashes or control characters
NOT_IN_PRIMARY = "package-not-in-primary"  # in filelists or other only
DUPLICATE_RECORD = "duplicate-record"  # the first one was kept
YAML_REFUSED = "yaml-refused"  # tags, too many aliases, too deep

REFUSED = frozenset(
    (
        STRAY_ELEMENT,
        INCOMPLETE,
        LOCATION_UNSAFE,
        CHECKSUM_WEAK,
        CHECKSUM_ODD,
        SIZE_ODD,
        WORD_ODD,
        NOT_IN_PRIMARY,
        DUPLICATE_RECORD,
        YAML_REFUSED,
    )
)
"""Codes whose unit was left out."""

_TOLERATED = frozenset((STRAY_ELEMENT, NOT_IN_PRIMARY, DUPLICATE_RECORD))
"""Of those, the ones that a strict sync only reports: nothing that upstream offers is lost by them."""


class RefusedRecord(MetadataError):
    """A record of upstream's metadata can't be used, and nobody said that it may be left out."""

    hint = "the repository is broken or hostile; --skip-failed leaves such records out and reports them"


class WeakDigests(RefusedRecord):
    """Only md5 or sha1 says what a file is."""

    hint = "--allow-weak-digests accepts md5 and sha1: for old repositories you trust by other means"


@dataclass(slots=True)
class Issue:
    """One named outcome: how often, and the first places with what stands there."""

    code: str
    count: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def is_refused(self) -> bool:
        """Whether the units concerned were left out."""
        return self.code in REFUSED

    def __str__(self) -> str:
        more = f" and {self.count - len(self.examples)} more" if self.count > len(self.examples) else ""
        return f"{self.code}: {'; '.join(self.examples)}{more}"


class Issues:
    """A tally of named outcomes; small however odd the metadata is."""

    __slots__ = ("by_code",)

    def __init__(self) -> None:
        self.by_code: dict[str, Issue] = {}

    def add(self, code: str, example: str) -> None:
        """Count one more ``code``; ``example`` says where and what, and is kept for the first few."""
        issue = self.by_code.get(code)
        if issue is None:
            issue = self.by_code[code] = Issue(code)
        issue.count += 1
        if len(issue.examples) < EXAMPLES:
            issue.examples.append(example[:300])

    def merge(self, other: Issues) -> None:
        """Count what another block or worker found."""
        for code, theirs in other.by_code.items():
            ours = self.by_code.setdefault(code, Issue(code))
            ours.count += theirs.count
            ours.examples.extend(theirs.examples[: EXAMPLES - len(ours.examples)])

    def plain(self) -> list[dict[str, Any]]:
        """``[{code, count, examples}]``: plain JSON values, to cross a process."""
        return [
            {"code": issue.code, "count": issue.count, "examples": list(issue.examples)}
            for issue in self.by_code.values()
        ]

    @classmethod
    def restore(cls, values: Iterable[dict[str, Any]]) -> Issues:
        """The reverse of ``plain``."""
        made = cls()
        for value in values:
            made.by_code[value["code"]] = Issue(value["code"], value["count"], list(value["examples"]))
        return made

    def count(self, code: str) -> int:
        found = self.by_code.get(code)
        return found.count if found else 0

    def check(self, where: str, *, strict: bool) -> None:
        """Raise RefusedRecord for what a strict sync doesn't leave out."""
        if strict:
            for issue in self.by_code.values():
                if issue.is_refused and issue.code not in _TOLERATED:
                    refused = WeakDigests if issue.code == CHECKSUM_WEAK else RefusedRecord
                    raise refused(where, str(issue))

    def __bool__(self) -> bool:
        return bool(self.by_code)

    def __iter__(self) -> Any:
        return iter(self.by_code.values())
