"""One generation of a repository: its repomd.xml, and every file of it that is needed, fetched and verified before any unit
is declared.

Flow    top files -> verify -> parse -> fetch all records -> Generation
        a record that is not what repomd.xml promised -> read the top files again, keep what is unchanged, fetch the rest
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
    ACCEPTED,
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
    strongest,
)
from mpsync.plugin.openpgp import Keyring, Verified
from mpsync.plugin.top_files import TopFiles, digests_of
from mpsync.plugins.rpm import kinds
from mpsync.plugins.rpm.repomd import PARSED, PATH, Repomd, RepomdRecord, parse_repomd
from mpsync.plugins.rpm.trust import ASC, KEY, Rollback, verified_repomd

TRIES = 4
"""How often the top files are read when upstream changes under us."""

PAUSE_S = 0.25
"""Before they are read again; doubled each time."""

REPODATA = "repodata"


class CannotMirrorComplete(MetadataError):
    """The metadata cannot be mirrored bit for bit."""

    hint = "use --mirror: the same packages, with metadata of our own"

    def __init__(self, where: str, why: str) -> None:
        super().__init__(where, f"cannot be mirrored completely: {why}")
        self.args = (where, why)


@dataclass(frozen=True, slots=True)
class Generation:
    """A consistent state of one repository.

    folder  "" for the root, else the sub-repository's path with a trailing slash
    files   {record type: verified local file}
    """

    folder: str
    top: TopFiles
    repomd: Repomd
    verified: Verified | None
    files: dict[str, Path]

    def state(self) -> dict[str, Any]:
        """What the next probe compares with."""
        expires = self.verified.key_expires_at if self.verified else None
        return {
            "files": digests_of(self.top),
            "revision": self.repomd.generation,
            "is_signed": self.verified is not None,
            "signed_by": self.verified.fingerprint if self.verified else None,
            "key_expires": expires.isoformat() if expires else None,
        }


class GenerationReader:
    """Reads one repository until its parts fit together."""

    def __init__(self, stage: FirstStage, folder: str, keyring: Keyring | None, held: Mapping[str, Any]) -> None:
        self._stage, self._folder, self._keyring, self._held = stage, folder, keyring, held
        self._where = folder + PATH
        self._accepted = accepted_algorithms(stage.options)
        self._fetched: dict[str, Path] = {}  # digest -> verified file

    async def read(self, top: TopFiles) -> Generation:
        """The first generation whose files all are what its repomd.xml says.

        raises  MetadataError and TrustError leaves; the error of a file after the last try
        """
        for attempt in range(1, TRIES + 1):
            try:
                repomd, verified = self._believe(top)
                return Generation(self._folder, top, repomd, verified, await self._fetch_all(repomd))
            except (Rollback, CannotMirrorComplete):
                raise
            except UpstreamError as error:
                # A new repomd.xml beside the old signature (A4) is a change under way, like a file that doesn't fit.
                if isinstance(error, MetadataError):
                    raise
                await asyncio.sleep(PAUSE_S * 2 ** (attempt - 1))
                again = await read_top(self._stage, self._folder, [name for name in (PATH, ASC, KEY) if name in top])
                if attempt == TRIES or digests_of(again) == digests_of(top):
                    raise
                self._stage.note(
                    self._where, f"{self._where}: upstream changed while it was read ({error}); reading it again"
                )
                top = again
        raise AssertionError("the last try returns or raises")

    def _believe(self, top: TopFiles) -> tuple[Repomd, Verified | None]:
        options, held = self._stage.options, self._held
        if PATH not in top:
            raise MetadataError(self._where, "is gone", "a repomd.xml, as a moment ago")
        data = top[PATH][0].read_bytes()
        signature = top[ASC][0].read_bytes() if ASC in top else None
        now = datetime.fromisoformat(options["now"])
        is_signed = bool(held.get("is_signed"))
        verified = verified_repomd(data, signature, self._keyring, now, where=self._where, was_signed=is_signed)
        repomd = parse_repomd(data, self._where, self._accepted)
        held_revision = held.get("revision")
        if held_revision is not None and repomd.generation < held_revision and not options["accept_older"]:
            raise Rollback(self._where, repomd.generation, held_revision)
        if options["mirror_complete"]:
            for why in repomd.obstacles():
                raise CannotMirrorComplete(self._where, why)
        return repomd, verified

    async def _fetch_all(self, repomd: Repomd) -> dict[str, Path]:
        wanted = self._wanted(repomd)
        try:
            async with asyncio.TaskGroup() as group:
                tasks = {record.type: group.create_task(self._fetch(record), name=record.type) for record in wanted}
        except BaseExceptionGroup as errors:
            raise leaf(errors) from None
        return {name: path for name, task in tasks.items() if (path := task.result()) is not None}

    def _wanted(self, repomd: Repomd) -> list[RepomdRecord]:
        """What is parsed, and what is kept; with mirror-complete all that repomd.xml names."""
        if not self._stage.options["mirror_complete"]:
            return [*repomd.parsed.values(), *repomd.kept]
        wanted = []
        for record in repomd.records.values():
            if self._accepted.intersection(record.expected.digests):
                wanted.append(record)
            else:
                self._stage.skip(self._folder + record.location, "repomd.xml has no checksum that proves it")
        return wanted

    async def _fetch(self, record: RepomdRecord) -> Path | None:
        _, digest = strongest(record.expected.digests)
        held = self._fetched.get(digest)
        if held is not None:
            return held
        item = record_item(self._folder, record)
        item.on_failure = "deliver"
        await self._stage.put(item)
        try:
            content = await item.files()
        except UpstreamError as error:
            if record.type in PARSED or type(error).__name__ != "NotFound":
                raise
            self._stage.skip(self._folder + record.location, "repomd.xml names it, upstream does not have it")
            return None
        if content is None:
            raise MetadataError(self._folder + record.location, "was dropped on its way")
        self._fetched[digest] = content.local_path
        return content.local_path


def record_item(folder: str, record: RepomdRecord) -> DeclarativeContent:
    """A file that repomd.xml names, as content that is always downloaded."""
    path = folder + record.location
    url = f"{record.base.rstrip('/')}/{record.location}" if record.base else path
    digests = dict((strongest(record.expected.digests),))
    artifact = Artifact(size=record.expected.size_bytes, digests=digests)
    raw = file_record(path, record.expected.size_bytes, record.expected.digests)
    content = Content(raw, name=path, kind=kinds.REPO_FILE)
    d_artifact = DeclarativeArtifact(artifact, url=url, relative_path=path, remote=UPSTREAM)
    return DeclarativeContent(content, [d_artifact], listing=folder + REPODATA)


async def read_top(stage: FirstStage, folder: str, names: list[str]) -> TopFiles:
    """Those of ``names`` that upstream has, read now."""
    found: TopFiles = {}
    for name in names:
        file = await stage.top_file(folder + name)
        if file is not None:
            found[name] = (file.path, file.size_bytes, file.sha256)
    return found


def accepted_algorithms(options: Mapping[str, Any]) -> frozenset[str]:
    """What proves a file: md5 and sha1 only when they were allowed."""
    return ACCEPTED | {"md5", "sha1"} if options["allow_weak"] else ACCEPTED
