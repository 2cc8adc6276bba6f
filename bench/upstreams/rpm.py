"""RPM repositories of any size, metadata only, by createrepo_c's own writers.

    python -m bench.upstreams.rpm --packages 60000 --seed 1 [--compression gz|zstd] [--change]

Prints the folder. The same parameters give the same bytes, but for the signature (and, with another createrepo_c or
zlib, for compressed files). ``--change`` makes the second generation: one new package, so primary, filelists and other change.
"""

from __future__ import annotations

import argparse
import gzip
import os
from pathlib import Path
from typing import Any

import createrepo_c
import zstandard

from bench.upstreams import rpm_extras, rpm_packages
from bench.upstreams.cache import cached
from bench.upstreams.signing import Signer

cr: Any = createrepo_c  # its stubs lack half of it

COMPRESSIONS = {"gz": (cr.GZ_COMPRESSION, ".gz"), "zstd": (cr.ZSTD_COMPRESSION, ".zst")}
_STAMP = 1_735_776_000
_WRITERS = (
    ("primary", cr.PrimaryXmlFile, cr.xml_dump_primary),
    ("filelists", cr.FilelistsXmlFile, cr.xml_dump_filelists),
    ("other", cr.OtherXmlFile, cr.xml_dump_other),
)


def generated(packages: int, *, seed: int = 1, compression: str = "gz", change: bool = False) -> Path:
    """The root of a generated repository, made now or before."""
    name = f"rpm-{packages}-s{seed}-{compression}{'-changed' if change else ''}"
    return cached(name, lambda root: make(root, packages, seed=seed, compression=compression, change=change))


def make(root: Path, packages: int, *, seed: int, compression: str, change: bool) -> None:
    """Write a whole repository below ``root``: repodata, its signature, the key."""
    repodata = root / "repodata"
    repodata.mkdir()
    total = packages + change  # the new package is the next of the same seed
    repomd = cr.Repomd()
    repomd.revision = str(_STAMP + change)
    built = _packages(repodata, repomd, total, seed, compression)
    fixed = built[:packages]
    extras = (
        ("updateinfo", "updateinfo.xml", rpm_extras.updateinfo(seed, fixed, max(1, packages // 30))),
        ("group", "comps.xml", rpm_extras.comps(seed, fixed, max(1, min(200, packages // 100)))),
        ("modules", "modules.yaml", rpm_extras.modules(seed, fixed, max(1, min(300, packages // 200)))),
    )
    for kind, name, text in extras:
        path = repodata / (name + COMPRESSIONS[compression][1])
        path.write_bytes(_packed(text, compression))
        _add(repomd, kind, path)
    document = repomd.xml_dump().encode()
    (repodata / "repomd.xml").write_bytes(document)
    signer = Signer()
    (repodata / "repomd.xml.asc").write_bytes(signer.detached(document))
    (root / "keyring.gpg").write_bytes(signer.keyring())


def _packages(repodata: Path, repomd: Any, total: int, seed: int, compression: str) -> list[rpm_extras.Built]:
    kind, suffix = COMPRESSIONS[compression]
    paths = {name: repodata / f"{name}.xml{suffix}" for name, _, _ in _WRITERS}
    stats = {name: cr.ContentStat(cr.SHA256) for name in paths}
    files = [(opener(str(paths[name]), kind, stats[name]), dump) for name, opener, dump in _WRITERS]
    built = []
    for file, _ in files:
        file.set_num_of_pkgs(total)
    for number in range(total):
        package = rpm_packages.package(seed, number)
        for file, dump in files:
            file.add_chunk(dump(package))
        fields = (package.name, package.epoch, package.version, package.release, package.arch, package.location_href)
        built.append(rpm_extras.Built(*fields))
    for file, _ in files:
        file.close()
    for name, path in paths.items():
        os.utime(path, (_STAMP, _STAMP))
        record = cr.RepomdRecord(name, str(path))
        record.load_contentstat(stats[name])
        record.fill(cr.SHA256)
        record.rename_file()
        repomd.set_record(record)
    return built


def _add(repomd: Any, kind: str, path: Path) -> None:
    os.utime(path, (_STAMP, _STAMP))
    record = cr.RepomdRecord(kind, str(path))
    record.fill(cr.SHA256)
    record.rename_file()
    repomd.set_record(record)


def _packed(text: bytes, compression: str) -> bytes:
    if compression == "gz":
        return gzip.compress(text, mtime=0)
    return zstandard.ZstdCompressor(level=10).compress(text)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=int, default=60_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--compression", choices=list(COMPRESSIONS), default="gz")
    parser.add_argument("--change", action="store_true", help="the second generation, with one new package")
    given = parser.parse_args()
    print(generated(given.packages, seed=given.seed, compression=given.compression, change=given.change))


if __name__ == "__main__":
    main()
