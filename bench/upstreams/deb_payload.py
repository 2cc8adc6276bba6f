"""A small real .deb, written straight as ar and tar: dpkg-deb takes it, and 20,000 of them take seconds, not minutes.

source  deb(5), and POSIX ustar. Members are gzip: xz would take a minute more, and random bytes get no smaller
"""

from __future__ import annotations

import hashlib
import random
import struct
import zlib
from collections.abc import Mapping

SMALLEST, LARGEST = 2_000, 87_000
"""Bytes of a .deb, about; sizes are log-uniform between them."""
_MTIME = 1_735_776_000  # 2 January 2025
_BLOCK = 512
_OVERHEAD = 1100  # ar headers, the control part, and the packed tar headers of the data part


def deb(control: Mapping[str, str], draw: random.Random) -> bytes:
    """The package of these control fields; its size and its one big file are drawn."""
    size = int(SMALLEST * (LARGEST / SMALLEST) ** draw.random())
    name = control["Package"]
    blob = draw.randbytes(max(64, size - _OVERHEAD))
    note = f"{name}: made by bench/upstreams\n".encode()
    held = {f"./usr/share/doc/{name}/copyright": note, f"./usr/lib/{name}/data.bin": blob}
    folders = [
        "./",
        "./usr/",
        "./usr/lib/",
        f"./usr/lib/{name}/",
        "./usr/share/",
        "./usr/share/doc/",
        f"./usr/share/doc/{name}/",
    ]
    data = b"".join(_folder(folder) for folder in folders) + b"".join(_file(path, body) for path, body in held.items())
    sums = "".join(f"{hashlib.md5(body).hexdigest()}  {path[2:]}\n" for path, body in held.items())
    text = "".join(f"{field}: {value}\n" for field, value in control.items())
    inner = _folder("./") + _file("./control", text.encode()) + _file("./md5sums", sums.encode())
    members = (
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", _gzip(inner + _END)),
        ("data.tar.gz", _gzip(data + _END, level=1)),
    )
    return b"!<arch>\n" + b"".join(_member(member, body) for member, body in members)


def tarball(root: str, draw: random.Random) -> bytes:
    """A .tar.gz of one folder with one file: what a mirror sees of a source."""
    size = int(SMALLEST * (LARGEST / SMALLEST) ** draw.random())
    folder = f"{root[:80]}/"
    return _gzip(_folder(folder) + _file(f"{folder}data.bin", draw.randbytes(size)) + _END, level=1)


_END = bytes(2 * _BLOCK)


def _member(name: str, body: bytes) -> bytes:
    header = f"{name:<16}{_MTIME:<12}{0:<6}{0:<6}{'100644':<8}{len(body):<10}`\n".encode()
    return header + body + (b"\n" if len(body) % 2 else b"")


def _folder(path: str) -> bytes:
    return _tar_header(path, 0, 0o755, b"5")


def _file(path: str, body: bytes) -> bytes:
    return _tar_header(path, len(body), 0o644, b"0") + body + bytes(-len(body) % _BLOCK)


def _tar_header(path: str, size: int, mode: int, kind: bytes) -> bytes:
    encoded = path.encode()
    if len(encoded) > 100:
        raise ValueError(f"{path}: longer than a plain tar header holds")
    header = bytearray(
        struct.pack(
            "!100s8s8s8s12s12s8sc100s8s32s32s183x",
            encoded,
            b"%07o\0" % mode,
            b"0000000\0",
            b"0000000\0",
            b"%011o\0" % size,
            b"%011o\0" % _MTIME,
            b"        ",
            kind,
            b"",
            b"ustar  \0",
            b"root",
            b"root",
        )
    )
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def _gzip(body: bytes, level: int = 6) -> bytes:
    """Without a name or a time in it: the same bytes every day."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    packed = packer.compress(body) + packer.flush()
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + packed + struct.pack("<II", zlib.crc32(body), len(body))
