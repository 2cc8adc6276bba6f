"""Pictures of results, readable in black and white: lines differ by dash and mark, bars by hatching; axes have units."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ("-", "x"), ("--", "v"))
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
_DPI = 130
Result = dict[str, Any]


def draw_all(results: dict[str, Result], folder: Path) -> dict[str, Path]:
    """Write every picture that the results have figures for; {title: path}."""
    wanted: list[tuple[str, str, str, Callable[..., bool]]] = []
    for scenario in ("sync-deb", "sync-rpm"):
        wanted += [
            (scenario, f"{scenario}: throughput against packages", "scale", _throughput),
            (scenario, f"{scenario}: workers against time", "workers", _workers),
            (scenario, f"{scenario}: memory over time, cold", "memory", _memory),
            (scenario, f"{scenario}: stages of a cold sync", "stages", _stages),
        ]
    found: dict[str, Path] = {}
    for scenario, title, name, draw in wanted:
        if scenario in results:
            _picture(found, title, folder / f"{scenario}-{name}.png", partial(draw, result=results[scenario]))
    for scenario, result in results.items():
        if scenario == "peers":
            for contest in dict.fromkeys(case["name"] for case in result["cases"]):
                path = folder / f"peers-{contest.replace(' ', '-')}.png"
                _picture(found, f"peers: {contest}", path, partial(_peers, result=result, contest=contest))
        else:
            path = folder / f"{scenario}-floor.png"
            _picture(found, f"{scenario}: times the floor", path, partial(_floors, result=result))
    return found


def _picture(found: dict[str, Path], title: str, path: Path, draw: Callable[[Axes], bool]) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 4))
    try:
        if draw(axes):
            axes.set_title(title)
            figure.tight_layout()
            figure.savefig(path, dpi=_DPI)
            found[title] = path
    finally:
        pyplot.close(figure)


def _cases(result: Result, *names: str, **params: Any) -> list[Result]:
    return [
        case
        for case in result["cases"]
        if case["name"] in names and all(str(case["params"].get(key)) == str(value) for key, value in params.items())
    ]


def _series(cases: Iterable[Result], along: str) -> dict[str, list[tuple[float, Result]]]:
    """{label of the other parameters: [(value of ``along``, case), …]}."""
    found: dict[str, list[tuple[float, Result]]] = {}
    for case in cases:
        others = " ".join(f"{key}={value}" for key, value in sorted(case["params"].items()) if key != along)
        found.setdefault(f"{case['name']} {others}", []).append((float(case["params"][along]), case))
    return {label: sorted(points, key=lambda point: point[0]) for label, points in found.items()}


def _throughput(axes: Axes, result: Result) -> bool:
    series = _series(_cases(result, "cold", "forced"), "scale")
    if not series:
        return False
    packages = result["upstream"]["packages"]
    for (label, points), (dash, mark) in zip(series.items(), _STYLES * 9, strict=False):
        xs = [scale * packages for scale, _ in points]
        axes.plot(
            xs,
            [x / case["median"] for x, (_, case) in zip(xs, points, strict=True)],
            dash,
            marker=mark,
            color="black",
            label=label,
        )
    axes.set(xlabel="packages", ylabel="packages per second", ylim=(0, None), xlim=(0, None))
    axes.legend(fontsize=7)
    return True


def _workers(axes: Axes, result: Result) -> bool:
    cold = _cases(result, "cold", scale=1)
    series = _series(cold, "workers")
    if not any(len(points) > 1 for points in series.values()):
        return False
    for (label, points), (dash, mark) in zip(series.items(), _STYLES * 9, strict=False):
        xs, ys = [workers for workers, _ in points], [case["median"] for _, case in points]
        low = [case["median"] - min(case["values"]) for _, case in points]
        high = [max(case["values"]) - case["median"] for _, case in points]
        axes.errorbar(xs, ys, yerr=(low, high), linestyle=dash, marker=mark, color="black", capsize=3, label=label)
    floor = cold[0]["floor"]
    if floor:
        axes.axhline(floor, color="gray", linewidth=3, label=f"floor: {cold[0]['floor_name']}")
    axes.set(xlabel="children (0: all in one process)", ylabel="seconds, whole command", ylim=(0, None))
    axes.set_xticks(sorted({float(case["params"]["workers"]) for case in cold}))
    axes.legend(fontsize=7)
    return True


def _memory(axes: Axes, result: Result) -> bool:
    drawn = False
    for case, (dash, _) in zip(_cases(result, "cold"), _STYLES * 9, strict=False):
        details = _median_detail(case)
        series = details.get("pss_series") if details else None
        if series:
            megabytes = [(main + children) / 1e6 for _, main, children, _ in series]
            axes.plot([row[0] for row in series], megabytes, dash, color="black", label=case["key"])
            drawn = True
    if drawn:
        axes.set(xlabel="seconds", ylabel="MB (PSS), main and children", ylim=(0, None))
        axes.legend(fontsize=7)
    return drawn


def _stages(axes: Axes, result: Result) -> bool:
    cases = _cases(result, "cold", scale=1, workers=1) or _cases(result, "cold")
    details = _median_detail(cases[0]) if cases else None
    table = (details or {}).get("summary", {}).get("stages") or []
    if not table:
        return False
    names = [row["name"] for row in table]
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
    axes.tick_params(axis="y", labelsize=7)
    axes.set(xlabel="seconds of the pipeline (each stage's own account, not its hours)")
    axes.legend(fontsize=7, ncols=3, loc="lower center", bbox_to_anchor=(0.5, -0.32))
    return True


def _peers(axes: Axes, result: Result, contest: str) -> bool:
    cases = sorted(_cases(result, contest), key=lambda case: case["median"])
    for row, case in enumerate(cases):
        own = case["params"]["peer"] == "mpsync"
        spread = [[case["median"] - min(case["values"])], [max(case["values"]) - case["median"]]]
        axes.barh(row, case["median"], xerr=spread, capsize=3, color="0.3" if own else "0.85", edgecolor="black")
        ratio = f"  {case['ratio']:.2f} ×" if case["ratio"] is not None else ""
        axes.text(max(case["values"]), row, f"  {case['median']:.2f} s{ratio}", va="center", fontsize=8)
    axes.set_yticks(range(len(cases)), [case["params"]["peer"] for case in cases])
    axes.set(xlabel="seconds, whole command (× = times mpsync's)")
    axes.set_xlim(0, max(max(case["values"]) for case in cases) * 1.3)
    axes.invert_yaxis()
    return bool(cases)


def _floors(axes: Axes, result: Result) -> bool:
    cases = [case for case in result["cases"] if case["ratio"] is not None]
    if not cases:
        return False
    for row, case in enumerate(cases):
        axes.barh(row, case["ratio"], color="0.85", hatch=_HATCHES[row % 2], edgecolor="black")
        axes.text(case["ratio"], row, f" {case['ratio']:.2f}", va="center", fontsize=8)
    axes.axvline(1, color="black", linewidth=2)
    axes.set_yticks(range(len(cases)), [case["key"] for case in cases], fontsize=7)
    axes.set(xlabel="× floor", xlim=(0, max(1.0, *(case["ratio"] for case in cases)) * 1.15))
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.set_figheight(max(3.0, 1.2 + 0.24 * len(cases)))
    axes.invert_yaxis()
    return True


def _median_detail(case: Result) -> Result | None:
    """The details of the repetition that is nearest to the median."""
    if not case["details"]:
        return None
    middle = statistics.median(case["values"])
    at = min(range(len(case["details"])), key=lambda number: abs(case["values"][number] - middle))
    found: Result = case["details"][at]
    return found
