"""Tables between two marks: of bench/README.md (scenario, floor, mpsync, ratio, each peer, date, commit), and of README.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.sync_runs import AUTO

README = Path(__file__).resolve().parents[1] / "README.md"
ROOT_README = README.parents[1] / "README.md"
BEGIN, END = "<!-- table: python -m bench report -->", "<!-- end of table -->"

_PEERS_OF = {
    ("sync-deb-immediate", "cold, seconds"): "immediate deb mirror",
    ("parse", "parse"): "parse Packages",
    ("sync-rpm", "cold"): "rpm mirror",
}
"""Which contest answers which case."""
_HIDDEN = ("floor ", "step ")
_HEADLINES = {
    "sync-deb": ("cold", "forced", "changed", "unchanged", "memory cold"),
    "sync-deb-immediate": ("cold",),
    "sync-rpm": ("cold", "cold mirror-complete", "one new", "unchanged", "memory cold"),
}
"""Which cases README.md cites, in this order."""


def markdown(results: dict[str, dict[str, Any]]) -> str:
    """Markdown; one row per figure, floors in a column of their own, contests behind."""
    lines = [
        "| scenario | case | floor | mpsync | ratio | peers | date | commit |",
        "|---|---|---|---|---|---|---|---|",
    ]
    contests = _contests(results.get("peers"))
    for name, result in results.items():
        if name == "peers":
            continue
        for case in result["cases"]:
            if case["name"].startswith(_HIDDEN):
                continue
            peers = contests.get(_PEERS_OF.get((name, case["name"]), ""), "") if _is_default(case, result) else ""
            floor = f"{figure(case['floor'])} {case['unit']}" if case["floor"] is not None else "–"
            ratio = f"{case['ratio']:.2f}" if case["ratio"] is not None else "–"
            cells = [name, case["key"], floor, f"{figure(case['median'])} {case['unit']}", ratio, peers or "–"]
            lines.append("| " + " | ".join([*cells, *_when(result)]) + " |")
    for contest, peers in contests.items():
        lines.append("| " + " | ".join(["peers", contest, "–", "–", "–", peers, *_when(results["peers"])]) + " |")
    return "\n".join(lines)


def _contests(result: dict[str, Any] | None) -> dict[str, str]:
    """{contest: "mpsync 1.0 s, aptly 2.1 s (2.1 ×)"}; a ratio says how many times mpsync's time.

    A contest from a warm page cache has its plain name; one from a cold one says so.
    """
    found: dict[str, list[str]] = {}
    for case in result["cases"] if result else ():
        ratio = f" ({case['ratio']:.2f} ×)" if case["ratio"] is not None else ""
        contest, cache = contest_of(case)
        found.setdefault(contest if cache == "warm" else f"{contest}, cold page cache", []).append(
            f"{case['params']['peer']} {figure(case['median'])} {case['unit']}{ratio}"
        )
    return {contest: ", ".join(words) for contest, words in found.items()}


def contest_of(case: dict[str, Any]) -> tuple[str, str]:
    """(contest, warm or cold) of a peer's case."""
    return case["name"], case["params"].get("cache", "warm")


def headlines(results: dict[str, dict[str, Any]]) -> str:
    """Markdown for README.md: the figures that it cites, with the machine they are of; empty when there are none."""
    lines = []
    machines: dict[str, None] = {}
    for name, wanted in _HEADLINES.items():
        result = results.get(name)
        if result is None:
            continue
        cases = {case["name"]: case for case in reversed(result["cases"]) if _is_default(case, result)}
        for case in (cases[one] for one in wanted if one in cases):
            floor = (
                f"{figure(case['floor'])} {case['unit']}, {case['floor_name']}" if case["floor"] is not None else "–"
            )
            ratio = f"{case['ratio']:.2f} ×" if case["ratio"] is not None else "–"
            label = f"{name}, {result['upstream'].get('packages', 0):,} packages: {case['name']}"
            cells = [label, f"{figure(case['median'])} {case['unit']}", floor, ratio, *_when(result)]
            lines.append("| " + " | ".join(cells) + " |")
            machine = result["machine"]
            machines[f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_bytes'] / 1e9:.0f} GB"] = None
    peers = [f"| peers: {contest} | {words} | – | – | {' | '.join(_when(results['peers']))} |"
             for contest, words in _contests(results.get("peers")).items()]  # fmt: skip
    if not lines and not peers:
        return ""
    head = ["| what | mpsync | floor of the machine | ratio | date | commit |", "|---|---|---|---|---|---|"]
    return "\n".join([*(f"Measured on: {machine}." for machine in machines), "", *head, *lines, *peers])


def _is_default(case: dict[str, Any], result: dict[str, Any]) -> bool:
    """Whether it ran as mpsync runs by itself; a result without such cases has one child as its default."""
    params = case["params"]
    has_auto = any(other["params"].get("workers") == AUTO for other in result["cases"])
    usual = {"workers": AUTO if has_auto else "1", "loop": "uvloop", "scale": "1", "cache": "warm"}
    return all(str(params.get(name, value)) == value for name, value in usual.items())


def _when(result: dict[str, Any]) -> tuple[str, str]:
    commit = result["commit"]
    return result["date"][:10], commit.get("id", "?")[:9] + ("+" if commit.get("is_dirty") else "")


def figure(value: float) -> str:
    """Three digits that matter."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.3f}" if value < 1 else f"{value:.2f}"


def rewrite(readme: str, made: str) -> str:
    """The README with its table replaced. Raises ValueError when the two marks aren't there."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"no {BEGIN} … {END} in the README")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"
