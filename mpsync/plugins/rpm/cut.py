"""Where the XML of packages may be cut, and how pieces prove that the cuts were right.

A cut at ``</package>`` is a guess. In well-formed XML the bytes ``<`` and ``</package>`` are markup, except inside a
comment, a CDATA section or a processing instruction; so a text without ``<!`` and ``<?`` behind its root tag has a
real end tag at every cut, provided that it is well-formed, which expat says of each piece between the usual root's
tags (``is_well_formed``). What doesn't pass is read in sequence (packages.py).
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from xml.parsers import expat

from mpsync.plugin.declare import MetadataError
from mpsync.plugins.rpm.document import Document
from mpsync.plugins.rpm.xmlsafe import MAX_RECORD_BYTES, Records
from mpsync.plugins.rpm.xmltext import encoding_of

BLOCK_BYTES = 1 << 19
CLOSE = b"</package>"
HEAD_BYTES = 1 << 16
"""The root's start tag must end before."""

_PACKAGES = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, slots=True)
class Outline:
    """What the head of a file says.

    first      offset behind the root's start tag
    packages   the root's packages attribute; None when it is missing or no number
    can_cut    UTF-8, and the root declares only the usual prefixes
    """

    first: int
    packages: int | None
    can_cut: bool


def outline(head: bytes, document: Document, where: str) -> Outline:
    """Read the start of a file, as expat reads it. ``head`` is the file's first HEAD_BYTES, or all of it.

    raises  MetadataError: not this kind of file, a DTD, an encoding we don't read
    """
    encoding, mark_bytes = encoding_of(head, where)
    can_cut = encoding in ("utf-8", "ascii") and not mark_bytes
    if not can_cut:
        return Outline(0, None, False)
    reader = Records(document, where)
    # In small steps: what stands behind the root's tag is not to be parsed here.
    for at in range(0, len(head), 512):
        reader.feed(head[at : at + 512])
        if reader.root is not None:
            break
    if reader.root is None:
        raise MetadataError(where, f"no <{document.root}> in the first {len(head)} bytes")
    is_empty = head[: reader.root_end].endswith(b"/>")
    return Outline(reader.root_end, package_count(reader.root.get("packages")), reader.is_usual_root and not is_empty)


def package_count(text: str) -> int | None:
    """The root's packages attribute as a number."""
    return int(text) if _PACKAGES.fullmatch(text) else None


def is_plain(text: bytes | mmap.mmap, start: int = 0) -> bool:
    """Whether ``text`` has no comment, CDATA section, processing instruction or declaration from ``start`` on."""
    return not _has(text, b"!", start) and not _has(text, b"?", start)


def _has(text: bytes | mmap.mmap, mark: bytes, start: int) -> bool:
    # A search for one byte is a memchr, ten times as fast as one for two; but it must not stop too often.
    for _ in range(64):
        found = text.find(mark, start)
        if found < 0:
            return False
        if found and text[found - 1 : found] == b"<":
            return True
        start = found + 1
    return text.find(b"<" + mark, start) >= 0


def is_well_formed(block: bytes, document: Document) -> bool:
    """expat's word on a run of whole records."""
    parser = expat.ParserCreate("utf-8", " ")
    try:
        parser.Parse(document.open_tag, False)
        parser.Parse(block, False)
        parser.Parse(document.close_tag, True)
    except expat.ExpatError:
        return False
    return True


def blocks(
    chunks: Iterable[bytes], where: str, *, block_bytes: int = BLOCK_BYTES, max_record_bytes: int = MAX_RECORD_BYTES
) -> Iterator[tuple[bytes, bool]]:
    """Regroup chunks into runs of whole packages of about ``block_bytes``.

    yields  (block, False) that ends with ``</package>``, and at last (tail, True): what follows the last one
    raises  MetadataError for a package larger than ``max_record_bytes``
    """
    held: list[bytes] = []
    size = 0
    aim = block_bytes
    for chunk in chunks:
        # Looked for in the chunk first: then the long part of a block is copied once. An end tag that lies across two
        # chunks is found when they are joined.
        end = chunk.rfind(CLOSE) if size + len(chunk) >= aim else -1
        if end >= 0:
            end += len(CLOSE)
            yield b"".join((*held, memoryview(chunk)[:end])), False
            held, size, aim = [chunk[end:]], len(chunk) - end, block_bytes
            continue
        held.append(chunk)
        size += len(chunk)
        if size < aim:
            continue
        text = b"".join(held)
        end = text.rfind(CLOSE)
        if end >= 0:
            end += len(CLOSE)
            rest, text = text[end:], text[:end]
            yield text, False  # bound to the name, so that a giant is not here twice
            text, aim = rest, block_bytes
        elif size > max_record_bytes:
            raise MetadataError(where, "package without an end", f"at most {max_record_bytes} bytes")
        else:
            aim = min(size * 2, max_record_bytes + 1)  # a giant is joined log(n) times, not once a chunk
        held, size = [text], len(text)
    text = b"".join(held)
    end = text.rfind(CLOSE)
    if end >= 0:
        yield text[: end + len(CLOSE)], False
        text = text[end + len(CLOSE) :]
    yield text, True


def cut_points(text: bytes | mmap.mmap, document: Document, where: str, parts: int) -> list[int]:
    """Offsets that cut a whole uncompressed file into at most ``parts`` ranges: ``[0, …, len(text)]``.

    Each range but the last ends behind a ``</package>``. One range only when the file must be read in sequence.
    """
    found = outline(bytes(text[:HEAD_BYTES]), document, where)
    if parts < 2 or not found.can_cut or not is_plain(text, found.first):
        return [0, len(text)]
    points = [0]
    for part in range(1, parts):
        aim = max(len(text) * part // parts, points[-1], found.first)
        end = text.find(CLOSE, aim)
        if end >= 0:
            points.append(end + len(CLOSE))
    return [*points, len(text)]
