"""The verbs of ``python -m bench``: list, run, peers, compare, report."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import scenario
from bench.results import RESULTS_DIR, Result
from bench.scenario import Options
from bench.sync_runs import AUTO


def main(argv: Sequence[str]) -> int:
    given = _parser().parse_args(argv)
    verb: Callable[[argparse.Namespace], int] = given.verb
    return verb(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    made = verbs.add_parser("list", help="the scenarios, and the question that each answers")
    made.set_defaults(verb=_list)

    made = verbs.add_parser("run", help="run scenarios and save their results")
    made.add_argument("scenario", nargs="+", choices=[*scenario.discover(), "all"])
    _add_run_options(made)
    made.set_defaults(verb=_run)

    made = verbs.add_parser("peers", help="the same work by what people use today")
    made.add_argument("--only", help="comma-separated: mpsync,debmirror,aptly,apt-mirror,wget,aria2c,reposync,…")
    made.add_argument("--pulp", metavar="URL", help="a Pulp 3 on this machine; user:password in MPSYNC_BENCH_PULP_AUTH")
    made.add_argument("--pulp-cleanup", action="store_true", help="before each turn, delete all orphans of that Pulp")
    _add_run_options(made)
    made.set_defaults(verb=_peers, repeat=3)

    made = verbs.add_parser("compare", help="what changed between two results; exit 1 on a regression")
    made.add_argument("before", type=Path)
    made.add_argument("after", type=Path)
    made.add_argument("--tolerance", type=float, default=0.05, help="differences below this part don't count (0.05)")
    made.set_defaults(verb=_compare)

    made = verbs.add_parser("report", help="results as one HTML page, PNGs, and the table in bench/README.md")
    made.add_argument("--results", type=Path, default=RESULTS_DIR)
    made.add_argument("--out", type=Path, help="folder of the page and the pictures (default: bench/out/report)")
    made.add_argument("--readme", type=Path, help="whose table is written anew (default: bench/README.md)")
    made.set_defaults(verb=_report)
    return parser


def _add_run_options(parser: argparse.ArgumentParser) -> None:
    def numbers(text: str) -> tuple[int, ...]:
        return tuple(int(part) for part in text.split(","))

    def words(text: str) -> tuple[str, ...]:
        return tuple(text.split(","))

    def children(text: str) -> tuple[int | None, ...]:
        return tuple(None if part == AUTO else int(part) for part in text.split(","))

    default = Options()
    add = parser.add_argument
    add("--scale", type=numbers, default=default.scale, metavar="1,2,5", help="times the packages")
    add(
        "--workers",
        type=children,
        default=default.workers,
        metavar="auto,0,1,2",
        help="children (auto: mpsync decides)",
    )
    add("--loop", type=words, default=default.loop, metavar="uvloop,asyncio")
    add("--repeat", type=int, default=default.repeat)
    add("--policy", default=default.policy, choices=("on_demand", "immediate", "streamed"))
    add("--upstream", type=Path, metavar="DIR", help="a real mirror's folder, instead of a generated repository")
    for name in ("suite", "component", "arch"):
        add(f"--{name}", default=getattr(default, name), help="of --upstream")
    add("--packages", type=int, help="generated packages at scale 1")
    add("--seed", type=int, default=default.seed)
    add("--profile", action="store_true", help="one more run under py-spy; flame graphs in bench/out/profiles")
    add("--cold-cache", action="store_true", help="the upstream's files out of the page cache; peers: also")
    add("--quick", action="store_true", help="tiny and once: shows that it works, its figures mean nothing")
    add("--results", type=Path, default=RESULTS_DIR, help="folder of the result (default: bench/results)")


def _options(given: argparse.Namespace) -> Options:
    names = Options.__slots__
    values = {name: getattr(given, name) for name in names if hasattr(given, name)}
    if given.quick:
        values["repeat"] = 1
    return Options(**values)


def _list(_: argparse.Namespace) -> int:
    for found in scenario.discover().values():
        print(f"{found.name:20} {found.question}\n{'':20} {found.reading}")
    return 0


def _run(given: argparse.Namespace) -> int:
    found = scenario.discover()
    names = list(found) if "all" in given.scenario else given.scenario
    for name in names:
        print(f"{name}: {found[name].question}", file=sys.stderr)
        _finish(scenario.run(found[name], _options(given)), given.results)
    return 0


def _peers(given: argparse.Namespace) -> int:
    from bench import peers

    try:
        result = peers.run(_options(given), tuple(given.only.split(",")) if given.only else ())
    except ValueError as exc:
        print(f"bench peers: {exc}", file=sys.stderr)
        return 2
    _finish(result, given.results)
    return 0


def _compare(given: argparse.Namespace) -> int:
    from bench import compare

    return compare.main(given.before, given.after, given.tolerance)


def _report(given: argparse.Namespace) -> int:
    from bench.report import main as report

    return report(given.results, given.out, given.readme)


def _finish(result: Result, folder: Path) -> None:
    """Print the table and save the result."""
    width = max((len(case.key) for case in result.cases), default=0)
    for case in result.cases:
        spread = f"{min(case.values):.3f}–{max(case.values):.3f}"
        ratio = f"   {case.ratio:.2f} × {case.floor_name} ({case.floor:.3f})" if case.ratio is not None else ""
        print(f"{case.key:{width}}  {case.median:10.3f} {case.unit:8} ({spread}, {len(case.values)}){ratio}")
    for note in result.notes:
        print(f"note: {note}")
    print(result.save(folder))
