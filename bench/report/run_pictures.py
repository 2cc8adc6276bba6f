"""Pictures of one run: its stages over time, what they did, and how late its loop was."""

from __future__ import annotations

import statistics
from typing import Any, TypeAlias

from matplotlib.axes import Axes

from bench.lag_histogram import LABELS
from bench.sync_runs import AUTO

Result: TypeAlias = dict[str, Any]


def find_cases(result: Result, *names: str, **params: Any) -> list[Result]:
    return [
        case
        for case in result["cases"]
        if case["name"] in names and all(str(case["params"].get(key)) == str(value) for key, value in params.items())
    ]


def median_detail(case: Result) -> Result | None:
    """The details of the repetition that is nearest to the median."""
    if not case["details"]:
        return None
    middle = statistics.median(case["values"])
    at = min(range(len(case["details"])), key=lambda number: abs(case["values"][number] - middle))
    found: Result = case["details"][at]
    return found


def gantt(axes: Axes, result: Result) -> bool:
    """From its first row to its end each stage is a bar, dark by the part of that time that it was busy."""
    table = [row for row in _stage_rows(result) if "start_s" in row and "end_s" in row]
    if not table:
        return False
    zero = min(row["start_s"] for row in table)
    for at, row in enumerate(table):
        first, end = row.get("first_s", row["end_s"]) - zero, row["end_s"] - zero
        part = min(1.0, row["busy_s"] / max(end - first, 1e-9))
        axes.plot([row["start_s"] - zero, first], [at, at], color="black", linewidth=1)
        axes.barh(at, end - first, left=first, height=0.7, color=f"{1 - 0.7 * part:.2f}", edgecolor="black")
        axes.text(end, at, f" {part:.0%}", va="center", fontsize=7)
    axes.set_yticks(range(len(table)), [row["name"] for row in table], fontsize=7)
    axes.set_xlim(0, max(row["end_s"] - zero for row in table) * 1.08)
    axes.set(xlabel="seconds since the pipeline began; bar: first row to end; % and darkness: busy")
    axes.invert_yaxis()
    return True


def stages(axes: Axes, result: Result) -> bool:
    table = _stage_rows(result)
    if not table:
        return False
    names = [
        f"{row['name']}\n(queue ≤ {row['queue_max']:,} rows)" if row["queue_max"] else row["name"] for row in table
    ]
    left = [0.0] * len(names)
    for column, label, hatch, shade in (
        ("wait_in_s", "waits for input", "", "white"),
        ("busy_s", "busy", "///", "0.75"),
        ("wait_out_s", "waits for the next stage", "...", "white"),
    ):
        widths = [row.get(column, 0.0) for row in table]
        axes.barh(names, widths, left=left, color=shade, hatch=hatch, edgecolor="black", label=label)
        left = [at + width for at, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=6)
    axes.set(xlabel="seconds of the pipeline (each stage's own account, not its hours)")
    axes.legend(fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, -0.32))
    return True


def lag(axes: Axes, result: Result) -> bool:
    case = _one_case(result)
    lags = [(detail.get("summary", {}).get("loop_lag_ms") or {}) for detail in case["details"]] if case else []
    beats = [sum(lag.get(label, 0.0) for lag in lags) for label in LABELS]
    if not case or not any(beats):
        return False
    axes.bar(range(len(LABELS)), beats, color="0.75", edgecolor="black", hatch="///")
    for at, count in enumerate(beats):
        axes.text(at, max(count, 0.7), f"{count:,.0f}", ha="center", va="bottom", fontsize=7)
    axes.set_xticks(range(len(LABELS)), LABELS, fontsize=7)
    axes.set_yscale("symlog")
    axes.set(xlabel="milliseconds late", ylabel=f"beats of {len(lags)} runs, 10 ms apart", ylim=(0, max(beats) * 3))
    return True


def _one_case(result: Result) -> Result | None:
    cases = find_cases(result, "cold", scale=1, workers=AUTO) or find_cases(result, "cold", scale=1, workers=1)
    cases = cases or find_cases(result, "cold")
    return cases[0] if cases else None


def _stage_rows(result: Result) -> list[Result]:
    case = _one_case(result)
    details = median_detail(case) if case else None
    return list((details or {}).get("summary", {}).get("stages") or [])
