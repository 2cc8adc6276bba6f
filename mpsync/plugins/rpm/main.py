"""The RPM plugin's main-side part: options, the probe of repomd.xml and the treeinfo, and what is held between syncs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mpsync.plugin.arguments import absolute, in_commas
from mpsync.plugin.declare import ConfigError, Fetched, MetadataError
from mpsync.plugin.openpgp import Keyring
from mpsync.plugin.repository import Draft, Held, Plugin, Probed, Upstream
from mpsync.plugin.stages import ArtifactDownloader, Recipe
from mpsync.plugins.rpm.extra_files import EXTRA_FILES
from mpsync.plugins.rpm.mirrors import Mirrors, fetch_repomd, list_options, mirrors_of
from mpsync.plugins.rpm.repomd import PATH
from mpsync.plugins.rpm.trust import ASC, KEY

SKIPPABLE = ("srpm", "treeinfo")
TREEINFOS = (".treeinfo", "treeinfo")


class NoRepomd(MetadataError):
    """There is no RPM repository at this URL."""

    hint = "check the URL: it is the folder that holds repodata/"

    def __init__(self, url: str) -> None:
        super().__init__(url, f"has no {PATH}", "an RPM repository")
        self.args = (url,)
        self.url = url


class RpmPlugin(Plugin):
    """``mpsync sync rpm URL``: URL is the folder that holds repodata/; a list of mirrors does in its place."""

    name = "rpm"
    first_stage = "mpsync.plugins.rpm.first_stage:RpmFirstStage"
    once = ("accept_older",)
    opposites = (("keyring", "no_verify"),)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--mirror-complete",
            action="store_true",
            help="keep upstream's metadata and signature bit for bit",
        )
        add("--mirrorlist", metavar="URL", help="a list of mirrors: asked in its order, behind the base URL")
        add("--metalink", metavar="URL", help="a list of mirrors that also says which repomd.xml is genuine")
        add("--retain", type=int, metavar="N", help="the newest N of each name and architecture (with --additive)")
        add("--skip", action="append", metavar="T[,T]", help=f"leave out: {', '.join(SKIPPABLE)}")
        add("--arch", action="append", metavar="A[,A]", help="architectures, noarch among them (default: all)")
        add(
            "--keyring",
            action="append",
            type=absolute,
            metavar="FILE",
            help="OpenPGP keys that may sign repomd.xml; it is verified once a key was given",
        )
        add(
            "--gpgcheck",
            action="store_true",
            help="packages must be signed by a key of --keyring (with --policy immediate)",
        )
        add("--no-verify", action="store_true", help="don't verify the signature, though a key was given before")
        add(
            "--accept-older",
            action="store_true",
            help="this time, accept a repomd.xml with a lower revision than the one held",
        )
        add("--allow-weak-digests", action="store_true", help="accept md5 and sha1")
        add(
            "--allow-advisory-conflict",
            action="store_true",
            help="of two advisories of one id that can't be merged, take the later one",
        )

    def options(self, arguments: argparse.Namespace) -> dict[str, Any]:
        # With --gpgcheck the keys may be for the packages only: many repositories sign those, and no metadata.
        if arguments.keyring and arguments.no_verify and not arguments.gpgcheck:
            raise ConfigError("--keyring and --no-verify contradict each other")
        if arguments.gpgcheck and not arguments.keyring:
            raise ConfigError("--gpgcheck needs the keys that packages may be signed with: --keyring FILE")
        skip = in_commas(arguments.skip)
        for word in skip:
            if word not in SKIPPABLE:
                raise ConfigError(f"--skip {word}: choose from {', '.join(SKIPPABLE)}")
        for file in arguments.keyring or ():
            if not Path(file).is_file():
                raise ConfigError(f"keyring {file} is not a file")
        if arguments.retain is not None and arguments.retain < 0:
            raise ConfigError(f"--retain {arguments.retain}: at least 1, or 0 for all")
        archs = in_commas(arguments.arch)
        if arguments.mirror_complete and (archs or "srpm" in skip):
            raise ConfigError(
                "--mirror-complete keeps upstream's metadata, and with it every package: no --arch, no --skip srpm"
            )
        return {
            **list_options(arguments.mirrorlist, arguments.metalink),
            "mirror_complete": arguments.mirror_complete,
            "retain": arguments.retain or 0,
            "archs": archs,
            "sources": "srpm" not in skip,
            "tree": "treeinfo" not in skip,
            "keyrings": list(arguments.keyring or ()),
            "verify": not arguments.no_verify,
            "gpgcheck": arguments.gpgcheck,
            "accept_older": arguments.accept_older,
            "allow_weak": arguments.allow_weak_digests,
            "allow_advisory_conflict": arguments.allow_advisory_conflict,
        }

    def check(self, options: Mapping[str, Any], *, mirror: bool) -> None:
        if options["mirror_complete"] and not mirror:
            raise ConfigError(
                "--mirror-complete and --additive contradict each other (--no-mirror-complete takes back a remembered one)"
            )
        if options["retain"] and mirror:
            raise ConfigError(
                "--retain drops what upstream has: it needs --additive (--retain 0 takes back a remembered one)"
            )

    def url_of(self, options: Mapping[str, Any]) -> str | None:
        return options["metalink"] or options["mirrorlist"] or None

    async def locate(self, upstream: Upstream, options: Mapping[str, Any]) -> list[str]:
        return (await mirrors_of(upstream, options)).notes

    async def probe(self, upstream: Upstream, options: Mapping[str, Any], held: Held) -> Probed:
        keyrings = options["keyrings"] if options["verify"] else []
        keys = Keyring.from_files(map(Path, keyrings)).digest() if keyrings else "not verified"
        state = held.state.get("repositories", {})
        names = _top_names(options, state)
        folders = ["", *(folder for folder in state if folder)] if options["tree"] else [""]
        mirrors = await mirrors_of(upstream, options)
        # Where there are mirrors, the one whose repomd.xml is taken leads for everything else.
        root = await _have(upstream, "", names, mirrors) if mirrors.listed_by else None
        others = folders[1:] if root is not None else folders
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_have(upstream, folder, names, mirrors), name=f"probe {folder}") for folder in others
            ]
            tree_task = group.create_task(_first_of(upstream, TREEINFOS if options["tree"] else ()), name="treeinfo")
            has_extra = options["tree"] and options["mirror_complete"]
            extra_task = group.create_task(_first_of(upstream, (EXTRA_FILES,) if has_extra else ()), name="extra")
        repositories = {"": root} if root is not None else {}
        repositories |= {folder: task.result() for folder, task in zip(others, tasks, strict=True)}
        tree, extra = tree_task.result(), extra_task.result()
        if PATH not in repositories[""]:
            raise NoRepomd(upstream.url)
        unchanged = (
            held.state.get("keys") == keys
            and held.state.get("tree") == {name: file.sha256 for name, file in {**tree, **extra}.items()}
            and all(_is_still_good(state.get(folder), repositories[folder], held.now) for folder in folders)
        )
        top = {
            "repositories": {folder: _plain(files) for folder, files in repositories.items()},
            "tree": _plain(tree),
            "extra": _plain(extra),
        }
        first_stage = {
            "notes": mirrors.notes,
            "keyring_files": keyrings,
            "keys": keys,
            "now": held.now.isoformat(),
            "held": dict(held.state),
            "top": top,
            "top_names": names,
        }
        return Probed(unchanged, first_stage)

    def stages(self, recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
        if not options["gpgcheck"]:
            return recipe
        from mpsync.plugins.rpm.gpgcheck import GpgCheck

        if options["policy"] != "immediate":
            raise ConfigError("--gpgcheck looks into packages: it needs --policy immediate")
        return recipe.after(ArtifactDownloader, GpgCheck(Keyring.from_files(map(Path, options["keyrings"]))))

    def next_state(self, held: Held, result: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in result.items() if name != "fingerprints"}  # reconcile's alone

    async def reconcile(self, draft: Draft, options: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        from mpsync.plugins.rpm.reconcile import reconcile

        await reconcile(draft, options, result)


def _top_names(options: Mapping[str, Any], state: Mapping[str, Any]) -> list[str]:
    """The signature is asked for when it is to be verified or kept."""
    is_signed = options["verify"] and (options["keyrings"] or any(held.get("is_signed") for held in state.values()))
    if options["mirror_complete"]:
        return [PATH, ASC, KEY]
    return [PATH, ASC] if is_signed else [PATH]


async def _have(upstream: Upstream, folder: str, names: list[str], mirrors: Mirrors) -> dict[str, Fetched]:
    """Those of ``names`` that upstream has; without a repomd.xml, nothing is asked for beside it."""
    found: dict[str, Fetched] = {}
    for name in names:
        if folder == "" and name == PATH:
            file = await fetch_repomd(upstream, mirrors)
        else:
            file = await upstream.top_file(folder + name)
        if file is None and name == PATH:
            break
        if file is not None:
            found[name] = file
    return found


async def _first_of(upstream: Upstream, names: tuple[str, ...]) -> dict[str, Fetched]:
    for name in names:
        file = await upstream.top_file(name)
        if file is not None:
            return {name: file}
    return {}


def _is_still_good(held: Mapping[str, Any] | None, top: dict[str, Fetched], now: datetime) -> bool:
    """Whether a repository's top files are the ones held, and would be accepted today too."""
    if held is None or held["files"] != {name: file.sha256 for name, file in top.items()}:
        return False
    expires = held.get("key_expires")
    return expires is None or datetime.fromisoformat(expires) > now


def _plain(files: dict[str, Fetched]) -> dict[str, list[Any]]:
    return {name: [str(file.path), file.size_bytes, file.sha256] for name, file in files.items()}


plugin = RpmPlugin()
