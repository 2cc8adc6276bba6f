"""``--header``: request headers for the upstream's own host."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mpsync.errors import ConfigError

_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
"""source: RFC 9110 5.1 and 5.5"""

OURS = frozenset(
    (
        "accept-encoding",
        "connection",
        "content-length",
        "host",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "range",
    )
    + ("te", "transfer-encoding", "upgrade")
)
"""Headers that the transfer itself depends on."""


def headers_of(given: Iterable[str]) -> dict[str, str]:
    """``["X-Token: abc", "@file"]`` -> {name: value}; of one name the last counts.

    raises  ConfigError; it names the header and never its value
    """
    found: dict[str, str] = {}
    for number, text in enumerate(_lines(given), 1):
        match = _HEADER.fullmatch(text)
        if match is None:
            raise ConfigError(f"--header, number {number}: expected NAME: VALUE")
        name, value = match[1], match[2].strip()
        if name.lower() in OURS:
            raise ConfigError(f"--header {name}: is ours to set")
        found[name] = value
    return found


def _lines(given: Iterable[str]) -> Iterator[str]:
    for text in given:
        if not text.startswith("@"):
            yield text
            continue
        try:
            lines = Path(text[1:]).read_text().splitlines()
        except (OSError, UnicodeDecodeError) as exc:
            raise ConfigError(f"--header {text}: {exc}") from exc
        yield from (line for line in lines if line.strip())
