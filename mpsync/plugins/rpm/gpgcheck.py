"""E6: a package must carry a good signature over its header, by a key of the keyring, before it becomes an artifact.

Flow    batches behind the downloader -> lead, signature header, header read from the file -> verified, or refused
Bounds  one package's headers in memory (2 * MAX_HEADER_BYTES); a payload passes in chunks
Runs    in the main process, in a thread per batch; reads files, no network, no database

source  rpm's "RPM V4 Package format": lead (96 bytes), signature header (padded to 8), header, payload. A header is
magic, two counts, an index of 16-byte entries (tag, type, offset, count) and its data.

What the signature covers is the header; the header holds the payload's digest (since rpm 4.14), which is compared with
the payload of what was just downloaded. A key may have expired since: as for rpm, it must have been valid when it signed.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from mpsync.plugin.declare import Batch, MetadataError, TrustError, UpstreamError
from mpsync.plugin.openpgp import Keyring, Verified, verify_detached
from mpsync.plugin.stages import CoreStage
from mpsync.plugins.rpm import kinds

MAX_HEADER_BYTES = 64 << 20
MAX_ENTRIES = 0xFFFF
MAX_SIGNATURE_BYTES = 1 << 16
MAX_SIGNATURES = 32
_CHUNK_BYTES = 1 << 20

_LEAD_BYTES = 96
_LEAD_MAGIC, _HEADER_MAGIC = b"\xed\xab\xee\xdb", b"\x8e\xad\xe8\x01"
_ENTRY = struct.Struct(">iiii")  # tag, type, offset, count

_DSA, _RSA, _OPENPGP = 267, 268, 278  # RPMSIGTAG_DSA (EdDSA too), RPMSIGTAG_RSA, RPMSIGTAG_OPENPGP
_PAYLOAD_DIGEST, _PAYLOAD_DIGEST_ALGORITHM = 5092, 5093
_ALGORITHMS = {8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224"}  # RFC 9580 9.5
_INT32, _STRING, _BIN, _STRINGS = 4, 6, 7, 8

_WHEN_SIGNED = datetime(1, 1, 1, tzinfo=UTC)
"""As "now" for verify_detached: earlier than any signature, so that only the time of signing counts."""


class UnsignedPackage(TrustError):
    """A package has no signature over its header."""

    hint = "--skip-failed leaves such packages out and reports them; without --gpgcheck they are taken"

    def __init__(self, where: str) -> None:
        super().__init__(where, "package is not signed")
        self.args = (where,)


class NotAPackage(MetadataError):
    """The bytes are not an RPM package."""


@dataclass(frozen=True, slots=True)
class Headers:
    """What a package says of itself.

    signatures  OpenPGP packets, binary, over ``signed``
    signed      the header as it lies in the file, magic included
    payload     (algorithm, hex) of what follows it, or None when the header doesn't say
    payload_at  where it begins
    """

    signatures: list[bytes]
    signed: bytes
    payload: tuple[str, str] | None
    payload_at: int


def read_headers(source: BinaryIO, where: str) -> Headers:
    """The signed parts of a package. Raises NotAPackage."""
    lead = source.read(_LEAD_BYTES)
    if len(lead) < _LEAD_BYTES or not lead.startswith(_LEAD_MAGIC):
        raise NotAPackage(where, "is not an RPM package", "a lead", f"bytes {lead[:8]!r}")
    outer = _Header.read(source, where, "signature header")
    source.read(-len(outer.raw) % 8)
    inner = _Header.read(source, where, "header")
    return Headers(_signatures(outer), inner.raw, _payload_digest(inner), source.tell())


def verify_package(path: Path, keyring: Keyring, where: str, *, has_payload: bool = True) -> Verified:
    """Check a package's file.

    where        its name for errors
    has_payload  compare the payload with the digest in the signed header too; reads the whole file
    raises       UnsignedPackage; NotAPackage; UnknownKey, BadSignature, ExpiredKey, RevokedKey
    """
    with path.open("rb") as source:
        found = read_headers(source, where)
        if not found.signatures:
            raise UnsignedPackage(where)
        verified = verify_detached(found.signed, b"".join(found.signatures), keyring, _WHEN_SIGNED, where=where)
        if has_payload and found.payload is not None:
            _check_payload(source, *found.payload, where)
    return verified


class GpgCheck(CoreStage):
    """Behind ArtifactDownloader: packages that are here pass when their signature is good.

    A package that was stored before is looked at too, but for its payload: who stored it may not have asked.
    """

    def __init__(self, keyring: Keyring) -> None:
        super().__init__()
        self._keyring = keyring

    async def run(self) -> None:
        async for batch in self.columns(minsize=1):
            bad = await asyncio.to_thread(self._refused, batch)
            if not bad:
                await self.put(batch)
                continue
            self._refuse(batch, bad)
            rest = [row for row in range(len(batch)) if row not in bad]
            if rest:
                await self.put(batch.take(rest))

    def _refused(self, batch: Batch) -> dict[int, UpstreamError]:
        """{row: why}; at most one when the first ends the sync."""
        slots, found = batch.slots, dict[int, UpstreamError]()
        for slot, row in enumerate(slots.owner):
            fetched, sha256 = slots.fetched[slot], slots.sha256[slot]
            if batch.kinds[row] != kinds.PACKAGE or row in found:
                continue
            if fetched is None and (not slots.ids[slot] or sha256 is None or slots.deferred[slot]):
                continue
            path = fetched.path if fetched is not None else self.context.blobs.path_of((sha256 or b"").hex())
            try:
                verify_package(path, self._keyring, slots.path[slot], has_payload=fetched is not None)
            except UpstreamError as error:
                found[row] = error
                if self.context.on_failure == "strict":
                    break
        return found

    def _refuse(self, batch: Batch, bad: Mapping[int, UpstreamError]) -> None:
        for row, error in bad.items():
            item = batch.items.get(row)
            if (item.on_failure if item and item.on_failure else self.context.on_failure) == "strict":
                raise error
            for slot in batch.slots.of(row):
                fetched = batch.slots.fetched[slot]
                if fetched is not None:
                    fetched.path.unlink(missing_ok=True)
                    self.context.budget.release(fetched.size_bytes, items=1)
            self.context.progress.skip(batch.describe(row), str(error))
            if item is not None:
                item.content = None
                item.resolve()
                self.context.awaited.discard(item)


class _Header:
    """An RPM header: ``raw``, and its entries by tag."""

    def __init__(self, raw: bytes, entries: dict[int, tuple[int, int, int]], data: memoryview) -> None:
        self.raw, self._entries, self._data = raw, entries, data

    @classmethod
    def read(cls, source: BinaryIO, where: str, what: str) -> _Header:
        intro = source.read(16)
        if len(intro) < 16 or not intro.startswith(_HEADER_MAGIC):
            raise NotAPackage(where, f"has no {what}", "its magic", f"bytes {intro[:8]!r}")
        count, size = struct.unpack_from(">II", intro, 8)
        if not 0 < count <= MAX_ENTRIES or size > MAX_HEADER_BYTES:
            raise NotAPackage(
                where,
                f"{what} too large",
                f"at most {MAX_ENTRIES} entries and {MAX_HEADER_BYTES} bytes",
                f"{count} and {size}",
            )
        body = source.read(count * _ENTRY.size + size)
        if len(body) < count * _ENTRY.size + size:
            raise NotAPackage(where, f"{what} is cut short", f"{count * _ENTRY.size + size} bytes", str(len(body)))
        index = memoryview(body)[: count * _ENTRY.size]
        entries: dict[int, tuple[int, int, int]] = {}
        for tag, kind, offset, number in _ENTRY.iter_unpack(index):
            entries.setdefault(tag, (kind, offset, number))
        return cls(intro + body, entries, memoryview(body)[count * _ENTRY.size :])

    def binary(self, tag: int, most_bytes: int) -> bytes | None:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind != _BIN or not 0 <= offset <= len(self._data) or not 0 < count <= most_bytes:
            return None
        return bytes(self._data[offset : offset + count])

    def strings(self, tag: int, most: int, most_bytes: int) -> list[bytes]:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind not in (_STRING, _STRINGS) or not 0 <= offset <= len(self._data) or not 0 < count <= most:
            return []
        text = bytes(self._data[offset : offset + count * (most_bytes + 1)])
        return text.split(b"\0", count)[:count]

    def number(self, tag: int) -> int | None:
        kind, offset, count = self._entries.get(tag, (0, 0, 0))
        if kind != _INT32 or count < 1 or not 0 <= offset <= len(self._data) - 4:
            return None
        return int.from_bytes(self._data[offset : offset + 4])


def _signatures(header: _Header) -> list[bytes]:
    found = [packet for tag in (_RSA, _DSA) if (packet := header.binary(tag, MAX_SIGNATURE_BYTES)) is not None]
    for text in header.strings(_OPENPGP, MAX_SIGNATURES, MAX_SIGNATURE_BYTES):
        try:
            found.append(base64.b64decode(text, validate=True))
        except binascii.Error:
            continue  # rpm passes over what it can't read too; the others may be good
    return found


def _payload_digest(header: _Header) -> tuple[str, str] | None:
    digests = header.strings(_PAYLOAD_DIGEST, 1, 128)
    number = header.number(_PAYLOAD_DIGEST_ALGORITHM)
    algorithm = _ALGORITHMS.get(8 if number is None else number)
    return (algorithm, digests[0].decode("ascii", "replace").lower()) if digests and algorithm else None


def _check_payload(source: BinaryIO, algorithm: str, want: str, where: str) -> None:
    running = hashlib.new(algorithm)
    while chunk := source.read(_CHUNK_BYTES):
        running.update(chunk)
    if running.hexdigest() != want:
        raise NotAPackage(where, f"payload's {algorithm} is not what the signed header says", want, running.hexdigest())
