"""rpm's order of versions, and which packages the newest N per name and architecture are.

source  rpm's rpmvercmp (rpmio/rpmvercmp.c) and rpmVersionCompare as documented in rpm-version(7);
tests/unit/rpm/test_evr.py
        holds rpm's published cases

Segments are runs of ASCII digits or ASCII letters; everything else separates. ``~`` sorts before anything, the end of
the string included; ``^`` after the end of the string, but before any further segment. Digits beat letters; numbers
compare by value, letters by byte; when all segments are equal, the longer string wins.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import NamedTuple

MAX_EPOCH = 2**32 - 1

_TOKENS = re.compile(r"[0-9]+|[A-Za-z]+|~|\^")

_TILDE, _END, _CARET, _ALPHA, _DIGIT = range(5)
"""Ranks of what may stand at one place: ``~`` < the end < ``^`` < letters < digits."""

VersionKey = tuple[tuple[int, int, str], ...]


class EVR(NamedTuple):
    """Epoch, version and release as upstream wrote them."""

    epoch: str
    version: str
    release: str


@lru_cache(maxsize=1 << 16)
def version_key(version: str) -> VersionKey:
    """A sort key of one version or release: ``version_key(a) < version_key(b)`` exactly when rpm says a < b."""
    parts: list[tuple[int, int, str]] = []
    for token in _TOKENS.findall(version):
        if token == "~":
            parts.append((_TILDE, 0, ""))
        elif token == "^":
            parts.append((_CARET, 0, ""))
        elif token[0].isdigit():
            # Numbers of more digits are larger: comparing (length, text) needs no integer of a million digits.
            digits = token.lstrip("0")
            parts.append((_DIGIT, len(digits), digits))
        else:
            parts.append((_ALPHA, 0, token))
    parts.append((_END, 0, ""))
    return tuple(parts)


def rpmvercmp(a: str, b: str) -> int:
    """-1, 0 or 1: how rpm orders two versions or two releases."""
    left, right = version_key(a), version_key(b)
    return (left > right) - (left < right)


def epoch_number(epoch: str | None) -> int | None:
    """The epoch as rpm holds it: missing or empty is 0; None when it is not a number of 32 bits."""
    if not epoch:
        return 0
    if not epoch.isascii() or not epoch.isdigit() or len(epoch) > 10 or int(epoch) > MAX_EPOCH:
        return None
    return int(epoch)


def evr_key(epoch: str | None, version: str, release: str) -> tuple[int, VersionKey, VersionKey]:
    """A sort key of an EVR. An epoch that is not a number is ordered as 0; a missing release is below any."""
    return epoch_number(epoch) or 0, version_key(version), version_key(release) if release else ()


def compare(a: EVR, b: EVR) -> int:
    """-1, 0 or 1: how rpm orders two EVRs."""
    left, right = evr_key(*a), evr_key(*b)
    return (left > right) - (left < right)


def parse_evr(text: str) -> EVR:
    """``[epoch:]version[-release]`` taken apart; a missing part is an empty string."""
    epoch, colon, rest = text.partition(":")
    if not colon or not epoch.isdigit():
        epoch, rest = "", text if not colon or epoch else rest
    version, _, release = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return EVR(epoch, version, release)


def newest(
    names: Sequence[str],
    archs: Sequence[str],
    evrs: Sequence[tuple[str, str, str]],
    keep: int,
    exempt: Iterable[int] = (),
) -> list[int]:
    """Rows of the newest ``keep`` versions of each name and architecture, in their given order.

    evrs    (epoch, version, release) of each row
    keep    how many different EVRs stay; rows of one EVR (a rebuild, two locations) stay or go together
    exempt  rows that stay whatever they are and don't count: modular packages
    """
    spared = set(exempt)
    rows_by_name: dict[tuple[str, str], list[int]] = {}
    for row, name in enumerate(zip(names, archs, strict=True)):
        if row not in spared:
            rows_by_name.setdefault(name, []).append(row)
    for rows in rows_by_name.values():
        if len(rows) <= keep:
            spared.update(rows)
            continue
        keys = {row: evr_key(*evrs[row]) for row in rows}
        wanted = set(sorted(set(keys.values()), reverse=True)[:keep])
        spared.update(row for row in rows if keys[row] in wanted)
    return sorted(spared)
