"""Whatever encoding an XML file is in, what leaves here is UTF-8 without a byte order mark.

Records are kept as bytes and published side by side, so they need one encoding. expat is told "utf-8" and no longer
asks the declaration.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator

from mpsync.plugin.declare import MetadataError

_DECLARED = re.compile(rb"""\A\s*<\?xml\s[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_UTF8 = frozenset(("utf-8", "ascii"))
_ACCEPTED = frozenset(("iso8859-1", "iso8859-2", "iso8859-15", "cp1250", "cp1252", "koi8-r", "euc_jp", "shift_jis"))


def encoding_of(head: bytes, where: str) -> tuple[str, int]:
    """(Python's name of the encoding, bytes of the mark to be skipped) of a document that starts with ``head``.

    raises  MetadataError for an encoding that we don't read
    """
    for mark, encoding in _BOMS:
        if head.startswith(mark):
            return encoding, len(mark)
    found = _DECLARED.match(head)
    if found is None:
        return "utf-8", 0
    try:
        encoding = codecs.lookup(found[1].decode("ascii")).name
    except LookupError:
        encoding = ""
    if encoding not in _UTF8 and encoding not in _ACCEPTED:
        raise MetadataError(where, "unknown encoding", "UTF-8", repr(found[1])[1:])
    return encoding, 0


def utf8(chunks: Iterable[bytes], where: str) -> Iterator[bytes]:
    """The same text in UTF-8. Raises MetadataError where bytes are not of the declared encoding."""
    rest = iter(chunks)
    head = b""
    for chunk in rest:
        head += chunk
        if len(head) >= 256:
            break
    encoding, skip = encoding_of(head, where)
    if encoding in _UTF8:
        if head[skip:]:
            yield head[skip:]
        yield from rest
        return
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    try:
        yield decoder.decode(head[skip:]).encode()
        for chunk in rest:
            yield decoder.decode(chunk).encode()
        yield decoder.decode(b"", True).encode()
    except UnicodeError as exc:
        raise MetadataError(where, f"bytes that are not {encoding}: {exc}") from exc
