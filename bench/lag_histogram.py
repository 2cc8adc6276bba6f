"""``mpsync`` whose summary tells the loop's lag as a histogram too: python -m bench.lag_histogram ARGUMENTS…

``loop_lag_ms`` gets ``"<= 1"``, ``"<= 5"``, … and ``"> 500"``: how many beats were late by so many milliseconds, and by more
than the bucket before. It loads what the command loads anyway, and counts once, at the end.
"""

from __future__ import annotations

import sys
from bisect import bisect_left

from mpsync import measure
from mpsync.cli.main import main

BOUNDS_MS = (1, 5, 10, 20, 50, 100, 200, 500)
LABELS = (*(f"<= {bound}" for bound in BOUNDS_MS), f"> {BOUNDS_MS[-1]}")


def histogram(late_s: list[float]) -> dict[str, float]:
    """{label: beats}, of each bucket, also the empty ones."""
    found = dict.fromkeys(LABELS, 0.0)
    for seconds in late_s:
        found[LABELS[bisect_left(BOUNDS_MS, seconds * 1000)]] += 1
    return found


def run(arguments: list[str]) -> int:
    usual = measure.LoopLag.summary

    def summary(self: measure.LoopLag) -> dict[str, float]:
        return {**usual(self), **histogram(self._late_s)}

    measure.LoopLag.summary = summary  # type: ignore[method-assign]  # the bench's own, wider one
    try:
        return main(arguments)
    finally:
        measure.LoopLag.summary = usual  # type: ignore[method-assign]


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
