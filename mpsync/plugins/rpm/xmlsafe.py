"""XML from upstream, read record by record with expat: no DTD, no entities, bounded depth, attributes, tokens and
records.

Flow    chunks of UTF-8 -> Record(raw bytes, small tree) for each element directly below the root
Bounds  one record's bytes in memory, whatever the size of the document
Runs    anywhere, children included

A document type declaration is refused where it starts, so before anything of it is expanded (H6). comps.xml is the
exception: the world's comps files name their DTD; that one name is let through, and nothing is loaded: expat has no
loader here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from mpsync.plugin.declare import MetadataError
from mpsync.plugins.rpm.document import RPM, XML, Document
from mpsync.plugins.rpm.xmlrewrite import Rewriter

MAX_DEPTH = 32
MAX_ATTRIBUTES_BYTES = 1 << 16
MAX_TOKEN_BYTES = 4 << 20
"""A tag or comment longer than this is refused: expat before 2.6 reads an unfinished token anew with every chunk."""
MAX_RECORD_BYTES = 32 << 20
"""A package of 400,000 files. Some four copies of a record are in memory at once: tests/acceptance/test_rpm_hostile.py."""
FEED_BYTES = 1 << 18

_COMPS_DOCTYPE = ("comps", "comps.dtd", "-//Red Hat, Inc.//DTD Comps info//EN")
# A '>' may stand inside an attribute's value.
_TAG = re.compile(rb"""<[^<>"']*(?:"[^"]*"[^<>"']*|'[^']*'[^<>"']*)*>""")


@dataclass(slots=True)
class Node:
    """An element.

    name        local name
    space       namespace, "" = none
    attributes  {local name: value}; of another namespace as "prefix:name", so ``xml:base``
    text        its own character data, joined
    offset      bytes from the start of the document; close: of its end tag, or behind an empty tag
    """

    name: str
    space: str
    attributes: dict[str, str]
    offset: int = 0
    close: int = 0
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def child(self, name: str) -> Node | None:
        """The first child of that local name."""
        return next((child for child in self.children if child.name == name), None)

    def all(self, name: str) -> Iterator[Node]:
        return (child for child in self.children if child.name == name)

    def value(self, name: str, default: str = "") -> str:
        """Stripped text of the first child of that name."""
        found = self.child(name)
        return default if found is None else found.text.strip()

    def get(self, name: str, default: str = "") -> str:
        return self.attributes.get(name, default)


@dataclass(slots=True)
class Record:
    """An element directly below the root: byte for byte, and as a tree without the document's ``unread`` elements.

    raw           means the same below the document's usual root
    is_rewritten  the bytes are not upstream's: they used prefixes that only upstream's root declares
    """

    raw: bytes
    node: Node
    is_rewritten: bool = False


class Records:
    """An incremental reader: ``feed()`` chunks and get whole records back; ``close()`` at the end.

    root    the root element once its start tag was read; ``root_end`` is the offset behind it
    raises  MetadataError from feed() and close(); the reader is of no use afterwards
    """

    def __init__(self, document: Document, where: str, *, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self.document, self.where = document, where
        self.root: Node | None = None
        self.root_end = 0
        self.is_usual_root = True
        """Whether the root declares only the usual prefixes: then every record can stand below another root as it
        is."""
        self._max_record_bytes = max_record_bytes
        self._buffer = bytearray()
        self._base = 0  # offset of the buffer's first byte
        self._fed = 0
        self._stack: list[Node | None] = []
        self._texts: list[list[str]] = []
        self._begin: int | None = None
        self._done: list[Record] = []
        self._rewriter: Rewriter | None = None
        self._names: dict[str, tuple[str, str, str]] = {}
        self._declared: list[tuple[str, str]] = []
        self._parser = self._make_parser()

    def _make_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate("utf-8", " ")
        parser.namespace_prefixes = True
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartNamespaceDeclHandler = self._declare
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._refuse_entity
        parser.SkippedEntityHandler = self._refuse_entity
        parser.ExternalEntityRefHandler = self._refuse_entity
        return parser

    # --- chunks in, records out --------------------------------------------------------------------------------

    def feed(self, chunk: bytes) -> list[Record]:
        """Records that are complete now."""
        for at in range(0, len(chunk), FEED_BYTES):
            self._feed(chunk[at : at + FEED_BYTES])
        return self._take()

    def close(self) -> list[Record]:
        """The last records; raises if the document is not complete."""
        self._parse(b"", True)
        return self._take()

    def _feed(self, piece: bytes) -> None:
        self._buffer += piece
        self._fed += len(piece)
        self._parse(piece, False)
        read = self._parser.CurrentByteIndex
        if self._fed - read > MAX_TOKEN_BYTES:
            raise self._error("tag or comment without an end", f"at most {MAX_TOKEN_BYTES} bytes")
        keep = read if self._begin is None else self._begin
        if self._fed - keep > self._max_record_bytes:
            raise self._error("record without an end", f"at most {self._max_record_bytes} bytes")
        if keep > self._base:
            del self._buffer[: keep - self._base]
            self._base = keep

    def _parse(self, piece: bytes, final: bool) -> None:
        try:
            self._parser.Parse(piece, final)
        except expat.ExpatError as exc:
            raise MetadataError(
                self.where, f"not well-formed XML: {exc}", f"a complete <{self.document.root}> document"
            ) from exc

    def _take(self) -> list[Record]:
        done, self._done = self._done, []
        return done

    # --- expat's handlers --------------------------------------------------------------------------------------

    def _start(self, qualified: str, attributes: dict[str, str]) -> None:
        stack, depth = self._stack, len(self._stack)
        if depth >= MAX_DEPTH:
            raise self._error("elements nested too deep", f"at most {MAX_DEPTH} levels")
        if attributes:
            attributes = self._checked(attributes)
        name, space, prefix = self._names.get(qualified) or self._split(qualified)
        if self._rewriter is not None and depth:
            self._rewriter.start(name, space, prefix, attributes, self._declared)
        self._declared.clear()
        if depth > 1 and (stack[-1] is None or name in self.document.unread):
            stack.append(None)  # kept in raw, not read
            return
        node = Node(name, space, attributes, self._parser.CurrentByteIndex)
        if depth > 1:
            stack[-1].children.append(node)  # type: ignore[union-attr]  # None was handled above
        elif depth == 1:
            self._begin = node.offset
        else:
            self._open_root(node)
        stack.append(node)
        self._texts.append([])

    def _end(self, _qualified: str) -> None:
        node = self._stack.pop()
        depth = len(self._stack)
        if self._rewriter is not None and depth:
            self._rewriter.end()
        if node is None:
            return
        node.text = "".join(self._texts.pop())
        node.close = self._parser.CurrentByteIndex
        if depth == 1 and self._begin is not None:
            begin, self._begin = self._begin, None
            end = _end_of(self._buffer, begin - self._base, node.close - self._base)
            with memoryview(self._buffer) as view, view[begin - self._base : end] as part:  # one copy, not two
                raw, rewritten = bytes(part), False
            if self._rewriter is not None:
                new = self._rewriter.finish()
                raw, rewritten = (raw, False) if new is None else (new, True)
            self._done.append(Record(raw, node, rewritten))

    def _text(self, text: str) -> None:
        if self._stack and self._stack[-1] is not None:
            self._texts[-1].append(text)
        if self._rewriter is not None and len(self._stack) > 1:
            self._rewriter.text(text)

    def _declare(self, prefix: str | None, uri: str | None) -> None:
        self._declared.append((prefix or "", uri or ""))
        if not self._stack:
            usual = self.document.space if not prefix else self.document.prefixes.get(prefix)
            if uri != usual:
                self.is_usual_root = False

    def _open_root(self, node: Node) -> None:
        document = self.document
        if node.name != document.root or node.space not in ("", document.space):
            raise MetadataError(
                self.where,
                f"is not a {document.name} file",
                f"<{document.root}> of {document.space or 'no namespace'}",
                f"<{node.name}> of {node.space or 'no namespace'}",
            )
        self.root = node
        tag = _TAG.match(self._buffer, node.offset - self._base)
        assert tag is not None
        self.root_end = self._base + tag.end()
        if not self.is_usual_root:
            self._rewriter = Rewriter(document, is_bare=not node.space)

    def _doctype(self, name: str, system: str | None, public: str | None, has_subset: int) -> None:
        if has_subset or (name, system, public) != _COMPS_DOCTYPE or self.document.name != "comps":
            raise self._error("document type declaration refused", "no DTD")

    def _refuse_entity(self, *_: Any) -> int:
        raise self._error("entity refused", "no entities")

    def _checked(self, attributes: dict[str, str]) -> dict[str, str]:
        if sum(map(len, attributes.values())) > MAX_ATTRIBUTES_BYTES:
            raise self._error("attributes too large", f"at most {MAX_ATTRIBUTES_BYTES} bytes in one element")
        if any(" " in key for key in attributes):
            return {self._attribute(key): value for key, value in attributes.items()}
        return attributes

    def _attribute(self, qualified: str) -> str:
        name, space, prefix = self._split(qualified)
        if space == XML:
            return f"xml:{name}"
        return name if space in ("", RPM, self.document.space) else f"{prefix}:{name}"

    def _split(self, qualified: str) -> tuple[str, str, str]:
        """(local name, namespace, prefix). expat lets no namespace hold the separator."""
        parts = qualified.split(" ")
        found = (parts[0], "", "") if len(parts) == 1 else (parts[1], parts[0], parts[2] if len(parts) > 2 else "")
        if len(self._names) < 1024:
            self._names[qualified] = found
        return found

    def _error(self, problem: str, expected: str) -> MetadataError:
        return MetadataError(self.where, f"{problem} at byte {self._parser.CurrentByteIndex}", expected)


def raw_of(record: Record, node: Node) -> bytes:
    """The bytes of an element inside a record that was not rewritten."""
    start = record.node.offset
    begin = node.offset - start
    return record.raw[begin : _end_of(record.raw, begin, node.close - start)]


def _end_of(text: bytes | bytearray, begin: int, close: int) -> int:
    """Offset behind an element that begins at ``begin``.

    close  where expat saw it end: at its end tag, but behind the tag of ``<a/>``, where another end tag may stand
    """
    if text[close - 2 : close] == b"/>":
        tag = _TAG.match(text, begin)
        if tag is not None and tag.end() == close:
            return close
    tag = _TAG.match(text, close)
    assert tag is not None
    return tag.end()


def read_records(chunks: Iterable[bytes], document: Document, where: str) -> Iterator[Record]:
    """All records of a document of any size. The chunks are UTF-8 (``xmltext.utf8``). Raises MetadataError."""
    reader = Records(document, where)
    for chunk in chunks:
        yield from reader.feed(chunk)
    yield from reader.close()
