"""Where published files lie, and the XML around raw records. Pure: names and bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr

from mpsync.plugins.rpm.document import PRIMARY, REPOMD, Document
from mpsync.plugins.rpm.xmlsafe import raw_of, read_records

DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
SUFFIXES = {"gz": ".gz", "zstd": ".zst", "none": ""}
_LOCATION = re.compile(rb"<location(?:\s[^<>]*)?/>")


def nested_path(filename: str) -> str:
    """``Packages/l/libc++-1-1.x86_64.rpm``: the layout that large repositories use."""
    return f"Packages/{filename[0].lower()}/{filename}"


def metadata_path(name: str, sha256: str, compression: str) -> str:
    """``repodata/<sha256>-primary.xml.gz``: named by content, so that old generations stay readable."""
    suffix = "yaml" if name == "modules" else "xml"
    return f"repodata/{sha256}-{'comps' if name == 'group' else name}.{suffix}{SUFFIXES[compression]}"


def document_head(document: Document, packages: int | None = None) -> bytes:
    """The XML declaration and the root's start tag; ``packages`` for the three files that count them."""
    root = document.open_tag[:-1] + (b"" if packages is None else b' packages="%d"' % packages) + b">\n"
    return DECLARATION + root


def with_location(raw: bytes, href: str) -> bytes:
    """A ``<package>`` of primary.xml moved to ``href``, without an xml:base; everything else byte for byte."""
    new = f"<location href={quoteattr(href)}/>".encode()
    found = _LOCATION.search(raw)
    # The usual element: the first <location …/>, which nothing but its own parent can hide.
    if found is not None and b"<!" not in raw and b"<?" not in raw and raw.count(b"<location") == 1:
        return raw[: found.start()] + new + raw[found.end() :]
    wrapped = PRIMARY.open_tag + raw + PRIMARY.close_tag
    record = next(read_records([wrapped], PRIMARY, "package"))
    place = record.node.child("location")
    assert place is not None  # refused when it was read
    start = place.offset - record.node.offset
    return raw[:start] + new + raw[start + len(raw_of(record, place)) :]


@dataclass(frozen=True, slots=True)
class RepomdEntry:
    """One file to be named in a repomd.xml. Digests are lowercase hex; open_* None for a file kept as it is."""

    type: str
    href: str
    algorithm: str
    digest: str
    size_bytes: int
    timestamp: int
    open_digest: str | None = None
    open_size_bytes: int | None = None


def repomd_xml(entries: Iterable[RepomdEntry], revision: str, tags: bytes = b"") -> bytes:
    """A whole repomd.xml. ``tags``: upstream's ``<tags>`` element, or nothing."""
    lines = [f"  <revision>{escape(revision)}</revision>"]
    if tags:
        lines.append("  " + tags.decode())
    for entry in entries:
        kind = quoteattr(entry.algorithm)
        lines.append(f"  <data type={quoteattr(entry.type)}>")
        lines.append(f"    <checksum type={kind}>{entry.digest}</checksum>")
        if entry.open_digest is not None:
            lines.append(f"    <open-checksum type={kind}>{entry.open_digest}</open-checksum>")
        lines.append(f"    <location href={quoteattr(entry.href)}/>")
        lines.append(f"    <timestamp>{entry.timestamp}</timestamp>")
        lines.append(f"    <size>{entry.size_bytes}</size>")
        if entry.open_size_bytes is not None:
            lines.append(f"    <open-size>{entry.open_size_bytes}</open-size>")
        lines.append("  </data>")
    return document_head(REPOMD) + "\n".join(lines).encode() + b"\n" + REPOMD.close_tag + b"\n"
