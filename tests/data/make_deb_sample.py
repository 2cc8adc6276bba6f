"""Make tests/data/sample-deb: a small, complete, signed Debian repository cut from a real suite.

    python tests/data/make_deb_sample.py DEBIAN_ROOT [OUT]      # DEBIAN_ROOT holds dists/bookworm

Names, versions, dependencies and descriptions are Debian's; the .deb files are empty packages built here by
dpkg-deb, so that the whole pool fits into git. The signing key is made, used once and thrown away; it never expires.
Times lie in the past on purpose: a reader's clock may be behind ours, and a signature from the future is refused.
Needs dpkg-deb, gpg, xz-capable Python.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

Stanza = dict[str, str]

SUITE, CODENAME = "sample", "sampleworm"
DATE, FAKED, EPOCH = "Thu, 02 Jan 2025 00:00:00 UTC", "20250102T000000", "1735776000"
DROPPED = {"Filename", "Size", "MD5sum", "SHA256", "Description-md5"}
INSTALLER = "main/installer-amd64/current/images"
WANTED = ("libstdc++6", "g++", "0ad", "vim", "bash", "hello", "python3", "adduser", "libc6")


def stanzas(path: Path) -> list[Stanza]:
    found = []
    for text in lzma.decompress(path.read_bytes()).decode().split("\n\n"):
        stanza: Stanza = {}
        name = ""
        for line in text.splitlines():
            if line[:1] in " \t":
                stanza[name] += "\n" + line
            else:
                name, _, value = line.partition(":")
                stanza[name] = value.removeprefix(" ")
        if stanza:
            found.append(stanza)
    return found


def written(stanza: Stanza) -> str:
    return "".join(f"{name}:{'' if value[:1] in chr(10) else ' '}{value}\n" for name, value in stanza.items())


def build(stanza: Stanza, root: Path) -> Stanza:
    """Build the package of a stanza into the pool; returns the stanza with its real size and digests."""
    with tempfile.TemporaryDirectory() as temp:
        tree = Path(temp) / "tree"
        (tree / "DEBIAN").mkdir(parents=True, mode=0o755)
        control = {name: value for name, value in stanza.items() if name not in DROPPED}
        (tree / "DEBIAN" / "control").write_text(written(control), encoding="utf-8")
        target = root / stanza["Filename"]
        target.parent.mkdir(parents=True, exist_ok=True)
        command = ["dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(target)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH})
    data = target.read_bytes()
    digests = {"MD5sum": hashlib.md5(data).hexdigest(), "SHA256": hashlib.sha256(data).hexdigest()}
    return {**stanza, "Size": str(len(data)), **digests}


def source(stanza: Stanza, root: Path) -> Stanza:
    """Give a source stanza tiny files of the right names; the .dsc and tarballs are text, nobody unpacks them."""
    names = [line.split()[2] for line in stanza["Checksums-Sha256"].splitlines() if line.strip()]
    lines: dict[str, list[str]] = {"Files": [], "Checksums-Sha256": []}
    for name in names:
        data = f"sample of {name}\n".encode()
        target = root / stanza["Directory"] / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        lines["Files"].append(f" {hashlib.md5(data).hexdigest()} {len(data)} {name}")
        lines["Checksums-Sha256"].append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}")
    return {**stanza, **{field: "\n" + "\n".join(found) for field, found in lines.items()}}


def pick(found: list[Stanza], count: int) -> list[Stanza]:
    step = max(1, len(found) // count)
    chosen = {stanza["Package"]: stanza for stanza in found[::step][:count]}
    chosen.update((stanza["Package"], stanza) for stanza in found if stanza["Package"] in WANTED)
    return [chosen[name] for name in sorted(chosen)]


def index(folder: Path, name: str, found: Iterable[Stanza], suffixes: tuple[str, ...] = (".xz", ".gz")) -> None:
    put(folder / name, "\n".join(map(written, found)).encode(), suffixes)


def put(path: Path, text: bytes, suffixes: tuple[str, ...] = ("",)) -> None:
    """Write a text in each compression. Compressed ones leave no plain file, but Release names it, as Debian's does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    PROMISED[path] = text
    packed = {"": lambda: text, ".xz": lambda: lzma.compress(text), ".gz": lambda: gzip.compress(text, mtime=0)}
    for suffix in suffixes:
        data = packed[suffix]()
        target = path.with_name(path.name + suffix)
        target.write_bytes(data)
        PROMISED[target] = data
        by_hash = path.parent / "by-hash" / "SHA256" / hashlib.sha256(data).hexdigest()
        by_hash.parent.mkdir(parents=True, exist_ok=True)
        by_hash.write_bytes(data)


PROMISED: dict[Path, bytes] = {}


def release(dist: Path) -> str:
    fields = {
        "Origin": "mpsync sample",
        "Label": "Sample",
        "Suite": SUITE,
        "Version": "1.0",
        "Codename": CODENAME,
        "Date": DATE,
        "Acquire-By-Hash": "yes",
        "No-Support-for-Architecture-all": "Packages",
        "Architectures": "all amd64",
        "Components": "main contrib",
        "Description": "a small cut of Debian 12, with empty packages",
    }
    text = written(fields)
    for section, algorithm in (("MD5Sum", "md5"), ("SHA256", "sha256")):
        text += f"{section}:\n"
        for path in sorted(PROMISED):
            data = PROMISED[path]
            text += f" {hashlib.new(algorithm, data).hexdigest()} {len(data):8d} {path.relative_to(dist)}\n"
    return text


def sign(root: Path, dist: Path) -> None:
    with tempfile.TemporaryDirectory() as home:
        gpg = ["gpg", "--homedir", home, "--batch", "--quiet", "--faked-system-time", FAKED, "--passphrase", ""]
        subprocess.run(
            [*gpg, "--quick-gen-key", "mpsync sample <sample@mirror.example>", "ed25519", "sign", "never"], check=True
        )
        (root / "keyring.gpg").write_bytes(
            subprocess.run([*gpg, "--export"], check=True, stdout=subprocess.PIPE).stdout
        )
        text = str(dist / "Release")
        subprocess.run([*gpg, "--clearsign", "-o", str(dist / "InRelease"), text], check=True)
        subprocess.run([*gpg, "--armor", "--detach-sign", "-o", f"{text}.gpg", text], check=True)
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def make(debian: Path, root: Path) -> None:
    shutil.rmtree(root, ignore_errors=True)
    real, dist = debian / "dists" / "bookworm", root / "dists" / SUITE
    for component, count in (("main", 84), ("contrib", 8)):
        found = pick(stanzas(real / component / "binary-amd64" / "Packages.xz"), count)
        built = [build(stanza, root) for stanza in found]
        index(dist / component / "binary-amd64", "Packages", built)
        index(dist / component / "binary-all", "Packages", [s for s in built if s["Architecture"] == "all"])
        for architecture in ("amd64", "all"):
            text = f"Archive: {SUITE}\nComponent: {component}\nArchitecture: {architecture}\n"
            put(dist / component / f"binary-{architecture}" / "Release", text.encode())
        translations = [
            {
                "Package": s["Package"],
                "Description-md5": s["Description-md5"],
                "Description-en": s["Description"] + "\n long",
            }
            for s in built
            if "Description-md5" in s
        ]
        index(dist / component / "i18n", "Translation-en", translations, (".xz",))
        contents = "".join(f"usr/share/doc/{s['Package']}/copyright {s['Section']}/{s['Package']}\n" for s in built)
        put(dist / component / "Contents-amd64", contents.encode(), (".gz",))
    udebs = pick(stanzas(real / "main" / "debian-installer" / "binary-amd64" / "Packages.xz"), 6)
    index(dist / "main" / "debian-installer" / "binary-amd64", "Packages", [build(stanza, root) for stanza in udebs])
    sources = pick(stanzas(real / "contrib" / "source" / "Sources.xz"), 8)
    index(dist / "contrib" / "source", "Sources", [source(stanza, root) for stanza in sources])
    images = {
        "netboot/netboot.tar.gz": b"sample netboot\n",
        "udeb.list": b"sample list\n",
        "hd-media/vmlinuz": b"sample kernel\n",
    }
    for name, data in images.items():
        target = dist / INSTALLER / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    for sums, algorithm in (("SHA256SUMS", "sha256"), ("MD5SUMS", "md5")):
        lines = (f"{hashlib.new(algorithm, data).hexdigest()}  ./{name}\n" for name, data in images.items())
        put(dist / INSTALLER / sums, "".join(lines).encode())
    put(
        dist / "main" / "dep11" / "Components-amd64.yml",
        b"---\nFile: DEP-11\nVersion: '1.0'\nOrigin: sample\n",
        (".gz",),
    )
    (dist / "Release").write_text(release(dist), encoding="utf-8")
    sign(root, dist)


if __name__ == "__main__":
    make(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) > 2 else Path(__file__).parent / "sample-deb"))
