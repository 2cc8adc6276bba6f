"""Immediate mirrors of a Debian suite: packages on disk, by mpsync, debmirror, aptly, apt-mirror, wget and aria2c."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

from bench.peers.peer import DEB_IMMEDIATE, DEB_ON_DEMAND, Job, Peer, count_files, installed
from bench.scenarios.sync_deb_immediate import files_of
from bench.sync_runs import Variant, command
from bench.upstreams.deb import ARCH, COMPONENT, SUITE

_CONNECTIONS = "16"


def _mpsync(job: Job) -> list[str]:
    return command(job.upstream, job.folder / "data", Variant(policy="immediate"))


def _mpsync_finds(_: Job, stdout: str) -> int:
    return int(json.loads(stdout)["content"]["deb.package"]["total"])


def _debmirror(job: Job) -> list[str]:
    host = urlsplit(job.upstream.url).netloc
    selection = [
        f"--dist={SUITE}",
        f"--section={COMPONENT}",
        f"--arch={ARCH}",
        "--nosource",
        "--i18n",
        "--exclude=/i18n/",
    ]
    how = ["--method=http", f"--host={host}", "--root=/", "--diff=none", "--rsync-extra=none", "--no-check-gpg"]
    return ["debmirror", str(job.folder / "mirror"), *how, *selection]


def _aptly_config(job: Job) -> None:
    settings = {
        "rootDir": str(job.folder / "aptly"),
        "downloadConcurrency": int(_CONNECTIONS),
        "gpgDisableVerify": True,
    }
    (job.folder / "aptly.conf").write_text(json.dumps(settings))


def _aptly(job: Job) -> list[str]:
    aptly = f"aptly -config={job.folder / 'aptly.conf'} mirror"
    make = f"{aptly} create -ignore-signatures -architectures={ARCH} bench {job.upstream.url} {SUITE} {COMPONENT}"
    return ["sh", "-c", f"{make} && {aptly} update -ignore-signatures bench"]


def _apt_mirror_config(job: Job) -> None:
    base = job.folder / "apt-mirror"
    for name in ("mirror", "skel", "var"):
        (base / name).mkdir(parents=True)
    host = urlsplit(job.upstream.url)
    for name in ("mirror", "skel"):  # wget keeps the port in its folder's name, apt-mirror looks for it without
        (base / name / f"{host.hostname}").mkdir()
        (base / name / host.netloc).symlink_to(f"{host.hostname}")
    lines = [
        f"set base_path {base}",
        f"set defaultarch {ARCH}",
        f"set nthreads {_CONNECTIONS}",
        "set run_postmirror 0",
        "set _tilde 0",
        f"deb {job.upstream.url} {SUITE} {COMPONENT}",
    ]
    (job.folder / "mirror.list").write_text("\n".join(lines) + "\n")


def _wget_list(job: Job) -> None:
    urls = [f"{job.upstream.url}{path}\n" for path, _, _ in files_of(job.upstream.index)]
    (job.folder / "list").write_text("".join(urls))


def _wget(job: Job) -> list[str]:
    return ["wget", "-q", "-x", "-nH", "-i", str(job.folder / "list"), "-P", str(job.folder / "mirror")]


def _aria2_list(job: Job) -> None:
    lines = [
        f"{job.upstream.url}{path}\n  out={path}\n  checksum=sha-256={sha256}\n"
        for path, sha256, _ in files_of(job.upstream.index)
    ]
    (job.folder / "list").write_text("".join(lines))


def _aria2(job: Job) -> list[str]:
    where = [f"--input-file={job.folder / 'list'}", f"--dir={job.folder / 'mirror'}"]
    return ["aria2c", "-q", *where, f"--max-concurrent-downloads={_CONNECTIONS}", "--split=1", "--file-allocation=none"]


_DEBS = count_files(".deb")

PEERS = (
    Peer(
        "mpsync",
        DEB_IMMEDIATE,
        lambda: True,
        "",
        _mpsync,
        _mpsync_finds,
        remark="verified, durable, in a database, cold start",
    ),
    Peer(
        "mpsync",
        DEB_ON_DEMAND,
        lambda: True,
        "",
        lambda job: command(job.upstream, job.folder / "data", Variant()),
        _mpsync_finds,
        remark="verified, durable, in a database, cold start",
    ),
    Peer(
        "debmirror",
        DEB_IMMEDIATE,
        installed("debmirror"),
        "apt install debmirror",
        _debmirror,
        _DEBS,
        remark="signature not checked",
    ),
    Peer(
        "aptly",
        DEB_IMMEDIATE,
        installed("aptly"),
        "apt install aptly",
        _aptly,
        _DEBS,
        _aptly_config,
        remark="signature not checked",
    ),
    Peer(
        "apt-mirror",
        DEB_IMMEDIATE,
        installed("apt-mirror"),
        "apt install apt-mirror",
        lambda job: ["apt-mirror", str(job.folder / "mirror.list")],
        _DEBS,
        _apt_mirror_config,
        remark="digests not checked",
    ),
    Peer(
        "wget",
        DEB_IMMEDIATE,
        installed("wget"),
        "apt install wget",
        _wget,
        _DEBS,
        _wget_list,
        remark="packages only, nothing checked",
    ),
    Peer(
        "aria2c",
        DEB_IMMEDIATE,
        installed("aria2c"),
        "apt install aria2",
        _aria2,
        _DEBS,
        _aria2_list,
        remark="packages only, digests checked",
    ),
)
