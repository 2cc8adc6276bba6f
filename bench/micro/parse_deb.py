"""How long one process takes from Packages.xz to checked columns and keys, and where the time goes.

    python -m bench.micro.parse_deb PACKAGES.xz [--repeat 5]

Prints the best of the repetitions in milliseconds: the floor (unxz, split) and what parsing adds to it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

from mpsync.plugin.decompress import Digesting, open_chunks
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.stanza import blocks, split_stanzas


def best_ms(run: Callable[[], object], repeat: int) -> float:
    """Best wall time of ``repeat`` runs."""
    best = float("inf")
    for _ in range(repeat):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best * 1000


def measure(path: Path, repeat: int) -> dict[str, float]:
    """{step: milliseconds}."""
    text = b"".join(open_chunks(path, max_bytes=None))
    pieces = list(blocks([text[at : at + (1 << 20)] for at in range(0, len(text), 1 << 20)], "bench"))
    raws = [raw for piece in pieces for raw in piece.split(b"\n\n")]

    def everything() -> int:
        chunks = Digesting(open_chunks(path, max_bytes=len(text)))
        return sum(len(parse.parse_packages(block, "bench")) for block in blocks(chunks, "bench"))

    careful = [parse._read_careful(piece, False) for piece in pieces[:1]]
    assert careful
    return {
        "floor: decompress": best_ms(lambda: [len(chunk) for chunk in open_chunks(path, max_bytes=None)], repeat),
        "floor: split": best_ms(lambda: text.split(b"\n\n"), repeat),
        "regroup into blocks": best_ms(
            lambda: list(blocks((text[at : at + (1 << 20)] for at in range(0, len(text), 1 << 20)), "bench")), repeat
        ),
        "split, careful": best_ms(lambda: [split_stanzas(piece) for piece in pieces], repeat),
        "fields, regular": best_ms(lambda: [parse._read_regular(piece) for piece in pieces], repeat),
        "fields, careful": best_ms(lambda: [parse._read_careful(piece, False) for piece in pieces], repeat),
        "keys": best_ms(lambda: parse.keys_of("deb.package", raws), repeat),
        "parse_packages": best_ms(lambda: [parse.parse_packages(piece, "bench") for piece in pieces], repeat),
        "all: file to columns": best_ms(everything, repeat),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packages", type=Path)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    for step, took_ms in measure(options.packages, options.repeat).items():
        print(f"{step:24s} {took_ms:8.1f} ms")


if __name__ == "__main__":
    main()
