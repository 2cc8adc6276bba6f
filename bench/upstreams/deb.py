"""Debian repositories of any size.

    python -m bench.upstreams.deb --packages 20000 --seed 1 [--payload] [--change 0.01] [--extras]
    python -m bench.upstreams.deb --from-real DIR [--change 0.01 | --scale 5]

Prints the folder. The same parameters give the same bytes, but for signatures (and, with another zlib or liblzma, for
compressed files); it is made once and found in bench/out afterwards. ``--change`` makes the second generation: the same
repository with that part of its packages replaced, signed by the same key, one day later.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

from bench.upstreams import deb_real, deb_stanzas
from bench.upstreams.cache import cached
from bench.upstreams.deb_suite import Suite
from bench.upstreams.signing import Signer

SUITE, COMPONENT, ARCH = "bench", "main", "amd64"


def generated(
    packages: int, *, seed: int = 1, payload: bool = False, change: float = 0.0, extras: bool = False
) -> Path:
    """The root of a generated repository, suite ``bench``, made now or before."""
    kind = "payload" if payload else "metadata"
    name = f"deb-{packages}-s{seed}-{kind}{f'-c{change:g}' if change else ''}{'-extras' if extras else ''}"
    return cached(name, lambda root: make(root, packages, seed=seed, payload=payload, change=change, extras=extras))


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


def make(root: Path, packages: int, *, seed: int, payload: bool, change: float, extras: bool) -> None:
    """Write a whole repository below ``root``."""
    suite = Suite(root, SUITE)
    stanzas: list[bytes] = []
    translations: list[str] = []
    contents: list[str] = []
    folders: set[Path] = set()
    for package in deb_stanzas.packages(seed, packages, change=change, payload=payload):
        stanzas.append(package.stanza)
        if payload:
            target = root / package.path
            if target.parent not in folders:
                target.parent.mkdir(parents=True, exist_ok=True)
                folders.add(target.parent)
            target.write_bytes(package.body)
        if extras:
            md5 = hashlib.md5(package.description.encode()).hexdigest()
            long = f"Description-en: {package.description}\n {package.description}, at length.\n"
            translations.append(f"Package: {package.name}\nDescription-md5: {md5}\n{long}")
            contents += [f"{path:<60} {package.section}/{package.name}\n" for path in package.files]
    suite.add_index(f"{COMPONENT}/binary-{ARCH}/Packages", b"\n".join(stanzas) + b"\n", (".xz", ".gz"))
    if extras:
        suite.add_index(f"{COMPONENT}/i18n/Translation-en", "\n".join(translations).encode())
        suite.add_index(f"{COMPONENT}/Contents-{ARCH}", "".join(sorted(contents)).encode(), (".gz",))
    fields = {
        "Origin": "mpsync bench",
        "Suite": SUITE,
        "Codename": SUITE,
        "Architectures": f"all {ARCH}",
        "No-Support-for-Architecture-all": "Packages",
        "Components": COMPONENT,
        "Description": f"{packages} generated packages, seed {seed}",
    }
    suite.sign(fields, Signer(), generation=2 if change > 0 else 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--payload", action="store_true", help="with real .debs; else metadata only")
    parser.add_argument("--extras", action="store_true", help="Translation-en and Contents too")
    parser.add_argument("--change", type=float, default=0.0, metavar="PART", help="the second generation, e.g. 0.01")
    parser.add_argument("--from-real", type=Path, metavar="DIR", help="a folder with dists/ of a real mirror")
    parser.add_argument("--suite", default="bookworm", help="of --from-real")
    parser.add_argument("--component", default="main", help="of --from-real")
    parser.add_argument("--arch", default="amd64", help="of --from-real")
    parser.add_argument("--scale", type=int, default=1, help="of --from-real: so many times the packages")
    given = parser.parse_args()
    if given.from_real is None:
        options = {"payload": given.payload, "change": given.change, "extras": given.extras}
        print(generated(given.packages, seed=given.seed, **options))
        return
    real: Path = given.from_real
    selection = {"suite": given.suite, "component": given.component, "arch": given.arch}
    print(from_real(real, change=given.change, scale=given.scale, seed=given.seed, **selection))


if __name__ == "__main__":
    main()
