"""RPM metadata: synced on demand by mpsync, read and kept by dnf reposync (which downloads no package here)."""

from __future__ import annotations

import json
import subprocess

from bench.peers.peer import RPM_MIRROR, Job, Peer
from bench.sync_runs import Variant, command


def _mpsync_has_rpm() -> bool:
    from mpsync.plugin import registry

    return "rpm" in registry.names()


def _mpsync_finds(_: Job, stdout: str) -> int:
    return int(json.loads(stdout)["content"]["rpm.package"]["total"])


def _has_reposync() -> bool:
    try:
        return not subprocess.run(["dnf", "reposync", "--help"], capture_output=True).returncode
    except OSError:
        return False


def _reposync(job: Job) -> list[str]:
    where = [f"--repofrompath=bench,{job.upstream.url}", "--repoid=bench", f"--download-path={job.folder}"]
    settings = [f"--setopt=cachedir={job.folder / 'cache'}", "--setopt=reposdir=/nonexistent", "--releasever=1"]
    return ["dnf", "reposync", "-q", "--nogpgcheck", *settings, *where, "--urls", "--download-metadata"]


def _reposync_finds(_: Job, stdout: str) -> int:
    return sum(line.endswith(".rpm") for line in stdout.splitlines())


PEERS = (
    Peer(
        "mpsync",
        RPM_MIRROR,
        _mpsync_has_rpm,
        "this mpsync has no rpm plugin yet",
        lambda job: command(job.upstream, job.folder / "data", Variant()),
        _mpsync_finds,
        remark="all three files parsed and saved",
    ),
    Peer(
        "reposync",
        RPM_MIRROR,
        _has_reposync,
        "apt install dnf dnf-plugins-core, or on Fedora dnf install dnf-plugins-core",
        _reposync,
        _reposync_finds,
        remark="metadata downloaded, URLs listed, no package downloaded",
    ),
)
