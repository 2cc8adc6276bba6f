"""The last word on a version, over all of its units: which of several claims to one name stays.

Flow    twins -> the newest build of a NEVRA, merged advisories, upstream's newest wording of anything else
        -> the newest N -> file lists and changelogs without their package
Runs    in the main process, on the draft's connection; reads records only where something is odd
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mpsync.plugin.repository import Draft
from mpsync.plugins.rpm import issues, kinds, parse_files, parse_primary
from mpsync.plugins.rpm.crosscheck import Crosscheck
from mpsync.plugins.rpm.document import FILELISTS, OTHER, PRIMARY, UPDATEINFO, Document
from mpsync.plugins.rpm.evr import newest, parse_evr
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.merge import merge_advisories, newest_builds
from mpsync.plugins.rpm.modules import parse_modules
from mpsync.plugins.rpm.parse_files import FileRecords
from mpsync.plugins.rpm.parse_primary import Primary
from mpsync.plugins.rpm.updateinfo import advisory_of
from mpsync.plugins.rpm.xmlsafe import read_records

_ONE_WORDING = (
    kinds.GROUP,
    kinds.CATEGORY,
    kinds.ENVIRONMENT,
    kinds.LANGPACKS,
    kinds.MODULEMD,
    kinds.MODULEMD_DEFAULTS,
    kinds.MODULEMD_OBSOLETES,
    kinds.TREE,
)
_FILE_KINDS = {"filelists": kinds.FILELISTS, "other": kinds.OTHER}
CHUNK_ROWS = 1000
_ANY_CHECKSUM = frozenset(("sha512", "sha384", "sha256", "sha224", "sha1", "md5"))


@dataclass(frozen=True, slots=True)
class Listing:
    """One of the repository's. is_read: in this sync; is_current: read, or upstream's file is the one read before."""

    id: int
    name: str
    is_exact: bool
    is_read: bool
    is_current: bool


@dataclass(frozen=True, slots=True)
class Twins:
    """Units that claim one name: ids, and which of them upstream lists now; those from before come first."""

    kind: str
    listing_id: int
    name: str
    version: str
    arch: str
    ids: list[int]
    new: list[bool]

    @property
    def label(self) -> str:
        return f"{self.name}-{self.version}.{self.arch}"


NO_LISTING = Listing(0, "", False, False, False)


def _folder(name: str) -> str:
    """The repository's folder of a listing's name: "" or with a trailing slash."""
    head, slash, _ = name.rpartition("/")
    return head + slash


async def reconcile(draft: Draft, options: Mapping[str, Any], result: Mapping[str, Any]) -> None:
    """Settle all claims; what is left out is reported."""
    await _Reconciler(draft, options, result).run()


class _Reconciler:
    def __init__(self, draft: Draft, options: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        self._draft, self._options = draft, options
        self._fingerprints: Mapping[str, Any] = result.get("fingerprints", {})
        self._all: dict[str, Listing] = {}
        self._listings: dict[str, int] = {}  # those that were read now
        self._names: dict[int, str] = {}
        self._is_exact = True
        self._tally = Issues()
        self._lost: dict[str, set[bytes]] = {}  # {folder: pkgids of packages that another build replaced}

    async def run(self) -> None:
        found = [Listing(*row) for row in await self._rows("news")]
        if not any(listing.is_read for listing in found):
            return
        self._all = {listing.name: listing for listing in found}
        self._listings = {listing.name: listing.id for listing in found if listing.is_read}
        self._names = {listing.id: listing.name for listing in found}
        self._is_exact = found[0].is_exact
        await self._settle_twins()
        if not self._is_exact:
            await self._drop_old_files()
        if self._options["retain"]:
            await self._retain()
        await self._settle_file_records()
        for issue in self._tally:
            self._draft.skip(issue.code, str(issue))

    async def _rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        return await self._draft.rows(("mpsync.plugins.rpm", "sql/reconcile.sql", statement), values)

    async def _twins(self, wanted: Sequence[str], listing_ids: Iterable[int] | None = None) -> list[Twins]:
        ids = list(self._listings.values() if listing_ids is None else listing_ids)
        return [Twins(*row) for row in await self._rows("twins", listing_ids=ids, kinds=list(wanted))]

    # --- twins -------------------------------------------------------------------------------------------------------

    async def _settle_twins(self) -> None:
        wanted = [] if self._options["mirror_complete"] else [kinds.PACKAGE, *_ONE_WORDING]
        if not self._is_exact:
            wanted.append(kinds.ADVISORY)
        gone: list[tuple[int, int]] = []
        for twins in await self._twins(wanted) if wanted else ():
            if twins.kind == kinds.PACKAGE:
                stay = await self._newest_build(twins)
            elif twins.kind == kinds.ADVISORY:
                stay = await self._merged(twins)
            else:
                stay = self._newest_wording(twins)
            gone.extend((unit, twins.listing_id) for unit in twins.ids if unit not in stay)
        await self._draft.withdraw(gone)

    async def _newest_build(self, twins: Twins) -> set[int]:
        """The newest build, the first on a tie; one pkgid at two locations stays twice, if upstream has it so."""
        raws = await self._draft.raw(twins.ids)
        found = [_package(raws[unit]) for unit in twins.ids]
        pkgids = [block.pkgids[0] for block in found]
        stay, go = newest_builds([twins.label] * len(found), pkgids, [block.build_times[0] for block in found])
        if not self._is_exact and any(twins.new[at] for at in stay):
            stay = [at for at in stay if twins.new[at]]
        self._lost.setdefault(_folder(self._names[twins.listing_id]), set()).update(pkgids[at] for at, _ in go)
        for at, chosen in go:
            text = f"{twins.label}: kept {_built(found[chosen])}, not {_built(found[at])}"
            self._tally.add(issues.DUPLICATE_NEVRA, text)
        return {twins.ids[at] for at in stay}

    async def _merged(self, twins: Twins) -> set[int]:
        """What the rules make of the advisory we hold and the one upstream lists now."""
        raws = await self._draft.raw(twins.ids)
        advisories = [_advisory(raws[unit]) for unit in twins.ids]
        held, stays = advisories[0], twins.ids[0]
        allow = self._options["allow_advisory_conflict"]
        for unit, incoming in zip(twins.ids[1:], advisories[1:], strict=True):
            found = merge_advisories(held, incoming, f"updateinfo: {twins.name}", allow_conflict=allow)
            held = found.advisory
            if found.outcome != "held":
                stays = unit if found.outcome == "incoming" else 0
        if not stays:
            from mpsync.plugin.declare import Content

            await self._draft.add(Content(held.raw, name=held.id, kind=kinds.ADVISORY), self._names[twins.listing_id])
            self._draft.note(issues.ADVISORY_MERGED, f"{issues.ADVISORY_MERGED}: {twins.name}")
        return {stays}

    def _newest_wording(self, twins: Twins) -> set[int]:
        """What upstream says now; of two in one file, the first."""
        chosen = twins.new.index(True)
        if sum(twins.new) > 1:
            where = self._names[twins.listing_id]
            self._tally.add(issues.DUPLICATE_RECORD, f"{where}: {twins.kind} {twins.label}")
        return {twins.ids[chosen]}

    # --- what only an additive repository keeps ----------------------------------------------------------------------

    async def _drop_old_files(self) -> None:
        """Packages add up; upstream's own metadata files are those of now."""
        ids = [found for name, found in self._listings.items() if name.endswith("repodata") or name == "tree"]
        await self._draft.withdraw([tuple(row) for row in await self._rows("outdated", listing_ids=ids)])

    async def _retain(self) -> None:
        """The newest N of all that was and is, modular packages exempt."""
        ids = [found for name, found in self._listings.items() if name.rpartition("/")[2] == "primary"]
        rows = await self._rows("crowded", listing_ids=ids, count=self._options["retain"])
        modular = await self._modular() if rows else frozenset()
        by_listing: dict[int, list[tuple[Any, ...]]] = {}
        for row in rows:
            by_listing.setdefault(row[1], []).append(row)
        for listing_id, found in by_listing.items():
            evrs = [parse_evr(row[3]) for row in found]
            exempt = [
                at
                for at, (row, evr) in enumerate(zip(found, evrs, strict=True))
                if kinds.package_key(row[2], *evr, row[4]) in modular
            ]
            names, archs = [row[2] for row in found], [row[4] for row in found]
            stay = set(newest(names, archs, evrs, self._options["retain"], exempt))
            await self._draft.withdraw([(row[0], listing_id) for at, row in enumerate(found) if at not in stay])

    async def _modular(self) -> frozenset[str]:
        ids = await self._rows("listings_like", role="modules")
        members = await self._rows("members", listing_ids=[found for (found,) in ids], kind=kinds.MODULEMD)
        raws = await self._draft.raw([content_id for content_id, _ in members])
        return await asyncio.to_thread(_artifacts, list(raws.values()))

    # --- file lists and changelogs -----------------------------------------------------------------------------------

    async def _settle_file_records(self) -> None:
        """Wherever the file or its primary was read: one that didn't change may have lost a package, or got one back."""
        for role, kind in _FILE_KINDS.items():
            found = [listing for name, listing in self._all.items() if name.rpartition("/")[2] == role]
            found = [listing for listing in found if listing.is_read or self._is_primary_new(listing)]
            if found and (self._lost or not self._is_exact):
                for twins in await self._twins((kind,), [listing.id for listing in found]):
                    await self._draft.withdraw(await self._file_twins(twins))
            for listing in found:
                await self._settle_one(role, listing)

    def _is_primary_new(self, listing: Listing) -> bool:
        """Read now; or without a package now, which leaves no trace of reading."""
        primary = self._primary_of(listing)
        return primary.is_read or not primary.is_current

    def _primary_of(self, listing: Listing) -> Listing:
        return self._all.get(f"{_folder(listing.name)}primary", NO_LISTING)

    async def _file_twins(self, twins: Twins) -> list[tuple[int, int]]:
        """Those of builds that went, and old wordings."""
        raws = await self._draft.raw(twins.ids)
        lost = self._lost.get(_folder(self._names[twins.listing_id]), set())
        pkgids = {unit: _file_record(twins.kind, raws[unit]).pkgids[0] for unit in twins.ids}
        stay = [unit for unit in twins.ids if pkgids[unit] not in lost]
        newest_ids = {unit for unit, is_new in zip(twins.ids, twins.new, strict=True) if is_new}
        if len(stay) > 1 and newest_ids.intersection(stay):
            stay = [unit for unit in stay if unit in newest_ids]
        return [(unit, twins.listing_id) for unit in twins.ids if unit not in stay]

    async def _settle_one(self, role: str, listing: Listing) -> None:
        """Nothing to do where the file speaks of primary's packages, which the fingerprints show in nearly all cases."""
        folder = _folder(listing.name)
        if self._options["retain"] or self._draft.has_skipped:  # packages went after the files were compared
            rows = await self._rows("strays", listing_ids=[listing.id], primary_id=self._primary_of(listing).id)
            await self._draft.withdraw([(content_id, listing_id) for content_id, listing_id in rows])
        if self._options["retain"]:
            return
        ours, theirs = self._fingerprints.get(f"{folder}primary"), self._fingerprints.get(listing.name)
        if listing.is_current and (ours is None or ours != theirs):
            await self._crosscheck(role, folder, listing.id)

    async def _crosscheck(self, role: str, folder: str, listing_id: int) -> None:
        """Record by record: the files disagree, or one of them is remembered from another repository."""
        check = Crosscheck()
        ids = [found for (found,) in await self._rows("listings_named", name=f"{folder}primary")]
        async for _, block in self._blocks("primary", ids, kinds.PACKAGE):
            check.add(block)
        tally = Issues()
        where = f"{folder}{role}"
        async for members, block in self._blocks(role, [listing_id], _FILE_KINDS[role]):
            assert isinstance(block, FileRecords)
            stay = set(check.check(block, where, tally))
            await self._draft.withdraw([member for row, member in enumerate(members) if row not in stay])
        check.finish(where, tally)
        lost = sum(map(len, self._lost.values()))
        known = tally.by_code.get(issues.NOT_IN_PRIMARY)
        if known is not None and known.count <= lost:
            del tally.by_code[issues.NOT_IN_PRIMARY]  # their packages were reported already
        self._tally.merge(tally)

    async def _blocks(self, role: str, listing_ids: list[int], kind: str) -> Any:
        """(members, their parsed records) in chunks, in one order."""
        members = await self._rows("members", listing_ids=listing_ids, kind=kind)
        for first in range(0, len(members), CHUNK_ROWS):
            chunk: list[tuple[int, int]] = [(unit, listing) for unit, listing in members[first : first + CHUNK_ROWS]]
            raws = await self._draft.raw([unit for unit, _ in chunk])
            run = [raws[unit] for unit, _ in chunk]
            yield chunk, await asyncio.to_thread(_parsed, role, run)


def _parsed(role: str, raws: Sequence[bytes]) -> Primary | FileRecords:
    """Records that were accepted once, parsed again: as many rows as records."""
    block = b"".join(raws)
    found: Primary | FileRecords | None
    if role == "primary":
        found = parse_primary.regular(block, role, _ANY_CHECKSUM)
        if found is None or len(found) != len(raws):
            found = parse_primary.from_records(_records(raws, PRIMARY), role, _ANY_CHECKSUM)
    else:
        found = parse_files.regular(block, role, _ANY_CHECKSUM)
        if found is None or len(found) != len(raws):
            document = FILELISTS if role == "filelists" else OTHER
            found = parse_files.from_records(_records(raws, document), role, _ANY_CHECKSUM)
    return found


def _records(raws: Sequence[bytes], document: Document) -> list[Any]:
    return [
        record
        for raw in raws
        for record in read_records([document.open_tag + raw + document.close_tag], document, document.name)
    ]


def _package(raw: bytes) -> Primary:
    found = _parsed("primary", [raw])
    assert isinstance(found, Primary)
    return found


def _built(package: Primary) -> str:
    return f"{package.paths[0]} (pkgid {package.pkgids[0].hex()}, built {package.build_times[0]})"


def _file_record(kind: str, raw: bytes) -> FileRecords:
    found = _parsed("filelists" if kind == kinds.FILELISTS else "other", [raw])
    assert isinstance(found, FileRecords)
    return found


def _advisory(raw: bytes) -> Any:
    return advisory_of(_records([raw], UPDATEINFO)[0])


def _artifacts(raws: Sequence[bytes]) -> frozenset[str]:
    """NEVRAs that modules claim."""
    return frozenset(
        nevra for raw in raws for unit in parse_modules(raw, "modules", Issues()) for nevra in unit.artifacts
    )
