"""Distribution trees: installer files, variants and addons as repositories of their own, and what is left out of them."""

from __future__ import annotations

import hashlib
from itertools import count

import pytest
from command import Command
from debrepo import KEY
from rpmrepo import REPOMD, RpmRepo, advisory, updateinfo
from stored import held_files, stored
from upstream import Upstream

_NUMBER = count()
KERNEL, BOOT, STAGE2 = b"a kernel", b"a boot image", b"a second stage"


@pytest.fixture
def name() -> str:
    """Of a repository of the test's own."""
    return f"tree-{next(_NUMBER)}"


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    made.add("source", arch="src")
    return made


def sha256(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def tree(upstream: Upstream, *more: str, path: str = ".treeinfo", version: str = "41") -> bytes:
    """Serve a productmd treeinfo and its installer files; ``more``: further sections."""
    text = (
        f"[header]\ntype = productmd.treeinfo\nversion = 1.2\n\n[release]\nname = Test\nshort = T\nversion = {version}\n\n"
        "[tree]\narch = x86_64\nbuild_timestamp = 1700000000\nplatforms = x86_64\nvariants = Server\n\n"
        f"[checksums]\nimages/boot.iso = {sha256(BOOT)}\nimages/vmlinuz = {sha256(KERNEL)}\n"
        f"repodata/repomd.xml = {sha256(b'of another day')}\n\n"
        "[images-x86_64]\nboot.iso = images/boot.iso\nkernel = images/vmlinuz\n\n"
        "[stage2]\nmainimage = images/install.img\n\n"
        "[variant-Server]\nid = Server\nuid = Server\nname = Server\ntype = variant\nrepository = .\npackages = Packages\n\n"
        + "\n".join(more)
    ).encode()
    for file, data in (("boot.iso", BOOT), ("vmlinuz", KERNEL), ("install.img", STAGE2)):
        upstream.serve(f"images/{file}", data)
    upstream.serve(path, text)
    return text


def addon(path: str, uid: str = "Addon") -> str:
    return (
        f"[addon-{uid}]\nid = {uid}\nuid = {uid}\nname = {uid}\ntype = addon\nrepository = {path}\npackages = {path}\n"
    )


@pytest.mark.parametrize("path", [".treeinfo", "treeinfo"])
def test_a_tree_is_a_unit_with_its_images_on_demand(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, path: str
) -> None:
    text = tree(upstream, path=path)

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    asked = [request.path for request in upstream.of() if request.path.startswith("images/")]
    mpsync.ok("fetch", name)

    assert stored(mpsync, name)["rpm.tree"] == [text]
    assert found["content"]["rpm.tree"] == {"total": 1, "added": 1, "removed": 0}
    assert asked == []
    held = held_files(mpsync, name)
    assert held[path] == text
    assert (held["images/boot.iso"], held["images/vmlinuz"], held["images/install.img"]) == (BOOT, KERNEL, STAGE2)


def test_images_are_downloaded_at_once_when_asked_for(own_command: Command, upstream: Upstream, repo: RpmRepo) -> None:
    tree(upstream)

    own_command.ok("sync", "rpm", repo.publish(upstream), "--name", "now", "--policy", "immediate")

    assert held_files(own_command, "now")["images/boot.iso"] == BOOT
    assert own_command.ok("show", "now")["artifacts"]["deferred"]["files"] == 0


def test_an_image_with_other_bytes_is_an_error(own_command: Command, upstream: Upstream, repo: RpmRepo) -> None:
    tree(upstream)
    upstream.serve("images/boot.iso", b"a boot imago")

    error = own_command.fails("sync", "rpm", repo.publish(upstream), "--name", "bad", "--policy", "immediate")

    assert error["type"] == "DigestMismatch"
    assert error["url"].endswith("images/boot.iso")
    assert own_command.ok("show", "bad")["version"] == 0
    assert "files" not in own_command.left_behind()


def test_an_image_that_is_missing_is_an_error_or_left_out(
    own_command: Command, upstream: Upstream, repo: RpmRepo
) -> None:
    tree(upstream)
    upstream.remove("images/boot.iso")
    arguments = ("sync", "rpm", repo.publish(upstream), "--name", "missing", "--policy", "immediate")

    error = own_command.fails(*arguments)

    left = own_command.ok(*arguments, "--skip-failed")

    assert error["type"] == "NotFound"
    assert error["url"].endswith("images/boot.iso")
    assert any("images/boot.iso" in skipped["what"] + skipped["why"] for skipped in left["skipped"])


@pytest.mark.parametrize("path", ["../vmlinuz", "/boot/vmlinuz", "http://a.example/vmlinuz"])
def test_an_image_outside_of_the_tree_is_refused(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, path: str
) -> None:
    upstream.serve(".treeinfo", f"[general]\nname = T\n[images-x86_64]\nkernel = {path}\n".encode())
    arguments = ("sync", "rpm", repo.publish(upstream), "--name", name)

    error = mpsync.fails(*arguments)
    left = mpsync.ok(*arguments, "--skip-failed")

    assert error["type"] == "RefusedRecord"
    assert path in error["message"]
    assert any("location-unsafe" in skipped["why"] for skipped in left["skipped"])


def test_an_image_with_a_weak_checksum_only_is_left_out_and_reported_unless_it_is_allowed(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    upstream.serve("images/vmlinuz", KERNEL)
    checksum = f"sha1:{hashlib.sha1(KERNEL).hexdigest()}"
    upstream.serve(".treeinfo", f"[general]\nname = T\n[checksums]\nimages/vmlinuz = {checksum}\n".encode())
    url = repo.publish(upstream)

    found = mpsync.ok("sync", "rpm", url, "--name", name)
    mpsync.ok("sync", "rpm", url, "--name", name, "--allow-weak-digests", "--policy", "immediate")

    assert any("checksum-weak" in skipped["why"] for skipped in found["skipped"])
    assert held_files(mpsync, name)["images/vmlinuz"] == KERNEL


def test_a_changed_treeinfo_is_synced_though_repomd_is_the_same(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    tree(upstream)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    same = mpsync.ok("sync", name)
    text = tree(upstream, version="42")

    found = mpsync.ok("sync", name)
    upstream.remove(".treeinfo")
    gone = mpsync.ok("sync", name)

    assert not same["changed"]
    assert stored(mpsync, name).get("rpm.tree", [text]) == [text]
    assert found["content"]["rpm.tree"] == {"total": 1, "added": 1, "removed": 1}
    assert gone["content"].get("rpm.tree", {"total": 0})["total"] == 0


def test_an_additive_repository_has_the_tree_of_now(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    tree(upstream)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")
    text = tree(upstream, version="42")

    mpsync.ok("sync", name)

    assert stored(mpsync, name)["rpm.tree"] == [text]


def test_addons_are_repositories_of_their_own(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    sub = RpmRepo("addons/HA/")
    sub.add("pacemaker")
    sub.add("hello")  # as the root's
    sub.texts["updateinfo"] = updateinfo(advisory("A", ["pacemaker-1.0-1.x86_64"]))
    sub.publish(upstream)
    tree(upstream, addon("addons/HA"))

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    upstream.forget()
    same = mpsync.ok("sync", name)
    asked = {request.path for request in upstream.of()}
    sub.add("corosync")
    sub.publish(upstream)
    more = mpsync.ok("sync", name)
    mpsync.ok("fetch", name)

    assert found["content"]["rpm.package"]["total"] == 4, "hello is two units: its file lies in two places"
    assert found["skipped"] == []
    assert not same["changed"]
    assert asked == {REPOMD, f"addons/HA/{REPOMD}", ".treeinfo"}
    assert more["content"]["rpm.package"] == {"total": 5, "added": 1, "removed": 0}
    assert {"addons/HA/Packages/corosync-1.0-1.x86_64.rpm", "addons/HA/Packages/pacemaker-1.0-1.x86_64.rpm"} <= set(
        held_files(mpsync, name)
    )


def test_an_addon_that_upstream_lacks_is_reported_and_one_that_comes_is_synced(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    tree(upstream, addon("addons/HA"))
    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    same = mpsync.ok("sync", name)
    sub = RpmRepo("addons/HA/")
    sub.add("pacemaker")
    sub.publish(upstream)

    came = mpsync.ok("sync", name)

    assert [skipped["what"] for skipped in found["skipped"]] == [f"addons/HA/{REPOMD}"]
    assert not same["changed"]
    assert came["content"]["rpm.package"]["total"] == 3


def test_an_addon_that_goes_is_no_longer_there(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    sub = RpmRepo("addons/HA/")
    sub.add("pacemaker")
    sub.publish(upstream)
    tree(upstream, addon("addons/HA"))
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    upstream.remove(f"addons/HA/{REPOMD}")

    found = mpsync.ok("sync", name)
    tree(upstream)
    left = mpsync.ok("sync", name)

    assert found["content"]["rpm.package"] == {"total": 2, "added": 0, "removed": 1}
    assert [skipped["what"] for skipped in found["skipped"]] == [f"addons/HA/{REPOMD}"]
    assert left["content"]["rpm.package"]["total"] == 2


def test_a_broken_addon_fails_the_sync_and_names_its_file(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    sub = RpmRepo("addons/HA/")
    sub.add("pacemaker")
    sub.edits["primary"] = lambda text: text[:-20]
    sub.publish(upstream)
    tree(upstream, addon("addons/HA"))

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--name", name)

    assert "addons/HA/repodata/" in error["message"]


def test_an_addon_outside_of_the_tree_is_not_followed(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    repo.prefix = "deep/os/"
    text = tree(upstream, addon("../../other"))
    upstream.serve("deep/os/.treeinfo", text)

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert any("variant-outside" in note for note in found["notes"])
    assert not [request for request in upstream.of() if request.path.startswith("other")]


def test_an_unsigned_addon_of_a_signed_tree_is_read_and_one_that_was_signed_stays_so(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str, keys: str
) -> None:
    plain, signed = RpmRepo("addons/plain/"), RpmRepo("addons/signed/")
    for sub, key in ((plain, None), (signed, KEY)):
        sub.add(sub.prefix.split("/")[1])
        sub.publish(upstream, key=key)
    tree(upstream, addon("addons/plain", "Plain"), addon("addons/signed", "Signed"))
    mpsync.ok("sync", "rpm", repo.publish(upstream, key=KEY), "--name", name, "--keyring", keys)
    unchanged = mpsync.ok("sync", name)
    signed.publish(upstream, key=None)

    error = mpsync.fails("sync", name)

    assert not unchanged["changed"]
    assert error["type"] == "NoLongerSigned"
    assert "addons/signed" in error["message"]


def test_an_old_treeinfo_is_read(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    text = (
        "[general]\nfamily = CentOS\nversion = 6.10\narch = x86_64\ntimestamp = 1530000000.12\nvariant = \n\n"
        f"[images-x86_64]\nkernel = images/vmlinuz\n\n[checksums]\nimages/vmlinuz = {sha256(KERNEL)}\n\n"
        "[addon-HA]\nid = HA\nname = High availability\nrepository = HA\n\n[stage2]\nmainimage = images/install.img\n"
    ).encode()
    sub = RpmRepo("HA/")
    sub.add("pacemaker")
    sub.publish(upstream)
    upstream.serve(".treeinfo", text)

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert found["content"]["rpm.package"]["total"] == 3
    (unit,) = [unit for unit in mpsync.ok("content", name)["content"] if unit["kind"] == "rpm.tree"]
    assert (unit["version"], unit["arch"], unit["files"]) == ("6.10", "x86_64", 2)


def test_what_is_no_treeinfo_is_an_error(mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str) -> None:
    upstream.serve(".treeinfo", b"<html>not found</html>")

    error = mpsync.fails("sync", "rpm", repo.publish(upstream), "--name", name)

    assert "not a treeinfo" in error["message"]


def test_trees_source_packages_and_architectures_are_left_out_when_asked(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    tree(upstream)
    repo.add("doc", arch="noarch")
    repo.add("lib", arch="i686")
    url = repo.publish(upstream)
    every = mpsync.ok("sync", "rpm", url, "--name", name)
    upstream.forget()

    less = mpsync.ok("sync", name, "--skip", "srpm,treeinfo")
    asked = [request.path for request in upstream.of()]
    one = mpsync.ok("sync", name, "--arch", "x86_64,noarch")

    counts = [
        [found["content"].get(kind, {"total": 0})["total"] for kind in ("rpm.package", "rpm.filelists", "rpm.other")]
        for found in (every, less, one)
    ]
    assert counts == [[4] * 3, [3] * 3, [2] * 3]
    assert less["content"].get("rpm.tree", {"total": 0})["total"] == 0
    assert not [path for path in asked if "treeinfo" in path]
    assert less["skipped"] == one["skipped"] == []


def test_a_package_that_the_root_drops_is_still_fetched_from_the_addon(
    mpsync: Command, upstream: Upstream, repo: RpmRepo, name: str
) -> None:
    shared = repo.add(f"shared-{name}")
    extra = RpmRepo(prefix="addons/HA/", packages=[shared], payloads={shared.location_href: b""})
    extra.payloads[shared.location_href] = repo.payloads[shared.location_href]
    extra.publish(upstream)
    tree(upstream, addon("addons/HA"))
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    repo.drop(shared.name)
    repo.publish(upstream)
    upstream.remove(shared.location_href)

    mpsync.ok("sync", name)
    upstream.forget()
    mpsync.ok("fetch", name, "--name", shared.name)

    assert [request.path for request in upstream.of()] == [f"addons/HA/{shared.location_href}"]
