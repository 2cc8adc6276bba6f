"""The text of a Release file -> fields, dates, and what it promises of every index. Pure: bytes in, values out.

Only signed bytes come here (``trust.py``). Paths are relative to the folder of the Release file.
source  Debian's repository format: wiki.debian.org/DebianRepository/Format
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone

from mpsync.plugin.declare import ACCEPTED, Expected, MetadataError, TrustError, safe_relative_path, strongest
from mpsync.plugins.deb.stanza import fields

MAX_CLOCK_SKEW = timedelta(days=1)

_SECTIONS = {"md5sum": "md5", **{name: name for name in ("sha1", "sha224", "sha256", "sha384", "sha512")}}
_HEX_LENGTH = {"md5": 32, "sha1": 40, "sha224": 56, "sha256": 64, "sha384": 96, "sha512": 128}
_BY_HASH_FOLDER = {
    "md5": "MD5Sum",
    "sha1": "SHA1",
    "sha224": "SHA224",
    "sha256": "SHA256",
    "sha384": "SHA384",
    "sha512": "SHA512",
}
_HEX = re.compile(r"[0-9a-fA-F]+")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_RFC822 = re.compile(
    r"(?:[A-Za-z]+,?\s+)?(\d{1,2})[ -]([A-Za-z]{3})[a-z]*[ -](\d{4})\s+"
    r"(\d{1,2}):(\d\d)(?::(\d\d))?\s*(UTC|GMT|Z|UT|[+-]\d{4})?",
    re.IGNORECASE,
)


class WeakDigests(MetadataError):
    """A Release file, or a file it names, has only digests that prove nothing (md5, sha1)."""

    hint = "--allow-weak-digests accepts md5 and sha1: for old archives you trust by other means"


class Expired(TrustError):
    """Valid-Until has passed: the mirror is stale, or replays an old state."""

    hint = "the mirror is stale: use another one; --no-check-valid-until accepts it, for archives that are no longer updated"

    def __init__(self, where: str, valid_until: datetime) -> None:
        super().__init__(where, f"Valid-Until {valid_until:%Y-%m-%d %H:%M} UTC has passed")
        self.args = (where, valid_until)
        self.valid_until = valid_until


class FutureDate(TrustError):
    """Date lies more than a day ahead: the mirror's clock or ours is wrong."""

    hint = "is this machine's clock right?"

    def __init__(self, where: str, date: datetime, now: datetime) -> None:
        said = f"Date {date:%Y-%m-%d %H:%M} UTC lies in the future"
        super().__init__(where, f"{said}; our clock says {now:%Y-%m-%d %H:%M} UTC")
        self.args = (where, date, now)
        self.date, self.now = date, now


class Rollback(TrustError):
    """Date is older than that of the state we hold, or gone."""

    hint = "the mirror is older than what is held, or replays it: use another one, or wait until it has caught up"

    def __init__(self, where: str, date: datetime | None, held: datetime) -> None:
        said = f"Date {date:%Y-%m-%d %H:%M} UTC is older than" if date else "has no Date, unlike"
        super().__init__(where, f"{said} the state we hold, of {held:%Y-%m-%d %H:%M} UTC")
        self.args = (where, date, held)
        self.date, self.held = date, held


@dataclass(frozen=True, slots=True)
class IndexFile:
    """A file that Release names.

    path     relative to the folder of the Release file, checked
    digests  {algorithm: lowercase hex}; at least one accepted, unless weak ones were allowed
    """

    path: str
    size_bytes: int
    digests: dict[str, str]

    @property
    def strongest(self) -> tuple[str, str]:
        """(algorithm, hex)."""
        return strongest(self.digests)

    @property
    def expected(self) -> Expected:
        """What a transfer has to find: the size and the strongest digest."""
        return Expected(self.size_bytes, dict((self.strongest,)))

    @property
    def by_hash_path(self) -> str:
        """Its by-hash name, by the strongest digest, as apt asks for it."""
        algorithm, digest = self.strongest
        folder, _, _ = self.path.rpartition("/")
        return "/".join(filter(None, (folder, "by-hash", _BY_HASH_FOLDER[algorithm], digest)))


@dataclass(frozen=True, slots=True)
class Release:
    """A parsed Release. Every field may be missing: text is None then, lists are empty.

    files   {path: IndexFile} with an accepted digest, in Release's order
    weak    paths that Release names with weak digests only
    fields  every single-line field as written, by lowercase name
    """

    where: str
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, IndexFile] = field(default_factory=dict)
    weak: tuple[str, ...] = ()
    date: datetime | None = None
    valid_until: datetime | None = None

    @property
    def origin(self) -> str | None:
        return self.fields.get("origin")

    @property
    def label(self) -> str | None:
        return self.fields.get("label")

    @property
    def suite(self) -> str | None:
        return self.fields.get("suite")

    @property
    def codename(self) -> str | None:
        return self.fields.get("codename")

    @property
    def version(self) -> str | None:
        return self.fields.get("version")

    @property
    def description(self) -> str | None:
        return self.fields.get("description")

    @property
    def architectures(self) -> tuple[str, ...]:
        return tuple(self.fields.get("architectures", "").split())

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(self.fields.get("components", "").split())

    @property
    def acquire_by_hash(self) -> bool:
        return self.fields.get("acquire-by-hash", "").lower() in ("yes", "true", "1")

    @property
    def all_is_in_each_architecture(self) -> bool:
        """``No-Support-for-Architecture-all: Packages``: binary-all repeats what each binary-* lists too."""
        return "Packages" in self.fields.get("no-support-for-architecture-all", "").split()


def parse_release(text: bytes, where: str, *, allow_weak: bool = False) -> Release:
    """Parse the signed bytes of a Release file; its first stanza, as apt does.

    where   names the file in errors
    raises  WeakDigests when no section has an accepted digest; UnsafePath; MetadataError
    """
    stanza = re.split(rb"\n\s*\n", text.strip(b"\r\n"), maxsplit=1)[0]
    values = {name: value.decode("utf-8", "surrogateescape") for name, value in fields(stanza).items()}
    sections = {_SECTIONS[name]: values.pop(name) for name in list(values) if name in _SECTIONS}
    if not values and not sections:
        raise MetadataError(where, "is not a Release file", "fields", repr(text[:60]))
    files, weak = _files(sections, where, allow_weak)
    if weak and not files:
        raise WeakDigests(where, "has no accepted digests", " or ".join(sorted(ACCEPTED)), ", ".join(sorted(sections)))
    return Release(
        where,
        {name: " ".join(value.split()) if "\n" in value else value for name, value in values.items()},
        files,
        weak,
        _date(values, "date", where),
        _date(values, "valid-until", where),
    )


def check_dates(
    release: Release, now: datetime, *, held: datetime | None = None, check_valid_until: bool = True
) -> None:
    """Refuse a Release that is stale, from the future, or older than what we hold.

    now     aware UTC
    held    Date of the Release that the repository's last version came from, or None
    check_valid_until  False for archives, whose Valid-Until has passed for good
    raises  Expired, FutureDate, Rollback
    """
    if release.date is not None and release.date > now + MAX_CLOCK_SKEW:
        raise FutureDate(release.where, release.date, now)
    if held is not None and (release.date is None or release.date < held):
        raise Rollback(release.where, release.date, held)
    if check_valid_until and release.valid_until is not None and release.valid_until < now:
        raise Expired(release.where, release.valid_until)


def parse_date(text: str) -> datetime | None:
    """An aware UTC time from ``Sat, 11 Jul 2026 10:16:37 UTC``, its near relatives, or ISO 8601; None if it is none.

    Without a zone it is UTC, as Debian's format asks for.
    """
    text = text.strip()
    match = _RFC822.fullmatch(text)
    try:
        if match is None:
            found = datetime.fromisoformat(text)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        day, month, year, hour, minute, second, zone = match.groups()
        offset = timedelta()
        if zone and zone[0] in "+-":
            offset = timedelta(hours=int(zone[1:3]), minutes=int(zone[3:])) * (-1 if zone[0] == "-" else 1)
        month_number = _MONTHS.index(month.lower()) + 1
        numbers = int(year), month_number, int(day), int(hour), int(minute), int(second or 0)
        return datetime(*numbers, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _date(values: dict[str, str], name: str, where: str) -> datetime | None:
    text = values.get(name)
    if text is None:
        return None
    found = parse_date(text)
    if found is None:
        # A date that can't be read can't be checked: letting it pass would switch the check off.
        raise MetadataError(where, f"{name.title()} is not a date", "Sat, 11 Jul 2026 10:16:37 UTC", repr(text[:60]))
    return found


def _files(sections: dict[str, str], where: str, allow_weak: bool) -> tuple[dict[str, IndexFile], tuple[str, ...]]:
    sizes: dict[str, int] = {}
    digests: dict[str, dict[str, str]] = {}
    for algorithm, text in sections.items():
        for line in text.splitlines():
            parts = line.split(None, 2)
            if not parts:
                continue
            if len(parts) != 3 or not parts[1].isdecimal() or not _is_digest(parts[0], algorithm):
                raise MetadataError(where, f"bad line in {algorithm}", "'digest size path'", repr(line[:200]))
            path = parts[2].strip()
            path = path[2:] if path.startswith("./") else path  # flat repositories write ./Packages
            size = int(parts[1])
            if path not in sizes:
                safe_relative_path(path, where)
            if sizes.setdefault(path, size) != size:
                raise MetadataError(where, f"{path} has two sizes", str(sizes[path]), str(size))
            digest = parts[0].lower()
            known = digests.setdefault(path, {}).setdefault(algorithm, digest)
            if known != digest:
                raise MetadataError(where, f"{path} has two {algorithm} digests", known, digest)
    files: dict[str, IndexFile] = {}
    weak: list[str] = []
    for path, found in digests.items():
        if allow_weak or not ACCEPTED.isdisjoint(found):
            files[path] = IndexFile(path, sizes[path], found)
        else:
            weak.append(path)
    return files, tuple(weak)


def _is_digest(text: str, algorithm: str) -> bool:
    return len(text) == _HEX_LENGTH[algorithm] and _HEX.fullmatch(text) is not None
