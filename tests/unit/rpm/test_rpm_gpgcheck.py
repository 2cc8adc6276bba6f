"""Package signatures: what is read of a package, and who may have signed it."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
import rpmfile
from debrepo import KEY, OTHER_KEY, keyring

from mpsync.errors import MpsyncError
from mpsync.plugin.openpgp import BadSignature, Keyring, UnknownKey, Unsigned
from mpsync.plugins.rpm.gpgcheck import MAX_HEADER_BYTES, NotAPackage, UnsignedPackage, verify_package


@pytest.fixture
def trusted(tmp_path: Path) -> Keyring:
    return Keyring.from_files([keyring(tmp_path)])


def check(tmp_path: Path, data: bytes, trusted: Keyring, *, has_payload: bool = True) -> str:
    (tmp_path / "one.rpm").write_bytes(data)
    return verify_package(tmp_path / "one.rpm", trusted, "Packages/one.rpm", has_payload=has_payload).fingerprint


@pytest.mark.parametrize("tag", [rpmfile.RSA, rpmfile.DSA, rpmfile.OPENPGP])
def test_a_header_signed_by_a_trusted_key_is_good(tmp_path: Path, trusted: Keyring, tag: int) -> None:
    found = check(tmp_path, rpmfile.package(KEY, tag=tag), trusted)

    assert found in trusted.fingerprints


def test_one_good_signature_of_several_is_enough(tmp_path: Path, trusted: Keyring) -> None:
    assert check(tmp_path, rpmfile.package(OTHER_KEY, KEY, tag=rpmfile.OPENPGP), trusted)


def test_an_unsigned_package_is_named(tmp_path: Path, trusted: Keyring) -> None:
    with pytest.raises(UnsignedPackage, match=r"Packages/one\.rpm: package is not signed"):
        check(tmp_path, rpmfile.package(), trusted)


def test_an_unknown_key_is_named(tmp_path: Path, trusted: Keyring) -> None:
    with pytest.raises(UnknownKey) as caught:
        check(tmp_path, rpmfile.package(OTHER_KEY), trusted)

    assert caught.value.key_ids == (rpmfile.issuer(OTHER_KEY),)


def test_a_changed_header_is_a_bad_signature(tmp_path: Path, trusted: Keyring) -> None:
    with pytest.raises(BadSignature, match=r"Packages/one\.rpm"):
        check(tmp_path, rpmfile.package(KEY).replace(b"hello\0", b"hallo\0"), trusted)


def test_a_changed_payload_under_a_good_signature_is_found(tmp_path: Path, trusted: Keyring) -> None:
    data = rpmfile.package(KEY).replace(rpmfile.PAYLOAD, b"something evil...")

    with pytest.raises(NotAPackage, match="payload's sha256"):
        check(tmp_path, data, trusted)
    assert check(tmp_path, data, trusted, has_payload=False)


def test_an_old_package_without_a_payload_digest_is_judged_by_its_header(tmp_path: Path, trusted: Keyring) -> None:
    assert check(tmp_path, rpmfile.package(KEY, inner=rpmfile.main_header(payload=None)), trusted)


HUGE = struct.pack(">II", 1, MAX_HEADER_BYTES + 1)
HOSTILE = {
    "empty": b"",
    "not a package": b"<html>404</html>" * 20,
    "no signature header": rpmfile.LEAD,
    "a signature header that promises 64 MiB": rpmfile.LEAD + rpmfile.MAGIC + HUGE + bytes(100),
    "many entries": rpmfile.LEAD + rpmfile.MAGIC + struct.pack(">II", 1 << 30, 1) + bytes(100),
    "no entries": rpmfile.LEAD + rpmfile.MAGIC + struct.pack(">II", 0, 0) + bytes(100),
    "all ones": rpmfile.LEAD + rpmfile.MAGIC + b"\xff" * 100,
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_package_is_refused(tmp_path: Path, trusted: Keyring, data: bytes) -> None:
    with pytest.raises(NotAPackage, match=r"Packages/one\.rpm"):
        check(tmp_path, data, trusted)


@pytest.mark.parametrize("kind", [rpmfile.BIN, rpmfile.STRING, rpmfile.STRINGS, rpmfile.INT32])
@pytest.mark.parametrize("offset", [-1, 0, 1 << 30])
@pytest.mark.parametrize("count", [-1, 0, 1, 1 << 30])
@pytest.mark.parametrize("tag", [rpmfile.RSA, rpmfile.OPENPGP])
def test_entries_that_point_outside_are_no_signatures(
    tmp_path: Path, trusted: Keyring, kind: int, offset: int, count: int, tag: int
) -> None:
    outer = rpmfile.MAGIC + struct.pack(">II", 1, 8) + struct.pack(">iiii", tag, kind, offset, count) + b"garbage\0"
    data = rpmfile.LEAD + outer + bytes(-len(outer) % 8) + rpmfile.main_header() + rpmfile.PAYLOAD

    with pytest.raises((UnsignedPackage, Unsigned, NotAPackage, MpsyncError), match=r"Packages/one\.rpm"):
        check(tmp_path, data, trusted)


def test_every_cut_of_a_package_is_refused(tmp_path: Path, trusted: Keyring) -> None:
    data = rpmfile.package(KEY)

    for size in range(0, len(data) - 1, 7):
        with pytest.raises(MpsyncError):
            check(tmp_path, data[:size], trusted)


REAL = (
    Path(os.environ.get("MPSYNC_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data")
    / "rpm" / "createrepo_c" / "tests" / "testdata" / "packages"
)  # fmt: skip


if REAL.exists():

    @pytest.mark.parametrize("path", sorted(REAL.glob("*.rpm")), ids=lambda path: path.name)
    def test_real_packages_are_read(path: Path, trusted: Keyring) -> None:
        is_signed = "-signed-" in path.name

        with pytest.raises(UnknownKey if is_signed else UnsignedPackage):
            verify_package(path, trusted, path.name)
