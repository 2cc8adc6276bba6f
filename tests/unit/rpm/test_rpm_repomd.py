"""repomd.xml: what is read, kept, ignored and refused; metalinks and mirrorlists; treeinfo."""

from __future__ import annotations

import hashlib

import pytest

from mpsync.errors import MetadataError, UnsafePath
from mpsync.model.digests import Expected
from mpsync.plugins.rpm import issues
from mpsync.plugins.rpm.layout import RepomdEntry, repomd_xml
from mpsync.plugins.rpm.metalink import is_metalink, parse_metalink, parse_mirrorlist
from mpsync.plugins.rpm.repomd import Repomd, parse_repomd
from mpsync.plugins.rpm.treeinfo import parse_treeinfo

ALL = frozenset(("sha256", "sha1"))
SHA = {"sha256": "ab" * 32, "sha": "cd" * 20, "sha1": "cd" * 20, "sha512": "ef" * 64, "md5": "01" * 16}


def data(kind: str, href: str | None = None, algorithm: str = "sha256", extra: str = "", place: str = "") -> str:
    href = f"repodata/{kind}.xml.gz" if href is None else href
    return (
        f'<data type="{kind}"><checksum type="{algorithm}">{SHA[algorithm]}</checksum>{extra}'
        f'<open-checksum type="{algorithm}">{SHA[algorithm]}</open-checksum><location {place} href="{href}"/>'
        f"<timestamp>1700000000.25</timestamp><size>1234</size><open-size>56789</open-size></data>"
    )


def repomd(*records: str, head: str = "<revision>1700000001</revision>") -> bytes:
    namespaces = 'xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<repomd {namespaces}>{head}{"".join(records)}</repomd>'.encode()


THREE = (data("primary"), data("filelists"), data("other"))


def parse(*records: str, **options: object) -> Repomd:
    return parse_repomd(repomd(*records), **options)  # type: ignore[arg-type]


def test_what_a_record_promises_is_read() -> None:
    record = parse(*THREE).parsed["primary"]

    assert record.location == "repodata/primary.xml.gz"
    assert record.expected == Expected(1234, {"sha256": SHA["sha256"]})
    assert record.open_expected == Expected(56789, {"sha256": SHA["sha256"]})
    assert record.timestamp == 1_700_000_000
    assert record.open_limit_bytes == 56789
    assert record.raw == data("primary").encode()


def test_known_files_are_parsed_unknown_ones_kept_and_copies_in_other_forms_ignored() -> None:
    extra = ("primary_db", "primary_zck", "updateinfo", "modules", "productid", "custom", "prestodelta")

    found = parse(*THREE, *map(data, extra), data("group"), data("group_gz"))

    assert list(found.parsed) == ["primary", "filelists", "other", "updateinfo", "modules", "group"]
    assert [record.type for record in found.kept] == ["productid", "custom"]
    assert found.ignored == ["primary_db", "primary_zck", "prestodelta", "group_gz"]
    assert found.issues.count(issues.RECORD_IGNORED) == 4
    assert len(found.records) == 12


def test_comps_is_found_under_its_other_names() -> None:
    assert parse(*THREE, data("group_xz")).parsed["group"].type == "group_xz"


def test_a_file_that_is_there_as_zchunk_only_is_refused() -> None:
    with pytest.raises(MetadataError, match="zchunk only"):
        parse(*THREE, data("updateinfo", "repodata/updateinfo.xml.zck"))
    with pytest.raises(MetadataError, match="zchunk only"):
        parse(*THREE, data("updateinfo_zck"))


def test_a_missing_primary_is_an_error_missing_filelists_and_other_are_reported() -> None:
    found = parse(data("primary"))

    assert found.issues.count(issues.FILE_MISSING) == 2
    with pytest.raises(MetadataError, match="no primary"):
        parse(data("filelists"))


def test_a_type_that_comes_twice_is_taken_once() -> None:
    found = parse(*THREE, data("primary", "repodata/second.xml.gz"))

    assert found.parsed["primary"].location == "repodata/primary.xml.gz"
    assert found.issues.count(issues.DUPLICATE_RECORD) == 1


@pytest.mark.parametrize(
    "href", ["../x", "/etc/passwd", "http://other.example/x", "file:///x", "a/../../x", "a%2f..", ""]
)
def test_a_location_outside_the_root_is_refused(href: str) -> None:
    with pytest.raises(UnsafePath):
        parse(data("primary", href))


def test_xml_base_is_kept_apart_and_only_over_http() -> None:
    found = parse(data("primary", place='xml:base="http://other.example/repo"'))

    assert found.parsed["primary"].base == "http://other.example/repo"
    assert found.obstacles() == ["primary lies below http://other.example/repo (xml:base)"]
    with pytest.raises(UnsafePath, match="http"):
        parse(data("primary", place='xml:base="file:///etc"'))


def test_deltas_are_an_obstacle_to_a_complete_mirror() -> None:
    assert parse(*THREE).obstacles() == []
    assert parse(*THREE, data("prestodelta")).obstacles() == ["prestodelta describes delta RPMs"]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha"])
def test_weak_checksums_are_refused_by_default(algorithm: str) -> None:
    with pytest.raises(MetadataError, match="no checksum that proves"):
        parse(data("primary", algorithm=algorithm))


def test_sha_is_sha1_where_sha1_is_accepted() -> None:
    found = parse(data("primary", algorithm="sha"), accepted=ALL)

    assert found.parsed["primary"].expected.digests == {"sha1": SHA["sha1"]}


def test_weak_checksums_of_files_that_are_not_read_do_no_harm() -> None:
    assert parse(*THREE, data("primary_db", algorithm="md5")).ignored == ["primary_db"]


def test_a_checksum_that_is_none_is_refused() -> None:
    with pytest.raises(MetadataError, match="checksum is not a checksum"):
        parse_repomd(repomd(data("primary")).replace(b"abab", b"xyxy", 1))


def test_without_an_open_size_unpacking_is_bounded_by_the_file() -> None:
    text = data("primary").replace("<open-size>56789</open-size>", "")

    record = parse(text).parsed["primary"]

    assert record.open_expected.size_bytes is None
    assert record.open_limit_bytes == 64 << 20


def test_the_generation_is_the_revision_or_else_the_newest_timestamp() -> None:
    assert parse(*THREE).generation == 1_700_000_001
    assert parse_repomd(repomd(*THREE, head="<revision>f41</revision>")).generation == 1_700_000_000
    assert parse_repomd(repomd(*THREE, head="")).generation == 1_700_000_000


def test_prefixes_and_strays_and_tags_are_read() -> None:
    text = repomd(*THREE, "<foo/>", head="<tags><distro>d</distro></tags>")
    prefixed = text.replace(b"<repomd xmlns=", b"<p:repomd xmlns:p=").replace(b"</repomd>", b"</p:repomd>")
    for name in (b"data", b"location", b"checksum", b"open-checksum", b"size", b"open-size", b"timestamp", b"tags"):
        for mark in (b" ", b">"):
            prefixed = prefixed.replace(b"<" + name + mark, b"<p:" + name + mark)
        prefixed = prefixed.replace(b"</" + name + b">", b"</p:" + name + b">")

    plain, other = parse_repomd(text), parse_repomd(prefixed)

    assert plain.tags == b"<tags><distro>d</distro></tags>"
    assert plain.issues.count(issues.STRAY_ELEMENT) == 1
    assert {kind: record.expected for kind, record in other.parsed.items()} == {
        kind: record.expected for kind, record in plain.parsed.items()
    }


@pytest.mark.parametrize("text", [b"", b"<html/>", b"<repomd", b"not xml", b"<repomd/>"])
def test_what_is_no_repomd_is_refused(text: bytes) -> None:
    with pytest.raises(MetadataError):
        parse_repomd(text)


def test_a_repomd_of_our_own_is_read_back() -> None:
    entry = RepomdEntry("primary", "repodata/a&b.xml.gz", "sha256", SHA["sha256"], 7, 9, SHA["sha256"], 8)

    found = parse_repomd(repomd_xml([entry], "17", b"<tags><repo>x</repo></tags>"))

    assert found.revision == "17"
    assert found.tags == b"<tags><repo>x</repo></tags>"
    assert found.parsed["primary"].location == "repodata/a&b.xml.gz"
    assert found.parsed["primary"].open_expected == Expected(8, {"sha256": SHA["sha256"]})


# --- metalink and mirrorlist --------------------------------------------------------------------------------------


def metalink(urls: str, verification: str = "", alternates: str = "") -> bytes:
    return (
        '<metalink xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>'
        f'<file name="other.xml"/><file name="repomd.xml"><mm0:timestamp>5</mm0:timestamp><size>4</size>{verification}'
        f"{alternates}<resources>{urls}</resources></file></files></metalink>"
    ).encode()


def hashes(text: bytes) -> str:
    return (
        f'<verification><hash type="md5">{hashlib.md5(text).hexdigest()}</hash>'
        f'<hash type="sha256">{hashlib.sha256(text).hexdigest()}</hash></verification>'
    )


def url(where: str, preference: int = 1) -> str:
    return f'<url protocol="http" preference="{preference}">{where}/repodata/repomd.xml</url>'


def test_a_metalink_says_mirrors_best_first_and_what_repomd_may_be() -> None:
    alternates = f"<mm0:alternates><mm0:alternate><size>4</size>{hashes(b'old_')}</mm0:alternate></mm0:alternates>"
    urls = url("http://a.example/f", 10) + url("https://b.example:8443", 90) + url("http://a.example/f", 5)

    found = parse_metalink(metalink(urls, hashes(b"new_"), alternates), "x")

    assert [mirror.url for mirror in found.mirrors] == ["https://b.example:8443/", "http://a.example/f/"]
    assert [promise.size_bytes for promise in found.promises] == [4, 4]
    assert [promise.digests["sha256"] for promise in found.promises] == [
        hashlib.sha256(text).hexdigest() for text in (b"new_", b"old_")
    ]


def test_mirrors_of_other_schemes_and_odd_urls_are_ignored_and_counted() -> None:
    odd = ["ftp://a.example", "rsync://a.example", "file:///etc", "http://user:pw@a.example", "http://", "//a.example"]

    found = parse_metalink(metalink("".join(map(url, odd)) + "<url/>" + url("http://b.example")), "x")

    assert [mirror.url for mirror in found.mirrors] == ["http://b.example/"]
    assert found.issues.count(issues.MIRROR_IGNORED) == 7


def test_a_metalink_with_weak_hashes_only_is_refused() -> None:
    weak = f'<verification><hash type="md5">{"0" * 32}</hash></verification>'

    with pytest.raises(MetadataError, match="no hash that proves"):
        parse_metalink(metalink(url("http://a.example"), weak), "x")


def test_a_metalink_without_mirrors_or_without_repomd_is_refused() -> None:
    with pytest.raises(MetadataError, match="no usable mirror"):
        parse_metalink(metalink(url("ftp://a.example")), "x")
    with pytest.raises(MetadataError, match="without repomd"):
        parse_metalink(metalink("").replace(b"repomd.xml", b"x.xml"), "x")


def test_a_mirrorlist_is_one_base_url_a_line() -> None:
    text = b"# comment\n\n  http://a.example/fedora \r\nhttps://b.example/repodata/repomd.xml\nftp://c.example/\n"

    mirrors, tally = parse_mirrorlist(text, "x")

    assert [mirror.url for mirror in mirrors] == ["http://a.example/fedora/", "https://b.example/"]
    assert tally.count(issues.MIRROR_IGNORED) == 1
    assert not is_metalink(text)
    assert is_metalink(metalink(""))


@pytest.mark.parametrize("text", [b"", b"# only\n", b"<html>not found</html>"])
def test_a_mirrorlist_without_a_usable_url_is_refused(text: bytes) -> None:
    with pytest.raises(MetadataError, match="no usable mirror"):
        parse_mirrorlist(text, "x")


# --- treeinfo -----------------------------------------------------------------------------------------------------

TREE = f"""\
[general]
name = Name 1
family = Name
version = 1
arch = x86_64
variant = Server
timestamp = 1539194952.93
; a comment
[checksums]
images/boot.iso = sha256:{SHA["sha256"]}
images/efiboot.img = md5:{SHA["md5"]}
images/odd.img = sha256:12
repodata/repomd.xml = sha256:{SHA["sha256"]}
addons/HA/repodata/repomd.xml = sha256:{SHA["sha256"]}
../../etc/passwd = sha256:{SHA["sha256"]}
[images-x86_64]
boot.iso = images/boot.iso
Kernel = images/pxeboot/vmlinuz
[stage2]
mainimage = images/install.img
[variant-Server]
id = Server
uid = Server
type = variant
repository = .
packages = Packages
addons = Server-HA
[addon-Server-HA]
id = HA
uid = Server-HA
repository = addons/HA/
parent = Server
[variant-Out]
repository = ../out
"""


def test_a_treeinfo_says_files_and_sub_repositories() -> None:
    tree = parse_treeinfo(TREE.encode(), ".treeinfo")

    assert (tree.name, tree.family, tree.version, tree.arch, tree.variant, tree.timestamp) == (
        ("Name 1", "Name", "1", "x86_64", "Server", 1539194952)
    )
    assert [(file.path, file.digests, file.roles) for file in tree.files] == [
        ("images/boot.iso", {"sha256": SHA["sha256"]}, ("x86_64/boot.iso",)),
        ("images/pxeboot/vmlinuz", {}, ("x86_64/Kernel",)),
        ("images/install.img", {}, ("stage2/mainimage",)),
    ]
    assert tree.sub_repositories == ["addons/HA"]
    assert [(variant.uid, variant.type, variant.repository) for variant in tree.variants] == [
        ("Server", "variant", ""),
        ("Server-HA", "addon", "addons/HA"),
        ("Out", "variant", None),
    ]
    assert {issue.code: issue.count for issue in tree.issues} == {
        issues.CHECKSUM_WEAK: 1,
        issues.CHECKSUM_ODD: 1,
        issues.LOCATION_UNSAFE: 1,
        issues.VARIANT_OUTSIDE: 1,
    }
    assert tree.raw == TREE.encode()


@pytest.mark.parametrize("text", [b"", b"<html></html>", b"[checksums\n", b"key = value", b"\xff\xfe", b"[x]\na=b\n"])
def test_what_is_no_treeinfo_is_refused(text: bytes) -> None:
    with pytest.raises(MetadataError, match="not a treeinfo"):
        parse_treeinfo(text, "treeinfo")


def test_values_are_never_interpolated() -> None:
    tree = parse_treeinfo(b"[general]\nname = %(version)s ${a}\nversion = 1\n", "treeinfo")

    assert tree.name == "%(version)s ${a}"
