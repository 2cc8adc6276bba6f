"""Debian repositories of any size.

    python -m bench.upstreams.deb --packages 20000 --seed 1 [--payload] [--change 0.01] [--extras]
                                  [--components main,contrib] [--archs amd64,arm64] [--sources] [--no-by-hash]
    python -m bench.upstreams.deb --from-real DIR [--change 0.01 | --scale 5]

Prints the folder. The same parameters give the same bytes, but for signatures (and, with another zlib or liblzma, for
compressed files); it is made once and found in bench/out afterwards. ``--change`` makes the second generation: the same
repository with that part of its packages replaced, signed by the same key, one day later. The first component has
``--packages`` in each architecture, the others a twentieth of that; ``Architecture: all`` is in each index, as in Debian.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from bench.upstreams import deb_real, deb_sources, deb_stanzas
from bench.upstreams.cache import cached
from bench.upstreams.deb_stanzas import Package, Place
from bench.upstreams.deb_suite import Suite
from bench.upstreams.signing import Signer

SUITE, COMPONENT, ARCH = "bench", "main", "amd64"


_FIRST = 1_000_000
"""Number of the first package of the second component: names of two components never meet."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What a repository has besides its packages."""

    components: tuple[str, ...] = (COMPONENT,)
    archs: tuple[str, ...] = (ARCH,)
    sources: bool = False
    by_hash: bool = True
    extras: bool = False

    @property
    def name(self) -> str:
        """Part of a cached folder's name; empty for the usual shape."""
        parts = [] if self.components == (COMPONENT,) else ["+".join(self.components)]
        parts += [] if self.archs == (ARCH,) else ["+".join(self.archs)]
        flags = {"src": self.sources, "nobyhash": not self.by_hash, "extras": self.extras}
        return "".join(f"-{part}" for part in (*parts, *(name for name, is_on in flags.items() if is_on)))

    def places(self, packages: int) -> Iterator[tuple[Place, int]]:
        """(component and arch, how many packages) of each index."""
        for number, component in enumerate(self.components):
            for arch in self.archs:
                yield Place(component, arch, number * _FIRST), max(1, packages // 20) if number else packages


def generated(
    packages: int, *, seed: int = 1, payload: bool = False, change: float = 0.0, shape: Shape | None = None
) -> Path:
    """The root of a generated repository, suite ``bench``, made now or before."""
    kind = "payload" if payload else "metadata"
    own = shape or Shape()
    name = f"deb-{packages}-s{seed}-{kind}{f'-c{change:g}' if change else ''}{own.name}"
    return cached(name, lambda root: make(root, packages, seed=seed, payload=payload, change=change, shape=own))


def from_real(
    real: Path,
    *,
    suite: str = "bookworm",
    component: str = "main",
    arch: str = "amd64",
    change: float = 0.0,
    scale: int = 1,
    seed: int = 1,
) -> Path:
    """The root of a copy of a real suite, made now or before; see deb_real.make."""
    index = real / "dists" / suite / component / f"binary-{arch}" / "Packages.xz"
    digest = hashlib.sha256(index.read_bytes()).hexdigest()[:12]
    name = f"deb-{suite}-{component}-{arch}-{digest}-x{scale}" + (f"-c{change:g}-s{seed}" if change else "")

    def made(root: Path) -> None:
        deb_real.make(root, real, suite=suite, component=component, arch=arch, change=change, scale=scale, seed=seed)

    return cached(name, made)


def make(root: Path, packages: int, *, seed: int, payload: bool, change: float, shape: Shape) -> None:
    """Write a whole repository below ``root``."""
    suite = Suite(root, SUITE, by_hash=shape.by_hash)
    tree = _Tree(root)
    for place, count in shape.places(packages):
        made = deb_stanzas.packages(seed, count, change=change, payload=payload, place=place)
        found = [_stored(package, tree, shape.extras) for package in made]
        index = f"{place.component}/binary-{place.arch}/Packages"
        suite.add_index(index, b"\n".join(package.stanza for package in found) + b"\n", (".xz", ".gz"))
        is_first = place.arch == shape.archs[0]
        if shape.extras:
            _add_extras(suite, place, found, with_translation=is_first)
        if shape.sources and is_first:
            _add_sources(suite, tree, place.component, seed, found, payload)
    fields = {
        "Origin": "mpsync bench",
        "Suite": SUITE,
        "Codename": SUITE,
        "Architectures": " ".join(("all", *shape.archs)),
        "No-Support-for-Architecture-all": "Packages",
        "Components": " ".join(shape.components),
        "Description": f"{packages} generated packages, seed {seed}",
    }
    suite.sign(fields, Signer(), generation=2 if change > 0 else 1)


class _Tree:
    """Writes pool files, each once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: set[Path] = set()

    def write(self, path: str, body: bytes) -> None:
        target = self._root / path
        if target.parent not in self._folders:
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folders.add(target.parent)
        target.write_bytes(body)


def _stored(package: Package, tree: _Tree, with_files: bool) -> Package:
    """Write its .deb, and forget the bytes: of 20,000 packages they are half a gigabyte."""
    if package.body:
        tree.write(package.path, package.body)
    return replace(package, body=b"", files=package.files if with_files else ())


def _add_extras(suite: Suite, place: Place, found: list[Package], *, with_translation: bool) -> None:
    contents: list[str] = []
    translations: list[str] = []
    for package in found:
        md5 = hashlib.md5(package.description.encode()).hexdigest()
        long = f"Description-en: {package.description}\n {package.description}, at length.\n"
        translations.append(f"Package: {package.name}\nDescription-md5: {md5}\n{long}")
        contents += [f"{path:<60} {package.section}/{package.name}\n" for path in package.files]
    if with_translation:
        suite.add_index(f"{place.component}/i18n/Translation-en", "\n".join(translations).encode())
    suite.add_index(f"{place.component}/Contents-{place.arch}", "".join(sorted(contents)).encode(), (".gz",))


def _add_sources(suite: Suite, tree: _Tree, component: str, seed: int, found: list[Package], payload: bool) -> None:
    stanzas = []
    for source in deb_sources.sources(seed, found, component, payload=payload):
        stanzas.append(source.stanza)
        for path, body in source.bodies.items():
            tree.write(path, body)
    suite.add_index(f"{component}/source/Sources", b"\n".join(stanzas) + b"\n", (".xz", ".gz"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--payload", action="store_true", help="with real .debs; else metadata only")
    parser.add_argument("--extras", action="store_true", help="Translation-en and Contents too")
    parser.add_argument("--components", default=COMPONENT, metavar="main,contrib")
    parser.add_argument("--archs", default=ARCH, metavar="amd64,arm64")
    parser.add_argument("--sources", action="store_true", help="Sources too, and their files with --payload")
    parser.add_argument("--no-by-hash", dest="by_hash", action="store_false", help="canonical names only")
    parser.add_argument("--change", type=float, default=0.0, metavar="PART", help="the second generation, e.g. 0.01")
    parser.add_argument("--from-real", type=Path, metavar="DIR", help="a folder with dists/ of a real mirror")
    parser.add_argument("--suite", default="bookworm", help="of --from-real")
    parser.add_argument("--component", default="main", help="of --from-real")
    parser.add_argument("--arch", default="amd64", help="of --from-real")
    parser.add_argument("--scale", type=int, default=1, help="of --from-real: so many times the packages")
    given = parser.parse_args()
    if given.from_real is None:
        lists = tuple(given.components.split(",")), tuple(given.archs.split(","))
        shape = Shape(*lists, given.sources, given.by_hash, given.extras)
        print(generated(given.packages, seed=given.seed, payload=given.payload, change=given.change, shape=shape))
        return
    real: Path = given.from_real
    selection = {"suite": given.suite, "component": given.component, "arch": given.arch}
    print(from_real(real, change=given.change, scale=given.scale, seed=given.seed, **selection))


if __name__ == "__main__":
    main()
