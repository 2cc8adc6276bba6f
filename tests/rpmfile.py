"""Small RPM packages made by hand: lead, signature header, header, payload; signed by pysequoia, or not."""

from __future__ import annotations

import base64
import hashlib
import struct

import pysequoia as pgp

MAGIC = b"\x8e\xad\xe8\x01" + bytes(4)
LEAD = (b"\xed\xab\xee\xdb\x03\x00" + bytes(90))[:96]
RSA, DSA, OPENPGP = 268, 267, 278
INT32, STRING, BIN, STRINGS = 4, 6, 7, 8
PAYLOAD = b"what is installed"


def header(*entries: tuple[int, int, bytes, int]) -> bytes:
    """entries: (tag, type, data, count); data is aligned to four bytes."""
    index, data = b"", b""
    for tag, kind, value, count in entries:
        data += bytes(-len(data) % 4)
        index += struct.pack(">iiii", tag, kind, len(data), count)
        data += value
    return MAGIC + struct.pack(">II", len(entries), len(data)) + index + data


def main_header(name: str = "hello", payload: bytes | None = PAYLOAD) -> bytes:
    """With the payload's digest, unless payload is None."""
    entries = [(1000, STRING, name.encode() + b"\0", 1)]
    if payload is not None:
        entries.append((5092, STRINGS, hashlib.sha256(payload).hexdigest().encode() + b"\0", 1))
        entries.append((5093, INT32, struct.pack(">i", 8), 1))
    return header(*entries)


def signature(data: bytes, key: pgp.Tsk) -> bytes:
    return bytes(pgp.sign(key.signer(), data, mode=pgp.SignatureMode.DETACHED, armor=False))


def issuer(key: pgp.Tsk) -> str:
    """Fingerprint of the key that signs for ``key``: a subkey of it."""
    from pysequoia.packet import PacketPile

    (packet,) = PacketPile.from_bytes(signature(b"", key))
    assert packet.issuer_fingerprint is not None
    return packet.issuer_fingerprint.lower()


def package(
    *signers: pgp.Tsk, name: str = "hello", payload: bytes = PAYLOAD, tag: int = RSA, inner: bytes | None = None
) -> bytes:
    """A package whose header ``signers`` signed; with OPENPGP there may be several."""
    inner = inner if inner is not None else main_header(name, payload)
    found = [signature(inner, key) for key in signers]
    entries: list[tuple[int, int, bytes, int]] = [(1007, INT32, struct.pack(">i", len(payload)), 1)]
    if found and tag == OPENPGP:
        entries.append((tag, STRINGS, b"".join(base64.b64encode(one) + b"\0" for one in found), len(found)))
    elif found:
        entries.append((tag, BIN, found[0], len(found[0])))
    outer = header(*entries)
    return LEAD + outer + bytes(-len(outer) % 8) + inner + payload
