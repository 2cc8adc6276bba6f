"""An RPM repository from a URL into a version, and again, and when it changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from command import Command
from rpmrepo import ASC, REPOMD, RpmRepo, advisory, comps, group, module, updateinfo
from stored import stored
from test_no_child import REPORT, pythons
from upstream import Upstream

KINDS = {"primary": "rpm.package", "filelists": "rpm.filelists", "other": "rpm.other"}


@pytest.fixture
def repo() -> RpmRepo:
    """Three packages, and a unit of each other kind."""
    made = RpmRepo()
    made.add("hello")
    made.add("libc++", "2.0~rc1", "3.fc41", "noarch")
    made.add("zsh", "5.9^20240101", epoch="2")
    made.texts = {
        "updateinfo": updateinfo(advisory("A-1", ["hello-1.0-1.x86_64"]), advisory("A-2", ["zsh-5-1.x86_64"])),
        "group": comps(group("core"), "<category><id>apps</id><grouplist/></category>"),
        "modules": (module("ruby", "3.3", "hello-0:1.0-1.x86_64") + module("perl", "5.40")).encode(),
        "productid": b"a certificate",
    }
    return made


def totals(found: dict[str, object]) -> dict[str, int]:
    return {kind: count["total"] for kind, count in found["content"].items()}  # type: ignore[attr-defined]


def test_a_repository_is_synced_whole_and_kept_byte_for_byte(
    mpsync: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    url = repo.publish(upstream)

    found = mpsync.ok("sync", "rpm", url, "--name", "whole")
    kept = stored(mpsync, "whole")
    at = repo.texts["modules"].index(b"---", 1)

    assert found["changed"]
    assert found["skipped"] == []
    assert totals(found) == {
        "rpm.package": 3,
        "rpm.filelists": 3,
        "rpm.other": 3,
        "rpm.advisory": 2,
        "rpm.group": 1,
        "rpm.category": 1,
        "rpm.modulemd": 2,
        "rpm.repo_file": 8,
    }
    for role, kind in KINDS.items():
        assert kept[kind] == sorted(repo.records(role))
    assert kept["rpm.advisory"] == [raw.encode() for raw in _lines(repo.texts["updateinfo"])[2:4]]
    assert kept["rpm.group"] == [group("core").encode()]
    documents = [raw + b"...\n" for raw in kept["rpm.modulemd"]]
    assert sorted(documents) == sorted([repo.texts["modules"][:at], repo.texts["modules"][at:]])
    assert not [request for request in upstream.of() if request.path.endswith(".rpm")], "on demand downloads none"


def _lines(text: bytes) -> list[str]:
    return text.decode().splitlines()


def test_an_unchanged_repository_costs_its_top_files_and_no_version(
    mpsync: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", "same")
    upstream.forget()

    found = mpsync.ok("sync", "same")

    assert not found["changed"]
    assert found["version"] == 1
    assert found["stages"] == [], "nothing was parsed"
    assert sorted(request.path for request in upstream.of()) == [".treeinfo", REPOMD, "treeinfo"]
    assert totals(found)["rpm.package"] == 3


@pytest.mark.parametrize("workers", ["1", "3"])
def test_an_unchanged_repository_starts_no_child(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, tmp_path: Path, workers: str
) -> None:
    log = tmp_path / "log"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(REPORT.format(log=str(log)))
    reporting = Command(mpsync.data_dir, PYTHONPATH=str(tmp_path / "site"), MPSYNC_WORKERS=workers)

    _, first = pythons(reporting, log, "sync", "rpm", repo.publish(upstream), "--name", f"childless{workers}")
    _, second = pythons(reporting, log, "sync", f"childless{workers}")

    assert len(first) > 1
    assert len(second) == 1, second


def test_only_files_that_changed_are_read_again(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", "changed")
    upstream.forget()
    repo.texts["updateinfo"] = updateinfo(advisory("A-1", ["hello-1.0-1.x86_64"]))
    repo.publish(upstream)

    found = mpsync.ok("sync", "changed")

    assert found["content"]["rpm.advisory"] == {"total": 1, "added": 0, "removed": 1}
    assert found["content"]["rpm.package"] == {"total": 3, "added": 0, "removed": 0}
    asked = [request.path for request in upstream.of() if request.path.startswith("repodata/")]
    assert len(asked) == 2, asked
    assert [path for path in asked if "updateinfo" in path]


def test_a_mirror_follows_upstream_and_an_additive_repository_keeps_what_went(
    mpsync: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    url = repo.publish(upstream)
    mpsync.ok("sync", "rpm", url, "--name", "mirror")
    mpsync.ok("sync", "rpm", url, "--name", "additive", "--additive")
    repo.drop("hello")
    repo.add("new")
    repo.publish(upstream)

    mirror, additive = mpsync.ok("sync", "mirror"), mpsync.ok("sync", "additive")

    for kind in KINDS.values():
        assert mirror["content"][kind] == {"total": 3, "added": 1, "removed": 1}
        assert additive["content"][kind] == {"total": 4, "added": 1, "removed": 0}
    assert additive["content"]["rpm.repo_file"]["total"] == 8, "metadata files are those of now"
    assert additive["skipped"] == []
    for role, kind in KINDS.items():
        assert stored(mpsync, "mirror")[kind] == sorted(repo.records(role))


def test_a_forced_sync_of_the_same_makes_no_version(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", "forced")

    found = mpsync.ok("sync", "forced", "--force")

    assert not found["changed"]
    assert found["stages"]


def test_workers_in_any_number_make_the_same(upstream: Upstream, tmp_path: Path, repo: RpmRepo) -> None:
    for number in range(300):
        repo.add(f"many{number}", files=20)
    url = repo.publish(upstream)
    made = {}

    for workers in ("0", "1", "3"):
        command = Command(tmp_path / workers, MPSYNC_WORKERS=workers)
        found = command.ok("sync", "rpm", url, "--name", "r")
        made[workers] = (found["content"], found["skipped"], found["notes"], stored(command, "r"))
        assert not command.left_behind().get("files")

    assert made["0"] == made["1"] == made["3"]
    assert made["0"][0]["rpm.package"]["total"] == 303


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz", ".bz2", ".zst"])
def test_each_compression_is_read(mpsync: Command, upstream: Upstream, repo: RpmRepo, suffix: str) -> None:
    repo.suffix = suffix

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", f"packed{suffix or '.plain'}")

    assert totals(found)["rpm.filelists"] == 3


def test_sqlite_and_zchunk_beside_plain_files_are_ignored(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    repo.texts |= {"primary_db": b"SQLite format 3\0", "primary_zck": b"\0ZCK1"}

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", "sqlite")

    assert not [request for request in upstream.of() if "_db" in request.path or "_zck" in request.path]
    assert any("record-ignored" in note for note in found["notes"])


def test_policies_immediate_and_on_demand_and_fetch(mpsync: Command, upstream: Upstream, repo: RpmRepo) -> None:
    url = repo.publish(upstream)

    now = mpsync.ok("sync", "rpm", url, "--name", "immediate", "--policy", "immediate")
    streamed = mpsync.ok("sync", "rpm", url, "--name", "streamed", "--policy", "streamed")
    upstream.forget()
    mpsync.ok("sync", "rpm", url, "--name", "on-demand")
    fetched = mpsync.ok("fetch", "on-demand")

    assert now["downloaded"]["files"] >= 3
    assert mpsync.ok("show", "immediate")["artifacts"]["deferred"]["files"] == 0
    assert streamed["changed"]
    assert fetched["deferred"]["files"] == 0
    assert fetched["held"]["files"] == now["content"]["rpm.repo_file"]["total"] + 3
    assert not [request for request in upstream.of() if request.path.endswith(".rpm")], "packages are held already"


def test_odd_names_are_asked_for_as_urls(own_command: Command, upstream: Upstream) -> None:
    repo = RpmRepo()
    repo.add("libc++", "1~rc1^2")
    repo.add("spaced", href="Packages/a b%c#d?.rpm")
    repo.add("plain", href="Packages/ö.rpm")

    own_command.ok("sync", "rpm", repo.publish(upstream), "--name", "odd", "--policy", "immediate")

    asked = {request.target for request in upstream.of() if request.path.endswith(".rpm")}
    assert asked == {
        "/Packages/libc++-1~rc1%5E2-1.x86_64.rpm",
        "/Packages/a%20b%25c%23d%3F.rpm",
        "/Packages/%C3%B6.rpm",
    }


def test_a_token_in_the_url_goes_behind_every_path_and_nowhere_else(
    own_command: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    repo.publish(upstream)

    outcome = own_command(
        "sync", "rpm", f"{upstream.url}/?exp=1~s3cret", "--name", "sles", "--policy", "immediate", "--json"
    )

    assert outcome.code == 0, outcome.stdout
    assert {request.target.partition("?")[2] for request in upstream.of()} == {"exp=1~s3cret"}
    assert "s3cret" not in outcome.stderr
    assert "s3cret" not in outcome.stdout


def test_credentials_go_with_every_request(own_command: Command, upstream: Upstream, repo: RpmRepo) -> None:
    url = repo.publish(upstream)

    own_command.ok("sync", "rpm", url.replace("//", "//user:pass@"), "--name", "basic", "--policy", "immediate")

    assert {request.headers.get("authorization") for request in upstream.of()} == {"Basic dXNlcjpwYXNz"}


def test_a_repository_of_createrepo_c_and_modifyrepo_c_is_read(
    mpsync: Command, upstream: Upstream, tmp_path: Path
) -> None:
    (tmp_path / "extra.txt").write_text("custom")
    (tmp_path / "updateinfo.xml").write_bytes(updateinfo(advisory("A-1", ["hello-1.0-1.x86_64"])))
    subprocess.run(["createrepo_c", "--quiet", "--general-compress-type=xz", tmp_path], check=True)
    for name in ("updateinfo.xml", "extra.txt"):
        subprocess.run(["modifyrepo_c", tmp_path / name, tmp_path / "repodata"], check=True, capture_output=True)
    subprocess.run(["modifyrepo_c", "--remove", "other", tmp_path / "repodata"], check=True, capture_output=True)

    found = mpsync.ok("sync", "rpm", upstream.serve_tree(tmp_path), "--name", "createrepo")

    assert totals(found)["rpm.advisory"] == 1
    assert any("no other" in note for note in found["notes"])


def test_what_is_no_repository_is_said_so(mpsync: Command, upstream: Upstream) -> None:
    error = mpsync.fails("sync", "rpm", upstream.url, "--name", "nothing")

    assert error["type"] == "NoRepomd"
    assert "repodata/repomd.xml" in error["message"]
    assert ASC not in [request.path for request in upstream.of()]
