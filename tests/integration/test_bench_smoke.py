"""Every scenario of the bench runs, tiny and once; its figures mean nothing here, and no time is asserted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench import peers, report, scenario
from bench.command_line import main
from bench.lag_histogram import LABELS
from bench.peers import deb_mirrors, parsers
from bench.report import table
from bench.results import load
from bench.scenario import Options

TINY = Options(repeat=1, quick=True, packages=60, workers=(0, 1))


@pytest.fixture(scope="module", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Upstreams are made anew: a cached one would hide that a generator is broken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MPSYNC_BENCH_OUT", str(tmp_path_factory.mktemp("bench-out")))
        yield


@pytest.mark.parametrize("name", list(scenario.discover()))
def test_scenario_runs_and_its_result_can_be_read_again(name: str, tmp_path: Path) -> None:
    result = scenario.run(scenario.discover()[name], TINY)
    document = load(result.save(tmp_path))

    assert document["cases"]
    assert all(len(case["values"]) >= 1 and min(case["values"]) > 0 for case in document["cases"])
    assert document["commit"].keys() <= {"id", "is_dirty"}
    assert {"cpu", "cores", "memory_bytes", "system"} == document["machine"].keys()


def test_sync_deb_measures_processes_database_and_floors(tmp_path: Path) -> None:
    result = scenario.run(scenario.discover()["sync-deb"], Options(repeat=1, quick=True, packages=60))
    cases = {case["name"]: case for case in result.as_json()["cases"]}

    floors = {"floor split", "floor load", "floor load_direct"}
    assert {"cold", "unchanged", "forced", "changed", "memory cold", *floors} == cases.keys() - {"floor xz"}
    assert cases["cold"]["floor"] == pytest.approx(max(cases["floor split"]["median"], cases["floor load"]["median"]))
    detail = cases["cold"]["details"][0]
    assert detail["cpu_s"]["main"] > 0
    assert detail["peak_pss_bytes"] > 1 << 20
    assert detail["database"]["wal_bytes"] > 0
    assert detail["summary"]["content"]["deb.package"]["total"] == 60
    assert cases["changed"]["details"][0]["summary"]["content"]["deb.package"]["added"] == 1


def test_sync_rpm_measures_both_mirror_policies_against_the_cpu_of_what_they_need() -> None:
    result = scenario.run(scenario.discover()["sync-rpm"], Options(repeat=1, quick=True, packages=60))
    cases = {case["name"]: case for case in result.as_json()["cases"]}

    expat = {role: cases[f"floor expat {role}"]["median"] for role in ("primary", "filelists", "other")}
    cores = result.as_json()["machine"]["cores"]
    mirror = (sum(expat.values()) + cases["floor load"]["median"]) / cores
    complete = (expat["primary"] + cases["floor load primary"]["median"]) / cores
    assert cases["cold"]["floor"] == pytest.approx(mirror, abs=1e-5)
    assert cases["cold mirror-complete"]["floor"] == pytest.approx(complete, abs=1e-5)
    assert cases["forced"]["floor"] == pytest.approx(sum(expat.values()) / cores, abs=1e-5)
    kept = cases["cold"]["details"][0]["summary"]
    assert {kept["content"][f"rpm.{kind}"]["total"] for kind in ("package", "filelists", "other")} == {60}
    assert {"first_s", "end_s"} <= kept["stages"][-1].keys()
    assert sum(beats for label, beats in kept["loop_lag_ms"].items() if label in LABELS) > 0
    assert cases["memory cold"]["median"] > 1


def test_peers_do_the_same_work_and_those_who_are_missing_are_named() -> None:
    absent = peers_absent()
    result = peers.run(TINY, peers=(*deb_mirrors.PEERS, *parsers.PEERS[:3]))

    named = {case.params["peer"] for case in result.cases}
    notes = " ".join(result.notes)
    assert not [note for note in result.notes if note.startswith("FAILED")]
    assert all(f"SKIPPED {name} " in notes for name in absent)
    assert not named & absent


def peers_absent() -> set[str]:
    return {peer.name for peer in (*deb_mirrors.PEERS, *parsers.PEERS[:3]) if not peer.is_there()}


def test_report_writes_one_page_pictures_and_the_table(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    results = tmp_path / "results"
    for name in ("sync-deb", "parse"):
        scenario.run(scenario.discover()[name], Options(repeat=1, quick=True, packages=60)).save(results)
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{table.BEGIN}\nstale figures\n{table.END}\nafter\n")

    assert report.main(results, tmp_path / "out", readme, with_quick=True) == 0

    page = (tmp_path / "out" / "index.html").read_text()
    assert "data:image/png;base64," in page
    assert "http://" not in page.replace("http://127.0.0.1", "")
    assert "| sync-deb | cold " in readme.read_text()
    assert "stale figures" not in readme.read_text()
    for picture in ("memory", "gantt", "stages", "lag", "scale"):
        assert (tmp_path / "out" / f"sync-deb-{picture}.png").stat().st_size > 1000


def test_quick_results_are_not_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scenario.run(scenario.discover()["parse"], Options(repeat=1, quick=True, packages=60)).save(tmp_path)

    assert main(["report", "--results", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "don't count" in capsys.readouterr().err


def test_run_saves_a_result_that_compares_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "parse", "--quick", "--packages", "60", "--results", str(tmp_path)]) == 0
    [path] = tmp_path.glob("parse-*.json")

    assert json.loads(path.read_text())["options"]["packages"] == 60
    assert main(["compare", str(path), str(path)]) == 0
    assert "same" in capsys.readouterr().out
