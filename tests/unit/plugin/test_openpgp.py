"""Signatures: one good one is enough, and only the signed bytes come back. Keys are made for each test run."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pysequoia as pgp
import pytest
from pysequoia.packet import PacketPile

from mpsync.errors import ConfigError, TrustError
from mpsync.plugin import openpgp
from mpsync.plugin.openpgp import (
    BadSignature,
    ExpiredKey,
    Keyring,
    RevokedKey,
    UnknownKey,
    Unsigned,
    UnsignedText,
    verify_detached,
    verify_inline,
)

NOW = datetime.now(UTC)
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "debian" / "dists" / "bookworm"
if not Path("/usr/share/keyrings/debian-archive-bookworm-stable.gpg").exists():
    REAL = Path("/nonexistent")
TEXT = b"Origin: sample\n- dashed\nSuite: stable\n"
ALICE, BOB = pgp.Tsk.generate("alice <a@mirror.example>"), pgp.Tsk.generate("bob <b@mirror.example>")
MORTAL = pgp.Tsk.generate("mortal <m@mirror.example>", validity_seconds=7200)


def ring(*keys: pgp.Tsk) -> Keyring:
    return Keyring([("test", bytes(key.extract_certificate())) for key in keys])


def clear(key: pgp.Tsk, text: bytes = TEXT) -> bytes:
    return pgp.sign(key.signer(), text, mode=pgp.SignatureMode.CLEAR)


def detached(key: pgp.Tsk, text: bytes = TEXT, *, armor: bool = True) -> bytes:
    return pgp.sign(key.signer(), text, mode=pgp.SignatureMode.DETACHED, armor=armor)


def test_a_signed_file_gives_its_text_without_dashes() -> None:
    verified = verify_inline(clear(ALICE), ring(ALICE, BOB), NOW)

    assert verified.text == TEXT
    assert verified.fingerprint == ALICE.extract_certificate().fingerprint
    assert abs(verified.signed_at - datetime.now(UTC)) < timedelta(minutes=5)
    assert verified.key_expires_at is None


@pytest.mark.parametrize("armor", [True, False])
def test_one_good_of_several_detached_signatures_is_enough(armor: bool) -> None:
    both = detached(BOB, armor=armor) + detached(ALICE, armor=armor)

    for known in (ALICE, BOB):
        assert verify_detached(TEXT, both, ring(known), NOW).text == TEXT


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data and Debian's keyrings")
@pytest.mark.parametrize("name", ["bookworm-stable", "bookworm-automatic"])
def test_debian_is_verified_by_any_one_of_its_keys(name: str) -> None:
    keyring = Keyring.from_files([f"/usr/share/keyrings/debian-archive-{name}.gpg"])
    release = (REAL / "Release").read_bytes()

    inline = verify_inline((REAL / "InRelease").read_bytes(), keyring, NOW)
    apart = verify_detached(release, (REAL / "Release.gpg").read_bytes(), keyring, NOW)

    assert inline.text.rstrip() == apart.text.rstrip() == release.rstrip()
    assert [inline.fingerprint] == [apart.fingerprint] == keyring.fingerprints
    assert inline.key_expires_at is not None


def test_a_bad_signature_beside_a_good_one_does_no_harm() -> None:
    both = detached(BOB, b"other text") + detached(ALICE)

    assert verify_detached(TEXT, both, ring(ALICE, BOB), NOW).fingerprint == ALICE.extract_certificate().fingerprint


def test_an_unknown_key_is_named() -> None:
    with pytest.raises(UnknownKey) as caught:
        verify_inline(clear(ALICE), ring(BOB), NOW)
    with pytest.raises(UnknownKey):
        verify_detached(TEXT, detached(ALICE), ring(BOB), NOW)

    (issuer,) = caught.value.key_ids
    assert ring(ALICE).owner_of(issuer) == ALICE.extract_certificate().fingerprint


def test_tampering_is_a_bad_signature_not_an_unknown_key() -> None:
    with pytest.raises(BadSignature):
        verify_inline(clear(ALICE).replace(b"stable", b"stabke"), ring(ALICE), NOW)
    with pytest.raises(BadSignature):
        verify_detached(TEXT + b"x", detached(ALICE), ring(ALICE), NOW)


def test_an_expired_key_is_refused_although_the_signature_fits() -> None:
    later = NOW + timedelta(hours=3)

    assert verify_inline(clear(MORTAL), ring(MORTAL), NOW).key_expires_at == MORTAL.extract_certificate().expiration
    with pytest.raises(ExpiredKey) as caught:
        verify_inline(clear(MORTAL), ring(MORTAL), later)
    with pytest.raises(ExpiredKey):
        verify_detached(TEXT, detached(MORTAL), ring(MORTAL), later)
    assert caught.value.fingerprint == MORTAL.extract_certificate().fingerprint
    assert caught.value.when == MORTAL.extract_certificate().expiration


def test_a_lasting_key_outlives_an_expired_one_beside_it() -> None:
    both = detached(MORTAL) + detached(ALICE)

    verified = verify_detached(TEXT, both, ring(MORTAL, ALICE), NOW + timedelta(hours=3))

    assert verified.fingerprint == ALICE.extract_certificate().fingerprint


def test_a_revoked_key_is_refused_by_name() -> None:
    cert = ALICE.extract_certificate()
    key, *rest = PacketPile.from_bytes(bytes(cert))
    (revocation,) = PacketPile.from_bytes(bytes(cert.revoke(ALICE.certifier())))
    revoked = Keyring([("test", bytes(pgp.Cert.from_packets([key, revocation, *rest])))])

    with pytest.raises(RevokedKey):
        verify_inline(clear(ALICE), revoked, NOW)
    with pytest.raises(RevokedKey):
        verify_detached(TEXT, detached(ALICE), revoked, NOW)


@pytest.mark.parametrize(
    "forged",
    [
        pytest.param(lambda signed: b"Origin: evil\n\n" + signed, id="text before"),
        pytest.param(lambda signed: signed + b"Origin: evil\n", id="text after"),
        pytest.param(lambda signed: signed + b"\n" + signed, id="two blocks"),
        pytest.param(lambda signed: signed.replace(b"Hash: SHA512", b"Comment: x"), id="odd header"),
        pytest.param(lambda signed: signed.replace(b"- - dashed", b"- dashed\n-----BEGIN X-----"), id="not escaped"),
        pytest.param(lambda signed: signed[: len(signed) // 2], id="cut short"),
    ],
)
def test_anything_but_one_whole_signed_block_is_refused(forged) -> None:  # type: ignore[no-untyped-def]
    data = forged(clear(ALICE))

    with pytest.raises(UnsignedText):
        verify_inline(data, ring(ALICE), NOW)


def test_spaces_at_line_ends_are_not_part_of_the_signed_text() -> None:
    spaced = clear(ALICE).replace(b"Suite: stable\n", b"Suite: stable   \n")

    assert verify_inline(spaced, ring(ALICE), NOW).text == TEXT


def test_line_ends_of_dos_and_empty_lines_around_are_tolerated() -> None:
    data = b"\r\n" + clear(ALICE).replace(b"\n", b"\r\n") + b"\r\n\r\n"

    assert verify_inline(data, ring(ALICE), NOW).text.replace(b"\r\n", b"\n") == TEXT


def test_no_signature_at_all_is_unsigned() -> None:
    with pytest.raises(Unsigned):
        verify_inline(TEXT, ring(ALICE), NOW)
    for nothing in (b"", b" \n"):
        with pytest.raises(Unsigned):
            verify_detached(TEXT, nothing, ring(ALICE), NOW)


def test_a_signature_file_of_garbage_is_refused() -> None:
    with pytest.raises(TrustError):
        verify_detached(TEXT, b"<html>captive portal</html>", ring(ALICE), NOW)


def test_keyrings_are_binary_or_armored_and_hold_several_certificates(tmp_path: Path) -> None:
    alice, bob = ALICE.extract_certificate(), BOB.extract_certificate()
    (tmp_path / "a.asc").write_text(str(alice) + str(bob))
    (tmp_path / "b.gpg").write_bytes(bytes(alice) + bytes(MORTAL.extract_certificate()))

    keyring = Keyring.from_files([tmp_path / "a.asc", tmp_path / "b.gpg"])

    assert keyring.fingerprints == sorted(key.extract_certificate().fingerprint for key in (ALICE, BOB, MORTAL))


def test_the_digest_changes_with_the_keys_and_not_with_their_order(tmp_path: Path) -> None:
    (tmp_path / "a.gpg").write_bytes(bytes(ALICE.extract_certificate()))
    (tmp_path / "b.gpg").write_bytes(bytes(BOB.extract_certificate()))
    one, two = [tmp_path / "a.gpg", tmp_path / "b.gpg"], [tmp_path / "b.gpg", tmp_path / "a.gpg"]

    assert Keyring.from_files(one).digest() == Keyring.from_files(two).digest()
    assert Keyring.from_files(one).digest() != Keyring.from_files(one[:1]).digest()


@pytest.mark.parametrize("content", [b"", b"junk", b"\0\0\0\x20\x01\x01\0\x02KBXf\0\0"])
def test_a_keyring_without_certificates_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "k.gpg").write_bytes(content)

    with pytest.raises(ConfigError, match=r"k\.gpg"):
        _ = Keyring.from_files([tmp_path / "k.gpg"]).certs
    with pytest.raises(ConfigError, match="missing"):
        Keyring.from_files([tmp_path / "missing.gpg"])


def test_the_errors_survive_pickling() -> None:
    errors = [
        Unsigned("w"),
        UnsignedText("w"),
        UnknownKey("w", ("ab",)),
        BadSignature("w", ("ab",)),
        ExpiredKey("w", "ab", NOW),
        openpgp.ExpiredSignature("w", "ab", NOW),
        RevokedKey("w", "ab"),
    ]
    for error in errors:
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


def test_default_keyrings_leave_out_removed_keys() -> None:
    assert [path for path in openpgp.default_keyrings() if "removed" in path.name] == []
