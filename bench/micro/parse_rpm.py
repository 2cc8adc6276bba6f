"""How much CPU one process takes from the XML of a repository to checked columns, and where it goes.

    python -m bench.micro.parse_rpm REPOSITORY [--repeat 3] [--peer]

REPOSITORY is a folder with repodata/repomd.xml (bench/upstreams makes one of any size). Prints the best of the
repetitions in seconds of CPU, per file: the floor (unpack, expat without handlers on the whole text), what parsing
takes, the careful way, and how the raw records rest in zstd blocks. ``--peer`` adds createrepo_c's PackageIterator touching
every attribute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from mpsync.plugin.decompress import open_chunks
from mpsync.plugins.rpm import packages
from mpsync.plugins.rpm.document import FILELISTS, OTHER, PRIMARY, Document
from mpsync.plugins.rpm.repomd import PATH, RepomdRecord, parse_repomd
from mpsync.plugins.rpm.xmlsafe import read_records

DOCUMENTS = {"primary": PRIMARY, "filelists": FILELISTS, "other": OTHER}
BLOCK_RECORDS = (1, 64, 256)


def best_s(run: Callable[[], object], repeat: int) -> float:
    """Best CPU time of ``repeat`` runs, in seconds."""
    best = float("inf")
    for _ in range(repeat):
        started = time.process_time()
        run()
        best = min(best, time.process_time() - started)
    return best


def chunks_of(path: Path, record: RepomdRecord) -> Iterator[bytes]:
    return open_chunks(path, max_bytes=record.open_limit_bytes, chunk_bytes=packages.READ_BYTES)


def check(chunks: Iterator[bytes]) -> None:
    parser = expat.ParserCreate("utf-8", " ")
    for chunk in chunks:
        parser.Parse(chunk, False)
    parser.Parse(b"", True)


def columns(role: str, chunks: Iterator[bytes]) -> int:
    return sum(len(block) for block in getattr(packages, role)(role).read(chunks))


def resting(role: str, chunks: Iterator[bytes], records: int) -> int:
    """Bytes of all raw records in zstd -1 blocks of ``records``."""
    import zstandard

    compress = zstandard.ZstdCompressor(level=1).compress
    total = 0
    for block in getattr(packages, role)(role).read(chunks):
        for first in range(0, len(block), records):
            last = min(first + records, len(block)) - 1
            run = block.raw[block.starts[first] : block.starts[last] + block.lengths[last]]
            total += len(compress(run))
    return total


def by_events(document: Document, chunks: Iterator[bytes]) -> int:
    return sum(1 for _ in read_records(chunks, document, "bench"))


def measure(folder: Path, repeat: int) -> Iterator[tuple[str, str, float, str]]:
    """(file, step, CPU seconds, note)."""
    found = parse_repomd((folder / PATH).read_bytes())
    for role in DOCUMENTS:
        text = folder / f".{role}.text"
        with text.open("wb") as into:
            into.writelines(chunks_of(folder / found.parsed[role].location, found.parsed[role]))
        try:
            yield from measure_file(role, folder / found.parsed[role].location, found.parsed[role], text, repeat)
        finally:
            text.unlink()


def measure_file(
    role: str, path: Path, record: RepomdRecord, text: Path, repeat: int
) -> Iterator[tuple[str, str, float, str]]:
    size = text.stat().st_size
    yield role, "unpack", best_s(lambda: sum(map(len, chunks_of(path, record))), repeat), ""
    floor = best_s(lambda: check(packages.file_chunks(text)), repeat)
    yield role, "expat, no handlers", floor, f"{size:,} bytes"
    rows = columns(role, packages.file_chunks(text))
    took = best_s(lambda: columns(role, packages.file_chunks(text)), repeat)
    yield role, "to columns", took, f"{rows:,} packages, {took / floor:.2f} x expat"
    yield role, "by expat's events", best_s(lambda: by_events(DOCUMENTS[role], packages.file_chunks(text)), 1), ""
    for records in BLOCK_RECORDS:
        started = time.process_time()
        total = resting(role, packages.file_chunks(text), records)
        yield role, f"zstd -1, by {records}", time.process_time() - started - took, f"{total:,} bytes"


def peer(folder: Path) -> int:
    """createrepo_c's PackageIterator, touching every attribute of every package."""
    import createrepo_c as cr

    found = parse_repomd((folder / PATH).read_bytes())
    paths = {f"{role}_path": str(folder / found.parsed[role].location) for role in DOCUMENTS}
    attributes = [name for name in dir(cr.Package) if name[0] != "_" and name not in ("copy", "nevra", "nvra")]
    seen = 0
    for package in cr.PackageIterator(**paths):  # type: ignore[no-untyped-call]  # has no types
        touched: list[Any] = [getattr(package, name) for name in attributes]
        seen += len(touched) > 0
    return seen


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repository", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--peer", action="store_true")
    options = parser.parse_args()
    for role, step, took, note in measure(options.repository, options.repeat):
        print(f"{role:10s} {step:20s} {took:8.2f} s  {note}", flush=True)
    if options.peer:
        print(f"{'all':10s} {'createrepo_c':20s} {best_s(lambda: peer(options.repository), 1):8.2f} s")


if __name__ == "__main__":
    main()
