"""Signatures, dates and rollbacks: each refusal is its own error, and the version that is held stays."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia as pgp
import pytest
from command import Command
from debrepo import KEY, OTHER_KEY, DebRepo, keyring
from upstream import Upstream


@pytest.fixture
def repo(upstream: Upstream) -> DebRepo:
    made = DebRepo()
    made.add("hello")
    made.publish(upstream)
    return made


def first(mpsync: Command, upstream: Upstream, keys: Path, name: str, *more: str) -> list[str | Path]:
    return ["sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name, *more]


def test_release_with_a_detached_signature_is_as_good(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    repo.publish(upstream, inline=False)

    found = mpsync.ok(*first(mpsync, upstream, keys, "detached"))

    assert found["content"]["deb.release_file"]["total"] == 2


def test_one_good_signature_of_several_is_enough(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    repo.publish(upstream, inline=False)
    both = b"".join(
        bytes(pgp.sign(key.signer(), repo.release, mode=pgp.SignatureMode.DETACHED, armor=False))
        for key in (OTHER_KEY, KEY)
    )
    upstream.serve("dists/stable/Release.gpg", both)

    found = mpsync.ok(*first(mpsync, upstream, keys, "several"))

    assert found["content"]["deb.package"]["total"] == 1


def test_an_unknown_key_is_named(mpsync: Command, upstream: Upstream, tmp_path: Path, repo: DebRepo) -> None:
    error = mpsync.fails(*first(mpsync, upstream, keyring(tmp_path, OTHER_KEY), "unknown-key"))

    assert error["type"] == "UnknownKey"
    assert "dists/stable" in error["message"]


def test_a_changed_text_is_a_bad_signature(mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo) -> None:
    signed = pgp.sign(KEY.signer(), repo.release, mode=pgp.SignatureMode.CLEAR)
    upstream.serve("dists/stable/InRelease", bytes(signed).replace(b"Origin: Test", b"Origin: Evil"))

    assert mpsync.fails(*first(mpsync, upstream, keys, "tampered"))["type"] == "BadSignature"


def test_an_unsigned_suite_is_refused_unless_told_so(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    repo.publish(upstream, key=None)

    refused = mpsync.fails(*first(mpsync, upstream, keys, "unsigned"))
    found = mpsync.ok("sync", "deb", upstream.url, "--suite", "stable", "--no-verify", "--name", "unsigned-ok")

    assert refused["type"] == "Unsigned"
    assert any("NOT verified" in note for note in found["notes"])


def test_a_suite_that_was_signed_stays_signed(mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo) -> None:
    mpsync.ok(*first(mpsync, upstream, keys, "was-signed"))
    repo.publish(upstream, key=None)

    assert mpsync.fails("sync", "was-signed")["type"] == "NoLongerSigned"
    assert mpsync.ok("show", "was-signed")["version"] == 1


def test_text_around_the_signed_block_is_refused(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    signed = bytes(pgp.sign(KEY.signer(), repo.release, mode=pgp.SignatureMode.CLEAR))
    upstream.serve("dists/stable/InRelease", b"Origin: Evil\n" + signed)

    assert mpsync.fails(*first(mpsync, upstream, keys, "around"))["type"] in ("UnsignedText", "BadSignature")


def test_an_expired_release_is_refused_also_when_nothing_else_changed(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    repo.valid_until = datetime.now(UTC) - timedelta(days=2)
    repo.publish(upstream)
    mpsync.ok(*first(mpsync, upstream, keys, "expired-ok", "--no-check-valid-until"))

    error = mpsync.fails(*first(mpsync, upstream, keys, "expired"))
    unchanged = mpsync.ok("sync", "expired-ok")

    assert error["type"] == "Expired"
    assert not unchanged["changed"]


def test_a_release_that_expires_while_nothing_changes_is_refused(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    import time

    repo.valid_until = datetime.now(UTC) + timedelta(seconds=4)
    repo.publish(upstream)
    mpsync.ok(*first(mpsync, upstream, keys, "expires"))
    time.sleep(max(0.0, (repo.valid_until - datetime.now(UTC)).total_seconds() + 1.1))

    assert mpsync.fails("sync", "expires")["type"] == "Expired"


def test_an_older_date_is_a_rollback(mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo) -> None:
    mpsync.ok(*first(mpsync, upstream, keys, "rollback"))
    repo.date -= timedelta(days=3)
    repo.add("older")
    repo.publish(upstream)

    error = mpsync.fails("sync", "rollback")

    assert error["type"] == "Rollback"
    assert mpsync.ok("show", "rollback")["version"] == 1


def test_a_rollback_is_found_although_options_changed(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    mpsync.ok(*first(mpsync, upstream, keys, "rollback-options"))
    repo.date -= timedelta(days=3)
    repo.publish(upstream)

    assert mpsync.fails("sync", "rollback-options", "--source")["type"] == "Rollback"


def test_a_date_in_the_future_is_refused(mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo) -> None:
    repo.date = datetime.now(UTC) + timedelta(days=3)
    repo.publish(upstream)

    assert mpsync.fails(*first(mpsync, upstream, keys, "future"))["type"] == "FutureDate"


def test_a_release_with_md5_only_is_refused_by_default(
    mpsync: Command, upstream: Upstream, keys: Path, repo: DebRepo
) -> None:
    import hashlib

    data = repo.files()["main/binary-amd64/Packages.xz"]
    weak = f" {hashlib.md5(data).hexdigest()} {len(data)} main/binary-amd64/Packages.xz"
    repo.release = repo.release.split(b"SHA256:")[0] + f"MD5Sum:\n{weak}\n".encode()
    repo.sign(upstream, KEY)

    assert mpsync.fails(*first(mpsync, upstream, keys, "weak"))["type"] == "WeakDigests"
    assert (
        mpsync.ok(*first(mpsync, upstream, keys, "weak-ok", "--allow-weak-digests"))["content"]["deb.package"]["total"]
        == 1
    )


def test_no_keyring_and_verification_on_is_a_usage_error(mpsync: Command, upstream: Upstream, tmp_path: Path) -> None:
    error = mpsync.fails(
        "sync",
        "deb",
        upstream.url,
        "--suite",
        "stable",
        "--keyring",
        tmp_path / "missing.gpg",
        "--name",
        "no-keys",
        code=2,
    )

    assert "missing.gpg" in error["message"]
