"""The Debian plugin's main-side part: options, the probe of InRelease, and what is held between syncs."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from mpsync.plugin.arguments import absolute, in_commas
from mpsync.plugin.declare import ConfigError, Fetched
from mpsync.plugin.openpgp import Keyring, default_keyrings
from mpsync.plugin.repository import Held, Plugin, Probed, Upstream
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.layout import suite_folder
from mpsync.plugins.deb.trust import INRELEASE, RELEASE, RELEASE_GPG


class DebPlugin(Plugin):
    """``mpsync sync deb URL --suite …``."""

    name = "deb"
    first_stage = "mpsync.plugins.deb.first_stage:DebFirstStage"
    opposites = (("keyring", "no_verify"),)
    unique_kinds = (kinds.PACKAGE, kinds.UDEB)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        add = parser.add_argument
        add(
            "--suite",
            "--dist",
            action="append",
            metavar="SUITE",
            help="suite or codename; ends in / for a flat repository",
        )
        add("--component", action="append", metavar="C[,C]", help="components (default: all that Release offers)")
        add("--arch", action="append", metavar="A[,A]", help="architectures (default: all that Release offers)")
        add("--source", action="store_true", help="source packages too")
        add("--udeb", action="store_true", help="debian-installer packages too")
        add("--installer", action="store_true", help="installer images too")
        add(
            "--keyring",
            action="append",
            type=absolute,
            metavar="FILE",
            help="OpenPGP keys that may sign (default: the machine's keyrings)",
        )
        add("--no-verify", action="store_true", help="don't verify signatures")
        add(
            "--no-check-valid-until",
            action="store_true",
            help="accept a Release whose Valid-Until has passed: for archives",
        )
        add("--allow-weak-digests", action="store_true", help="accept md5 and sha1")
        add(
            "--ignore-missing-indices",
            action="store_true",
            help="go on without a Packages or Sources index that is missing",
        )

    def options(self, arguments: argparse.Namespace) -> dict[str, Any]:
        suites = arguments.suite or []
        if not suites:
            raise ConfigError(
                "no --suite given: name one or more, as in --suite bookworm (a flat repository: --suite ./)"
            )
        if arguments.keyring and arguments.no_verify:
            raise ConfigError("--keyring and --no-verify contradict each other")
        components = in_commas(arguments.component)
        if components and all(suite.endswith("/") for suite in suites):
            raise ConfigError("--component makes no sense with a flat repository (a suite that ends in /)")
        for file in arguments.keyring or ():
            if not Path(file).is_file():
                raise ConfigError(f"keyring {file} is not a file")
        return {
            "suites": list(dict.fromkeys(suites)),
            "components": components,
            "architectures": in_commas(arguments.arch),
            "sources": arguments.source,
            "udebs": arguments.udeb,
            "installer": arguments.installer,
            "keyrings": list(arguments.keyring or ()),
            "verify": not arguments.no_verify,
            "check_valid_until": not arguments.no_check_valid_until,
            "allow_weak": arguments.allow_weak_digests,
            "ignore_missing_indices": arguments.ignore_missing_indices,
        }

    def default_name(self, url: str, options: Mapping[str, Any]) -> str:
        base = super().default_name(url, options).removeprefix("deb-")
        suites = "-".join(suite.strip("/.").replace("/", "-") for suite in options["suites"]).strip("-")
        return f"{base}-{suites}" if suites else base

    async def probe(self, upstream: Upstream, options: Mapping[str, Any], held: Held) -> Probed:
        suites: list[str] = options["suites"]
        keyrings, keys = _keys(options)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_top_files(upstream, suite), name=f"probe {suite}") for suite in suites]
        top = {suite: task.result() for suite, task in zip(suites, tasks, strict=True)}
        known = held.state.get("suites", {})
        unchanged = held.state.get("keys") == keys and all(
            _is_still_good(known.get(suite), top[suite], held.now, options["check_valid_until"]) for suite in suites
        )
        first_stage = {
            "keyring_files": keyrings,
            "keys": keys,
            "now": held.now.isoformat(),
            "held": known,
            "top": {
                suite: {name: [str(file.path), file.size_bytes, file.sha256] for name, file in files.items()}
                for suite, files in top.items()
            },
        }
        return Probed(unchanged, first_stage)


def _keys(options: Mapping[str, Any]) -> tuple[list[str], str]:
    """Keyring files to verify with, and a digest of their keys; nothing when verification is off."""
    if not options["verify"]:
        return [], "not verified"
    found = [Path(file) for file in options["keyrings"]] or [*default_keyrings("debian"), *default_keyrings("ubuntu")]
    if not found:
        raise ConfigError(
            "no keyring found on this machine: give --keyring FILE (for Debian: from its package debian-archive-keyring), "
            "or --no-verify to take everything on trust"
        )
    return [str(file) for file in found], Keyring.from_files(found).digest()


async def _top_files(upstream: Upstream, suite: str) -> dict[str, Fetched]:
    """InRelease alone where there is one: one request for a suite; else Release and Release.gpg."""
    folder = suite_folder(suite)
    inrelease = await upstream.top_file(folder + INRELEASE)
    if inrelease is not None:
        return {INRELEASE: inrelease}
    release = await upstream.top_file(folder + RELEASE)
    signature = await upstream.top_file(folder + RELEASE_GPG)
    return {name: file for name, file in ((RELEASE, release), (RELEASE_GPG, signature)) if file is not None}


def _is_still_good(
    held: Mapping[str, Any] | None, top: dict[str, Fetched], now: datetime, check_valid_until: bool
) -> bool:
    """Whether a suite's top files are the ones held, and would be accepted today too."""
    if held is None or held["files"] != {name: file.sha256 for name, file in top.items()}:
        return False
    until = [held["key_expires"], held["valid_until"] if check_valid_until else None]
    return all(datetime.fromisoformat(end) > now for end in until if end)


plugin = DebPlugin()
