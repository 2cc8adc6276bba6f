"""--mirror-complete: upstream's metadata and signature bit for bit, or a clear refusal."""

from __future__ import annotations

import hashlib

import orjson
import pytest
from command import Command
from debrepo import KEY
from rpmrepo import ASC, PUBLIC_KEY, REPOMD, RpmRepo, advisory, updateinfo
from stored import held_files, stored
from upstream import Upstream

TREE = (".treeinfo", "treeinfo", "extra_files.json")


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    made.add("source", arch="src")
    made.texts = {
        "updateinfo": updateinfo(advisory("A-1", ["hello-1.0-1.x86_64"])),
        "primary_db": b"SQLite format 3\0",
        "productid": b"a certificate",
    }
    return made


def complete(mpsync: Command, url: str, name: str) -> dict[str, object]:
    return mpsync.ok("sync", "rpm", url, "--mirror-complete", "--name", name)


def test_every_file_of_the_metadata_is_kept_bit_for_bit(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    url = repo.publish(upstream, key=KEY)

    found = complete(mpsync, url, "complete")

    wanted = {path: data for path, data in repo.files.items() if path.startswith("repodata/")}
    held = held_files(mpsync, "complete")  # packages too, where another repository has downloaded the same
    assert {path: data for path, data in held.items() if path.startswith("repodata/")} == wanted
    assert {REPOMD, ASC, PUBLIC_KEY} <= set(wanted)
    assert found["content"]["rpm.package"]["total"] == 2  # type: ignore[index]
    assert found["content"]["rpm.repo_file"]["total"] == len(wanted)  # type: ignore[index]


def test_an_unchanged_one_costs_its_top_files(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    complete(mpsync, repo.publish(upstream, key=KEY), "complete-same")
    upstream.forget()

    found = mpsync.ok("sync", "complete-same")

    assert not found["changed"]
    assert {request.path for request in upstream.of()} == {REPOMD, ASC, PUBLIC_KEY, *TREE}


def test_a_new_signature_of_the_same_repomd_is_a_new_version(
    mpsync: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    complete(mpsync, repo.publish(upstream, key=KEY), "resigned")
    upstream.serve(ASC, b"another signature")

    found = mpsync.ok("sync", "resigned")

    assert found["version"] == 2
    assert held_files(mpsync, "resigned")[ASC] == b"another signature"


def test_duplicates_are_kept_as_upstream_has_them(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    repo.add("hello", built=1_700_000_000, href="Packages/again.rpm")

    found = complete(mpsync, repo.publish(upstream), "complete-twice")

    assert found["content"]["rpm.package"]["total"] == 3  # type: ignore[index]
    assert found["skipped"] == []
    assert stored(mpsync, "complete-twice")["rpm.package"] == sorted(repo.records("primary"))


def test_extra_files_are_kept_too(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    eula = b"the licence"
    entry = {"file": "EULA", "size": len(eula), "checksums": {"sha256": hashlib.sha256(eula).hexdigest()}}
    repo.more = {"extra_files.json": orjson.dumps({"header": {}, "data": [entry]}), "EULA": eula}

    url = repo.publish(upstream)
    mpsync.ok("sync", "rpm", url, "--mirror-complete", "--name", "extra", "--policy", "immediate")

    held = held_files(mpsync, "extra")
    assert held["EULA"] == eula
    assert held["extra_files.json"] == repo.more["extra_files.json"]


@pytest.mark.parametrize(
    ("role", "old", "new", "problem"),
    [
        ("<data other>", "<location href", '<location xml:base="http://a.example/" href', "other lies below http://a"),
        ("primary", "<location href", '<location xml:base="http://a.example/" href', "http://a.example/"),
        ("primary", 'href="Packages/hello', 'href="../hello', "../hello"),
        ("<data other>", 'href="repodata', 'href="../repodata', "../repodata"),
        ("repomd", "<revision>", '<data type="prestodelta"><checksum type="sha256">' + "0" * 64 + "</checksum>"
         '<location href="repodata/p.xml"/></data><revision>', "delta RPMs"),
    ],
)  # fmt: skip
def test_what_cannot_be_mirrored_so_is_refused_by_name(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, role: str, old: str, new: str, problem: str
) -> None:
    repo.edits[role] = lambda text: text.replace(old, new, 1)

    name = f"refused-{hashlib.sha256(role.encode() + new.encode()).hexdigest()[:8]}"

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--mirror-complete", "--name", name)

    assert problem in error["message"]
    assert error["type"] in ("CannotMirrorComplete", "UnsafePath", "RefusedRecord")
    assert mpsync.ok("show", name)["version"] == 0
