"""Hostile XML: refused before it costs anything."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest

from mpsync.errors import MetadataError
from mpsync.plugins.rpm import comps, packages, repomd, updateinfo
from mpsync.plugins.rpm.document import COMPS, OTHER, PRIMARY, UPDATEINFO
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import MAX_DEPTH, raw_of, read_records

LAUGHS = b"""<?xml version="1.0"?>
<!DOCTYPE %s [
 <!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">
 <!ENTITY d "&c;&c;&c;&c;&c;&c;&c;&c;&c;&c;"><!ENTITY e "&d;&d;&d;&d;&d;&d;&d;&d;&d;&d;">
]>
<%s>&e;</%s>"""
EXTERNAL = b'<!DOCTYPE %s [<!ENTITY x SYSTEM "file:///etc/passwd">]><%s>&x;</%s>'
DTD = b'<!DOCTYPE %s SYSTEM "http://mirror.example/x.dtd"><%s/><!-- %s -->'


def readers(root: bytes, data: bytes) -> object:
    if root == b"metadata":
        return list(packages.primary("x").read([data]))
    if root == b"filelists":
        return list(packages.filelists("x").read([data]))
    if root == b"repomd":
        return repomd.parse_repomd(data)
    if root == b"comps":
        return comps.parse_comps([data], "x")
    return list(updateinfo.parse_updateinfo([data], "x", Issues()))


@pytest.mark.parametrize("root", [b"metadata", b"filelists", b"repomd", b"comps", b"updates"])
@pytest.mark.parametrize("template", [LAUGHS, EXTERNAL, DTD])
def test_a_document_type_is_refused_before_anything_is_expanded(root: bytes, template: bytes) -> None:
    with pytest.raises(MetadataError, match="document type declaration refused"):
        readers(root, template % (root, root, root))


def test_the_one_name_that_every_comps_file_has_is_let_through() -> None:
    data = b'<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">\n'
    data += b"<comps><group><id>a</id></group></comps>"

    units, tally = comps.parse_comps([data], "x")

    assert [unit.id for unit in units] == ["a"]
    assert not tally


@pytest.mark.parametrize("body", [b"<group><id>&foo;</id></group>", b"<group><id>%foo;</id>&foo;</group>"])
def test_an_entity_below_that_document_type_is_refused(body: bytes) -> None:
    data = b'<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd"><comps>' + body + b"</comps>"

    with pytest.raises(MetadataError, match="entity refused"):
        comps.parse_comps([data], "x")


def test_an_entity_without_a_document_type_is_refused() -> None:
    with pytest.raises(MetadataError, match="undefined entity"):
        list(read_records([b"<updates><update>&foo;</update></updates>"], UPDATEINFO, "x"))


def test_deep_nesting_is_refused() -> None:
    data = b"<updates>" + b"<update>" * MAX_DEPTH

    with pytest.raises(MetadataError, match="nested too deep"):
        list(read_records([data], UPDATEINFO, "x"))


def test_giant_attributes_are_refused() -> None:
    data = b'<updates><update a="' + b"x" * 70_000 + b'"/></updates>'

    with pytest.raises(MetadataError, match="attributes too large"):
        list(read_records([data], UPDATEINFO, "x"))


def endless(start: bytes, piece: bytes) -> Iterator[bytes]:
    yield start
    for _ in range(4000):
        yield piece


@pytest.mark.parametrize(
    ("start", "piece", "problem"),
    [
        (b'<metadata><package a="', b"x" * 65536, "without an end"),
        (b"<metadata><!-- ", b"x" * 65536, "without an end"),
        (b"<metadata><package><name>", b"x" * 65536, "without an end"),
        (b"<metadata><package>", b"<file>/a</file>" * 4096, "without an end"),
        (b"<metadata><package>", b"<a>" * 20_000, "without an end|too deep"),
        (b'<metadata packages="1"', b" " * 65536, "no <metadata>"),
        (b"<!-- ", b"x" * 65536, "no <metadata>"),
    ],
)
def test_what_never_ends_is_refused_in_bounded_memory(start: bytes, piece: bytes, problem: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(MetadataError, match=problem):
            list(packages.primary("x").read(endless(start, piece)))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak < 200 << 20  # of 250 MiB offered as text that has no end; 32 MiB is the largest record


def test_a_large_package_is_read_by_events_and_kept_whole() -> None:
    files = b"".join(b"<file>/usr/share/%d</file>\n" % number for number in range(250_000))
    record = b'<package pkgid="%s" name="a" arch="b"><version epoch="0" ver="1" rel="1"/>' % (b"a" * 64)
    record += files + b"</package>"
    data = b'<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="1">' + record + b"</filelists>"
    assert len(record) > packages.FAST_BLOCK_BYTES

    (block,) = packages.filelists("x").read(data[at : at + 65536] for at in range(0, len(data), 65536))

    assert block.raw_at(0) == record
    assert block.names == ["a"]


def test_a_large_package_that_is_nested_deep_is_refused() -> None:
    deep = b"<a>" * 1_000_000 + b"</a>" * 1_000_000
    data = b'<filelists><package pkgid="aa" name="a" arch="b">' + deep + b"</package></filelists>"

    with pytest.raises(MetadataError, match="nested too deep"):
        list(packages.filelists("x").read(data[at : at + 65536] for at in range(0, len(data), 65536)))


def test_raw_records_are_kept_byte_for_byte() -> None:
    raws = [
        b"<group\n a = '>' ><id>one</id></group >",
        b"<group/>",
        b'<group x="/>"></group>',
        b"<category><id><!-- </category> -->b<![CDATA[</category>]]></id></category>",
        b"<langpacks><match/></langpacks>",
    ]
    data = b"<comps>" + b"\n  ".join(raws) + b"</comps>"

    for size in (1, 3, 1000):
        chunks = (data[at : at + size] for at in range(0, len(data), size))
        assert [record.raw for record in read_records(chunks, COMPS, "x")] == raws


def test_the_bytes_of_an_inner_element_are_found() -> None:
    data = b"<updates><update><a><b/></a><c x='1'/><d>t</d ></update></updates>"

    (record,) = read_records([data], UPDATEINFO, "x")

    assert [raw_of(record, child) for child in record.node.children] == [b"<a><b/></a>", b"<c x='1'/>", b"<d>t</d >"]
    assert raw_of(record, record.node.children[0].children[0]) == b"<b/>"


@pytest.mark.parametrize("document", [PRIMARY, OTHER])
def test_open_and_close_tags_of_a_document_make_a_document(document: object) -> None:
    assert list(read_records([document.open_tag + document.close_tag], document, "x")) == []  # type: ignore[attr-defined,arg-type]
