"""One Debian package of a seed: its fields, with or without a real .deb behind it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from bench.upstreams import deb_payload, words

_ALL = 0.52
"""Share of Architecture: all. Debian 12 main/binary-amd64 has 52 %."""


@dataclass(frozen=True, slots=True)
class Package:
    """``stanza`` ends with a newline; ``body`` is the .deb, or empty for metadata only."""

    name: str
    source: str
    version: str
    architecture: str
    stanza: bytes
    path: str
    body: bytes
    files: tuple[str, ...]
    description: str
    section: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where packages belong, and the number of the first one: a name is in one component only."""

    component: str = "main"
    arch: str = "amd64"
    first: int = 0


MAIN = Place()


def changed_numbers(seed: int, packages: int, change: float) -> frozenset[int]:
    """Which packages the second generation replaces: ``change`` of them, at least one when it is above 0."""
    if change <= 0:
        return frozenset()
    count = max(1, round(packages * change))
    return frozenset(random.Random(f"{seed}:changed").sample(range(packages), min(count, packages)))


def packages(
    seed: int, count: int, *, change: float = 0.0, payload: bool = False, place: Place = MAIN
) -> Iterator[Package]:
    """``count`` packages in the order of their numbers; changed ones have a new version and new bytes."""
    changed = changed_numbers(seed, count, change)
    for rank in range(count):
        generation = 2 if rank in changed else 1
        yield package(seed, place.first + rank, generation=generation, payload=payload, place=place)


def package(seed: int, number: int, *, generation: int = 1, payload: bool = False, place: Place = MAIN) -> Package:
    """An ``Architecture: all`` package is the same, byte for byte, whatever the arch of ``place``."""
    draw = random.Random(f"{seed}:package:{number}")
    rank = number - place.first
    name = words.name_of(seed, number)
    version = f"{words.upstream_version(draw)}-{generation}"
    architecture = "all" if draw.random() < _ALL else place.arch
    source = words.name_of(seed, place.first + draw.randrange(rank)) if rank and draw.random() < 0.5 else name
    description = words.sentence(draw, draw.randint(4, 9))
    fields = {"Package": name}
    if source != name:
        fields["Source"] = source
    fields |= {
        "Version": version,
        "Installed-Size": str(draw.randint(20, 40_000)),
        "Maintainer": words.person(draw),
        "Architecture": architecture,
    }
    for field, chance, mean in _RELATIONS:
        if draw.random() < chance and (found := words.relations(draw, seed, rank, mean)):
            fields[field] = found
    fields["Description"] = description
    if draw.random() < 0.3:
        fields["Multi-Arch"] = draw.choice(("foreign", "same", "allowed"))
    fields["Homepage"] = f"https://{name}.mirror.example/"
    section = draw.choice(words.SECTIONS)
    if place.component != "main":
        section = f"{place.component}/{section}"
    control = {**fields, "Section": section, "Priority": "optional"}
    files = tuple(words.files(draw, name))
    fields["Description-md5"] = hashlib.md5(description.encode()).hexdigest()
    if draw.random() < 0.65:
        fields["Tag"] = words.tags(draw)
    fields |= {"Section": section, "Priority": "optional"}
    path = f"{folder_of(place.component, source)}/{name}_{without_epoch(version)}_{architecture}.deb"
    fields["Filename"] = path
    port = "" if architecture in ("all", "amd64") else f":{architecture}"
    contents = random.Random(f"{seed}:bytes:{number}:{generation}{port}")
    body = deb_payload.deb(control, contents) if payload else b""
    if payload:
        size, md5, sha256 = len(body), hashlib.md5(body).hexdigest(), hashlib.sha256(body).hexdigest()
    else:
        size, md5, sha256 = (
            int(contents.lognormvariate(11, 2)) + 700,
            contents.randbytes(16).hex(),
            contents.randbytes(32).hex(),
        )
    fields |= {"Size": str(size), "MD5sum": md5, "SHA256": sha256}
    stanza = "".join(f"{field}: {value}\n" for field, value in fields.items()).encode()
    return Package(name, source, version, architecture, stanza, path, body, files, description, section)


def folder_of(component: str, source: str) -> str:
    """``pool/main/libf/libfoo``"""
    return f"pool/{component}/{source[:4] if source.startswith('lib') else source[0]}/{source}"


def without_epoch(version: str) -> str:
    """As file names have it."""
    return version.partition(":")[2] or version


_RELATIONS = (
    ("Depends", 0.95, 4.5),
    ("Pre-Depends", 0.06, 0.8),
    ("Recommends", 0.25, 1.5),
    ("Suggests", 0.2, 1.5),
    ("Breaks", 0.12, 1.5),
    ("Replaces", 0.12, 1.5),
    ("Provides", 0.15, 1.0),
)
