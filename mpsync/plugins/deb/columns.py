"""Columns of raw field values become checked, typed columns: whole column at a time, row by row only where it must be.

Each checker takes the values as they stand in the file and returns ``(typed column, {row: problem})``. The
whole-column test is a translate, a join or a fromhex in C; a column that fails it is walked row by row, so that one
odd value costs only its block. Both ways accept the same values: the row check decides, the column test only proves
that no row needs it.

Accepted: names of letters, digits and ``+-._~`` that start with a letter or digit; versions of printable ASCII
without space and slash; architectures of letters, digits, ``-`` and ``_``; sizes of 1 to 18 digits; digests of
exactly their hex length; paths by ``safe_relative_path``, in UTF-8, with any leading ``./`` removed.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from typing import TypeVar

from mpsync.plugin.declare import MAX_PATH_BYTES, UnsafePath, safe_relative_path

T = TypeVar("T")
Problems = dict[int, str]

_ALNUM = (string.ascii_letters + string.digits).encode()
_NAME = _ALNUM + b"+-._~"
_VERSION = bytes(set(range(0x21, 0x7F)) - {0x2F})
_ARCH = _ALNUM + b"-_"
_PLAIN_PATH = _ALNUM + b"+-._~/^=,@"  # no ':' or '%': those are for the careful check
_ODD_START = re.compile(rb"\n(?![A-Za-z0-9])")
_NAME_ROW = re.compile(rb"[A-Za-z0-9][A-Za-z0-9+\-._~]*")
_VERSION_ROW = re.compile(rb"[\x21-\x2e\x30-\x7e]+")
_ARCH_ROW = re.compile(rb"[A-Za-z0-9][A-Za-z0-9_-]*")

_HEX_LENGTH = {"sha256": 64, "sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}
_HEX_ROW = re.compile(rb"[0-9a-fA-F]*")


def names(values: Sequence[bytes]) -> tuple[list[str], Problems]:
    """Package names."""
    return _words(values, _NAME, _NAME_ROW, "Package is not a package name")


def versions(values: Sequence[bytes]) -> tuple[list[str], Problems]:
    """Versions: dpkg asks for a leading digit, published repositories don't always."""
    joined = b"\n".join(values)
    if not joined.translate(None, _VERSION + b"\n") and b"\n\n" not in b"\n" + joined + b"\n":
        found = joined.decode("ascii").split("\n")
        if len(found) == len(values):
            return found, {}
    return _rows(values, lambda value: _word(value, _VERSION_ROW, "Version is not a version"), "")


def architectures(values: Sequence[bytes]) -> tuple[list[str], Problems]:
    """Architectures of binary packages: one word each."""
    return _words(values, _ARCH, _ARCH_ROW, "Architecture is not an architecture")


def sizes(values: Sequence[bytes]) -> tuple[list[int], Problems]:
    """Sizes in bytes."""
    if b"".join(values).isdigit() and all(values) and max(map(len, values)) <= 18:
        return list(map(int, values)), {}
    return _rows(values, size, 0)


def size(value: bytes) -> int:
    """One size. Raises ValueError."""
    stripped = value.strip(b" \t\r")
    if not stripped.isdigit() or len(stripped) > 18:
        raise ValueError(f"Size is not a size: {_shown(value)}")
    return int(stripped)


def sha256s(values: Sequence[bytes]) -> tuple[list[bytes], Problems]:
    """SHA256 values as 32 raw bytes each."""
    joined = b"".join(values)
    if set(map(len, values)) == {64} and joined.isalnum():
        try:
            run = bytes.fromhex(joined.decode("ascii"))
        except ValueError:
            pass
        else:
            return [run[at : at + 32] for at in range(0, len(run), 32)], {}
    return _rows(values, lambda value: bytes.fromhex(digest(value, "sha256")), b"")


def digest(value: bytes, algorithm: str) -> str:
    """One digest as lowercase hex. Raises ValueError."""
    stripped = value.strip(b" \t\r")
    if len(stripped) != _HEX_LENGTH[algorithm] or not _HEX_ROW.fullmatch(stripped):
        raise ValueError(f"{algorithm} is not a digest: {_shown(value)}")
    return stripped.decode("ascii").lower()


def paths(values: Sequence[bytes]) -> tuple[list[str], Problems]:
    """Paths below the repository root."""
    joined = b"\n".join((b"", *values, b""))
    plain = (
        not joined.translate(None, _PLAIN_PATH + b"\n")
        # A component that starts with a dot, an empty one, an absolute path, a trailing slash, an empty value.
        and not any(odd in joined for odd in (b"/.", b"//", b"\n/", b"\n.", b"/\n", b"\n\n"))
        and max(map(len, values), default=0) <= MAX_PATH_BYTES
    )
    if plain:
        found = joined[1:-1].decode("ascii").split("\n")
        if len(found) == len(values):
            return found, {}
    return _rows(values, path, "")


def path(value: bytes) -> str:
    """One path. Raises UnsafePath or ValueError."""
    try:
        text = value.strip(b" \t\r").decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError(f"path is not UTF-8: {_shown(value)}") from None
    while text.startswith("./"):  # flat repositories write ./name.deb
        text = text[2:]
    return safe_relative_path(text, "")


def _words(values: Sequence[bytes], allowed: bytes, row: re.Pattern[bytes], problem: str) -> tuple[list[str], Problems]:
    joined = b"\n".join((b"", *values))
    if not joined.translate(None, allowed + b"\n") and not _ODD_START.search(joined):
        found = joined[1:].decode("ascii").split("\n")
        if len(found) == len(values):
            return found, {}
    return _rows(values, lambda value: _word(value, row, problem), "")


def _word(value: bytes, row: re.Pattern[bytes], problem: str) -> str:
    stripped = value.strip(b" \t\r")
    if not row.fullmatch(stripped):
        raise ValueError(f"{problem}: {_shown(value)}")
    return stripped.decode("ascii")


def _rows(values: Sequence[bytes], convert: Callable[[bytes], T], blank: T) -> tuple[list[T], Problems]:
    found: list[T] = []
    problems: Problems = {}
    for row, value in enumerate(values):
        try:
            found.append(convert(value))
        except UnsafePath as exc:
            problems[row] = f"{exc.problem}: {_shown(value)}"
            found.append(blank)
        except ValueError as exc:
            problems[row] = str(exc)
            found.append(blank)
    return found, problems


def _shown(value: bytes) -> str:
    return repr(value[:200])[1:]
