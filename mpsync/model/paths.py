"""Relative paths from upstream are hostile until checked here; nothing else turns one into a URL or a file name."""

from __future__ import annotations

import re

from mpsync.errors import UnsafePath

MAX_PATH_BYTES = 4096

# One scan rejects what a split would have to look for: control characters, a backslash, a scheme, an absolute path,
# and an empty, ``.`` or ``..`` component ('./' may lead, as in flat repositories: callers strip it first).
_UNSAFE = re.compile(
    r"[\x00-\x1f\x7f\\]"
    r"|^[A-Za-z][A-Za-z0-9+.-]*://"
    r"|^[A-Za-z]:/"
    r"|^/"
    r"|(?:^|/)\.{0,2}(?:/|$)"
    r"|%2[fF]|%5[cC]|%00"
    r"|(?:^|/)(?:\.|%2[eE]){2}(?:/|$)"
)


def safe_relative_path(path: str, where: str) -> str:
    """Return ``path`` if it stays below the root it is relative to.

    path    as upstream wrote it, ``/``-separated; not percent-decoded, since we never decode
    where   names the file and record for the error
    raises  UnsafePath
    """
    if not path or len(path) > MAX_PATH_BYTES or _UNSAFE.search(path):
        raise UnsafePath(
            where, "path is not a safe relative path", "a path below the repository root", repr(path[:200])
        )
    return path
