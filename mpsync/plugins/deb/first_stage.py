"""The first stage of a Debian sync: all suites are read and verified, then all their units declared.

Flow    options + top files -> a Generation per suite -> metadata files, installer files, and a parse task per index
Runs    in a child
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from pathlib import Path

from mpsync.plugin.declare import (
    UPSTREAM,
    Artifact,
    Content,
    DeclarativeArtifact,
    DeclarativeContent,
    FirstStage,
    ParseTask,
    file_record,
)
from mpsync.plugin.openpgp import Keyring
from mpsync.plugin.top_files import top_item
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.generation import FetchedIndex, Generation, GenerationReader, index_item
from mpsync.plugins.deb.installer import parse_sums
from mpsync.plugins.deb.parse import PARSER_VERSION
from mpsync.plugins.deb.release import IndexFile

PARSE_STEP = "mpsync.plugins.deb.parse_step:DebIndex"


class DebFirstStage(FirstStage):
    """Options: see main.py. No unit is put before every index of every suite is fetched and verified."""

    async def run(self) -> None:
        options = self.options
        now = datetime.fromisoformat(options["now"])
        keyring = Keyring.from_files(map(Path, options["keyring_files"])) if options["verify"] else None
        if keyring is None:
            self.note("verification", "signatures are NOT verified (--no-verify)")
        generations = [await GenerationReader(self, suite, keyring, now).read() for suite in options["suites"]]
        for generation in generations:
            await self._declare_files(generation)
        for generation in generations:
            for fetched in generation.indices:
                await self._declare_units(generation, fetched)
        self.result["keys"] = options["keys"]
        self.result["suites"] = {generation.suite: generation.state() for generation in generations}

    async def _declare_files(self, generation: Generation) -> None:
        """The top files, and every other file that Release names for what was selected."""
        for name, top in generation.top.items():
            await self.put(top_item(generation.folder + name, kinds.RELEASE_FILE, generation.folder or "./", top))
        for what, why in generation.layout.skipped:
            self.skip(generation.folder + what, why)
        taken = {fetched.variant.path for fetched in generation.indices}
        for metadata in generation.layout.metadata:
            file = metadata.file
            if not metadata.is_likely or file.path in taken:
                continue
            paths = [file.by_hash_path, file.path] if generation.has_by_hash else [file.path]
            item = index_item(generation.folder, file, paths, kinds.METADATA)
            item.on_failure = "skip"
            await self.put(item)

    async def _declare_units(self, generation: Generation, fetched: FetchedIndex) -> None:
        index, options = fetched.index, self.options
        if index.kind == kinds.INSTALLER_FILE:
            await self._declare_installer(generation, fetched)
            return
        plain = index.plain
        promise = plain or fetched.variant
        context = {
            "kind": index.kind,
            "where": index.where(generation.suite),
            # Some tools write nothing at all for an empty index (C4): no suffix, no magic bytes to ask for.
            "name": fetched.variant.path if fetched.variant.size_bytes else index.path,
            "max_bytes": index.max_unpacked_bytes,
            "plain_bytes": plain.size_bytes if plain else None,
            "plain_digests": dict((plain.strongest,)) if plain else {},
            "strict": options["strict"],
            "allow_weak": options["allow_weak"],
            "deferred": options["deferred"],
        }
        # What is left out must be reported each time: a lenient parse is not remembered.
        version = f"deb/{PARSER_VERSION} {index.kind} {options['policy']}" + (" weak" if options["allow_weak"] else "")
        memory = (version, _proof(promise, fetched.variant)) if options["strict"] else None
        listing = generation.folder + index.path
        await self.parse(ParseTask(PARSE_STEP, fetched.path, context, memory, listing))

    async def _declare_installer(self, generation: Generation, fetched: FetchedIndex) -> None:
        listing = generation.folder + fetched.index.path
        folder = listing.rpartition("/")[0]
        where = fetched.index.where(generation.suite)
        for file in parse_sums(fetched.path.read_bytes(), folder, listing, where):
            content = Content(file_record(file.path, None, file.digests), name=file.path, kind=kinds.INSTALLER_FILE)
            d_artifact = DeclarativeArtifact(
                Artifact(digests=file.digests),
                url=file.path,
                relative_path=file.path,
                remote=UPSTREAM,
                deferred_download=self.options["deferred"],
            )
            await self.put(DeclarativeContent(content, [d_artifact], listing=listing))


def _proof(promise: IndexFile, variant: IndexFile) -> str:
    """Hex sha256 over what was promised of the text and of the file: a file not unpacked yet may hold anything."""
    return hashlib.sha256(f"{promise.strongest} {variant.strongest}".encode()).hexdigest()
