"""Figures in README tables: what is cited, what stays, and ratios between peers."""

from __future__ import annotations

from typing import Any

import pytest

from bench.lag_histogram import LABELS, histogram
from bench.peers.run import _compare_with_mpsync
from bench.report.page import pair_ratio
from bench.report.table import BEGIN, END, headlines, markdown, rewrite
from bench.results import Case


def result(scenario: str, *cases: Case) -> dict[str, Any]:
    return {
        "scenario": scenario,
        "date": "2026-01-02T03:04:05+00:00",
        "commit": {"id": "abcdef0123456789", "is_dirty": False},
        "machine": {"cpu": "a CPU", "cores": 2, "memory_bytes": 24e9},
        "upstream": {"packages": 63440},
        "cases": [case.as_json() for case in cases],
    }


def sync(name: str, seconds: float, floor: float | None = None, **params: Any) -> Case:
    return Case(name, {"scale": 1, "loop": "uvloop", "workers": "auto", **params}, "s", [seconds], floor, "the floor")


def test_readme_cites_the_default_figures_with_machine_date_and_commit() -> None:
    found = headlines({"sync-deb": result("sync-deb", sync("cold", 2.5, 1.0), sync("cold", 9.0, 1.0, workers=0))})

    assert "Measured on: a CPU, 2 cores, 24 GB." in found
    row = "| sync-deb, 63,440 packages: cold | 2.50 s | 1.00 s, the floor | 2.50 × | 2026-01-02 | abcdef012 |"
    assert row in found.splitlines()
    assert "9.00" not in found


def test_readme_cites_no_figure_of_a_cold_page_cache_or_of_a_scenario_that_was_not_run() -> None:
    assert headlines({"sync-deb": result("sync-deb", sync("cold", 2.5, cache="cold"))}) == ""
    assert headlines({"bridge": result("bridge", sync("ticket p50", 1.0))}) == ""


def test_contests_tell_cold_and_warm_page_cache_apart() -> None:
    cases = [Case("mirror", {"peer": peer, "cache": cache}, "s", [1.0]) for peer in "ab" for cache in ("warm", "cold")]

    found = markdown({"peers": result("peers", *cases)})

    assert "| peers | mirror | – | – | – | a 1.00 s, b 1.00 s |" in found
    assert "| peers | mirror, cold page cache | – | – | – | a 1.00 s, b 1.00 s |" in found


def test_a_rewrite_changes_nothing_outside_the_marks() -> None:
    assert rewrite(f"before\n{BEGIN}\nold\n{END}\nafter\n", "new") == f"before\n{BEGIN}\nnew\n{END}\nafter\n"
    with pytest.raises(ValueError, match=r"no .* in the README"):
        rewrite("no marks", "new")


def test_a_peer_s_ratio_is_the_median_of_the_turns_ratios() -> None:
    mine = Case("mirror", {"peer": "mpsync", "cache": "warm"}, "s", [1.0, 1.0, 10.0])
    other = Case("mirror", {"peer": "aptly", "cache": "warm"}, "s", [3.0, 2.0, 40.0])
    elsewhere = Case("mirror", {"peer": "aptly", "cache": "cold"}, "s", [3.0])
    for case in (mine, other, elsewhere):
        _compare_with_mpsync(case, [mine, other, elsewhere])

    assert other.ratio == 3.0
    assert other.as_json()["pair_ratios"] == [3.0, 2.0, 4.0]
    assert mine.ratio is None
    assert elsewhere.ratio is None
    assert pair_ratio(mine.values, other.values) == pytest.approx(1 / 3)


def test_a_peer_that_missed_a_turn_is_compared_by_its_median() -> None:
    assert pair_ratio([2.0, 4.0], [1.0, 1.0, 1.0]) == 3.0


def test_each_late_beat_is_in_one_bucket_and_a_bound_belongs_to_its_own() -> None:
    found = histogram([0.0, 0.001, 0.0011, 0.02, 0.5, 3.0])

    assert tuple(found) == LABELS
    assert {label: beats for label, beats in found.items() if beats} == {
        "<= 1": 2,
        "<= 5": 1,
        "<= 20": 1,
        "<= 500": 1,
        "> 500": 1,
    }
