"""Sources of generated packages: each source that a binary names, with its .dsc and two tarballs.

A source has the version of the first of its binaries, so it changes when that one does.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bench.upstreams import deb_payload, words
from bench.upstreams.deb_stanzas import Package, folder_of, without_epoch


@dataclass(frozen=True, slots=True)
class Source:
    """``stanza`` ends with a newline; ``bodies`` are {path: bytes}, empty for metadata only."""

    name: str
    stanza: bytes
    bodies: dict[str, bytes]


def sources(seed: int, binaries: Iterable[Package], component: str, *, payload: bool = False) -> Iterator[Source]:
    """The sources of ``binaries``, in the order in which they are first named."""
    by_source: dict[str, list[Package]] = {}
    for binary in binaries:
        by_source.setdefault(binary.source, []).append(binary)
    for name, group in by_source.items():
        yield _source(seed, name, group, component, payload)


def _source(seed: int, name: str, group: list[Package], component: str, payload: bool) -> Source:
    version = group[0].version
    draw = random.Random(f"{seed}:source:{component}:{name}:{version}")
    plain = without_epoch(version)
    folder = folder_of(component, name)
    tarballs = [f"{name}_{plain.rpartition('-')[0]}.orig.tar.gz", f"{name}_{plain}.debian.tar.gz"]
    bodies = {file: deb_payload.tarball(f"{name}-{plain}", draw) if payload else b"" for file in tarballs}
    promised = {file: _promise(body, draw) for file, body in bodies.items()}
    binaries = sorted({binary.name for binary in group})
    architecture = "all" if all(binary.architecture == "all" for binary in group) else "any"
    fields = {
        "Format": "3.0 (quilt)",
        "Source": name,
        "Binary": ", ".join(binaries),
        "Architecture": architecture,
        "Version": version,
        "Maintainer": words.person(draw),
        "Homepage": f"https://{name}.mirror.example/",
        "Standards-Version": f"4.{draw.randint(1, 6)}.{draw.randint(0, 2)}",
        "Build-Depends": "debhelper-compat (= 13), " + words.relations(draw, seed, 200, 5.0),
    }
    dsc_name = f"{name}_{plain}.dsc"
    dsc = _text({**fields, **_sums(promised)}) if payload else b""
    promised = {dsc_name: _promise(dsc, draw), **promised}
    listed = [f" {one} deb {group[0].section} optional arch={architecture}" for one in binaries]
    stanza = _text(
        {
            "Package": name,
            **{field: value for field, value in fields.items() if field != "Source"},
            **_sums(promised),
            "Package-List": "\n" + "\n".join(listed),
            "Directory": folder,
            "Priority": "optional",
            "Section": group[0].section,
        }
    )
    kept = {f"{folder}/{file}": body for file, body in {dsc_name: dsc, **bodies}.items() if payload}
    return Source(name, stanza, kept)


def _promise(body: bytes, draw: random.Random) -> tuple[str, str, int]:
    """md5, sha256 and size of a file; invented where there is none."""
    if body:
        return hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest(), len(body)
    return draw.randbytes(16).hex(), draw.randbytes(32).hex(), int(draw.lognormvariate(11, 2)) + 700


def _sums(promised: dict[str, tuple[str, str, int]]) -> dict[str, str]:
    """The fields Files and Checksums-Sha256, folded."""
    return {
        "Files": "".join(f"\n {md5} {size} {file}" for file, (md5, _, size) in promised.items()),
        "Checksums-Sha256": "".join(f"\n {sha256} {size} {file}" for file, (_, sha256, size) in promised.items()),
    }


def _text(fields: dict[str, str]) -> bytes:
    lines = (
        f"{field}:{value}\n" if value.startswith("\n") else f"{field}: {value}\n" for field, value in fields.items()
    )
    return "".join(lines).encode()
