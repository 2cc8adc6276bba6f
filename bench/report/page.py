"""One HTML page with everything in it: pictures as data, no script, no request to anywhere."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from bench.report.table import contest_of, figure

_STYLE = """
body { font: 15px/1.45 sans-serif; max-width: 62em; margin: 2em auto; padding: 0 1em; color: #111; background: #fff }
table { border-collapse: collapse; margin: 1em 0 } th, td { border-bottom: 1px solid #bbb; padding: .2em .7em; text-align: left }
td.n { text-align: right; font-variant-numeric: tabular-nums } img { max-width: 100%; border: 1px solid #ccc; margin: .5em 0 }
.small { color: #555; font-size: 13px }
"""


def page(results: dict[str, dict[str, Any]], pictures: dict[str, Path]) -> str:
    """results: {scenario: result}; pictures: {title: PNG}, a title starts with its scenario."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>mpsync bench</title><style>{_STYLE}</style>"]
    parts.append(
        "<h1>mpsync bench</h1><p>Medians of the repetitions; a ratio is to the floor measured in the same run.</p>"
    )
    for name, result in results.items():
        parts += [f"<h2>{escape(name)}</h2><p>{escape(result['question'])}</p>", _about(result), _cases(result)]
        if name == "peers":
            parts += _pairs(result)
        parts += [f"<p class=small>{escape(note)}</p>" for note in result["notes"]]
        for title, path in pictures.items():
            if title.partition(":")[0] == name:
                data = base64.b64encode(path.read_bytes()).decode()
                parts.append(f'<figure><img alt="{escape(title)}" src="data:image/png;base64,{data}"></figure>')
    return "\n".join(parts) + "\n</html>\n"


def _about(result: dict[str, Any]) -> str:
    machine, commit = result["machine"], result["commit"]
    versions = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    words = [
        result["date"],
        f"commit {commit.get('id', '?')[:12]}{' with changes' if commit.get('is_dirty') else ''}",
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB",
        *(f"upstream: {one['source']}, {one['packages']:,} packages" for one in _upstreams(result["upstream"])),
        versions,
    ]
    return f"<p class=small>{'<br>'.join(map(escape, words))}</p>"


def _upstreams(found: dict[str, Any]) -> list[dict[str, Any]]:
    """One, or one a contest, each once; none of a scenario without."""
    made = [one for one in (found, *found.get("contests", {}).values()) if "source" in one]
    return [one for number, one in enumerate(made) if one not in made[:number]]


def _cases(result: dict[str, Any]) -> str:
    rows = ["<tr><th>case<th>median<th>from–to<th>repetitions<th>floor<th>ratio<th>peak memory"]
    for case in result["cases"]:
        spread = f"{figure(min(case['values']))}–{figure(max(case['values']))}"
        floor = f"{figure(case['floor'])} ({escape(case['floor_name'])})" if case["floor"] is not None else ""
        ratio = f"{case['ratio']:.2f}" if case["ratio"] is not None else ""
        peak = max((detail.get("peak_pss_bytes", 0) for detail in case["details"]), default=0)
        memory = f"{peak / 1e6:.0f} MB" if peak else ""
        cells = (
            f"{figure(case['median'])} {escape(case['unit'])}",
            spread,
            str(len(case["values"])),
            floor,
            ratio,
            memory,
        )
        rows.append(f"<tr><td>{escape(case['key'])}" + "".join(f"<td class=n>{cell}" for cell in cells))
    return f"<table>{''.join(rows)}</table>"


def _pairs(result: dict[str, Any]) -> list[str]:
    """Of each contest, how many times the column's figure the row's is: the median of the turns' ratios."""
    by_contest: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for case in result["cases"]:
        by_contest.setdefault(contest_of(case), []).append(case)
    found = []
    for (contest, cache), cases in by_contest.items():
        rows = [f"<tr><th>{escape(contest)}, {cache} page cache" + "".join(f"<th>÷ {_peer(case)}" for case in cases)]
        for row in cases:
            ratios = (pair_ratio(row["values"], column["values"]) for column in cases)
            rows.append(f"<tr><td>{_peer(row)}" + "".join(f"<td class=n>{ratio:.2f}" for ratio in ratios))
        found.append(f"<table>{''.join(rows)}</table>")
    return found


def pair_ratio(values: Sequence[float], others: Sequence[float]) -> float:
    """Of two peers: the median of the turns' ratios, or the ratio of the medians when one has missed a turn."""
    if len(values) != len(others):
        return statistics.median(values) / statistics.median(others)
    return statistics.median(one / other for one, other in zip(values, others, strict=True))


def _peer(case: dict[str, Any]) -> str:
    return escape(case["params"]["peer"])
