"""Text of control data -> blocks of whole stanzas -> single raw stanzas, byte for byte.

A stanza ends at an empty line (``\\n`` or ``\\r\\n``). A line of spaces is not empty: it continues the field above,
as apt reads it. A raw stanza is kept exactly as written, without its last line end and the empty lines around it.
Pure and child-safe: bytes in, bytes out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from mmap import mmap

from mpsync.plugin.declare import MetadataError

BLOCK_BYTES = 1 << 20
MAX_STANZA_BYTES = 64 << 20

_GAP = re.compile(rb"\n(?:\r?\n)+")
_FIELD = re.compile(rb"\n([^\s:#][^\s:]*):[ \t]*([^\r\n]*(?:\r?\n[ \t][^\r\n]*)*)")


def blocks(chunks: Iterable[bytes], where: str, *, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
    """Regroup chunks of any size into blocks of whole stanzas, of about ``block_bytes``; a larger stanza is a block
    of its own.

    yields  non-empty bytes that start with a stanza; the empty line after the last one may be missing
    raises  MetadataError for a stanza larger than MAX_STANZA_BYTES: memory stays bounded (H7)
    """
    held: list[bytes] = []
    size = 0
    for chunk in chunks:
        held.append(chunk)
        size += len(chunk)
        if size < block_bytes:
            continue
        text = b"".join(held)
        cut = last_cut(text)
        if cut:
            block = text[:cut].strip(b"\r\n")
            if block:
                yield block
            held = [text[cut:]]
        elif size > MAX_STANZA_BYTES:
            raise MetadataError(where, "stanza without an end", f"at most {MAX_STANZA_BYTES} bytes", f"at least {size}")
        else:
            held = [text]
            block_bytes = max(block_bytes, size * 2)  # a giant is joined log(n) times, not once a chunk
        size = sum(map(len, held))
    block = b"".join(held).strip(b"\r\n")
    if block:
        yield block


def last_cut(text: bytes) -> int:
    """Offset just behind the last empty line of ``text``; 0 when there is none."""
    plain = text.rfind(b"\n\n")
    dos = text.rfind(b"\n\r\n", max(plain, 0))
    return max(plain + 2 if plain >= 0 else 0, dos + 3 if dos >= 0 else 0)


def cut_points(text: bytes | mmap, parts: int) -> list[int]:
    """Offsets that cut ``text`` (bytes or an mmap) into at most ``parts`` ranges of whole stanzas: ``[0, …,
    len(text)]``."""
    points = [0]
    for part in range(1, parts):
        aim = max(len(text) * part // parts, points[-1])
        plain, dos = text.find(b"\n\n", aim), text.find(b"\n\r\n", aim)
        found = [end for end in (plain + 2 if plain >= 0 else 0, dos + 3 if dos >= 0 else 0) if end]
        if found and points[-1] < min(found) < len(text):
            points.append(min(found))
    return [*points, len(text)]


def split_stanzas(block: bytes) -> list[bytes]:
    """Raw stanzas of a block, in order. Stanzas of comments only are dropped."""
    found = _GAP.split(b"\n" + block)
    return [raw for raw in (piece.strip(b"\r\n") for piece in found) if raw and not _is_comment(raw)]


def fields(raw: bytes) -> dict[str, bytes]:
    """Fields of one stanza by lowercase name; a folded value keeps its line ends. The first of duplicates wins.

    For the few stanzas that are looked at whole (Release, tests); the parser of indices reads only what it needs.
    """
    found: dict[str, bytes] = {}
    for name, value in _FIELD.findall(b"\n" + raw):
        found.setdefault(name.decode("latin-1").lower(), value.rstrip(b" \t\r"))
    return found


def _is_comment(raw: bytes) -> bool:
    return raw.startswith(b"#") and all(line.startswith(b"#") for line in raw.split(b"\n"))
