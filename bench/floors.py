"""What this machine can't beat in a Debian sync, measured in the same run as what is compared with it.

decompress and split   one process, the index into stanzas, nothing else
load                   one PostgreSQL backend, the same rows into the same tables and keys: see load_floor.py
xz                     what the xz program takes to decompress the index
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from bench.load_floor import Rows, database, encode, load, load_direct
from mpsync.pipeline.raw import pack_records
from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.stanza import blocks


def decompress_and_split_s(index: Path) -> float:
    """Seconds from a Packages.xz to a list of stanzas."""
    began = time.perf_counter()
    text = lzma.decompress(index.read_bytes())
    found = text.split(b"\n\n")
    took = time.perf_counter() - began
    assert len(found) > 1
    return took


def xz_s(index: Path) -> float | None:
    """Seconds of the ``xz`` program on a Packages.xz, one thread; None where it isn't installed."""
    program = shutil.which("xz")
    if program is None:
        return None
    began = time.perf_counter()
    subprocess.run([program, "-dcT1", str(index)], stdout=subprocess.DEVNULL, check=True)
    return time.perf_counter() - began


def rows_of(index: Path) -> Rows:
    """Parse an index by the plugin's own parser, and encode what a sync saves of it; in order of keys."""
    found = [parse.parse_packages(block, "bench") for block in blocks(open_chunks(index, max_bytes=None), "bench")]
    raws = [raw for block in found for raw in block.raws]
    frames, _, places = pack_records(raws)
    columns = [
        [key for block in found for key in block.keys],
        [name for block in found for name in block.names],
        [version for block in found for version in block.versions],
        [arch for block in found for arch in block.archs],
        [path for block in found for path in block.paths],
        [size for block in found for size in block.sizes],
        [sha256 for block in found for sha256 in block.sha256],
        raws,
        places,
    ]
    unique = {row[0]: row for row in zip(*columns, strict=True)}
    keys, names, versions, archs, paths, sizes, sha256s, raws, places = map(
        list, zip(*(unique[key] for key in sorted(unique)), strict=True)
    )
    ids = list(range(1, len(keys) + 1))
    content = (
        ids,
        [frame + 1 for frame, _ in places],
        [offset for _, offset in places],
        list(map(len, raws)),
        keys,
        ["deb.package"] * len(ids),
        names,
        versions,
        archs,
    )
    remote_artifact = (ids, sizes, [1] * len(ids), [0] * len(ids), paths, sha256s)
    return encode(content, remote_artifact, frames)


@dataclass(frozen=True, slots=True)
class SyncFloors:
    """Seconds. The floor of a cold sync is the larger of ``split_s`` and ``load_s``."""

    split_s: float
    load_s: float
    load_direct_s: float

    @property
    def cold_s(self) -> float:
        return max(self.split_s, self.load_s)


class SyncFloorMeter:
    """Measures the floors of syncing one index, once per call; the rows are made once."""

    def __init__(self, index: Path) -> None:
        self._index = index
        self._rows: Rows | None = None

    def measure(self, work: Path) -> SyncFloors:
        if self._rows is None:
            self._rows = rows_of(self._index)
        with database(work / "set-based") as conninfo:
            by_sets = load(self._rows, conninfo).wall_s
        with database(work / "direct") as conninfo:
            direct = load_direct(self._rows, conninfo).wall_s
        return SyncFloors(decompress_and_split_s(self._index), by_sets, direct)
