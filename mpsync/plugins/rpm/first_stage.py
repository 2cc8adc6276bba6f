"""The first stage of an RPM sync: the repository and its sub-repositories are read and verified, then all units declared.

Flow    options + top files -> a Generation each -> metadata files, the tree, and a parse task per file; modules first
Runs    in a child
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

from mpsync.plugin.declare import (
    UPSTREAM,
    Artifact,
    Content,
    DeclarativeArtifact,
    DeclarativeContent,
    FirstStage,
    ParseTask,
    file_record,
    leaf,
    strongest,
)
from mpsync.plugin.openpgp import Keyring
from mpsync.plugin.top_files import TopFiles, top_item
from mpsync.plugins.rpm import issues, kinds
from mpsync.plugins.rpm.document_step import MAX_MODULES_BYTES
from mpsync.plugins.rpm.extra_files import parse_extra_files
from mpsync.plugins.rpm.generation import (
    REPODATA,
    CannotMirrorComplete,
    Generation,
    GenerationReader,
    accepted_algorithms,
    read_top,
)
from mpsync.plugins.rpm.issues import Issues, RefusedRecord
from mpsync.plugins.rpm.packages import BadCut
from mpsync.plugins.rpm.parse_primary import PARSER_VERSION
from mpsync.plugins.rpm.repomd import PATH, RepomdRecord
from mpsync.plugins.rpm.treeinfo import Treeinfo, parse_treeinfo
from mpsync.plugins.rpm.trust import ASC, KeyringMissing

PACKAGE_STEP = "mpsync.plugins.rpm.package_step:PackageFile"
SMALL_STEP = "mpsync.plugins.rpm.document_step:SmallFile"
TREE = "tree"
_PACKAGE_FILES = ("primary", "filelists", "other")
_SMALL_FILES = ("updateinfo", "group", "modules")


class RpmFirstStage(FirstStage):
    """Options: see main.py. No unit is put before every file of every repository is fetched and verified."""

    async def run(self) -> None:
        options = self.options
        for note in options["notes"]:
            self.note("mirrors", note)
        self._held: dict[str, Any] = options["held"].get("repositories", {})
        self._fingerprints: dict[str, Any] = {}
        self._absent: dict[str, Any] = {}
        keyring = Keyring.from_files(map(Path, options["keyring_files"])) if options["keyring_files"] else None
        if keyring is None and any(held.get("is_signed") for held in self._held.values()) and options["verify"]:
            raise KeyringMissing(PATH)
        tree = self._read_tree()
        generations = [await self._read("", keyring)]
        for folder in tree.sub_repositories if tree is not None else ():
            found = await self._read_sub(f"{folder}/", keyring)
            generations.extend([found] if found is not None else [])
        for generation in generations:
            await self._declare_files(generation)
        if tree is not None:
            await self._declare_tree(tree)
        await self._declare_extra_files()
        for generation in generations:
            await self._declare_units(generation)
        self.result["keys"] = options["keys"]
        states = {generation.folder: generation.state() for generation in generations}
        self.result["repositories"] = states | self._absent
        tops = {**options["top"]["tree"], **options["top"]["extra"]}
        self.result["tree"] = {name: sha256 for name, (_, _, sha256) in tops.items()}
        self.result["fingerprints"] = self._fingerprints

    # --- reading -----------------------------------------------------------------------------------------------------

    def _read_tree(self) -> Treeinfo | None:
        for name, (path, _, _) in self.options["top"]["tree"].items():
            tree = parse_treeinfo(Path(path).read_bytes(), name, accepted_algorithms(self.options))
            unsafe = tree.issues.by_code.get(issues.LOCATION_UNSAFE)
            if unsafe is not None and self.options["strict"]:  # weak checksums are only reported: old trees have them
                raise RefusedRecord(name, str(unsafe))
            self._report(tree.issues, name)
            return tree
        return None

    async def _read(self, folder: str, keyring: Keyring | None) -> Generation:
        given = self.options["top"]["repositories"].get(folder)
        top: TopFiles
        if given is None:
            top = await read_top(self, folder, self.options["top_names"])
        else:
            top = {name: (Path(path), size, sha256) for name, (path, size, sha256) in given.items()}
        return await GenerationReader(self, folder, keyring, self._held.get(folder, {})).read(top)

    async def _read_sub(self, folder: str, keyring: Keyring | None) -> Generation | None:
        """A variant or addon. Trees name repositories that a mirror doesn't carry: reported, not fatal."""
        given = self.options["top"]["repositories"].get(folder)
        if (given is None and await self.top_file(folder + PATH) is None) or given == {}:
            self.skip(folder + PATH, "the tree names this repository, upstream does not have it")
            # Remembered, so that it is looked for again, and is what it was (signed, this new) when it comes back.
            self._absent[folder] = {**self._held.get(folder, {}), "files": {}}
            return None
        # A sub-repository of a signed one need not be signed itself, unless it was.
        signed = keyring if self._held.get(folder, {}).get("is_signed") or await self._has_signature(folder) else None
        return await self._read(folder, signed)

    async def _has_signature(self, folder: str) -> bool:
        given = self.options["top"]["repositories"].get(folder)
        return ASC in given if given is not None else await self.top_file(folder + ASC) is not None

    # --- declaring ---------------------------------------------------------------------------------------------------

    async def _declare_files(self, generation: Generation) -> None:
        """The top files; what repomd.xml names was put when it was fetched."""
        for name, file in generation.top.items():
            await self.put(top_item(generation.folder + name, kinds.REPO_FILE, generation.folder + REPODATA, file))
        self._report(generation.repomd.issues, generation.folder + PATH)

    async def _declare_tree(self, tree: Treeinfo) -> None:
        """The treeinfo as a unit, whose artifacts are its images; the file itself, which has one of two names, is another."""
        deferred = self.options["deferred"]
        for name, (path, size_bytes, sha256) in self.options["top"]["tree"].items():
            await self.put(top_item(name, kinds.REPO_FILE, TREE, (Path(path), size_bytes, sha256)))
            d_artifacts: list[DeclarativeArtifact] = []
            for file in tree.files:
                digests = dict((strongest(file.digests),)) if file.digests else {}
                d_artifacts.append(
                    DeclarativeArtifact(
                        Artifact(digests=digests),
                        url=file.path,
                        relative_path=file.path,
                        remote=UPSTREAM,
                        deferred_download=deferred,
                    )
                )
            content = Content(tree.raw, name=tree.name or name, version=tree.version, arch=tree.arch, kind=kinds.TREE)
            await self.put(DeclarativeContent(content, d_artifacts, listing=TREE))

    async def _declare_extra_files(self) -> None:
        """With mirror-complete: what else belongs to the tree."""
        for name, (path, size_bytes, sha256) in self.options["top"]["extra"].items():
            await self.put(top_item(name, kinds.REPO_FILE, TREE, (Path(path), size_bytes, sha256)))
            for file in parse_extra_files(Path(path).read_bytes(), name):
                content = Content(
                    file_record(file.path, file.size_bytes, file.digests), name=file.path, kind=kinds.REPO_FILE
                )
                d_artifact = DeclarativeArtifact(
                    Artifact(size=file.size_bytes, digests=dict((strongest(file.digests),))),
                    url=file.path,
                    relative_path=file.path,
                    remote=UPSTREAM,
                    deferred_download=self.options["deferred"],
                )
                await self.put(DeclarativeContent(content, [d_artifact], listing=TREE))

    async def _declare_units(self, generation: Generation) -> None:
        """Modules before packages; then the rest side by side, as far as there are parsers."""
        parsed = generation.repomd.parsed
        modular: list[str] = []
        if "modules" in parsed:
            modular = await self._parse_small(generation, "modules", parsed["modules"])
        files = ["primary"] if self.options["mirror_complete"] else [name for name in _PACKAGE_FILES if name in parsed]
        files.sort(key=lambda role: -parsed[role].open_limit_bytes)  # the longest first: two parsers end about together
        try:
            async with asyncio.TaskGroup() as group:
                for role in files:
                    group.create_task(self._parse_packages(generation, role, parsed[role], modular), name=role)
                for role in _SMALL_FILES:
                    if role in parsed and role != "modules":
                        group.create_task(self._parse_small(generation, role, parsed[role]), name=role)
        except BaseExceptionGroup as errors:
            raise leaf(errors) from None

    async def _parse_small(self, generation: Generation, role: str, record: RepomdRecord) -> list[str]:
        context = self._context(generation, role, record)
        context["allow_conflict"] = self.options["allow_advisory_conflict"]
        if role == "modules":
            context["max_bytes"] = min(context["max_bytes"], MAX_MODULES_BYTES)
        memory = self._memory(generation, role, "", record)
        task = ParseTask(SMALL_STEP, generation.files[record.type], context, memory, generation.folder + role)
        modular: list[str] = []
        for result in (await self.parse(task)).results:
            self._report(Issues.restore(result["issues"]), context["where"])
            modular += result.get("modular", [])
        return modular

    async def _parse_packages(
        self, generation: Generation, role: str, record: RepomdRecord, modular: list[str]
    ) -> None:
        options = self.options
        listing = generation.folder + role
        context = self._context(generation, role, record)
        context |= {
            "accepted": sorted(accepted_algorithms(options)),
            "deferred": options["deferred"],
            "archs": options["archs"],
            "sources": options["sources"],
            "retain": options["retain"] if role == "primary" else 0,
            "modular": modular if options["retain"] and role == "primary" else [],
        }
        chosen = f"{options['policy']} {','.join(options['archs'])} {options['sources']:d}"
        if options["gpgcheck"]:  # packages that passed did so by these keys
            chosen += f" {Keyring.from_files(map(Path, options['keyrings'])).digest()}"
        memory = None if context["retain"] else self._memory(generation, role, chosen, record)
        task = ParseTask(
            PACKAGE_STEP,
            generation.files[record.type],
            context,
            memory,
            listing,
            asks_known=True,
            may_cut=not context["retain"],
        )
        try:
            parsed = await self.parse(task)
        except BadCut:  # its parts are not whole packages: what they gave, the whole file gives again
            parsed = await self.parse(replace(task, may_cut=False))
        tally = Issues()
        for result in parsed.results:
            tally.merge(Issues.restore(result["issues"]))
        elsewhere = tally.by_code.get(issues.XML_BASE)
        if options["mirror_complete"] and elsewhere is not None:
            raise CannotMirrorComplete(
                generation.folder + PATH,
                f"{elsewhere.count} packages lie elsewhere (xml:base): {elsewhere.examples[0]}",
            )
        expected, got = parsed.results[0]["expected"], sum(result["packages"] for result in parsed.results)
        if expected is not None and expected != got:
            tally.add(issues.COUNT_WRONG, f"{context['where']}: packages={expected}, but there are {got}")
        self._report(tally, context["where"])
        total = sum(int(result["fingerprint"], 16) for result in parsed.results) % (1 << 128)
        self._fingerprints[listing] = f"{total:x}"

    def _context(self, generation: Generation, role: str, record: RepomdRecord) -> dict[str, Any]:
        """What package_step.py and document_step.py ask for."""
        promised, path = record.open_expected, generation.folder + record.location
        return {
            "role": role,
            "name": path,
            "where": path,
            "folder": generation.folder,
            "max_bytes": record.open_limit_bytes,
            "open_bytes": promised.size_bytes,
            "open_digests": dict((strongest(promised.digests),)) if promised.digests else {},
            "strict": self.options["strict"],
        }

    def _memory(self, generation: Generation, role: str, chosen: str, record: RepomdRecord) -> tuple[str, str] | None:
        """What the file's rows are remembered by; a lenient parse has to report each time, and is not remembered."""
        sha256 = record.expected.digests.get("sha256")
        if sha256 is None or not self.options["strict"]:
            return None
        weak = " weak" if self.options["allow_weak"] else ""
        return f"rpm/{PARSER_VERSION} {generation.folder}{role} {chosen}{weak}".rstrip(), sha256

    def _report(self, tally: Issues, where: str) -> None:
        """What was left out stands in the summary's ``skipped``, what was only odd in its notes."""
        for issue in tally:
            if issue.is_refused:
                self.skip(where, str(issue))
            else:
                self.note(issue.code, str(issue))
