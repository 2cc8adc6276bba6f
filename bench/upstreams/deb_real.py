"""A real suite, changed or made several times as large, and signed again by the bench.

Real stanzas keep their sizes and their oddities; what changes is what a new build would change.
"""

from __future__ import annotations

import hashlib
import lzma
import random
import re
from pathlib import Path

from bench.upstreams.deb_suite import Suite
from bench.upstreams.signing import Signer

_SUFFIX = "+bench"
_DIGEST = re.compile(rb"^(MD5sum|SHA1|SHA256|SHA512): ([0-9a-f]+)$", re.MULTILINE)
_VERSION = re.compile(rb"^Version: (.+)$", re.MULTILINE)
_NAME = re.compile(rb"^Package: (.+)$", re.MULTILINE)
_FILENAME = re.compile(rb"^Filename: (.*/)([^_/]+)(_.*)$", re.MULTILINE)


def changed_stanza(stanza: bytes) -> bytes:
    """The same package, rebuilt: another version, file and digests; the name stays."""
    version = _VERSION.search(stanza)
    if version is None:
        raise ValueError(f"a stanza without Version: {stanza[:80]!r}")
    plain = version[1].split(b":", 1)[-1]
    stanza = _VERSION.sub(lambda found: b"Version: " + found[1] + _SUFFIX.encode(), stanza, count=1)
    filename = re.compile(rb"^(Filename: .*_)" + re.escape(plain) + rb"(_[^_]*)$", re.MULTILINE)
    stanza = filename.sub(lambda found: found[1] + plain + _SUFFIX.encode() + found[2], stanza, count=1)
    return _other_digests(stanza, b"changed")


def renamed_stanza(stanza: bytes, copy: int) -> bytes:
    """Copy ``copy`` of a package under another name, with a file of its own."""
    tail = b".x%d" % copy
    stanza = _NAME.sub(lambda found: b"Package: " + found[1] + tail, stanza, count=1)
    stanza = _FILENAME.sub(lambda found: b"Filename: " + found[1] + found[2] + tail + found[3], stanza, count=1)
    return _other_digests(stanza, tail)


def _other_digests(stanza: bytes, salt: bytes) -> bytes:
    def other(found: re.Match[bytes]) -> bytes:
        made = hashlib.sha512(salt + found[2]).hexdigest().encode()
        return found[1] + b": " + made[: len(found[2])]

    return _DIGEST.sub(other, stanza)


def make(
    root: Path,
    real: Path,
    *,
    suite: str = "bookworm",
    component: str = "main",
    arch: str = "amd64",
    change: float = 0.0,
    scale: int = 1,
    seed: int = 1,
    xz_preset: int = 6,
) -> None:
    """Write ``<root>/dists/<suite>`` with one index: the one of ``real``, ``scale`` times, ``change`` of it changed.

    real    a folder with dists/<suite>/<component>/binary-<arch>/Packages.xz
    raises  FileNotFoundError when there is no such index
    """
    index = f"{component}/binary-{arch}/Packages"
    text = lzma.decompress((real / "dists" / suite / f"{index}.xz").read_bytes())
    stanzas = [stanza for stanza in text.split(b"\n\n") if stanza.strip()]
    stanzas[-1] = stanzas[-1].rstrip(b"\n")
    if change > 0:
        count = max(1, round(len(stanzas) * change))
        for number in random.Random(f"{seed}:changed").sample(range(len(stanzas)), count):
            stanzas[number] = changed_stanza(stanzas[number])
    copies = [renamed_stanza(stanza, copy) for copy in range(1, scale) for stanza in stanzas]
    made = Suite(root, suite, xz_preset=xz_preset)
    made.add_index(index, b"\n\n".join(stanzas + copies) + b"\n\n")
    fields = {
        "Origin": "mpsync bench",
        "Suite": suite,
        "Codename": suite,
        "Architectures": f"all {arch}" if arch != "all" else "all",
        "No-Support-for-Architecture-all": "Packages",
        "Components": component,
        "Description": f"a real suite, {scale} times, {change:.2%} changed",
    }
    made.sign(fields, Signer(), generation=2 if change > 0 else 1)
