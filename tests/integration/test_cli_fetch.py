"""``mpsync fetch``: what on-demand deferred arrives, is checked, and is there for every repository that has the unit."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from command import Command, finish
from debrepo import DebRepo, keyring
from upstream import Upstream


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return keyring(tmp_path)


def synced(command: Command, upstream: Upstream, keys: Path, name: str, count: int = 5) -> list[str]:
    """A repository of ``count`` packages of its own, synced on demand; returns the paths of their files."""
    repo = DebRepo()
    paths = [repo.add(f"{name}{number}") for number in range(count)]
    repo.publish(upstream)
    command.ok("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name)
    upstream.forget()
    return paths


def held(command: Command, name: str) -> int:
    return int(command.ok("show", name)["artifacts"]["held"]["files"])


def test_everything_that_was_deferred_arrives_once(command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(command, upstream, keys, "whole", 700)

    found = command.ok("fetch", "whole")
    again = command.ok("fetch", "whole")

    assert [upstream.count(path) for path in paths] == [1] * 700
    assert found["changed"] is True
    assert found["downloaded"]["files"] == found["requests"] == 700
    assert found["deferred"] == {"files": 0, "bytes": 0}
    assert {"total", "start", "fetch"} == set(found["seconds"])
    assert found["peak_pss_bytes"] > 10_000_000
    assert again["changed"] is False
    assert again["downloaded"]["files"] == 0
    assert command.ok("sync", "whole", "--policy", "immediate", "--force")["downloaded"]["files"] < 10
    assert [upstream.count(path) for path in paths] == [1] * 700


def test_a_glob_and_a_kind_choose(command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(command, upstream, keys, "some")

    found = command.ok("fetch", "some", "--name", "some?", "--kind", "package")
    rest = command.ok("fetch", "some", "--name", "some3")

    assert found["downloaded"]["files"] == 5
    assert rest["downloaded"]["files"] == 0
    assert [upstream.count(path) for path in paths] == [1] * 5
    unknown = command("fetch", "some", "--kind", "source", "--json")
    assert unknown.code == 2
    one = synced(command, upstream, keys, "other")
    assert command.ok("fetch", "other", "--name", "other3")["downloaded"]["files"] == 1
    assert [upstream.count(path) for path in one] == [0, 0, 0, 1, 0]


def test_a_unit_with_several_files_gets_the_ones_it_lacks(command: Command, upstream: Upstream) -> None:
    sample = Path(__file__).parents[1] / "data" / "sample-deb"
    upstream.serve_tree(sample)
    keys = sample / "keyring.gpg"
    command.ok(
        "sync", "deb", upstream.url, "--suite", "sample", "--keyring", keys, "--source", "--name", "sources"
    )  # fmt: skip

    found = command.ok("fetch", "sources", "--kind", "source")
    units = command.ok("content", "sources", "--kind", "source")["content"]

    assert found["deferred"]["files"] == 0
    assert all(unit["held"] == unit["files"] >= 2 for unit in units)


def test_a_file_that_can_t_be_had_fails_and_the_others_stay(command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(command, upstream, keys, "broken", 30)
    upstream.remove(paths[20])

    failed = command("fetch", "broken", "--json")
    skipped = command.ok("fetch", "broken", "--skip-failed")

    assert failed.code == 1
    assert failed.error["type"] == "NotFound"
    assert failed.error["url"].endswith(paths[20])
    assert [found["what"] for found in skipped["skipped"]] == ["deb.package broken20 1.0 amd64"]
    assert "not found" in skipped["skipped"][0]["why"]
    assert skipped["deferred"]["files"] == 1
    assert held(command, "broken") >= 29


def test_a_file_with_other_bytes_is_refused(command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(command, upstream, keys, "tampered", 1)
    upstream.serve(paths[0], b"x" * len(b"tampered0 1.0 payload"))

    outcome = command("fetch", "tampered", "--json")

    assert outcome.code == 1
    assert outcome.error["type"] == "DigestMismatch"
    assert outcome.error["expected"] != outcome.error["got"]


def test_what_one_repository_fetched_the_other_has(command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(command, upstream, keys, "first")
    command.ok("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "second")
    command.ok("fetch", "first")

    found = command.ok("fetch", "second")

    assert found["downloaded"]["files"] == 0
    assert [upstream.count(path) for path in paths] == [1] * 5


def test_only_the_newest_version_is_fetched(command: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    old = repo.add("newest-old")
    repo.publish(upstream)
    command.ok("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "newest")
    del repo.packages["newest-old"]
    new = repo.add("newest-new")
    repo.publish(upstream)
    command.ok("sync", "newest")

    command.ok("fetch", "newest")

    assert (upstream.count(old), upstream.count(new)) == (0, 1)


def test_a_fetch_that_is_stopped_keeps_what_arrived(own_command: Command, upstream: Upstream, keys: Path) -> None:
    paths = synced(own_command, upstream, keys, "stopped", 400)
    upstream.latency_s = 0.03
    process = own_command.start("fetch", "stopped", "--json")
    while upstream.count() < 250:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    upstream.latency_s = 0.0

    found = own_command.ok("fetch", "stopped")

    assert outcome.code == 130
    assert found["deferred"]["files"] == 0
    assert found["downloaded"]["files"] < 400
    assert max(upstream.count(path) for path in paths) <= 2
    assert "files" not in own_command.left_behind()


def test_people_are_told_what_is_here_and_what_is_left(command: Command, upstream: Upstream, keys: Path) -> None:
    synced(command, upstream, keys, "told")

    first = command("fetch", "told", "--name", "told1").stdout
    rest = command("fetch", "told").stdout
    nothing = command("fetch", "told").stdout

    assert first.startswith("told: 1 files fetched")
    assert "4 still deferred" not in first, "what was not asked for is not counted"
    assert rest.startswith("told: 4 files fetched")
    assert nothing.startswith("told: all ")
