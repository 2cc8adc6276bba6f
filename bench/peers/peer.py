"""What a peer is: a name, a contest, and a command for it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.sync_runs import Upstream

DEB_IMMEDIATE, DEB_ON_DEMAND, DEB_PARSE, RPM_MIRROR, RPM_PARSE = (
    "immediate deb mirror",
    "on-demand deb mirror",
    "parse Packages",
    "rpm mirror",
    "parse rpm metadata",
)


CONTESTS = (DEB_IMMEDIATE, DEB_ON_DEMAND, DEB_PARSE, RPM_PARSE, RPM_MIRROR)
BY_CPU = (DEB_PARSE, RPM_PARSE)
"""Contests of one process each, where CPU is told too."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a peer is to do: an upstream, and an empty folder to do it in."""

    upstream: Upstream
    folder: Path


@dataclass(frozen=True, slots=True)
class Peer:
    """contest   which of the contests above
    is_there  whether it is installed
    install   how, in a line
    prepare   writes what the command needs into the job's folder; not timed
    command   the command line, whole
    finds     how many packages it got or read, from its folder and output: a peer that did less has not won
    remark    what it does less or more than mpsync
    """

    name: str
    contest: str
    is_there: Callable[[], bool]
    install: str
    command: Callable[[Job], list[str]]
    finds: Callable[[Job, str], int]
    prepare: Callable[[Job], None] = lambda job: None
    remark: str = ""


def installed(program: str) -> Callable[[], bool]:
    return lambda: shutil.which(program) is not None


def count_files(suffix: str) -> Callable[[Job, str], int]:
    """Packages on disk below the job's folder."""
    return lambda job, _: sum(1 for path in job.folder.rglob(f"*{suffix}") if path.is_file())


def printed(_: Job, stdout: str) -> int:
    """The number that a program printed in its last line."""
    return int(stdout.split()[-1])
