"""comps, updateinfo and modules: raw records with the few fields that we need; layout; issues."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import rpm_samples as samples

from mpsync.plugins.rpm import issues, kinds, layout, packages
from mpsync.plugins.rpm.comps import parse_comps
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.modules import MAX_ALIASES, MAX_DEPTH, ModuleUnit, parse_modules, split_documents
from mpsync.plugins.rpm.updateinfo import parse_date, parse_updateinfo

# --- comps --------------------------------------------------------------------------------------------------------


def test_comps_units_are_raw_records_of_four_kinds() -> None:
    raws = [
        b'<group><id>g</id><name xml:lang="de">G</name><name>Group</name><packagelist>'
        b'<packagereq type="default">a</packagereq><packagereq>b</packagereq></packagelist></group>',
        b"<category><id>g</id><name>C</name></category>",
        b"<environment><id>e</id></environment>",
        b'<langpacks><match install="x-%s" name="x"/></langpacks>',
    ]
    odd = b"<group><name>no id</name></group><group><id>g</id></group><foo/><blacklist/>"

    units, tally = parse_comps([b"<comps>" + b"".join(raws) + odd + b"</comps>"], "comps.xml")

    assert [unit.raw for unit in units] == raws
    assert [(unit.kind, unit.id, unit.name) for unit in units] == [
        (kinds.GROUP, "g", "Group"),
        (kinds.CATEGORY, "g", "C"),
        (kinds.ENVIRONMENT, "e", ""),
        (kinds.LANGPACKS, "langpacks", ""),
    ]
    assert units[0].packages == ["a", "b"]
    assert {issue.code for issue in tally} == {
        issues.INCOMPLETE,
        issues.DUPLICATE_RECORD,
        issues.STRAY_ELEMENT,
        issues.ELEMENT_DROPPED,
    }


# --- updateinfo ---------------------------------------------------------------------------------------------------

UPDATE = b"""<update from="x" status="final" type="security" version="3">
 <id>FEDORA-1 &amp; 2</id><title>t</title><severity>Moderate</severity>
 <issued date="2020-02-03 04:05:06"/><updated date="soon"/>
 <pkglist><collection short="s"><name>n</name>
  <module name="m" stream="1.10" version="9" context="c" arch="x86_64"/>
  <package name="a" version="1" release="2" arch="noarch"><filename>f</filename></package>
  <package name="b" version="1" release="2" epoch="3" arch="noarch"/></collection></pkglist>
 <unknown>kept</unknown></update>"""


def test_an_advisory_is_a_raw_record_with_its_fields() -> None:
    tally = Issues()

    (found,) = parse_updateinfo([b"<updates>", UPDATE, b"<foo/><update/></updates>"], "x", tally)

    assert found.raw == UPDATE
    assert (found.id, found.type, found.status, found.version) == ("FEDORA-1 & 2", "security", "final", "3")
    assert (found.title, found.severity, found.issued, found.updated) == (
        "t",
        "Moderate",
        "2020-02-03 04:05:06",
        "soon",
    )
    assert found.date == datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    (collection,) = found.collections
    assert (collection.name, collection.short, collection.module) == ("n", "s", ("m", "1.10", "9", "c", "x86_64"))
    assert collection.packages == [("a", "0", "1", "2", "noarch"), ("b", "3", "1", "2", "noarch")]
    assert {issue.code: issue.count for issue in tally} == {
        issues.DATE_ODD: 1,
        issues.STRAY_ELEMENT: 1,
        issues.INCOMPLETE: 1,
    }


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("2012-12-12", datetime(2012, 12, 12, tzinfo=UTC)),
        ("2012-12-12 01:02", datetime(2012, 12, 12, 1, 2, tzinfo=UTC)),
        ("2012-12-12T01:02:03Z", datetime(2012, 12, 12, 1, 2, 3, tzinfo=UTC)),
        ("2012-12-12 01:02:03 UTC", datetime(2012, 12, 12, 1, 2, 3, tzinfo=UTC)),
        ("1355274123", datetime(2012, 12, 12, 1, 2, 3, tzinfo=UTC)),
    ]
    + [
        (odd, None)
        for odd in ("", "soon", "2012-13-12", "2012-12-12 25:00", "99999999999999", "15mangled2", "2012")[:-1]
    ],
)
def test_dates_are_read_in_the_ways_they_are_written(text: str, date: datetime | None) -> None:
    assert parse_date(text) == date


# --- modules ------------------------------------------------------------------------------------------------------

MODULE = b"""\
---
document: modulemd
version: 2
data:
  name: nodejs
  stream: 1.10
  version: 20180816123422
  context: 6c81f848
  arch: x86_64
  description: >-
    text with
     --- in it
  artifacts:
    rpms:
    - nodejs-1:10.0-1.x86_64
    - 'npm-1:6.0-1.x86_64'
"""
DEFAULTS = b"--- # comment\ndocument: modulemd-defaults\nversion: 1\ndata: {module: nodejs, stream: 08}\n"
OBSOLETES = (
    b"---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n  modified: 2018-05-23T14:25Z\n  module: nodejs\n"
    b'  stream: "11"\n  context: aa\n'
)


def modules(text: bytes) -> tuple[list[ModuleUnit], Issues]:
    tally = Issues()
    return list(parse_modules(text, "modules.yaml", tally)), tally


def test_documents_of_three_kinds_are_units_with_their_raw_text() -> None:
    found, tally = modules(b"...\n".join((MODULE, DEFAULTS, OBSOLETES)) + b"...\n")

    assert not tally
    assert [unit.raw for unit in found] == [MODULE, DEFAULTS, OBSOLETES]
    assert [(unit.kind, unit.key) for unit in found] == [
        (kinds.MODULEMD, "nodejs:1.10:20180816123422:6c81f848:x86_64"),
        (kinds.MODULEMD_DEFAULTS, "nodejs"),
        (kinds.MODULEMD_OBSOLETES, "nodejs:11:aa:2018-05-23T14:25Z"),
    ]
    assert found[0].artifacts == ["nodejs-1:10.0-1.x86_64", "npm-1:6.0-1.x86_64"]
    assert (found[1].stream, found[0].stream) == ("08", "1.10")  # no numbers are made of them


def test_documents_are_split_without_end_marks_with_windows_lines_and_without_a_first_mark() -> None:
    assert split_documents(b"a: 1\n---\r\nb: 2\r\n---\nc: 3") == [b"a: 1\n", b"---\r\nb: 2\n", b"---\nc: 3\n"]
    assert split_documents(b"") == []
    assert split_documents(b"---\n---\n...\n") == []
    assert split_documents(b"%YAML 1.2\n# comment\n---\na: 1\n...\n# x\nb: 2\n...\n%YAML 1.2\n---\nc: 3\n") == [
        b"---\na: 1\n",
        b"b: 2\n",
        b"---\nc: 3\n",
    ]


@pytest.mark.parametrize(
    "document",
    [
        b"a: !!python/object/apply:os.system [id]",
        b"a: !!str x",
        b"a: !<tag:mirror.example,2000:x> y",
        b"...\n%TAG ! tag:mirror.example,2000:\n---\na: !x y",
        b"a: &a [x]\nb: [" + b"*a," * (MAX_ALIASES + 1) + b"]",
        b"a: [" + b",".join(b"&x%d 1" % number for number in range(MAX_ALIASES + 1)) + b"]",
        b"a: " + b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b"{" * 50_000,
        b"? [a]\n: b",
        b"a: *nothing",
        b"a: [1",
        b"a: \xff",
        b"a: 1\n\tb: 2",
    ],
)
def test_hostile_and_broken_yaml_is_refused_and_its_neighbours_are_read(document: bytes) -> None:
    found, tally = modules(MODULE + b"---\n" + document + b"\n" + DEFAULTS)

    assert [unit.kind for unit in found] == [kinds.MODULEMD, kinds.MODULEMD_DEFAULTS]
    assert tally.count(issues.YAML_REFUSED) == 1


def test_a_bomb_of_aliases_costs_nothing() -> None:
    lines = [b"l0: &l0 [x, x, x, x, x, x, x, x, x]"]
    lines += [b"l%d: &l%d [" % (n, n) + b",".join([b"*l%d" % (n - 1)] * 9) + b"]" for n in range(1, 9)]

    found, tally = modules(b"---\n" + b"\n".join(lines) + b"\n" + MODULE)

    assert len(found) == 1
    assert tally.count(issues.YAML_REFUSED) == 1


def test_documents_that_are_unknown_or_incomplete_have_a_named_outcome() -> None:
    unknown = b"---\ndocument: modulemd-translations\nversion: 1\n"
    newer = MODULE.replace(b"version: 2\n", b"version: 3\n", 1)
    nameless = MODULE.replace(b"  name: nodejs\n", b"")
    odd = MODULE.replace(b"20180816123422", b"newest")

    found, tally = modules(unknown + newer + nameless + odd + b"---\n- a list\n--- text\n")

    assert found == []
    assert tally.count(issues.DOCUMENT_UNKNOWN) == 4
    assert tally.count(issues.INCOMPLETE) == 2


def test_aliases_within_bounds_are_read() -> None:
    text = MODULE.replace(b"name: nodejs", b"name: &n nodejs").replace(b"context: 6c81f848", b"context: *n")

    found, tally = modules(text)

    assert not tally
    assert found[0].context == "nodejs"


# --- layout, kinds, issues ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("hidden", [b"", b"<!-- <location href='x'/> -->", b"<location xmlns='urn:x'/>"])
def test_a_package_is_moved_and_nothing_else_changes(hidden: bytes) -> None:
    raw = samples.dump("primary", samples.package(3))
    place = raw[raw.index(b"<location") : raw.index(b"/>", raw.index(b"<location")) + 2]
    based = raw.replace(place, hidden + place.replace(b"<location", b'<location xml:base="http://a.example/"'))
    if b"xmlns" in hidden:  # a foreign <location> in front of ours: written behind it here
        based = raw.replace(place, place + hidden)

    moved = layout.with_location(based, "Packages/l/libc++ & <x>.rpm")

    (block,) = packages.primary("x").read([samples.document("primary", [moved])])
    assert block.paths == ["Packages/l/libc++ & <x>.rpm"]
    assert block.bases == {}
    new = b'<location href="Packages/l/libc++ &amp; &lt;x&gt;.rpm"/>'
    assert moved.replace(new, place).replace(hidden, b"") == raw


def test_heads_and_names_of_published_files() -> None:
    assert layout.nested_path("Libc++.rpm") == "Packages/l/Libc++.rpm"
    assert layout.metadata_path("group", "ab", "zstd") == "repodata/ab-comps.xml.zst"
    assert layout.metadata_path("modules", "ab", "none") == "repodata/ab-modules.yaml"
    head = layout.document_head(packages.PRIMARY, 0)
    assert head + packages.PRIMARY.close_tag + b"\n" == samples.document("primary", []).replace(b">\n\n", b">\n")


def test_keys_and_texts_of_packages() -> None:
    assert kinds.package_key("a", "", "1", "2", "noarch") == "a-0:1-2.noarch"
    assert kinds.evr_text("0", "1", "2") == "1-2"
    assert kinds.evr_text("3", "1", "2") == "3:1-2"
    assert kinds.is_source("src")
    assert kinds.is_source("nosrc")
    assert not kinds.is_source("noarch")


def test_issues_stay_small_merge_and_cross_a_process() -> None:
    one, two = Issues(), Issues()
    for number in range(1000):
        one.add(issues.XML_BASE, f"place {number}")
    two.add(issues.XML_BASE, "elsewhere")
    two.add(issues.LOCATION_UNSAFE, "x" * 1000)

    one.merge(Issues.restore(two.plain()))

    assert one.count(issues.XML_BASE) == 1001
    assert len(one.by_code[issues.XML_BASE].examples) == issues.EXAMPLES
    assert str(one.by_code[issues.XML_BASE]).endswith("place 4 and 996 more")
    assert [issue.is_refused for issue in one] == [False, True]
    assert len(one.by_code[issues.LOCATION_UNSAFE].examples[0]) == 300
