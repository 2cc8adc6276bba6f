"""Metadata that is odd, incomplete, wrong or hostile: a named outcome each, and nothing changes where it is an error."""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable
from itertools import count

import pytest
from command import Command
from rpmrepo import REPOMD, RpmRepo, advisory, comps, module, updateinfo
from stored import stored
from upstream import Upstream

_NUMBER = count()
ZERO = "0" * 64


@pytest.fixture
def name() -> str:
    """Of a repository of the test's own."""
    return f"fault-{next(_NUMBER)}"


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    made.add("world")
    return made


def said(found: dict[str, object]) -> str:
    """Everything that was reported, one line each."""
    skipped = [f"{entry['what']}: {entry['why']}" for entry in found["skipped"]]  # type: ignore[attr-defined]
    return "\n".join([*skipped, *found["notes"]])  # type: ignore[misc]


def left_soon(command: Command) -> dict[str, list[str]]:
    """What is still there when the embedded server has had its time to go."""
    deadline = time.monotonic() + 30
    while (left := command.left_behind()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


# --- files of repomd.xml that are not there


def test_missing_file_lists_and_changelogs_are_reported(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.left_out = {"filelists", "other"}

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert set(found["content"]) == {"rpm.package", "rpm.repo_file"}
    assert "metadata-file-missing: repodata/repomd.xml: no filelists; repodata/repomd.xml: no other" in said(found)


def test_a_repository_whose_file_lists_go_loses_them(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    repo.left_out = {"filelists"}
    repo.publish(upstream)

    found = mpsync.ok("sync", name)

    assert found["content"].get("rpm.filelists", {"total": 0})["total"] == 0
    assert found["content"]["rpm.other"]["total"] == 2


def test_a_missing_primary_is_an_error(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    repo.left_out = {"primary"}

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--name", name)

    assert error["type"] == "MetadataError"
    assert "no primary" in error["message"]
    assert REPOMD in error["message"]


def test_a_file_that_upstream_lacks_is_an_error_that_names_it(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.texts["updateinfo"] = updateinfo(advisory("only-here", []))
    url = repo.publish(upstream)
    path = next(path for path in repo.files if "updateinfo" in path)
    upstream.remove(path)

    error = mpsync.fails("sync", "rpm", url, "--name", name)

    assert error["type"] == "NotFound"
    assert path in error["url"]


def test_a_kept_file_that_upstream_lacks_is_reported(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.texts["productid"] = b"a certificate that was never there"
    url = repo.publish(upstream)
    path = next(path for path in repo.files if "productid" in path)
    upstream.remove(path)

    found = mpsync.ok("sync", "rpm", url, "--name", name)

    assert path in said(found)


# --- the three files disagree


def test_a_package_with_another_id_in_filelists_is_reported_and_left_out_there(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    pkgid = repo.packages[0].pkgId
    repo.edits["filelists"] = lambda text: text.replace(pkgid, ZERO)

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert found["content"]["rpm.package"]["total"] == 2
    assert found["content"]["rpm.filelists"]["total"] == 1
    assert f"package-not-in-primary: filelists: hello-0:1.0-1.x86_64 {ZERO}" in said(found)
    assert f"package-not-in-file: filelists: {pkgid}" in said(found)


def test_stray_packages_are_left_out_and_so_again(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    stray = f'<package pkgid="{ZERO}" name="stray" arch="noarch"><version epoch="0" ver="1" rel="1"/></package>'
    for role, end in (("filelists", "</filelists>"), ("other", "</otherdata>")):
        repo.edits[role] = lambda text, end=end: text.replace(end, stray + end).replace('="2"', '="3"')  # type: ignore[misc]
    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    forced = mpsync.ok("sync", name, "--force")

    assert found["content"]["rpm.filelists"]["total"] == found["content"]["rpm.other"]["total"] == 2
    assert "package-not-in-primary: filelists: stray-0:1-1.noarch" in said(found)
    assert not forced["changed"]
    assert "package-not-in-primary" in said(forced)


def test_another_name_in_other_is_reported_and_kept(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.edits["other"] = lambda text: text.replace('name="hello"', 'name="hallo"')

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert found["content"]["rpm.other"]["total"] == 2
    assert "name-or-version-differs" in said(found)


def test_files_in_another_order_are_joined(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    records = [record.decode() for record in repo.records("filelists")]
    repo.edits["filelists"] = lambda text: text.replace("\n".join(records), "\n".join(reversed(records)))

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert found["content"]["rpm.filelists"]["total"] == 2
    assert found["skipped"] == []
    assert found["notes"] == mpsync.ok("sync", name, "--force")["notes"]


def test_file_lists_that_stay_behind_primary_are_those_of_its_packages(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.texts["filelists"] = repo.text("filelists")
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    hello, world = repo.packages
    totals, told = [], []
    for packages in ([world], [hello, world], [hello], []):
        repo.packages = packages
        repo.publish(upstream)
        found = mpsync.ok("sync", name)
        totals.append(found["content"].get("rpm.filelists", {"total": 0})["total"])
        told.append("package-not-in-primary" in said(found))

    assert totals == [1, 2, 1, 0]
    assert told == [True, False, True, True]


@pytest.mark.parametrize("claimed", ["1", "0", "3"])
def test_a_wrong_package_count_is_reported(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, claimed: str
) -> None:
    repo.edits["primary"] = lambda text: text.replace('packages="2"', f'packages="{claimed}"')

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert found["content"]["rpm.package"]["total"] == 2
    assert "package-count-wrong" in said(found)
    assert f"packages={claimed}, but there are 2" in said(found)


# --- odd XML that is accepted

ACCEPTED: dict[str, tuple[str, Callable[[str], str], str]] = {
    "an unknown element in a package": (
        "primary", lambda text: text.replace("</package>", "<new>x</new></package>", 1), "unknown-element"),
    "a stray element beside packages": (
        "primary", lambda text: text.replace("</metadata>", "<new>x</new></metadata>"), "stray-element"),
    "another prefix": (
        "primary", lambda text: text.replace("xmlns:rpm=", "xmlns:r=").replace("rpm:", "r:"), "namespaces-rewritten"),
    "a prefix for the common namespace": (
        "filelists",
        lambda text: re.sub(r"(</?)(\w)", r"\1f:\2", text).replace("xmlns=", "xmlns:f="),
        "namespaces-rewritten"),
    "packages elsewhere": (
        "primary", lambda text: text.replace("<location href", '<location xml:base="http://a.example/x" href', 1),
        "xml-base"),
    "no epoch": ("primary", lambda text: text.replace('epoch="0" ', "", 1), "epoch-missing"),
    "an epoch that is no number": (
        "primary", lambda text: text.replace('epoch="0"', 'epoch="one"', 1), "epoch-not-a-number"),
    "a time that is no time": (
        "primary", lambda text: text.replace('build="1600000000"', 'build="yesterday"', 1), "time-not-a-number"),
    "a location with a dot": (
        "primary", lambda text: text.replace('href="Packages', 'href="./Packages', 1), "location-with-dot"),
    "an odd date": (
        "updateinfo", lambda text: text.replace("2024-01-01", "tomorrow"), "date-not-a-date"),
    "a stray element in updateinfo": (
        "updateinfo", lambda text: text.replace("</updates>", "<new/></updates>"), "stray-element"),
    "a stray element in comps": (
        "group", lambda text: text.replace("</comps>", "<new/></comps>"), "stray-element"),
}  # fmt: skip


@pytest.mark.parametrize("case", ACCEPTED)
def test_odd_metadata_is_read_and_its_oddity_named(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, case: str
) -> None:
    role, edit, code = ACCEPTED[case]
    repo.texts = {"updateinfo": updateinfo(advisory("A", ["hello-1-1.x86_64"])), "group": comps()}
    repo.edits[role] = edit

    url = repo.publish(upstream)
    found = mpsync.ok("sync", "rpm", url, "--name", name)
    remembered = mpsync.ok("sync", "rpm", url, "--name", f"{name}-again")

    assert found["content"]["rpm.package"]["total"] == 2
    assert code in said(found), said(found)
    assert code in said(remembered), "what is known from another repository is told again"


# --- metadata that is refused

REFUSED: dict[str, tuple[str, Callable[[str], str], str]] = {
    "a DTD": ("primary", lambda text: text.replace("<metadata", "<!DOCTYPE metadata><metadata", 1), "DTD"),
    "an entity bomb": (
        "updateinfo",
        lambda text: text.replace(
            "<updates>", '<!DOCTYPE u [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><updates>&b;', 1),
        "DTD"),
    "an external entity": (
        "group",
        lambda text: text.replace(
            "<comps>", '<!DOCTYPE c [<!ENTITY x SYSTEM "file:///etc/passwd">]><comps>&x;', 1), "DTD"),
    "a file that ends early": ("other", lambda text: text[: len(text) // 2], "XML"),
    "no XML": ("primary", lambda text: "<html>login</html>", "html"),
    "an empty file": ("primary", lambda text: "", "no <metadata>"),
    "a path that climbs": ("primary", lambda text: text.replace('href="Packages', 'href="../Packages', 1), "../"),
    "an absolute path": ("primary", lambda text: text.replace('href="Packages', 'href="/etc', 1), "/etc"),
    "another scheme": ("primary", lambda text: text.replace('href="P', 'href="file:///P', 1), "file:///"),
    "no checksum": ("primary", lambda text: re.sub("<checksum.*</checksum>", "", text, count=1), "record-incomplete"),
    "a weak checksum": (
        "primary", lambda text: re.sub('"sha256" pkgid="YES">[0-9a-f]*', '"md5" pkgid="YES">' + "0" * 32, text),
        "checksum-weak"),
    "a size that is no size": ("primary", lambda text: re.sub('package="[0-9]+"', 'package="big"', text), "size"),
    "deep nesting": (
        "primary", lambda text: text.replace("</package>", "<a>" * 5000 + "</a>" * 5000 + "</package>", 1), "deep"),
    "a YAML tag": ("modules", lambda text: text.replace("name: m", "name: !!python/object:os.system m"), "tag"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_bad_metadata_is_an_error_with_a_name_and_changes_nothing(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, case: str
) -> None:
    role, edit, problem = REFUSED[case]
    repo.texts = {
        "updateinfo": updateinfo(advisory("A", ["hello-1-1.x86_64"])),
        "group": comps(),
        "modules": module("m", "1").encode(),
    }
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    before = stored(mpsync, name)
    repo.edits[role] = edit
    repo.publish(upstream)

    error = mpsync.fails("sync", name)

    assert problem in error["message"], error
    assert "repodata/" in error["message"]
    assert stored(mpsync, name) == before


def test_a_lenient_sync_leaves_refused_records_out(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.edits["primary"] = lambda text: text.replace('href="Packages/hello', 'href="../hello', 1)
    url = repo.publish(upstream)

    mpsync.fails("sync", "rpm", url, "--name", name)
    found = mpsync.ok("sync", "rpm", url, "--name", name, "--skip-failed")

    assert found["content"]["rpm.package"]["total"] == 1
    assert found["content"]["rpm.filelists"]["total"] == 1
    assert "location-unsafe" in said(found)


# --- bytes that are not what repomd.xml promised


def _wrong(text: str, what: str, value: str) -> str:
    return re.sub(rf"(<{what}[^>]*>)[^<]*", rf"\g<1>{value}", text)


@pytest.mark.parametrize("role", ["primary", "filelists", "modules"])
@pytest.mark.parametrize(
    ("what", "value", "kind"),
    [
        ("checksum", ZERO, "DigestMismatch"),
        ("size", "7", "SizeMismatch"),
        ("open-checksum", ZERO, "CorruptStream"),
        ("open-size", "7", "DecompressionBomb"),
        ("open-size", "7000000", "CorruptStream"),
    ],
)
def test_a_file_that_is_not_what_repomd_says_is_an_error_with_both_values(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, role: str, what: str, value: str, kind: str
) -> None:
    repo.texts = {
        "updateinfo": updateinfo(advisory("A", ["hello-1-1.x86_64"])),
        "modules": module("m", "1").encode(),
        "group": comps(),
    }
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    before = stored(mpsync, name)
    repo.add("new")
    repo.texts[role] = repo.text(role) + b"<!-- new -->" if role != "modules" else module("m", "2").encode()
    repo.edits[f"<data {role}>"] = lambda text: _wrong(text, what, value)
    repo.publish(upstream)

    error = mpsync.fails("sync", name)

    path = next(path for path in repo.files if f"-{role}." in path)
    assert error["type"] == kind, error
    assert path[:60] in error["message"]  # a long name may be shortened in its middle
    assert value in error["expected"]
    assert error["got"]
    assert stored(mpsync, name) == before


def test_a_bomb_is_stopped_at_the_promised_size(own_command: Command, upstream: Upstream, repo: RpmRepo) -> None:
    packed = gzip.compress(repo.text("other") + b"\n" * (300 << 20))
    digest = hashlib.sha256(packed).hexdigest()
    repo.edits["<data other>"] = lambda text: _wrong(_wrong(text, "checksum", digest), "size", str(len(packed)))
    url = repo.publish(upstream)
    upstream.serve(next(path for path in repo.files if "-other." in path), packed)

    outcome = own_command("sync", "rpm", url, "--name", "bomb", "--json")

    assert outcome.code == 1
    assert outcome.error["type"] == "DecompressionBomb"
    assert outcome.json["peak_pss_bytes"] < 200_000_000
    assert left_soon(own_command) == {}


@pytest.mark.parametrize("workers", ["0", "1", "3"])
def test_a_failed_sync_leaves_no_child_and_no_file(
    own_command: Command, upstream: Upstream, repo: RpmRepo, workers: str
) -> None:
    own_command.env["MPSYNC_WORKERS"] = workers
    repo.edits["filelists"] = lambda text: text.replace("</filelists>", "")

    own_command.fails("sync", "rpm", repo.publish(upstream), "--name", "failed")

    assert left_soon(own_command) == {}
    assert own_command.ok("show", "failed")["version"] == 0


@pytest.mark.parametrize("href", ["../x.xml", "/etc/passwd", "file:///etc/passwd", "a\\b"])
def test_a_record_outside_the_repository_is_refused(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, href: str
) -> None:
    repo.edits["<data other>"] = lambda text: re.sub('href="[^"]*"', lambda _: f'href="{href}"', text)

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--name", name)

    assert error["type"] == "UnsafePath"
    assert "other" in error["message"]
    assert {request.path for request in upstream.of()} <= {REPOMD, ".treeinfo", "treeinfo"}


def test_a_record_as_zchunk_only_is_refused(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    repo.edits["<data other>"] = lambda text: text.replace('.gz"', '.zck"').replace("other", "other_zck", 1)

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--name", name)

    assert "zchunk only" in error["message"]


def test_weak_checksums_are_read_when_allowed(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    repo.suffix = ""
    plain = repo.text("other")
    repo.edits["<data other>"] = lambda text: re.sub("<(open-)?checksum.*</(open-)?checksum>", "", text).replace(
        "<location", f'<checksum type="sha">{hashlib.sha1(plain).hexdigest()}</checksum><location'
    )
    url = repo.publish(upstream)

    error = mpsync.fails("sync", "rpm", url, "--name", name)
    found = mpsync.ok("sync", "rpm", url, "--name", name, "--allow-weak-digests")

    assert "sha1" in error["message"]
    assert found["content"]["rpm.other"]["total"] == 2


def test_a_package_that_is_left_out_takes_its_file_lists_along(mpsync: Command, upstream: Upstream) -> None:
    repo = RpmRepo()
    repo.add("here")
    gone = repo.add("gone")
    url = repo.publish(upstream)
    upstream.remove(gone.location_href)

    found = mpsync.ok("sync", "rpm", url, "--name", "left-out", "--policy", "immediate", "--skip-failed")

    totals = {kind: count["total"] for kind, count in found["content"].items()}
    assert (totals["rpm.package"], totals["rpm.filelists"], totals["rpm.other"]) == (1, 1, 1)
    assert [skipped["what"] for skipped in found["skipped"]] == ["rpm.package gone 1.0-1 x86_64"]
