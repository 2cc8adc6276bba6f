"""What counts as a regression, and what is noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench import compare
from bench.results import FORMAT


def result(values: dict[str, list[float]], *, is_better: str = "lower", scenario: str = "sync-deb") -> dict[str, Any]:
    cases = [{"key": key, "unit": "s", "is_better": is_better, "values": found} for key, found in values.items()]
    return {"format": FORMAT, "scenario": scenario, "machine": {}, "upstream": {}, "cases": cases}


def verdicts(before: dict[str, Any], after: dict[str, Any]) -> dict[str, str]:
    return {found.key: found.verdict for found in compare.differences(before, after)}


def saved(folder: Path, name: str, document: dict[str, Any]) -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_a_difference_within_the_noise_is_no_difference() -> None:
    before = result({"cold": [2.0, 2.1, 2.6, 2.2, 2.3]})
    after = result({"cold": [2.5, 2.2, 2.7, 2.1, 2.4]})

    assert verdicts(before, after) == {"cold": "same"}


def test_slower_beyond_the_noise_is_worse_and_exits_with_1(tmp_path: Path) -> None:
    before = saved(tmp_path, "a.json", result({"cold": [2.0, 2.1, 2.05, 2.02]}))
    after = saved(tmp_path, "b.json", result({"cold": [2.4, 2.5, 2.45, 2.42]}))

    assert compare.main(before, after, 0.05) == 1
    assert compare.main(after, before, 0.05) == 0


def test_for_rates_more_is_better() -> None:
    before = result({"rate": [100.0, 101.0, 102.0]}, is_better="higher")
    after = result({"rate": [150.0, 151.0, 152.0]}, is_better="higher")

    assert verdicts(before, after) == {"rate": "better"}
    assert verdicts(after, before) == {"rate": "worse"}


def test_a_clear_but_small_difference_stays_below_the_tolerance() -> None:
    assert verdicts(result({"cold": [2.0, 2.0]}), result({"cold": [2.05, 2.05]})) == {"cold": "same"}


def test_a_slower_floor_is_the_machine_and_no_regression(tmp_path: Path) -> None:
    before = saved(tmp_path, "a.json", result({"floor load": [1.0, 1.0]}))
    after = saved(tmp_path, "b.json", result({"floor load": [2.0, 2.0]}))

    assert compare.main(before, after, 0.05) == 0


def test_results_of_different_scenarios_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = saved(tmp_path, "a.json", result({"cold": [1.0]}))
    after = saved(tmp_path, "b.json", result({"cold": [1.0]}, scenario="parse"))

    assert compare.main(before, after, 0.05) == 2
    assert "not the same scenario" in capsys.readouterr().err
