"""OpenPGP signatures: only the bytes that a trusted, unexpired key has signed come out of here.

Flow    signed bytes + Keyring -> Verified(the signed bytes, who, when), or a TrustError that says what is wrong
Runs    anywhere, children included; no network, no gpg binary. pysequoia is imported on first use: an unchanged sync
        needs only ``Keyring.digest()`` and the ``key_expires_at`` it remembered

What pysequoia leaves to us: it says "no valid signatures" for an unknown key and for tampering alike; it accepts
keys that have expired; it reads only the first of several signatures; and it skips text around a signed block.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from mpsync.errors import ConfigError, TrustError

if TYPE_CHECKING:
    import pysequoia
    from pysequoia.packet import Packet

_ARMORED_SIGNATURE = re.compile(
    rb"^-----BEGIN PGP SIGNATURE-----[ \t]*\r?\n.*?^-----END PGP SIGNATURE-----[ \t]*\r?$", re.MULTILINE | re.DOTALL
)
# One signed block and nothing else: dash-escaping guarantees that no signed line starts with "-" but "- ".
_CLEARSIGNED = re.compile(
    rb"\s*-----BEGIN PGP SIGNED MESSAGE-----[ \t]*\r?\n"
    rb"(?:Hash:[^\n]*\n)*[ \t]*\r?\n"
    rb"(?P<body>(?:(?!-)[^\n]*\n|- [^\n]*\n)*+)"  # possessive: 64 MB of empty lines are not remembered one by one
    rb"(?P<signature>-----BEGIN PGP SIGNATURE-----[ \t]*\r?\n(?:(?!-)[^\n]*\n)*-----END PGP SIGNATURE-----)\s*"
)
_ARCHIVE_KEYRINGS = ("*-archive-*", "*-archive.*", "*-keyring.*")
_KEY_SUFFIXES = (".gpg", ".asc", ".pgp")


class Unsigned(TrustError):
    """There is no signature."""

    hint = "use another mirror, or --no-verify to take everything on trust"

    def __init__(self, where: str) -> None:
        super().__init__(where, "is not signed")
        self.args = (where,)


class UnsignedText(TrustError):
    """A signed file holds text outside of its one signed block, or a malformed block."""

    hint = "the mirror is broken or somebody tampers with it: try another mirror, or later"

    def __init__(self, where: str) -> None:
        super().__init__(where, "holds text outside of one well-formed signed block")
        self.args = (where,)


class UnknownKey(TrustError):
    """None of the keys that signed is in the keyring: ``key_ids`` is what to look for."""

    hint = "if you trust these keys, give the file that holds them: --keyring FILE"

    def __init__(self, where: str, key_ids: tuple[str, ...]) -> None:
        super().__init__(where, f"is signed by keys that are not in the keyring: {', '.join(key_ids) or 'unnamed'}")
        self.args = (where, key_ids)
        self.key_ids = key_ids


class BadSignature(TrustError):
    """A key of the keyring signed other bytes than these, or in a way that is no longer considered secure."""

    hint = "the mirror is broken or somebody tampers with it: try another mirror, or later"

    def __init__(self, where: str, key_ids: tuple[str, ...]) -> None:
        super().__init__(
            where, f"signature does not fit the bytes, or is too weak (key {', '.join(key_ids) or 'unnamed'})"
        )
        self.args = (where, key_ids)
        self.key_ids = key_ids


class ExpiredKey(TrustError):
    """The signature is good, but its key has expired, or had when it signed."""

    hint = "get the archive's current keys, and give them with --keyring FILE"

    def __init__(self, where: str, fingerprint: str, when: datetime) -> None:
        super().__init__(where, f"key {fingerprint} expired on {when:%Y-%m-%d %H:%M} UTC")
        self.args = (where, fingerprint, when)
        self.fingerprint, self.when = fingerprint, when


class ExpiredSignature(TrustError):
    """The signature itself was made to hold only until ``when``."""

    hint = "the mirror is stale, or upstream's signing stopped: use another mirror, or check the clock"

    def __init__(self, where: str, fingerprint: str, when: datetime) -> None:
        super().__init__(where, f"signature by key {fingerprint} expired on {when:%Y-%m-%d %H:%M} UTC")
        self.args = (where, fingerprint, when)
        self.fingerprint, self.when = fingerprint, when


class RevokedKey(TrustError):
    """The key that signed was revoked by its owner."""

    hint = "upstream has to sign with another key; get the archive's current keys, and give them with --keyring FILE"

    def __init__(self, where: str, fingerprint: str) -> None:
        super().__init__(where, f"key {fingerprint} is revoked")
        self.args = (where, fingerprint)
        self.fingerprint = fingerprint


@dataclass(frozen=True, slots=True)
class Verified:
    """What one good signature vouches for.

    text            the signed bytes, and nothing else: parse only these
    fingerprint     of the certificate (primary key), lowercase hex
    signed_at       when it signed; aware UTC
    key_expires_at  when the certificate or its signing key expires, or the signature, whichever is first; None: never.
                    An unchanged sync is still valid before it
    """

    text: bytes
    fingerprint: str
    signed_at: datetime
    key_expires_at: datetime | None


class Keyring:
    """Certificates we trust, read from files, parsed when first asked for."""

    def __init__(self, contents: Sequence[tuple[str, bytes]]) -> None:
        """contents: (name for errors, file bytes); armored or binary, several certificates each."""
        self._contents = list(contents)
        self._certs: dict[str, pysequoia.Cert] | None = None
        self._key_owner: dict[str, str] = {}

    @classmethod
    def from_files(cls, paths: Iterable[Path | str]) -> Keyring:
        """Read, don't parse. Raises ConfigError for a file that can't be read."""
        contents = []
        for path in paths:
            try:
                contents.append((str(path), Path(path).read_bytes()))
            except OSError as exc:
                raise ConfigError(f"keyring {path}: {exc.strerror}") from exc
        return cls(contents)

    def digest(self) -> str:
        """Hex sha256 over the files' bytes, independent of order and names: has the keyring changed since?"""
        parts = sorted({hashlib.sha256(content).digest() for _, content in self._contents})
        return hashlib.sha256(b"".join(parts)).hexdigest()

    def __bool__(self) -> bool:
        return bool(self._contents)

    @property
    def certs(self) -> dict[str, pysequoia.Cert]:
        """{fingerprint: certificate}; the same certificate from several files is merged. Raises ConfigError."""
        if self._certs is None:
            self._certs = {}
            for name, content in self._contents:
                self._add(name, content, self._certs)
        return self._certs

    @property
    def fingerprints(self) -> list[str]:
        """Of the certificates, sorted."""
        return sorted(self.certs)

    def owner_of(self, issuer: str) -> str | None:
        """Fingerprint of the certificate that holds the key with this fingerprint or 16-digit key id, or None."""
        if self._certs is None:
            _ = self.certs
        return self._key_owner.get(issuer.lower()) or self._key_owner.get(issuer.lower()[-16:])

    def _add(self, name: str, content: bytes, certs: dict[str, pysequoia.Cert]) -> None:
        import pysequoia

        if content[8:12] == b"KBXf":
            raise ConfigError(f"keyring {name}: is a GnuPG keybox; export it with gpg --export")
        try:
            found = pysequoia.Cert.split_bytes(content)
        except RuntimeError as exc:
            raise ConfigError(f"keyring {name}: {_first_line(exc)}") from exc
        if not found:
            raise ConfigError(f"keyring {name}: holds no OpenPGP certificate")
        for cert in found:
            fingerprint = cert.fingerprint
            certs[fingerprint] = certs[fingerprint].merge(cert) if fingerprint in certs else cert
            for packet in _packets(bytes(cert)):
                if packet.key_id is not None and packet.fingerprint is not None:
                    self._key_owner[packet.key_id.lower()] = fingerprint
                    self._key_owner[packet.fingerprint.lower()] = fingerprint


def verify_inline(data: bytes, keyring: Keyring, now: datetime, *, where: str = "InRelease") -> Verified:
    """Verify a clearsigned file such as InRelease.

    now      aware UTC; the keys must be valid then, and when they signed (as apt asks for)
    raises   Unsigned, UnsignedText, UnknownKey, BadSignature, ExpiredKey, ExpiredSignature, RevokedKey
    """
    if b"-----BEGIN PGP SIGNED MESSAGE-----" not in data:
        raise Unsigned(where)
    shape = _CLEARSIGNED.fullmatch(data)
    if shape is None:
        raise UnsignedText(where)
    import pysequoia

    signatures = _signatures(shape["signature"] + b"\n", where)
    try:
        result = pysequoia.verify(bytes=data, store=lambda _: list(keyring.certs.values()))
    except RuntimeError as exc:
        raise _reason(signatures, keyring, where) from exc
    good = {valid.signing_key.lower() for valid in result.valid_sigs}
    fitting = [s for s in signatures if any(_issuer(s) and key.endswith(_issuer(s)[-16:]) for key in good)]
    assert result.bytes is not None
    return _first_current(result.bytes, fitting, signatures, keyring, now, where)


def verify_detached(
    data: bytes, signature: bytes, keyring: Keyring, now: datetime, *, where: str = "Release.gpg"
) -> Verified:
    """Verify ``data`` against a signature file with one or more signatures, armored or binary; one good one is enough.

    raises  as ``verify_inline``
    """
    import pysequoia

    if not signature.strip():
        raise Unsigned(where)
    signatures = _signatures(signature, where)
    good = []
    for packet in signatures:
        try:
            pysequoia.verify(
                bytes=data,
                store=lambda _: list(keyring.certs.values()),
                signature=pysequoia.Sig.from_bytes(bytes(packet)),
            )
        except RuntimeError:
            continue
        good.append(packet)
    if not good:
        raise _reason(signatures, keyring, where)
    return _first_current(data, good, signatures, keyring, now, where)


def default_keyrings(distribution: str | None = None) -> list[Path]:
    """Keyrings of distributions found on this machine, sorted.

    distribution  ``debian``, ``ubuntu``, …: only files whose name starts so; ``rpm``: /etc/pki/rpm-gpg; None: every
                  archive keyring
    What apt trusts for any repository (/etc/apt/trusted.gpg.d) counts whole; from /usr/share/keyrings and
    /etc/apt/keyrings only archive
    keyrings count, since other keys there are meant for one repository each. Keyrings of removed keys never count.
    """
    if distribution == "rpm":
        return sorted(path for path in _listed(Path("/etc/pki/rpm-gpg")) if not path.is_symlink())
    found = [path for path in _listed(Path("/etc/apt/trusted.gpg.d")) if path.suffix in _KEY_SUFFIXES]
    for folder in ("/usr/share/keyrings", "/etc/apt/keyrings"):
        found += [path for path in _listed(Path(folder)) if path.suffix in _KEY_SUFFIXES and _is_archive(path)]
    kept = [path for path in found if "removed" not in path.name]
    if distribution is not None:
        kept = [path for path in kept if path.name.lower().startswith(distribution.lower())]
    return sorted(kept)


def _is_archive(path: Path) -> bool:
    return any(path.match(pattern) for pattern in _ARCHIVE_KEYRINGS)


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_file()]
    except OSError:
        return []


def _packets(data: bytes) -> list[Packet]:
    from pysequoia.packet import PacketPile

    return list(PacketPile.from_bytes(data))


def _signatures(data: bytes, where: str) -> list[Packet]:
    """Every signature packet of an armored (several blocks) or binary file. Raises Unsigned, UnsignedText."""
    from pysequoia.packet import Tag

    armored = [match[0] + b"\n" for match in _ARMORED_SIGNATURE.finditer(data)]
    found: list[Packet] = []
    for piece in armored or [data]:
        try:
            found += [packet for packet in _packets(piece) if packet.tag == Tag.Signature]
        except RuntimeError as exc:
            raise UnsignedText(where) from exc
    if not found:
        raise Unsigned(where)
    return found


def _issuer(packet: Packet) -> str:
    return (packet.issuer_fingerprint or packet.issuer_key_id or "").lower()


def _reason(signatures: list[Packet], keyring: Keyring, where: str) -> TrustError:
    """Why no signature is good: from the issuers they name, since pysequoia doesn't tell."""
    issuers = tuple(dict.fromkeys(_issuer(packet) for packet in signatures if _issuer(packet)))
    known = {issuer: owner for issuer in issuers if (owner := keyring.owner_of(issuer)) is not None}
    if not known:
        return UnknownKey(where, issuers)
    for issuer, owner in known.items():
        if _is_revoked(keyring.certs[owner], issuer):
            return RevokedKey(where, owner)
    return BadSignature(where, tuple(known))


def _is_revoked(cert: pysequoia.Cert, issuer: str) -> bool:
    if cert.is_revoked:
        return True
    from pysequoia.packet import SignatureType

    return any(packet.signature_type == SignatureType.SubkeyRevocation for packet in _key_packets(cert, issuer))


def _key_packets(cert: pysequoia.Cert, issuer: str) -> list[Packet]:
    """The packet of the key that ``issuer`` names, and the signature packets behind it."""
    found: list[Packet] = []
    for packet in _packets(bytes(cert)):
        if packet.key_id is not None:
            if found:
                break
            if packet.fingerprint == issuer or packet.key_id.lower() == issuer[-16:]:
                found.append(packet)
        elif found:
            found.append(packet)
    return found


def _first_current(
    text: bytes, good: list[Packet], signatures: list[Packet], keyring: Keyring, now: datetime, where: str
) -> Verified:
    """The good signature whose key lasts longest, if it was valid when it signed and is now."""
    best: Verified | None = None
    refused: TrustError | None = None
    for packet in good:
        owner = keyring.owner_of(_issuer(packet))
        signed_at = packet.signature_created
        if owner is None or signed_at is None:
            continue
        key_end = _key_end(keyring.certs[owner], _issuer(packet))
        signature_end = packet.signature_expiration_time
        if key_end is not None and (key_end <= now or key_end <= signed_at):
            refused = ExpiredKey(where, owner, key_end)
        elif signature_end is not None and signature_end <= now:
            refused = ExpiredSignature(where, owner, signature_end)
        else:
            ends = [end for end in (key_end, signature_end) if end is not None]
            found = Verified(text, owner, signed_at, min(ends) if ends else None)
            if best is None or _lasts_longer(found, best):
                best = found
    if best is not None:
        return best
    raise refused or _reason(signatures, keyring, where)


def _lasts_longer(one: Verified, other: Verified) -> bool:
    if one.key_expires_at is None or other.key_expires_at is None:
        return one.key_expires_at is None and other.key_expires_at is not None
    return one.key_expires_at > other.key_expires_at


def _key_end(cert: pysequoia.Cert, issuer: str) -> datetime | None:
    """When the certificate or the signing key that ``issuer`` names expires, whichever is first."""
    ends = [cert.expiration]
    packets = _key_packets(cert, issuer)
    if packets and cert.fingerprint[-16:] != issuer[-16:]:
        created = packets[0].key_created
        bindings = [packet for packet in packets[1:] if packet.signature_created is not None]
        if created is not None and bindings:
            newest = max(bindings, key=lambda packet: packet.signature_created or created)
            if newest.key_validity_period is not None:
                ends.append(created + newest.key_validity_period)
    known = [end for end in ends if end is not None]
    return min(known) if known else None


def _first_line(exc: Exception) -> str:
    return str(exc).split("\n", 1)[0]
