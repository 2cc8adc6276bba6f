"""Columns of raw attribute values become checked, typed columns: whole column at a time, row by row only where it
must be.

Each checker takes values as they stand in the XML, entities already replaced, and returns (typed column, {row:
problem code and text}). A column that fails the fast test is walked row by row; both ways accept the same values.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence

from mpsync.plugin.declare import MAX_PATH_BYTES, UnsafePath, safe_relative_path
from mpsync.plugins.rpm import issues

Problems = dict[int, tuple[str, str]]

_ALNUM = string.ascii_letters + string.digits
_PLAIN_WORD = (_ALNUM + "+-._~^:").encode()
_PLAIN_PATH = (_ALNUM + "+-._~^/=,@").encode()
_HTTP = re.compile(r"https?://[^/\s\\@]+(?:/|\Z)")
MAX_WORD_CHARACTERS = 1024
MAX_SIZE_DIGITS = 18

HEX_LENGTHS = {"sha256": 64, "sha512": 128, "sha384": 96, "sha224": 56, "sha1": 40, "md5": 32}
ALGORITHMS = {**{name: name for name in HEX_LENGTHS}, "sha": "sha1"}
"""Checksum types as createrepo writes them -> hashlib's names: ``sha`` is sha1."""


def words(values: Sequence[bytes], what: str) -> tuple[list[str], Problems]:
    """Names, versions, releases, architectures: not empty, no space, no slash, no control character."""
    joined = b"\n".join(values)
    found = joined.decode("utf-8").split("\n")
    is_plain = (
        not joined.translate(None, _PLAIN_WORD + b"\n") and all(values) and max(map(len, values), default=0) < 256
    )
    if is_plain and len(found) == len(values):
        return found, {}
    found = [value.decode("utf-8") for value in values]
    problems: Problems = {}
    for row, value in enumerate(found):
        if not is_word(value):
            problems[row] = (issues.WORD_ODD if value else issues.INCOMPLETE, f"{what} {value[:100]!r}")
    return found, problems


def is_word(value: str) -> bool:
    """Whether ``value`` can be a part of a file name: a NEVRA becomes one."""
    return (
        bool(value)
        and len(value) <= MAX_WORD_CHARACTERS
        and value.isprintable()
        and " " not in value
        and "/" not in value
        and "\\" not in value
    )


def is_label(value: str) -> bool:
    """Whether ``value`` can be what a unit is known by: an advisory's id, a group's, a module's name."""
    return bool(value) and len(value) <= MAX_WORD_CHARACTERS and value.isprintable()


def numbers(values: Sequence[bytes], what: str) -> tuple[list[int], Problems]:
    """Sizes and times; a value that is not a number is 0 and a problem."""
    if b"".join(values).isdigit() and all(values) and max(map(len, values)) <= MAX_SIZE_DIGITS:
        return list(map(int, values)), {}
    found: list[int] = []
    problems: Problems = {}
    for row, value in enumerate(values):
        stripped = value.strip()
        is_number = stripped.isdigit() and len(stripped) <= MAX_SIZE_DIGITS
        found.append(int(stripped) if is_number else 0)
        if not is_number:
            problems[row] = (issues.SIZE_ODD, f"{what} {value[:60]!r}")
    return found, problems


def checksums(
    values: Sequence[bytes], types: Sequence[bytes], accepted: frozenset[str]
) -> tuple[list[bytes], list[str], Problems]:
    """(digests as raw bytes, algorithms, problems). Algorithms not in ``accepted`` are a problem."""
    kinds = set(types)
    if len(kinds) == 1:
        algorithm = ALGORITHMS.get(next(iter(kinds)).decode("utf-8"), "")
        joined = b"".join(values)
        if algorithm in accepted and set(map(len, values)) == {HEX_LENGTHS[algorithm]} and joined.isalnum():
            try:
                run = bytes.fromhex(joined.decode("ascii"))
            except ValueError:
                pass
            else:
                step = HEX_LENGTHS[algorithm] // 2
                return [run[at : at + step] for at in range(0, len(run), step)], [algorithm] * len(values), {}
    digests: list[bytes] = []
    algorithms: list[str] = []
    problems: Problems = {}
    for row, (value, kind) in enumerate(zip(values, types, strict=True)):
        name = kind.decode("utf-8", "replace").strip().lower()
        algorithm = ALGORITHMS.get(name, name)
        digest = hex_digest(value, algorithm)
        digests.append(digest or b"")
        algorithms.append(algorithm)
        if digest is None:
            problems[row] = (issues.CHECKSUM_ODD, f"checksum {name[:20]} {value[:140]!r}")
        elif algorithm not in accepted:
            problems[row] = (issues.CHECKSUM_WEAK, f"checksum type {name}")
    return digests, algorithms, problems


def hex_digest(value: bytes, algorithm: str) -> bytes | None:
    """A digest's bytes; None when it is not a digest of that algorithm."""
    stripped = value.strip()
    if len(stripped) != HEX_LENGTHS.get(algorithm) or not stripped.isalnum():
        return None
    try:
        return bytes.fromhex(stripped.decode("ascii"))
    except ValueError:
        return None


def locations(values: Sequence[bytes]) -> tuple[list[str], Problems]:
    """Locations below the repository's root."""
    joined = b"\n".join((b"", *values, b""))
    if (
        not joined.translate(None, _PLAIN_PATH + b"\n")
        # A component that starts with a dot, an empty one, an absolute path, a trailing slash, an empty value.
        and not any(odd in joined for odd in (b"/.", b"//", b"\n/", b"\n.", b"/\n", b"\n\n"))
        and max(map(len, values), default=0) <= MAX_PATH_BYTES
    ):
        plain = joined[1:-1].decode("ascii").split("\n")
        if len(plain) == len(values):  # none of them holds a line end
            return plain, {}
    found: list[str] = []
    problems: Problems = {}
    for row, value in enumerate(values):
        try:
            found.append(location(value.decode("utf-8")))
        except UnsafePath:
            found.append("")
            code = issues.LOCATION_UNSAFE if value.strip() else issues.INCOMPLETE
            problems[row] = (code, f"location {value[:200]!r}")
    return found, problems


def is_http(url: str) -> bool:
    """Whether an ``xml:base`` is something that we would fetch from at all; which hosts is the policy's matter."""
    return _HTTP.match(url) is not None


def location(href: str) -> str:
    """A ``location href`` as a path below the root; a leading ``./`` is dropped. Raises UnsafePath."""
    path = href
    while path.startswith("./"):
        path = path[2:]
    return safe_relative_path(path, "location")
