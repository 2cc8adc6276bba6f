"""Results -> one self-contained HTML page, PNGs, and the tables in bench/README.md and README.md: ``python -m bench report``.

The newest result of each scenario is shown. The pictures need matplotlib; without it the page has tables only, and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.report.page import page
from bench.report.table import BEGIN, README, ROOT_README, headlines, markdown, rewrite
from bench.results import load_all
from bench.upstreams.cache import out_dir


def newest(results: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """{scenario: its newest result}; results come oldest first. Those of --quick runs mean nothing and are left out."""
    return {result["scenario"]: result for result in results if not result["options"].get("quick")}


def main(results_dir: Path, out: Path | None, readme: Path | None, *, with_quick: bool = False) -> int:
    """Write everything; 1 when there is nothing to write."""
    found = load_all(results_dir)
    shown = {result["scenario"]: result for result in found} if with_quick else newest(found)
    if not shown:
        print(f"bench report: no results in {results_dir} (results of --quick don't count)", file=sys.stderr)
        return 1
    folder = out or out_dir() / "report"
    folder.mkdir(parents=True, exist_ok=True)
    try:
        from bench.report.pictures import draw_all
    except ImportError:
        print("bench report: no pictures: matplotlib is not installed (pip install matplotlib)", file=sys.stderr)
        pictures: dict[str, Path] = {}
    else:
        pictures = draw_all(shown, folder)
    index = folder / "index.html"
    index.write_text(page(shown, pictures))
    for target, made in _tables(shown, readme):
        target.write_text(rewrite(target.read_text(), made))
        print(target)
    for path in (*pictures.values(), index):
        print(path)
    return 0


def _tables(shown: dict[str, dict[str, Any]], readme: Path | None) -> Iterator[tuple[Path, str]]:
    """(file, its table); README.md's only with the results that it cites, and where it has a place for them."""
    target = readme or README
    if target.exists():
        yield target, markdown(shown)
    found = headlines(shown)
    if readme is None and found and ROOT_README.exists() and BEGIN in ROOT_README.read_text():
        yield ROOT_README, found
