"""primary, filelists and other: the fast way, the careful way and createrepo_c agree; cuts are right or not made."""

from __future__ import annotations

import mmap
import random
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import createrepo_c as cr
import pytest
import rpm_samples as samples

from mpsync.errors import MetadataError
from mpsync.plugins.rpm import cut, issues, packages, parse_files, parse_primary
from mpsync.plugins.rpm.document import FILELISTS, OTHER, PRIMARY, Document
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import read_records

KINDS: dict[str, tuple[Document, Any]] = {
    "primary": (PRIMARY, parse_primary),
    "filelists": (FILELISTS, parse_files),
    "other": (OTHER, parse_files),
}


def pieces(data: bytes, size: int = 4096) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def read(kind: str, data: bytes | Iterable[bytes], **options: Any) -> tuple[list[tuple[Any, ...]], Issues, Any]:
    """(rows, issues, reader): a row is every field of a package and its raw element."""
    reader = getattr(packages, kind)(f"{kind}.xml", **options)
    tally = Issues()
    rows: list[tuple[Any, ...]] = []
    for block in reader.read(pieces(data) if isinstance(data, bytes) else data):
        rows += rows_of(block)
        tally.merge(block.issues)
    return rows, tally, reader


def rows_of(block: Any) -> list[tuple[Any, ...]]:
    names = ["pkgids", "names", "epochs", "versions", "releases", "archs"]
    if isinstance(block, parse_primary.Primary):
        names += ["checksum_types", "paths", "sizes", "build_times", "header_starts", "header_ends"]
    columns = [getattr(block, name) for name in names]
    raws = [block.raw_at(row) for row in range(len(block))]
    bases = getattr(block, "bases", {})
    return [(*values, bases.get(row, "")) for row, values in enumerate(zip(*columns, raws, strict=True))]


@pytest.fixture
def no_careful(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails the test when a file is not read the fast way."""

    def refuse(*_: object) -> None:
        raise AssertionError("read by events")

    monkeypatch.setattr(parse_primary, "from_records", refuse)
    monkeypatch.setattr(parse_files, "from_records", refuse)


# --- createrepo_c says the same -----------------------------------------------------------------------------------


def by_createrepo_c(data: bytes, folder: Path) -> list[cr.Package]:
    path = folder / "primary.xml"
    path.write_bytes(data)
    found: list[cr.Package] = []
    cr.xml_parse_primary(str(path), pkgcb=lambda one: found.append(one) or True, do_files=True)
    return found


@pytest.mark.usefixtures("no_careful")
def test_every_field_of_primary_is_what_createrepo_c_reads(tmp_path: Path) -> None:
    made = samples.packages(500)
    data = samples.document("primary", [samples.dump("primary", one) for one in made])
    theirs = by_createrepo_c(data, tmp_path)

    rows, tally, reader = read("primary", data)

    assert not tally
    assert reader.count_issue() is None
    expected = [
        (
            bytes.fromhex(one.pkgId),
            one.name,
            one.epoch,
            one.version,
            one.release,
            one.arch,
            one.checksum_type,
            one.location_href,
            one.size_package,
            one.time_build,
            one.rpm_header_start,
            one.rpm_header_end,
            raw,
            one.location_base or "",
        )
        for one, raw in zip(theirs, (samples.dump("primary", one) for one in made), strict=True)
    ]
    assert rows == expected


@pytest.mark.parametrize("kind", ["filelists", "other"])
@pytest.mark.usefixtures("no_careful")
def test_every_raw_record_of_filelists_and_other_holds_what_createrepo_c_reads(kind: str) -> None:
    made = samples.packages(300)
    data = samples.document(kind, [samples.dump(kind, one) for one in made])

    rows, tally, _ = read(kind, data)

    assert not tally
    assert len(rows) == 300
    for row, one in zip(rows, made, strict=True):
        assert row[:6] == (bytes.fromhex(one.pkgId), one.name, one.epoch, one.version, one.release, one.arch)
        (record,) = read_records([KINDS[kind][0].open_tag + row[6] + KINDS[kind][0].close_tag], KINDS[kind][0], "x")
        assert record.raw == samples.dump(kind, one)
        item = b"<file" if kind == "filelists" else b"<changelog"
        assert row[6].count(item) == len(one.files if kind == "filelists" else one.changelogs)


# --- the fast and the careful way agree ---------------------------------------------------------------------------


def careful(kind: str, data: bytes) -> tuple[list[tuple[Any, ...]], Issues]:
    """The same file read by expat's events only."""
    document, module = KINDS[kind]
    records = [one for one in read_records([data], document, f"{kind}.xml") if one.node.name == "package"]
    block = module.from_records(records, f"{kind}.xml")
    return rows_of(block), block.issues


@pytest.mark.parametrize("kind", KINDS)
def test_the_careful_way_reads_what_the_fast_way_reads(kind: str) -> None:
    data = samples.document(kind, [samples.dump(kind, one) for one in samples.packages(200)])

    assert careful(kind, data)[0] == read(kind, data)[0]


MUTATIONS: list[tuple[bytes, bytes]] = [
    (b"<name>", b"<name >"),
    (b"<name>", b"<!-- <name>evil</name> --><name>"),
    (b"<arch>", b"<arch><![CDATA[]]>"),
    (b"<format>", b"<format><name>inner</name>"),
    (b"</format>", b"</format><format/>"),
    (b"</format>", b"</format><name>second</name>"),
    (b"<format>", b"<format><package type='rpm'></package>"),
    (b"<format>", b"<format><format></format></format><format>"),
    (b'type="rpm"', b"type='rpm'"),
    (b'epoch="0"', b""),
    (b'epoch="0"', b'epoch="zero"'),
    (b'ver="1.0" rel="1"', b'rel="1" ver="1.0"'),
    (b'ver="1.0"', b'ver="1&#46;0"'),
    (b"<summary>", b"<summary>&lt;/package&gt;"),
    (b"\n", b"\r\n"),
    (b"\n  <", b"<"),
    (b"</package>", b"</package\n>"),
    (b"</format>", b"</format >"),
    (b"</format>", b"</format></package\t><!-- </format>"),
    (b"<format>", b"<format><formats></formats>"),
    (b"</version>", b"<packages></packages></version>"),
    (b"</file>", b"</file><packages></packages>"),
    (b"</changelog>", b"</changelog><package></package>"),
    (b"</package>", b"</package><!-- </package> -->"),
    (b"<package ", b"<?pi </package> ?><package "),
    (b"<package ", b"<other/><package "),
    (b'href="', b'xml:base="http://mirror.example/base/" href="'),
    (b'href="Packages/', b'href="Packages/a&amp;b/'),
    (b'href="Packages/', b'href="./Packages/'),
    (b'href="Packages/', b'href="../'),
    (b'build="1', b'build=" 1'),
    (b'<size package="', b'<size package="x'),
    (b'pkgid="YES">', b'pkgid="YES">  '),
    (b'<checksum type="sha256"', b'<checksum type="sha"'),
    (b"<rpm:header-range", b"<rpm:other/><rpm:header-range"),
    (b"<file>", b"<file><file>nested</file>"),
    (b"<file>", b"<file>&#xe9;&amp;"),
    (b"arch=", b"\n arch="),
    (b"<name>", b"<name>b\xc3\xa4r"),
    (b"<name>", b"<name>&#xe4;"),
    (b' name="', b' name="&#xe4;'),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("old", "new"), MUTATIONS)
def test_odd_but_well_formed_metadata_reads_the_same_both_ways(kind: str, old: bytes, new: bytes) -> None:
    records = [samples.dump(kind, one) for one in samples.packages(40)]
    mutated = [record.replace(old, new, 1) if number % 5 == 2 else record for number, record in enumerate(records)]
    if old == b"<package ":
        mutated[0] = mutated[0].replace(old, new, 1)
    data = samples.document(kind, mutated)

    try:
        expected, expected_issues = careful(kind, data)
    except MetadataError:
        with pytest.raises(MetadataError):
            read(kind, data)
        return
    rows, tally, _ = read(kind, data)

    assert rows == expected
    tally.by_code.pop(issues.STRAY_ELEMENT, None)
    assert {issue.code: issue.count for issue in tally} == {issue.code: issue.count for issue in expected_issues}


def test_a_thousand_random_edits_are_read_the_same_both_ways_or_refused_by_both() -> None:
    pick = random.Random(4)
    tokens = [b"<", b">", b"/", b'"', b"&", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"</package>", b"<package", b" "]
    tokens += [b"</format>", b"<format>", b"\n", b"x", b"&amp;", b"<name>", b"</name>"]
    data = samples.document("primary", [samples.dump("primary", one) for one in samples.packages(6)])
    agreed = 0
    for _ in range(1000):
        at = pick.randrange(len(data))
        edited = data[:at] + pick.choice(tokens) + data[at + pick.randrange(3) :]
        try:
            expected: Any = careful("primary", edited)[0]
        except MetadataError:
            expected = None
        try:
            rows: Any = read("primary", edited)[0]
        except MetadataError:
            rows = None
        assert rows == expected, edited[max(0, at - 60) : at + 60]
        agreed += rows is not None

    assert 50 < agreed < 950


# --- cuts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 100])
def test_ranges_of_a_shared_file_together_are_the_whole_file(tmp_path: Path, kind: str, parts: int) -> None:
    data = samples.document(kind, [samples.dump(kind, one) for one in samples.packages(60)])
    path = tmp_path / "text"
    path.write_bytes(data)
    with path.open("rb") as source, mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as text:
        points = cut.cut_points(text, KINDS[kind][0], "x", parts)

    rows: list[Any] = []
    read_packages = 0
    for start, end in pairwise(points):
        reader = getattr(packages, kind)("x")
        for block in reader.read_range(path, start, end):
            rows += rows_of(block)
        read_packages += reader.packages
        assert reader.expected == 60

    assert len(points) - 1 <= parts
    assert points[0] == 0
    assert points[-1] == len(data)
    assert rows == read(kind, data)[0]
    assert reader.count_issue(read_packages) is None


@pytest.mark.parametrize(
    "hidden",
    [
        b"<!-- </package> -->",
        b"<description><![CDATA[</package><package>]]></description>",
        b"<?x </package> ?>",
    ],
)
def test_a_file_whose_end_tags_may_lie_is_not_cut_and_is_read_right(hidden: bytes) -> None:
    records = [samples.dump("primary", one) for one in samples.packages(20)]
    records[7] = records[7].replace(b"<format>", hidden + b"<format>", 1)
    data = samples.document("primary", records)

    assert cut.cut_points(data, PRIMARY, "x", 4) == [0, len(data)]
    assert [row[-2] for row in read("primary", data)[0]] == records


def test_packages_inside_a_cdata_section_are_text() -> None:
    records = [samples.dump("primary", one) for one in samples.packages(6)]
    planted = records[2].replace(b"]]>", b"")
    host = records[1].replace(b"<format>", b"<x><![CDATA[</package>\n" + planted + b"\n<package>]]></x><format>", 1)
    data = samples.document("primary", [records[0], host, *records[3:]])

    rows, _, reader = read("primary", pieces(data, 1024))

    assert [row[-2] for row in rows] == [records[0], host, *records[3:]]
    assert reader.count_issue() is None


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
def test_chunks_of_any_size_give_the_same_rows(size: int) -> None:
    data = samples.document("filelists", [samples.dump("filelists", one) for one in samples.packages(10)])

    assert read("filelists", pieces(data, size))[0] == read("filelists", [data])[0]


@pytest.mark.usefixtures("no_careful")
def test_a_file_given_in_one_large_chunk_is_read_the_fast_way() -> None:
    record = samples.dump("filelists", samples.package(1))
    data = samples.document("filelists", [record] * (2 * packages.FAST_BLOCK_BYTES // len(record)))

    assert len(read("filelists", [data])[0]) == data.count(record)


def test_is_plain_finds_markup_among_many_marks() -> None:
    assert cut.is_plain(b"<a>! ? !!</a>" * 1000)
    assert not cut.is_plain(b"<a>! ? !!</a>" * 1000 + b"<!-- -->")
    assert not cut.is_plain(b"<a>! ? ??</a>" * 1000 + b"<?x?>")
    assert cut.is_plain(b"<?xml?><a/>", 7)


# --- named outcomes -----------------------------------------------------------------------------------------------


def edited(old: bytes, new: bytes, kind: str = "primary") -> bytes:
    records = [samples.dump(kind, one) for one in samples.packages(5)]
    assert old in records[3]
    records[3] = records[3].replace(old, new, 1)
    return samples.document(kind, records)


def href(new: str) -> Callable[[], bytes]:
    return lambda: edited(b'href="Packages/', b'href="' + new.encode())


@pytest.mark.parametrize(
    ("data", "code", "rows"),
    [
        (lambda: edited(b' epoch="', b' no="'), issues.EPOCH_MISSING, 5),
        (lambda: edited(b' epoch="', b' epoch="x'), issues.EPOCH_NOT_A_NUMBER, 5),
        (lambda: edited(b' build="', b' build="x'), issues.TIME_ODD, 5),
        (lambda: edited(b"<location ", b'<location xml:base="http://other.example/" '), issues.XML_BASE, 5),
        (href("./Packages/"), issues.RELATIVE_DOT, 5),
        (lambda: edited(b"<summary", b"<foo/><summary"), issues.UNKNOWN_ELEMENT, 5),
        (lambda: edited(b"<package ", b"<bar>text</bar><package "), issues.STRAY_ELEMENT, 5),
        (lambda: edited(b' rel="', b' no="'), issues.INCOMPLETE, 4),
        (lambda: edited(b" href=", b" no="), issues.INCOMPLETE, 4),
        (href("../"), issues.LOCATION_UNSAFE, 4),
        (href("/etc/"), issues.LOCATION_UNSAFE, 4),
        (href("file:///"), issues.LOCATION_UNSAFE, 4),
        (href("http://other.example/"), issues.LOCATION_UNSAFE, 4),
        (href("a/%2e%2e/b/"), issues.LOCATION_UNSAFE, 4),
        (href("a\\b"), issues.LOCATION_UNSAFE, 4),
        (href("a&#10;b/"), issues.LOCATION_UNSAFE, 4),
        (href("a//b/"), issues.LOCATION_UNSAFE, 4),
        (lambda: edited(b"<location ", b'<location xml:base="file:///etc/" '), issues.LOCATION_UNSAFE, 4),
        (lambda: edited(b"<location ", b'<location xml:base="http://u:p@other.example/" '), issues.LOCATION_UNSAFE, 4),
        (lambda: edited(b' ver="', b' ver="a&#10;b'), issues.WORD_ODD, 4),
        (lambda: edited(b"<arch>", b"<arch>a\nb"), issues.WORD_ODD, 4),
        (lambda: edited(b'type="sha256"', b'type="md5"'), issues.CHECKSUM_ODD, 4),
        (lambda: edited(b'type="sha256"', b'type="crc"'), issues.CHECKSUM_ODD, 4),
        (lambda: edited(b' package="', b' package="-'), issues.SIZE_ODD, 4),
        (lambda: edited(b"<arch>", b"<arch>a/"), issues.WORD_ODD, 4),
        (lambda: edited(b"<arch>", b"<arch>a "), issues.WORD_ODD, 4),
    ],
)
def test_an_odd_package_has_a_named_outcome(data: Callable[[], bytes], code: str, rows: int) -> None:
    found, tally, reader = read("primary", data())

    assert len(found) == rows
    assert [issue.code for issue in tally] == [code]
    assert tally.count(code) == 1
    assert (code in issues.REFUSED) == (rows < 5 or code == issues.STRAY_ELEMENT)
    assert reader.packages == 5


def test_sha_is_sha1_and_refused_unless_accepted() -> None:
    records = [samples.dump("primary", one) for one in samples.packages(3)]
    weak = [
        record.replace(b'type="sha256"', b'type="sha"').replace(pkgid := record.split(b'YES">')[1][:64], pkgid[:40])
        for record in records
    ]
    data = samples.document("primary", weak)

    refused, tally, _ = read("primary", data)
    accepted, none, _ = read("primary", data, accepted=frozenset(("sha1",)))

    assert (refused, tally.count(issues.CHECKSUM_WEAK)) == ([], 3)
    assert [row[6] for row in accepted] == ["sha1"] * 3
    assert not none


def test_a_wrong_count_of_packages_is_said() -> None:
    data = samples.document("primary", [samples.dump("primary", one) for one in samples.packages(3)], count=4)

    rows, _, reader = read("primary", data)

    assert len(rows) == 3
    assert reader.count_issue() == "primary.xml: packages=4, but there are 3"


@pytest.mark.parametrize(
    "tail", [b"", b"</package>", b"<package>", b"</metadata><metadata/>", b"junk</metadata>\n<x/>"]
)
def test_a_file_that_does_not_end_right_is_refused(tail: bytes) -> None:
    data = samples.document("primary", [samples.dump("primary", one) for one in samples.packages(3)])

    with pytest.raises(MetadataError, match="not well-formed"):
        read("primary", data.replace(b"</metadata>\n", tail))


@pytest.mark.parametrize("root", [b'<metadata xmlns="urn:other">', b"<filelists>", b"<html>"])
def test_a_file_of_another_kind_is_refused(root: bytes) -> None:
    with pytest.raises(MetadataError, match="is not a primary file"):
        read("primary", root + b"</x>")


@pytest.mark.parametrize(
    "data",
    [
        b'<metadata xmlns="http://linux.duke.edu/metadata/common" packages="0"/>',
        samples.document("primary", []),
        b"<metadata></metadata>",
    ],
)
def test_a_repository_without_packages_has_no_rows(data: bytes) -> None:
    rows, tally, reader = read("primary", data)

    assert (rows, bool(tally), reader.count_issue()) == ([], False, None)


# --- prefixes and encodings ---------------------------------------------------------------------------------------


def prefixed(record: bytes) -> bytes:
    """The record with c: in front of every element that has no prefix, and r: instead of rpm:."""
    import re

    without = re.sub(rb"<(/?)(?!rpm:)([a-z])", rb"<\1c:\2", record)
    return without.replace(b"<rpm:", b"<r:").replace(b"</rpm:", b"</r:")


def test_records_with_other_prefixes_are_read_and_written_with_the_usual_ones(tmp_path: Path) -> None:
    made = [one for one in samples.packages(30) if one.name.startswith("foo")]
    plain = [samples.dump("primary", one) for one in made]
    data = (
        b'<c:metadata xmlns:c="http://linux.duke.edu/metadata/common" xmlns:r="http://linux.duke.edu/metadata/rpm" '
        b'packages="%d">' % len(plain) + b"".join(map(prefixed, plain)) + b"</c:metadata>"
    )

    rows, tally, reader = read("primary", data)
    expected = read("primary", samples.document("primary", plain))[0]

    assert [row[:12] for row in rows] == [row[:12] for row in expected]
    assert tally.count(issues.REWRITTEN) == len(plain)
    assert reader.count_issue() is None
    again = read("primary", samples.document("primary", [row[12] for row in rows]))
    assert [row[:12] for row in again[0]] == [row[:12] for row in expected]
    theirs = by_createrepo_c(samples.document("primary", [row[12] for row in rows]), tmp_path)
    wanted = by_createrepo_c(samples.document("primary", plain), tmp_path)
    assert [(one.name, one.summary, one.description, one.requires, one.files) for one in theirs] == [
        (one.name, one.summary, one.description, one.requires, one.files) for one in wanted
    ]


def test_an_unused_prefix_on_the_root_leaves_the_records_as_they_are() -> None:
    records = [samples.dump("primary", one) for one in samples.packages(5)]
    data = samples.document("primary", records).replace(b"<metadata ", b'<metadata xmlns:suse="urn:suse" ', 1)

    rows, tally, _ = read("primary", data)

    assert [row[-2] for row in rows] == records
    assert not tally


def test_a_prefix_that_nobody_declared_is_refused() -> None:
    with pytest.raises(MetadataError, match="unbound prefix"):
        read("primary", edited(b"<format>", b"<format><foo:bar/>"))


def test_latin_1_is_kept_as_utf_8() -> None:
    records = [samples.dump("primary", one) for one in samples.packages(8)]
    text = samples.document("primary", records, declaration=b'<?xml version="1.0" encoding="ISO-8859-1"?>\n')

    rows, tally, _ = read("primary", text.decode().encode("latin-1"))

    assert [row[-2] for row in rows] == records
    assert tally.count(issues.TRANSCODED) == 1


def test_utf_16_and_a_byte_order_mark_are_read() -> None:
    records = [samples.dump("primary", one) for one in samples.packages(4)]
    text = samples.document("primary", records, declaration=b"").decode()

    assert [row[-2] for row in read("primary", text.encode("utf-16"))[0]] == records
    assert [row[-2] for row in read("primary", b"\xef\xbb\xbf" + text.encode())[0]] == records


def test_bytes_that_are_not_of_the_encoding_are_refused() -> None:
    with pytest.raises(MetadataError, match="not well-formed"):
        read("primary", edited(b"<summary", b"<x>\xff</x><summary"))


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(MetadataError, match="unknown encoding"):
        read("primary", samples.document("primary", [], declaration=b'<?xml version="1.0" encoding="rot13"?>'))
