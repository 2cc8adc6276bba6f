"""What this machine can't beat in an RPM sync, in seconds: CPU by the number of cores.

expat    CPU of decompressing files and checking that they are well-formed: expat without handlers, one process
load     CPU of one PostgreSQL backend loading the same rows, committed synchronously: see load_floor.py
         Rows are one unit for each package of primary (with its file at the remote), of filelists and of other; raw
         records rest in zstd frames of up to 64, as mpsync keeps them. Packing them is not part of the floor

The floor of a cold sync is (expat + load) / cores, of the files that its policy needs; when all rows are there already it
is expat / cores.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load_floor import Rows, database, encode, load
from bench.micro import parse_rpm
from mpsync.pipeline.raw import pack_records
from mpsync.plugins.rpm import kinds, packages
from mpsync.plugins.rpm.package_step import KINDS, keys_of
from mpsync.plugins.rpm.parse_primary import Primary
from mpsync.plugins.rpm.repomd import PATH, RepomdRecord, parse_repomd

ALL = tuple(parse_rpm.DOCUMENTS)
PRIMARY_ONLY = ("primary",)


@dataclass(frozen=True, slots=True)
class RpmFloors:
    """CPU seconds: {role: …} of expat, and of loading what ``ALL`` and ``PRIMARY_ONLY`` make."""

    expat_s: dict[str, float]
    load_all_s: float
    load_primary_s: float
    cores: int

    @property
    def mirror_s(self) -> float:
        return (sum(self.expat_s.values()) + self.load_all_s) / self.cores

    @property
    def complete_s(self) -> float:
        """Of mirror-complete, which needs primary alone."""
        return (self.expat_s["primary"] + self.load_primary_s) / self.cores

    @property
    def read_s(self) -> float:
        """Of a sync that finds its rows there already."""
        return sum(self.expat_s.values()) / self.cores


class RpmFloorMeter:
    """Measures the floors of syncing one repository, once per call; the rows are made once, and held: 200 MB of 60,000."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        found = parse_repomd((folder / PATH).read_bytes()).parsed
        self._records = {role: found[role] for role in ALL if role in found}
        self._rows: dict[Sequence[str], Rows] = {}

    def measure(self, work: Path) -> RpmFloors:
        expat_s = {role: self._expat_s(record) for role, record in self._records.items()}
        return RpmFloors(
            expat_s, self._load_s(work / "all", ALL), self._load_s(work / "primary", PRIMARY_ONLY), _cores()
        )

    def _expat_s(self, record: RepomdRecord) -> float:
        began = time.process_time()
        parse_rpm.check(parse_rpm.chunks_of(self._folder / record.location, record))
        return time.process_time() - began

    def _load_s(self, work: Path, roles: Sequence[str]) -> float:
        if roles not in self._rows:
            self._rows[roles] = rows_of(
                self._folder, {role: self._records[role] for role in roles if role in self._records}
            )
        with database(work) as conninfo:
            return load(self._rows[roles], conninfo).cpu_s


def rows_of(folder: Path, records: dict[str, RepomdRecord]) -> Rows:
    """Parse files by the plugin's own readers, and encode what a sync saves of them; in order of keys."""
    units: dict[bytes, tuple[Any, ...]] = {}
    files: dict[bytes, tuple[int, str, bytes | None]] = {}
    frames: list[bytes] = []
    for role, record in records.items():
        kind = KINDS[role]
        reader = getattr(packages, role)(role)
        for block in reader.read(parse_rpm.chunks_of(folder / record.location, record)):
            made, _, places = pack_records([block.raw_at(row) for row in range(len(block))])
            keys = keys_of(kind, "", block.raw, block.starts, block.lengths)
            evrs = map(kinds.evr_text, block.epochs, block.versions, block.releases)
            rows = zip(keys, places, block.lengths, block.names, evrs, block.archs, strict=True)
            for key, (frame, offset), length, name, evr, arch in rows:
                units[key] = (len(frames) + frame + 1, offset, length, key, kind, name, evr, arch)
            frames += made
            if isinstance(block, Primary):
                digests = zip(block.pkgids, block.checksum_types, strict=True)
                sha256s = [pkgid if algorithm == "sha256" else None for pkgid, algorithm in digests]
                files.update(zip(keys, zip(block.sizes, block.paths, sha256s, strict=True), strict=True))
    ids = {key: number for number, key in enumerate(sorted(units), 1)}
    content = (list(ids.values()), *map(list, zip(*(units[key] for key in ids), strict=True)))
    owners = [key for key in ids if key in files]
    sizes, paths, sha256s = map(list, zip(*(files[key] for key in owners), strict=True))
    one, zero = [1] * len(owners), [0] * len(owners)
    return encode(content, ([ids[key] for key in owners], sizes, one, zero, paths, sha256s), frames)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
