"""One generation of a suite: its trusted Release and every index of it, fetched and verified before any unit is declared.

Flow    top files -> verify -> parse -> choose -> fetch all indices -> Generation
        an index that is not what Release promised -> read the top files again, keep what is unchanged, fetch the rest
Runs    in the child of the first stage; the core does the fetching
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mpsync.plugin.declare import (
    UPSTREAM,
    Artifact,
    Content,
    DeclarativeArtifact,
    DeclarativeContent,
    FirstStage,
    MetadataError,
    UpstreamError,
    file_record,
    leaf,
)
from mpsync.plugin.decompress import Digesting, open_chunks
from mpsync.plugin.openpgp import BadSignature, Keyring
from mpsync.plugin.top_files import TopFiles, digests_of
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.layout import Index, Layout, Wanted, choose, suite_folder
from mpsync.plugins.deb.release import IndexFile, Release, check_dates, parse_release
from mpsync.plugins.deb.trust import INRELEASE, RELEASE, RELEASE_GPG, Trusted, trusted_release

TRIES = 4
"""How often the top files are read when upstream changes under us."""

PAUSE_S = 0.25
"""Before they are read again; doubled each time. A mirror pulse takes seconds, a CDN node minutes: then the next run."""

_UNNAMED_SUFFIXES = (".xz", ".gz", ".bz2", ".zst")


@dataclass(frozen=True, slots=True)
class FetchedIndex:
    """An index to be parsed: the variant that upstream had, and its verified file."""

    index: Index
    variant: IndexFile
    path: Path


@dataclass(frozen=True, slots=True)
class Generation:
    """A consistent state of one suite."""

    suite: str
    folder: str
    top: TopFiles
    trusted: Trusted
    release: Release
    layout: Layout
    indices: tuple[FetchedIndex, ...]
    has_by_hash: bool

    def state(self) -> dict[str, Any]:
        """What the next probe compares with."""
        verified = self.trusted.verified
        return {
            "files": digests_of(self.top),
            "date": _text(self.release.date),
            "valid_until": _text(self.release.valid_until),
            "key_expires": _text(verified.key_expires_at) if verified else None,
            "is_signed": verified is not None,
            "signed_by": verified.fingerprint if verified else None,
            "by_hash": self.has_by_hash,
        }


class GenerationReader:
    """Reads one suite until its parts fit together."""

    def __init__(self, stage: FirstStage, suite: str, keyring: Keyring | None, now: datetime) -> None:
        options = stage.options
        self._stage, self._suite, self._keyring, self._now = stage, suite, keyring, now
        self._folder = suite_folder(suite)
        self._where = f"{self._folder or suite}".rstrip("/") or suite
        self._held: Mapping[str, Any] = options["held"].get(suite) or {}
        self._wanted = Wanted(
            suite,
            tuple(options["components"]) if not suite.endswith("/") else (),
            tuple(options["architectures"]),
            sources=options["sources"],
            udebs=options["udebs"],
            installer=options["installer"],
            allow_weak=options["allow_weak"],
            ignore_missing=options["ignore_missing_indices"],
        )
        self._fetched: dict[str, Path] = {}  # sha256 or other strongest digest -> verified file
        self._has_by_hash: bool | None = None  # unknown until the first index was asked for by its hash

    async def read(self) -> Generation:
        """The first generation whose indices all are what its Release says.

        raises  TrustError and MetadataError leaves at once; the error of an index after the last try, and so does a
                Release.gpg that does not fit its Release: the two may be of different generations (A3)
        """
        given = self._stage.options["top"].get(self._suite, {})
        top: TopFiles = {name: (Path(path), size, sha256) for name, (path, size, sha256) in given.items()}
        for attempt in range(1, TRIES + 1):
            failed: UpstreamError
            try:
                trusted, release, layout = self._trust(top)
            except BadSignature as error:
                if INRELEASE in top:
                    raise
                failed, may_settle = error, True
            else:
                try:
                    indices = await self._fetch_all(layout, release)
                    return Generation(
                        self._suite, self._folder, top, trusted, release, layout, indices, bool(self._has_by_hash)
                    )
                except UpstreamError as error:
                    failed, may_settle = error, False
            if attempt == TRIES:
                raise failed
            await asyncio.sleep(PAUSE_S * 2 ** (attempt - 1))
            again = await self._top_again()
            if digests_of(again) != digests_of(top):
                self._stage.note(
                    self._where, f"{self._where}: upstream changed while it was read ({failed}); reading it again"
                )
            elif not may_settle:
                raise failed
            top = again
        raise AssertionError("the last try returns or raises")

    def _trust(self, top: TopFiles) -> tuple[Trusted, Release, Layout]:
        options = self._stage.options
        inrelease, release_file, signature = (
            top[name][0].read_bytes() if name in top else None for name in (INRELEASE, RELEASE, RELEASE_GPG)
        )
        trusted = trusted_release(
            inrelease,
            release_file,
            signature,
            self._keyring,
            self._now,
            where=self._where,
            was_signed=bool(self._held.get("is_signed")),
            url=f"{options['url'].partition('?')[0].rstrip('/')}/{self._folder}",
        )
        release = parse_release(trusted.text, f"{self._where}/{trusted.name}", allow_weak=options["allow_weak"])
        held = self._held.get("date")
        check_dates(
            release,
            self._now,
            held=datetime.fromisoformat(held) if held else None,
            check_valid_until=options["check_valid_until"],
        )
        return trusted, release, choose(release, self._wanted)

    async def _top_again(self) -> TopFiles:
        found: TopFiles = {}
        for name in (INRELEASE, RELEASE, RELEASE_GPG):
            file = await self._stage.top_file(self._folder + name)
            if file is not None:
                found[name] = (file.path, file.size_bytes, file.sha256)
                if name == INRELEASE:
                    break
        return found

    async def _fetch_all(self, layout: Layout, release: Release) -> tuple[FetchedIndex, ...]:
        """Every index of the layout, verified; optional ones may be missing."""
        if self._has_by_hash is None:
            self._has_by_hash = release.acquire_by_hash and await self._answers_by_hash(layout)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._fetch_index(index), name=index.path) for index in layout.indices]
        except BaseExceptionGroup as errors:
            raise leaf(errors) from None
        return tuple(found for task in tasks if (found := task.result()) is not None)

    async def _answers_by_hash(self, layout: Layout) -> bool:
        """Ask for the smallest file by its hash: a mirror that doesn't have it is asked by name from then on.

        A request of its own, that nothing stored can answer. A mirror that had none last time is not asked again.
        """
        if self._held.get("by_hash") is False:
            return False
        files = [*(index.variants[0] for index in layout.indices), *(found.file for found in layout.metadata)]
        asked = min((file for file in files if file.size_bytes), key=lambda file: file.size_bytes, default=None)
        return asked is not None and await self._stage.top_file(self._folder + asked.by_hash_path) is not None

    async def _fetch_index(self, index: Index) -> FetchedIndex | None:
        error: UpstreamError | None = None
        for variant in index.variants:
            urls = [variant.by_hash_path] if self._has_by_hash else []
            try:
                held = self._fetched.get(variant.strongest[1])
                path = held or await self._fetch(variant, [*urls, variant.path])
            except UpstreamError as failed:
                if error is None or not _is_missing(failed):
                    error = failed
                continue
            self._fetched[variant.strongest[1]] = path
            return FetchedIndex(index, variant, path)
        assert error is not None
        is_missing = _is_missing(error)
        if is_missing and index.plain is not None and len(index.variants) == 1:
            try:
                found = await self._fetch_unnamed(index, index.plain)
            except MetadataError as failed:
                error, is_missing, found = failed, False, None
            if found is not None:
                return found
        if is_missing and (index.optional or self._stage.options["ignore_missing_indices"]):
            self._stage.skip(self._folder + index.path, "Release names it, upstream does not have it")
            return None
        raise error

    async def _fetch_unnamed(self, index: Index, plain: IndexFile) -> FetchedIndex | None:
        """The text in a compression that Release doesn't name, where it names the plain form only (C3).

        What arrives is believed because its text is what Release promises of the plain form. Raises CorruptStream.
        """
        for suffix in _UNNAMED_SUFFIXES:
            path = plain.path + suffix
            top = await self._stage.top_file(self._folder + path)
            if top is None:
                continue
            await asyncio.to_thread(_check_text, top.path, path, plain)
            variant = IndexFile(path, top.size_bytes, {"sha256": top.sha256})
            return FetchedIndex(index, variant, await self._fetch(variant, [path], top.path))
        return None

    async def _fetch(self, file: IndexFile, paths: list[str], local: Path | None = None) -> Path:
        item = index_item(self._folder, file, paths, kinds.INDEX, local)
        item.on_failure = "deliver"
        await self._stage.put(item)
        content = await item.files()
        if content is None:
            raise MetadataError(self._folder + file.path, "was dropped on its way")
        return content.local_path


def index_item(
    folder: str, file: IndexFile, paths: list[str], kind: str, local: Path | None = None
) -> DeclarativeContent:
    """A file that Release names, as content that is always downloaded, unless it is ``local``. ``paths`` are tried in
    order."""
    path = folder + file.path
    content = Content(file_record(path, file.size_bytes, file.digests), name=path, kind=kind)
    artifact = Artifact(size=file.size_bytes, digests=dict((file.strongest,)), file=local)
    d_artifact = DeclarativeArtifact(
        artifact, urls=[folder + url for url in paths], relative_path=path, remote=UPSTREAM
    )
    return DeclarativeContent(content, [d_artifact], listing=folder or "./")


def _check_text(path: Path, name: str, plain: IndexFile) -> None:
    text = Digesting(open_chunks(path, max_bytes=plain.size_bytes, name=name), (plain.strongest[0],))
    for _ in text:
        pass
    text.check(plain.expected, name)


def _is_missing(error: UpstreamError) -> bool:
    return type(error).__name__ == "NotFound"


def _text(when: datetime | None) -> str | None:
    return when.isoformat() if when else None
