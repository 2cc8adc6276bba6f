"""Pictures of results, readable in black and white: lines differ by dash and mark, bars by hatching; axes have units."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot
from matplotlib.axes import Axes

from bench.report import run_pictures
from bench.report.run_pictures import Result, find_cases
from bench.report.table import contest_of
from bench.sync_runs import AUTO

_STYLES = (("-", "o"), ("--", "s"), (":", "^"), ("-.", "D"), ("-", "x"), ("--", "v"))
_HATCHES = ("", "///", "...", "xxx", "\\\\\\", "++")
_DPI = 130


def draw_all(results: dict[str, Result], folder: Path) -> dict[str, Path]:
    """Write every picture that the results have figures for; {title: path}."""
    wanted: list[tuple[str, str, str, Callable[..., bool]]] = []
    for scenario in ("sync-deb", "sync-rpm"):
        wanted += [
            (scenario, f"{scenario}: throughput against packages", "scale", _throughput),
            (scenario, f"{scenario}: workers against time", "workers", _workers),
            (scenario, f"{scenario}: memory over time, cold", "memory", _memory),
            (scenario, f"{scenario}: stages of a cold sync over time", "gantt", run_pictures.gantt),
            (scenario, f"{scenario}: what stages did, cold", "stages", run_pictures.stages),
            (scenario, f"{scenario}: how late the loop's heartbeat was, cold", "lag", run_pictures.lag),
        ]
    found: dict[str, Path] = {}
    for scenario, title, name, draw in wanted:
        if scenario in results:
            _picture(found, title, folder / f"{scenario}-{name}.png", partial(draw, result=results[scenario]))
    for scenario, result in results.items():
        if scenario == "peers":
            for contest, cache in dict.fromkeys(contest_of(case) for case in result["cases"]):
                path = folder / f"peers-{contest.replace(' ', '-').replace(',', '')}-{cache}.png"
                draw = partial(_peers, result=result, contest=contest, cache=cache)
                _picture(found, f"peers: {contest}, {cache} page cache", path, draw)
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


def _series(cases: Iterable[Result], along: str) -> dict[str, list[tuple[float, Result]]]:
    """{label of the other parameters: [(value of ``along``, case), …]}."""
    found: dict[str, list[tuple[float, Result]]] = {}
    for case in cases:
        others = " ".join(f"{key}={value}" for key, value in sorted(case["params"].items()) if key != along)
        found.setdefault(f"{case['name']} {others}", []).append((float(case["params"][along]), case))
    return {label: sorted(points, key=lambda point: point[0]) for label, points in found.items()}


def _throughput(axes: Axes, result: Result) -> bool:
    series = _series(find_cases(result, "cold", "forced"), "scale")
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
    cold = [case for case in find_cases(result, "cold", scale=1) if case["params"].get("workers") != AUTO]
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
    for case, (dash, _) in zip(find_cases(result, "cold"), _STYLES * 9, strict=False):
        details = run_pictures.median_detail(case)
        series = details.get("pss_series") if details else None
        if series:
            megabytes = [(main + children) / 1e6 for _, main, children, _ in series]
            axes.plot([row[0] for row in series], megabytes, dash, color="black", label=case["key"])
            drawn = True
    if drawn:
        axes.set(xlabel="seconds", ylabel="MB (PSS), main and children", ylim=(0, None))
        axes.legend(fontsize=7)
    return drawn


def _peers(axes: Axes, result: Result, contest: str, cache: str) -> bool:
    cases = [case for case in result["cases"] if contest_of(case) == (contest, cache)]
    cases.sort(key=lambda case: float(case["median"]))
    for row, case in enumerate(cases):
        own = case["params"]["peer"] == "mpsync"
        spread = [[case["median"] - min(case["values"])], [max(case["values"]) - case["median"]]]
        axes.barh(row, case["median"], xerr=spread, capsize=3, color="0.3" if own else "0.85", edgecolor="black")
        ratio = f"  {case['ratio']:.2f} ×" if case["ratio"] is not None else ""
        axes.text(max(case["values"]), row, f"  {case['median']:.2f} {case['unit']}{ratio}", va="center", fontsize=8)
    axes.set_yticks(range(len(cases)), [case["params"]["peer"] for case in cases])
    axes.set(xlabel=f"{'CPU ' if 'CPU' in contest else ''}seconds, whole command (× = times mpsync's, median of turns)")
    axes.set_xlim(0, max(max(case["values"]) for case in cases) * 1.3)
    axes.invert_yaxis()
    return True


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
