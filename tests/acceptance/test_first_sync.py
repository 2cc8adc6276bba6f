"""The first sync of a store: it reads while its database is made, and looks up nothing in tables that are empty."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from command import Command
from debrepo import OTHER_KEY, DebRepo, keyring
from rpmrepo import REPOMD, RpmRepo
from stored import stored
from upstream import Upstream

MANY = 2500
"""More rows than a frame or a saved batch holds."""


@pytest.fixture
def fresh(tmp_path: Path) -> Command:
    """The command with a store that isn't there yet."""
    return Command(tmp_path / "store")


@pytest.fixture
def deb(upstream: Upstream) -> DebRepo:
    repo = DebRepo(by_hash=False)  # whether a mirror answers by hash is asked with a request more
    for number in range(20):
        repo.add(f"package{number}")
    repo.publish(upstream)
    return repo


def asked(upstream: Upstream) -> Counter[str]:
    return Counter(request.path for request in upstream.of())


def asked_twice(upstream: Upstream) -> dict[str, int]:
    return {path: times for path, times in asked(upstream).items() if times > 1}


def content(found: dict[str, Any]) -> dict[str, Any]:
    counts: dict[str, Any] = found["content"]
    return counts


@pytest.mark.parametrize("policy", ["on_demand", "immediate"])
@pytest.mark.parametrize("workers", ["0", "1", "2"])
def test_a_first_deb_sync_asks_for_each_file_once_and_is_like_a_later_one(
    fresh: Command, upstream: Upstream, deb: DebRepo, keys: Path, policy: str, workers: str
) -> None:
    arguments = ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--policy", policy)
    arguments += ("--workers", workers)

    first = fresh.ok(*arguments, "--name", "first")
    twice = asked_twice(upstream)
    second = fresh.ok(*arguments, "--name", "second", "--force")

    assert twice == {}
    assert content(first) == content(second)
    assert content(first)["deb.package"] == {"total": 20, "added": 20, "removed": 0}
    assert stored(fresh, "first") == stored(fresh, "second")
    assert fresh.left_behind() == {}


@pytest.mark.parametrize("policy", ["--mirror", "--mirror-complete", "--additive"])
def test_a_first_rpm_sync_asks_for_each_file_once_and_is_like_a_later_one(
    fresh: Command, upstream: Upstream, policy: str
) -> None:
    repo = RpmRepo()
    for number in range(20):
        repo.add(f"package{number}")
    url = repo.publish(upstream)

    first = fresh.ok("sync", "rpm", url, policy, "--name", "first")
    twice = asked_twice(upstream)
    second = fresh.ok("sync", "rpm", url, policy, "--name", "second", "--force")

    assert twice == {}
    assert upstream.count(REPOMD) == 2
    assert content(first) == content(second)
    assert stored(fresh, "first") == stored(fresh, "second")
    assert fresh.left_behind() == {}


def test_what_two_suites_and_one_list_twice_is_one_unit(fresh: Command, upstream: Upstream, keys: Path) -> None:
    stable, testing = DebRepo(), DebRepo("testing")
    for number in range(MANY):
        stable.add(f"package{number}")
    stanza, *_ = stable.packages["package7"]
    stable.stanza("again", stanza)
    testing.packages = dict(list(stable.packages.items())[:50])
    stable.publish(upstream)
    testing.publish(upstream)

    found = fresh.ok(
        "sync", "deb", upstream.url, "--suite", "stable", "--suite", "testing", "--keyring", keys, "--name", "both"
    )

    assert content(found)["deb.package"] == {"total": MANY, "added": MANY, "removed": 0}
    units = fresh.ok("content", "both", "--kind", "deb.package", "--name", "package7")["content"]
    assert len(units) == 1
    again = fresh.ok("sync", "both")
    assert (again["changed"], again["requests"]) == (False, 2)


def test_an_index_that_takes_longer_than_the_database_arrives_once(
    fresh: Command, upstream: Upstream, deb: DebRepo, keys: Path
) -> None:
    upstream.drip(f"{deb.folder}/{deb.index_path}.xz", 16, 0.05)

    found = fresh.ok("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "slow")

    assert asked_twice(upstream) == {}
    assert content(found)["deb.package"]["total"] == 20


def test_a_first_sync_of_a_damaged_index_fails_by_name_and_leaves_nothing(
    fresh: Command, upstream: Upstream, deb: DebRepo, keys: Path
) -> None:
    for path, data in deb.files().items():
        if "Packages" in path:
            upstream.serve(f"{deb.folder}/{path}", b"x" * len(data))

    error = fresh.fails("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "damaged")

    assert error["type"] == "DigestMismatch"
    assert fresh.left_behind() == {}


def test_a_first_sync_with_the_wrong_key_fails_and_the_next_one_is_right(
    fresh: Command, upstream: Upstream, deb: DebRepo, keys: Path, tmp_path: Path
) -> None:
    (tmp_path / "wrong").mkdir()
    wrong = keyring(tmp_path / "wrong", OTHER_KEY)
    arguments = ("sync", "deb", upstream.url, "--suite", "stable", "--name", "keyed")

    error = fresh.fails(*arguments, "--keyring", wrong)
    found = fresh.ok(*arguments, "--keyring", keys)

    assert error["type"] == "UnknownKey"
    assert content(found)["deb.package"]["total"] == 20
    assert fresh.left_behind() == {}


def test_what_is_noted_before_the_database_is_there_stands_in_the_summary(
    fresh: Command, upstream: Upstream, deb: DebRepo
) -> None:
    found = fresh.ok("sync", "deb", upstream.url, "--suite", "stable", "--no-verify", "--name", "noted")

    assert found["notes"] == ["signatures are NOT verified (--no-verify)"]


def test_a_first_sync_asks_for_what_is_missing_once(
    fresh: Command, upstream: Upstream, deb: DebRepo, keys: Path
) -> None:
    for path in deb.files():
        if "Packages" in path:
            upstream.remove(f"{deb.folder}/{path}")

    error = fresh.fails("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "missing")

    assert error["type"] == "NotFound"
    assert all("InRelease" in path for path in asked_twice(upstream))  # is it a new generation?
    assert fresh.left_behind() == {}


def test_a_first_sync_of_nothing_says_so(fresh: Command, upstream: Upstream, keys: Path) -> None:
    error = fresh.fails("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys)

    assert error["type"] == "NoRelease"
    assert upstream.url in error["message"]
    assert fresh.left_behind() == {}
