"""Signatures and rollbacks of repomd.xml: each refusal is its own error, and the version that is held stays."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import pysequoia as pgp
import pytest
from command import Command
from debrepo import KEY, OTHER_KEY, keyring
from rpmrepo import ASC, REPOMD, RpmRepo, signature
from upstream import Upstream


@pytest.fixture
def repo(upstream: Upstream) -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    made.publish(upstream, key=KEY)
    return made


def first(upstream: Upstream, keys: Path, name: str, *more: str) -> list[str | Path]:
    return ["sync", "rpm", upstream.url, "--keyring", keys, "--name", name, *more]


def test_a_signed_repository_is_verified_and_its_keyring_remembered(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    found = mpsync.ok(*first(upstream, keys, "signed"))
    upstream.forget()
    unchanged = mpsync.ok("sync", "signed")
    asked = [request.path for request in upstream.of()]
    upstream.serve(ASC, signature(b"something else"))
    error = mpsync.fails("sync", "signed")

    assert found["content"]["rpm.repo_file"]["total"] == 5
    assert not unchanged["changed"]
    assert {REPOMD, ASC} <= set(asked)
    assert error["type"] == "BadSignature"
    assert mpsync.ok("show", "signed")["version"] == 1


def test_an_unknown_key_is_named(mpsync: Command, upstream: Upstream, tmp_path: Path, repo: RpmRepo) -> None:
    error = mpsync.fails(*first(upstream, keyring(tmp_path, OTHER_KEY), "unknown"))

    assert error["type"] == "UnknownKey"
    assert f"{ASC}: is signed by keys that are not in the keyring: " in error["message"]


def test_changed_bytes_are_a_bad_signature(mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo) -> None:
    upstream.serve(REPOMD, repo.repomd.replace(b"<revision>", b"<revision> "))

    assert mpsync.fails(*first(upstream, keys, "tampered"))["type"] == "BadSignature"


def test_a_key_that_expires_while_nothing_changes_is_refused(
    mpsync: Command, upstream: Upstream, tmp_path: Path, repo: RpmRepo
) -> None:
    mortal = pgp.Tsk.generate("mortal <mortal@mirror.example>", validity_seconds=68)  # from a minute ago
    expires = mortal.extract_certificate().expiration
    repo.publish(upstream, key=mortal)
    arguments = first(upstream, keyring(tmp_path, mortal), "expires")
    mpsync.ok(*arguments)
    time.sleep(max(0.0, (expires - datetime.now(UTC)).total_seconds() + 0.1))

    assert mpsync.fails("sync", "expires")["type"] == "ExpiredKey"
    assert mpsync.fails(*arguments[:-1], "expired")["type"] == "ExpiredKey"


def test_an_unsigned_repository_is_refused_when_keys_are_given(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    repo.publish(upstream, key=None)

    assert mpsync.fails(*first(upstream, keys, "unsigned"))["type"] == "Unsigned"
    assert mpsync.ok("sync", "rpm", upstream.url, "--name", "unsigned")["changed"]


def test_a_repository_that_was_signed_stays_signed(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "was-signed"))
    repo.publish(upstream, key=None)

    error = mpsync.fails("sync", "was-signed")
    accepted = mpsync.ok("sync", "rpm", upstream.url, "--no-verify", "--name", "was-signed")

    assert error["type"] == "NoLongerSigned"
    assert accepted["version"] == 2


def test_a_signature_that_is_taken_away_though_nothing_else_changed_is_refused(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "stripped"))
    repo.sign(upstream, None)

    assert mpsync.fails("sync", "stripped")["type"] == "NoLongerSigned"


def test_leaving_the_keyring_out_is_no_way_around_it(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "no-keyring"))

    same = mpsync.fails("sync", "rpm", upstream.url, "--name", "no-keyring")
    repo.publish(upstream, key=None)
    error = mpsync.fails("sync", "rpm", upstream.url, "--name", "no-keyring")

    assert same["type"] == error["type"] == "KeyringMissing"
    assert mpsync.ok("show", "no-keyring")["version"] == 1


def test_a_key_that_is_given_later_is_verified_though_nothing_changed(
    mpsync: Command, upstream: Upstream, tmp_path: Path, repo: RpmRepo
) -> None:
    mpsync.ok("sync", "rpm", upstream.url, "--name", "later")

    error = mpsync.fails(*first(upstream, keyring(tmp_path, OTHER_KEY), "later"))

    assert error["type"] == "UnknownKey"


def test_a_new_repomd_beside_its_old_signature_is_read_again(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "between"))
    old = upstream._files[ASC]
    repo.add("new")
    repo.publish(upstream, key=KEY)
    upstream.serve(ASC, old)
    upstream.change(ASC, repo.files[ASC])

    found = mpsync.ok("sync", "between")

    assert found["content"]["rpm.package"]["total"] == 2
    assert any("upstream changed" in note for note in found["notes"])


def test_a_signature_that_stays_old_is_an_error_and_changes_nothing(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "stays-old"))
    old = upstream._files[ASC]
    repo.add("new")
    repo.publish(upstream, key=KEY)
    upstream.serve(ASC, old)

    error = mpsync.fails("sync", "stays-old")

    assert error["type"] == "BadSignature"
    assert mpsync.ok("show", "stays-old")["content"]["rpm.package"]["total"] == 1


def test_a_file_of_the_next_generation_is_read_with_the_next_repomd(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    repo.add("only-in-this-store-once")
    repo.publish(upstream, key=KEY)
    old = dict(repo.files)
    repo.add("new")
    repo.publish(upstream, key=KEY)
    for path in old:
        if path.startswith("repodata/") and path not in (REPOMD, ASC):
            upstream.remove(path)
    upstream.serve(REPOMD, old[REPOMD])
    upstream.serve(ASC, old[ASC])
    upstream.change(REPOMD, repo.files[REPOMD])
    upstream.change(ASC, repo.files[ASC])

    found = mpsync.ok(*first(upstream, keys, "moved-on"))

    assert found["content"]["rpm.package"]["total"] == 3


def test_a_lower_revision_is_a_rollback(mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo) -> None:
    mpsync.ok(*first(upstream, keys, "rollback"))
    repo.revision -= 10
    repo.add("older")
    repo.publish(upstream, key=KEY)

    error = mpsync.fails("sync", "rollback")
    still = mpsync.ok("show", "rollback")["version"]
    accepted = mpsync.ok("sync", "rollback", "--accept-older")

    assert error["type"] == "Rollback"
    assert (error["expected"], error["got"]) == ("1001 or more", "992")
    assert still == 1
    assert accepted["content"]["rpm.package"]["total"] == 2


def test_leave_to_go_back_is_given_for_one_sync(mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo) -> None:
    mpsync.ok(*first(upstream, keys, "once"))
    repo.revision -= 10
    repo.publish(upstream, key=KEY)
    mpsync.ok("sync", "once", "--accept-older")
    repo.revision -= 10
    repo.publish(upstream, key=KEY)

    assert mpsync.fails("sync", "once")["type"] == "Rollback"


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--mirror-complete", "--arch", "x86_64"], "--arch"),
        (["--mirror-complete", "--skip", "srpm"], "--skip srpm"),
        (["--mirror-complete", "--additive"], "--additive"),
        (["--retain", "2"], "--additive"),
        (["--retain", "2", "--mirror"], "--additive"),
        (["--retain", "-1", "--additive"], "at least 1"),
        (["--retain", "x", "--additive"], "--retain"),
        (["--skip", "drpm"], "drpm"),
        (["--keyring", "/missing.gpg"], "/missing.gpg"),
        (["--no-verify", "--keyring", "KEYS"], "contradict"),
        (["--mirrorlist", "http://a.example/l", "--metalink", "http://a.example/m"], "contradict"),
        (["--mirrorlist", "http://a.example/$basearch"], "$basearch"),
    ],
)
def test_options_that_contradict_are_usage_errors(
    mpsync: Command, upstream: Upstream, keys: Path, arguments: list[str], problem: str
) -> None:
    given = [str(keys) if word == "KEYS" else word for word in arguments]

    error = mpsync.fails("sync", "rpm", upstream.url, "--name", "usage", *given, code=2)

    assert problem in error["message"]
    assert upstream.count() == 0


def test_a_remembered_keyring_is_taken_back_by_no_verify_and_the_reverse(
    mpsync: Command, upstream: Upstream, keys: Path, repo: RpmRepo
) -> None:
    mpsync.ok(*first(upstream, keys, "taken-back"))
    repo.publish(upstream)
    assert mpsync.fails("sync", "taken-back")["type"] == "NoLongerSigned"

    mpsync.ok("sync", "taken-back", "--no-verify")
    mpsync.ok("sync", "taken-back")
    repo.add("later")
    repo.publish(upstream, key=KEY)
    mpsync.ok("sync", "taken-back", "--keyring", str(keys))

    upstream.remove(ASC)
    assert mpsync.fails("sync", "taken-back")["type"] == "NoLongerSigned"
