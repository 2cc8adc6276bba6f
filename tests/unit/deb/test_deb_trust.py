"""Which top file is believed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mpsync.plugin.openpgp import BadSignature, Keyring, Unsigned, UnsignedText
from mpsync.plugins.deb.trust import NoLongerSigned, NoRelease, trusted_release, unwrapped

ROOT = Path(__file__).parents[2] / "data" / "sample-deb"
SUITE = ROOT / "dists" / "sample"
INRELEASE, RELEASE, GPG = ((SUITE / name).read_bytes() for name in ("InRelease", "Release", "Release.gpg"))
NOW = datetime.now(UTC)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.from_files([ROOT / "keyring.gpg"])


def test_the_shipped_sample_is_signed_for_ever(keyring: Keyring) -> None:
    trusted = trusted_release(INRELEASE, None, None, keyring, NOW, where="sample")

    assert trusted.text.rstrip() == RELEASE.rstrip()
    assert trusted.verified is not None
    assert trusted.verified.key_expires_at is None


def test_inrelease_wins_over_a_release_of_another_generation(keyring: Keyring) -> None:
    trusted = trusted_release(INRELEASE, b"Suite: other\n", b"", keyring, NOW, where="sample")

    assert trusted.name == "InRelease"


def test_release_needs_its_signature(keyring: Keyring) -> None:
    assert trusted_release(None, RELEASE, GPG, keyring, NOW, where="sample").text == RELEASE
    with pytest.raises(Unsigned):
        trusted_release(None, RELEASE, None, keyring, NOW, where="sample")
    with pytest.raises(BadSignature):
        trusted_release(None, RELEASE + b"X: y\n", GPG, keyring, NOW, where="sample")


def test_a_suite_that_was_signed_may_not_become_unsigned(keyring: Keyring) -> None:
    with pytest.raises(NoLongerSigned):
        trusted_release(None, RELEASE, None, keyring, NOW, where="sample", was_signed=True)
    with pytest.raises(NoLongerSigned):
        trusted_release(RELEASE, None, None, keyring, NOW, where="sample", was_signed=True)


def test_a_broken_inrelease_is_not_worked_around_with_release(keyring: Keyring) -> None:
    with pytest.raises(UnsignedText):
        trusted_release(b"evil\n" + INRELEASE, RELEASE, GPG, keyring, NOW, where="sample")


def test_a_suite_without_any_top_file_is_an_error(keyring: Keyring) -> None:
    with pytest.raises(NoRelease, match="neither") as caught:
        trusted_release(None, None, None, keyring, NOW, where="sample")
    assert caught.value.details()["expected"] == "InRelease, or Release with Release.gpg"
    assert "--suite" in (caught.value.hint or "")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_without_verification_the_text_is_still_unwrapped() -> None:
    assert trusted_release(INRELEASE, None, None, None, NOW, where="sample").text == RELEASE
    assert unwrapped(RELEASE) == RELEASE
    assert unwrapped(INRELEASE.replace(b"Origin:", b"- -Origin:")).startswith(b"-Origin:")
