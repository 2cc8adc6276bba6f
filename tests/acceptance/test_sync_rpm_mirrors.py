"""--mirrorlist and --metalink: mirrors in turn, and the metalink's word on repomd.xml (mirror-failures B17, B18)."""

from __future__ import annotations

import hashlib

import pytest
from command import Command
from rpmrepo import REPOMD, RpmRepo, metalink
from upstream import Upstream


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    return made


def test_a_mirror_of_the_list_has_what_the_base_url_lacks(
    mpsync: Command, upstream: Upstream, other: Upstream, repo: RpmRepo
) -> None:
    package = repo.add("held-nowhere-yet").location_href
    repo.publish(upstream)
    second = repo.publish(other, tick=False)
    upstream.status(package, 404, times=None)
    mirrorlist = other.serve("list", f"# mirrors\n{second}/\n".encode())

    found = mpsync.ok(
        "sync", "rpm", upstream.url, "--mirrorlist", mirrorlist, "--name", "listed", "--policy", "immediate"
    )

    assert found["content"]["rpm.package"]["total"] == 2
    assert other.count(package) == 1


def test_a_list_is_remembered_and_one_that_is_gone_is_a_note(
    mpsync: Command, upstream: Upstream, other: Upstream, repo: RpmRepo
) -> None:
    url = repo.publish(upstream)
    mirrorlist = other.serve("list", f"{url}/\n".encode())
    mpsync.ok("sync", "rpm", url, "--mirrorlist", mirrorlist, "--name", "remembered")
    again = mpsync.ok("sync", "remembered")
    other.remove("list")
    repo.add("new")
    repo.publish(upstream)

    found = mpsync.ok("sync", "remembered")

    assert not again["changed"]
    assert found["content"]["rpm.package"]["total"] == 2
    assert any("going on with" in note for note in found["notes"])


def test_a_repomd_that_the_metalink_does_not_promise_is_left_for_one_that_it_does(
    mpsync: Command, upstream: Upstream, other: Upstream, repo: RpmRepo
) -> None:
    stale = repo.publish(upstream)
    repo.add("new")
    fresh = repo.publish(other)
    link = metalink(other, repo.repomd, stale, fresh)

    found = mpsync.ok("sync", "rpm", stale, "--metalink", link, "--name", "promised")
    again = mpsync.ok("sync", "promised")

    assert found["content"]["rpm.package"]["total"] == 2
    assert not again["changed"]


def test_no_mirror_with_the_promised_repomd_is_an_error_with_both_digests(
    mpsync: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    url = repo.publish(upstream)
    wanted = b"x" * len(repo.repomd)

    error = mpsync.fails("sync", "rpm", url, "--metalink", metalink(upstream, wanted, url), "--name", "lied")

    assert error["type"] == "DigestMismatch"
    assert hashlib.sha256(wanted).hexdigest() in error["expected"]
    assert hashlib.sha256(repo.repomd).hexdigest() in error["got"]
    assert REPOMD in error["url"]


def test_a_metalink_that_is_gone_is_an_error(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    url = repo.publish(upstream)

    error = mpsync.fails("sync", "rpm", url, "--metalink", f"{url}/metalink", "--name", "no-metalink")

    assert error["type"] == "NotFound"
