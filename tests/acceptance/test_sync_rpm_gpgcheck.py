"""--gpgcheck: packages without a good signature do not come in."""

from __future__ import annotations

from pathlib import Path

import pytest
import rpmfile
from command import Command
from debrepo import KEY, OTHER_KEY
from rpmrepo import RpmRepo
from stored import held_files
from upstream import Upstream


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("good", payload=rpmfile.package(KEY, name="good"))
    return made


def arguments(url: str, name: str, keys: Path, *more: str) -> list[str | Path]:
    return ["sync", "rpm", url, "--name", name, "--policy", "immediate", "--gpgcheck", "--keyring", keys, *more]


def test_signed_packages_come_in(mpsync: Command, upstream: Upstream, repo: RpmRepo, keys: Path) -> None:
    found = mpsync.ok(*arguments(repo.publish(upstream), "gpg-good", keys, "--no-verify"))
    again = mpsync.ok("sync", "gpg-good")

    assert found["content"]["rpm.package"]["total"] == 1
    assert not again["changed"]


@pytest.mark.parametrize("bad", ["unsigned", "unknown", "tampered", "no package"])
def test_a_package_that_is_not_signed_well_ends_the_sync(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, keys: Path, bad: str
) -> None:
    name = f"gpg-{bad.replace(' ', '-')}"
    mpsync.ok(*arguments(repo.publish(upstream), name, keys, "--no-verify"))
    payload, error = {
        "unsigned": (rpmfile.package(name="bad"), "UnsignedPackage"),
        "unknown": (rpmfile.package(OTHER_KEY, name="bad"), "UnknownKey"),
        "tampered": (rpmfile.package(KEY, name="bad").replace(rpmfile.PAYLOAD, b"x" * 17), "NotAPackage"),
        "no package": (b"bad", "NotAPackage"),
    }[bad]
    repo.add("bad", payload=payload)
    repo.publish(upstream)

    found = mpsync.fails("sync", name)

    assert found["type"] == error
    assert "Packages/bad-1.0-1.x86_64.rpm" in found["message"]
    assert bad != "unknown" or rpmfile.issuer(OTHER_KEY) in found["message"]
    assert mpsync.ok("show", name)["version"] == 1
    assert "files" not in mpsync.left_behind()


def test_with_skip_failed_a_bad_package_is_reported_and_left_out(
    own_command: Command, upstream: Upstream, repo: RpmRepo, keys: Path
) -> None:
    repo.add("bad", payload=rpmfile.package(OTHER_KEY, name="bad"))

    found = own_command.ok(*arguments(repo.publish(upstream), "gpg-skip", keys, "--no-verify", "--skip-failed"))

    assert found["content"]["rpm.package"]["total"] == 1
    assert any("bad" in str(skip) and "not in the keyring" in str(skip) for skip in found["skipped"])
    assert [path for path in held_files(own_command, "gpg-skip") if path.endswith(".rpm")] == [
        "Packages/good-1.0-1.x86_64.rpm"
    ]


def test_packages_that_were_stored_before_are_checked_too(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, keys: Path
) -> None:
    repo.add("bad", payload=rpmfile.package(OTHER_KEY, name="stored-bad"))
    url = repo.publish(upstream)
    mpsync.ok("sync", "rpm", url, "--name", "gpg-stored", "--policy", "immediate")

    assert mpsync.fails(*arguments(url, "gpg-stored", keys, "--no-verify"))["type"] == "UnknownKey"


def test_what_gpgcheck_needs_is_said(mpsync: Command, upstream: Upstream, repo: RpmRepo, keys: Path) -> None:
    url = repo.publish(upstream)

    without_keys = mpsync("sync", "rpm", url, "--name", "gpg-usage", "--gpgcheck")
    on_demand = mpsync("sync", "rpm", url, "--name", "gpg-usage", "--gpgcheck", "--keyring", keys, "--no-verify")

    assert (without_keys.code, on_demand.code) == (2, 2)
    assert "--keyring" in without_keys.stderr
    assert "--policy immediate" in on_demand.stderr
