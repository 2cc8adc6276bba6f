"""A change's effect: two results of one scenario, case by case, with noise bounds.

A difference counts when it is larger than the tolerance and the two sets of repetitions are told apart: their
interquartile ranges don't overlap. With fewer than four repetitions the whole range stands for it.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.results import load


@dataclass(frozen=True, slots=True)
class Difference:
    """Of one case. change: +0.10 = the figure is 10 % higher; verdict: same, better or worse."""

    key: str
    unit: str
    before: float
    after: float
    noise_before: tuple[float, float]
    noise_after: tuple[float, float]
    verdict: str

    @property
    def change(self) -> float:
        return self.after / self.before - 1 if self.before else 0.0


def noise(values: Sequence[float]) -> tuple[float, float]:
    """The range that repetitions of one figure lie in: its quartiles, or all of it when there are few."""
    if len(values) < 4:
        return min(values), max(values)
    low, _, high = statistics.quantiles(values, n=4)
    return low, high


def differences(before: dict[str, Any], after: dict[str, Any], tolerance: float = 0.05) -> list[Difference]:
    """Of all cases that both results have, in the order of ``after``. Raises ValueError when they aren't comparable."""
    if before["scenario"] != after["scenario"]:
        raise ValueError(f"{before['scenario']} and {after['scenario']} are not the same scenario")
    old = {case["key"]: case for case in before["cases"]}
    found = []
    for case in after["cases"]:
        if case["key"] in old:
            found.append(_difference(old[case["key"]], case, tolerance))
    if not found:
        raise ValueError("the two results have no case in common")
    return found


def _difference(old: dict[str, Any], new: dict[str, Any], tolerance: float) -> Difference:
    noise_old, noise_new = noise(old["values"]), noise(new["values"])
    before, after = statistics.median(old["values"]), statistics.median(new["values"])
    is_apart = noise_old[1] < noise_new[0] or noise_new[1] < noise_old[0]
    verdict = "same"
    if is_apart and before and abs(after / before - 1) > tolerance:
        verdict = "better" if (after < before) == (new["is_better"] == "lower") else "worse"
    return Difference(new["key"], new["unit"], before, after, noise_old, noise_new, verdict)


def _range(noise: tuple[float, float]) -> str:
    return f"[{noise[0]:.3f} {noise[1]:.3f}]"


def main(before_path: Path, after_path: Path, tolerance: float) -> int:
    """Print the table; 1 when something got worse, 2 when the results can't be compared."""
    try:
        before, after = load(before_path), load(after_path)
        found = differences(before, after, tolerance)
    except (OSError, ValueError) as exc:
        print(f"bench compare: {exc}", file=sys.stderr)
        return 2
    if before["machine"] != after["machine"]:
        print("note: not the same machine; compare ratios to the floor, not seconds", file=sys.stderr)
    if before["upstream"] != after["upstream"]:
        print("note: not the same upstream", file=sys.stderr)
    width = max(len(one.key) for one in found)
    for one in found:
        figures = f"{one.before:10.3f} → {one.after:10.3f} {one.unit:8} {one.change:+7.1%}"
        print(f"{one.key:{width}}  {figures}  {one.verdict:6}  {_range(one.noise_before)} → {_range(one.noise_after)}")
    missing = {case["key"] for case in before["cases"]} - {case["key"] for case in after["cases"]}
    for key in sorted(missing):
        print(f"{key:{width}}  only before")
    return 1 if any(one.verdict == "worse" and not one.key.startswith("floor") for one in found) else 0
