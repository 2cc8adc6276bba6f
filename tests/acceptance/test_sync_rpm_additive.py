"""Duplicates, advisories in several wordings, what adds up and what is replaced, and --retain."""

from __future__ import annotations

from itertools import count

import pytest
from command import Command
from rpmrepo import RpmRepo, advisory, comps, group, module, updateinfo
from stored import stored
from upstream import Upstream

_NUMBER = count()


@pytest.fixture
def name() -> str:
    """Of a repository of the test's own."""
    return f"additive-{next(_NUMBER)}"


def packages(mpsync: Command, name: str) -> list[str]:
    """name-version of the packages; fails if file lists and changelogs are of other ones."""
    found: dict[str, list[str]] = {}
    for unit in mpsync.ok("content", name)["content"]:
        found.setdefault(unit["kind"], []).append(f"{unit['name']}-{unit['version']}")
    assert sorted(found["rpm.package"]) == sorted(found["rpm.filelists"]) == sorted(found["rpm.other"])
    return sorted(found["rpm.package"])


# --- two builds of one NEVRA


@pytest.mark.parametrize("is_newest_first", [True, False])
def test_of_two_builds_the_newest_stays_and_both_are_named(
    mpsync: Command, upstream: Upstream, name: str, is_newest_first: bool
) -> None:
    repo = RpmRepo()
    new, old = {"built": 1_700_000_000, "href": "new/hello.rpm"}, {"built": 1_600_000_000, "href": "old/hello.rpm"}
    builds = [repo.add("hello", **values) for values in ((new, old) if is_newest_first else (old, new))]
    repo.add("other")

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert packages(mpsync, name) == ["hello-1.0-1", "other-1.0-1"]
    told = " ".join(skipped["why"] for skipped in found["skipped"])
    assert "kept new/hello.rpm" in told
    assert "not old/hello.rpm" in told
    assert all(build.pkgId in told for build in builds)
    assert len(found["skipped"]) == 1
    newest = next(build for build in builds if build.time_build == 1_700_000_000)
    for kind in ("rpm.package", "rpm.filelists", "rpm.other"):
        assert [raw for raw in stored(mpsync, name)[kind] if newest.pkgId.encode() in raw]


def test_of_two_builds_of_one_moment_the_first_stays(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello", href="b/first.rpm", payload=b"first")
    repo.add("hello", href="a/second.rpm", payload=b"second")

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert "kept b/first.rpm" in found["skipped"][0]["why"]


def test_one_package_at_two_places_keeps_both(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello", href="a/hello.rpm", payload=b"same")
    repo.add("hello", href="b/hello.rpm", payload=b"same")

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--policy", "immediate")

    assert found["content"]["rpm.package"]["total"] == 2
    assert sorted(raw.split(b'location href="')[1][:1] for raw in stored(mpsync, name)["rpm.package"]) == [b"a", b"b"]
    assert not [skipped for skipped in found["skipped"] if "duplicate-nevra" in skipped["what"] + skipped["why"]]


def test_the_outcome_for_duplicates_is_the_same_in_every_later_sync(
    mpsync: Command, upstream: Upstream, name: str
) -> None:
    repo = RpmRepo()
    repo.add("hello", built=1_600_000_000, href="old.rpm")
    repo.add("hello", built=1_700_000_000, href="new.rpm")
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    forced = mpsync.ok("sync", name, "--force")
    repo.add("other")
    repo.publish(upstream)

    found = mpsync.ok("sync", name)

    assert not forced["changed"]
    assert "kept new.rpm" in forced["skipped"][0]["why"]
    assert packages(mpsync, name) == ["hello-1.0-1", "other-1.0-1"]
    assert "kept new.rpm" in found["skipped"][0]["why"]


def test_a_rebuild_replaces_the_older_build_in_an_additive_repository(
    mpsync: Command, upstream: Upstream, name: str
) -> None:
    repo = RpmRepo()
    repo.add("hello", built=1_600_000_000)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")
    repo.drop("hello")
    new = repo.add("hello", built=1_700_000_000)
    repo.publish(upstream)

    found = mpsync.ok("sync", name)

    assert packages(mpsync, name) == ["hello-1.0-1"]
    assert found["content"]["rpm.package"] == {"total": 1, "added": 1, "removed": 1}
    for kind in ("rpm.package", "rpm.filelists", "rpm.other"):
        assert [raw for raw in stored(mpsync, name)[kind] if new.pkgId.encode() in raw]


def test_an_older_build_does_not_replace_a_newer_one_that_is_held(
    mpsync: Command, upstream: Upstream, name: str
) -> None:
    repo = RpmRepo()
    new = repo.add("hello", built=1_700_000_000)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")
    repo.drop("hello")
    repo.add("hello", built=1_600_000_000)
    repo.publish(upstream)

    mpsync.ok("sync", name)

    assert packages(mpsync, name) == ["hello-1.0-1"]
    for kind in ("rpm.package", "rpm.filelists", "rpm.other"):
        assert [raw for raw in stored(mpsync, name)[kind] if new.pkgId.encode() in raw], kind


# --- advisories

A, B, C = "a-1-1.x86_64", "b-1-1.x86_64", "c-1-1.x86_64"
A2, Z = "a-2-1.x86_64", "z-1-1.x86_64"
RULES = {
    "disjoint": (advisory("X", [A]), advisory("X", [B]), "merged"),
    "superset": (advisory("X", [A]), advisory("X", [A, B], title="more"), "incoming"),
    "subset": (advisory("X", [A, B]), advisory("X", [A], title="fewer"), "held"),
    "equal": (advisory("X", [A]), advisory("X", [A], title="other words"), "incoming"),
    "overlap": (advisory("X", [A, B]), advisory("X", [B, C]), "conflict"),
    "newer": (advisory("X", [A]), advisory("X", [A, B], date="2025-01-01"), "incoming"),
    "older": (advisory("X", [A], date="2025-01-01"), advisory("X", [A, B]), "held"),
    "version": (advisory("X", [A]), advisory("X", [A], version="2"), "incoming"),
    "names": (advisory("X", [A]), advisory("X", [A2], date="2025-01-01"), "incoming"),
    "strangers": (advisory("X", [A]), advisory("X", [Z], date="2025-01-01"), "conflict"),
}


@pytest.mark.parametrize("rule", RULES)
def test_an_advisory_in_two_wordings_follows_its_rule(
    mpsync: Command, upstream: Upstream, name: str, rule: str
) -> None:
    held, incoming, outcome = RULES[rule]
    repo = RpmRepo()
    repo.add("hello")
    repo.texts["updateinfo"] = updateinfo(held)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")
    repo.texts["updateinfo"] = updateinfo(incoming)
    repo.publish(upstream)

    if outcome == "conflict":
        error = mpsync.fails("sync", name)
        assert error["type"] == "AdvisoryConflict"
        assert "X" in error["message"]
        assert stored(mpsync, name)["rpm.advisory"] == [held.encode()]
        mpsync.ok("sync", name, "--allow-advisory-conflict")
        assert stored(mpsync, name)["rpm.advisory"] == [incoming.encode()]
        return
    mpsync.ok("sync", name)
    kept = stored(mpsync, name)["rpm.advisory"]
    again = mpsync.ok("sync", name, "--force")

    if outcome == "merged":
        (merged,) = kept
        assert b"<name>c</name>" in merged
        assert b"<name>c_1</name>" in merged
        assert b'name="a"' in merged
        assert b'name="b"' in merged
    else:
        assert kept == [(held if outcome == "held" else incoming).encode()]
    assert stored(mpsync, name)["rpm.advisory"] == kept, "and so again"
    assert not again["changed"]


def test_a_mirror_takes_upstreams_wording_whatever_it_is(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.texts["updateinfo"] = updateinfo(RULES["overlap"][0])
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    repo.texts["updateinfo"] = updateinfo(RULES["overlap"][1])
    repo.publish(upstream)

    mpsync.ok("sync", name)

    assert stored(mpsync, name)["rpm.advisory"] == [RULES["overlap"][1].encode()]


def test_two_of_one_id_in_one_file_follow_the_rules_too(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.texts["updateinfo"] = updateinfo(*RULES["disjoint"][:2], advisory("Y", [A]))
    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)
    repo.texts["updateinfo"] = updateinfo(*RULES["overlap"][:2])
    repo.publish(upstream)
    error = mpsync.fails("sync", name)
    allowed = mpsync.ok("sync", name, "--allow-advisory-conflict")

    assert found["content"]["rpm.advisory"]["total"] == 2
    assert any("advisory-merged" in note for note in found["notes"])
    assert error["type"] == "AdvisoryConflict"
    assert allowed["content"]["rpm.advisory"]["total"] == 1
    assert stored(mpsync, name)["rpm.advisory"] == [RULES["overlap"][1].encode()]


# --- comps and modules


def test_groups_and_modules_are_replaced_by_their_new_wording_and_the_others_stay(
    mpsync: Command, upstream: Upstream, name: str
) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.texts["group"] = comps(group("core"), group("old"))
    repo.texts["modules"] = (module("ruby", "3.3", "hello-0:1.0-1.x86_64") + module("perl", "5")).encode()
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")
    repo.texts["group"] = comps(group("core", "Renamed"), group("new"))
    repo.texts["modules"] = (module("ruby", "3.3") + module("ruby", "3.4")).encode()
    repo.publish(upstream)

    mpsync.ok("sync", name)

    kept = stored(mpsync, name)
    assert kept["rpm.group"] == sorted(text.encode() for text in (group("core", "Renamed"), group("old"), group("new")))
    assert len(kept["rpm.modulemd"]) == 3
    assert not [raw for raw in kept["rpm.modulemd"] if b"hello-0:1.0-1.x86_64" in raw]


def test_every_kind_of_module_document_is_kept(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.texts["modules"] = (
        module("ruby", "3.3")
        + "---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: ruby\n  stream: '3.3'\n...\n"
        + "---\ndocument: modulemd-obsoletes\nversion: 1\ndata:\n  modified: 2024-01-01T00:00Z\n  module: ruby\n"
        + "  stream: '3.0'\n  message: old\n...\n"
        + "---\ndocument: modulemd-packager\nversion: 3\ndata:\n  name: x\n...\n"
    ).encode()

    found = mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name)

    assert {kind: found["content"][kind]["total"] for kind in found["content"] if "module" in kind} == {
        "rpm.modulemd": 1,
        "rpm.modulemd_defaults": 1,
        "rpm.modulemd_obsoletes": 1,
    }
    assert any("document-unknown" in note and "modulemd-packager" in note for note in found["notes"])


# --- retain


def test_retain_keeps_the_newest_by_rpms_own_comparison(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    for version in ("1.0~rc1", "1.0", "1.0^git1", "1.0.1"):
        repo.add("hello", version)
    repo.add("hello", "0.1", epoch="1")
    repo.add("hello", "0.5", arch="noarch")

    found = mpsync.ok(
        "sync", "rpm", repo.publish(upstream), "--name", name, "--additive", "--retain", "3",
        "--policy", "immediate",
    )  # fmt: skip

    assert packages(mpsync, name) == ["hello-0.5-1", "hello-1.0.1-1", "hello-1.0^git1-1", "hello-1:0.1-1"]
    assert len([request for request in upstream.of() if request.path.endswith(".rpm")]) == 4
    assert found["skipped"] == []


def test_retain_counts_what_is_held_and_what_comes(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    repo.add("hello", "1")
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive", "--retain", "2")
    seen = [packages(mpsync, name)]
    for version in ("3", "2", "4~beta", "4"):
        repo.drop("hello")
        repo.add("hello", version)
        repo.publish(upstream)
        mpsync.ok("sync", name)
        seen.append(packages(mpsync, name))

    assert seen == [
        ["hello-1-1"],
        ["hello-1-1", "hello-3-1"],
        ["hello-2-1", "hello-3-1"],
        ["hello-3-1", "hello-4~beta-1"],
        ["hello-4-1", "hello-4~beta-1"],
    ]


def test_retain_leaves_modular_packages_alone(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    for version in ("1", "2", "3", "4"):
        repo.add("hello", version)
    repo.texts["modules"] = module("greet", "1", "hello-0:1-1.x86_64", "hello-0:2-1.x86_64").encode()
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive", "--retain", "1")
    first = packages(mpsync, name)
    repo.add("hello", "5")
    repo.publish(upstream)

    mpsync.ok("sync", name)

    assert first == ["hello-1-1", "hello-2-1", "hello-4-1"]
    assert packages(mpsync, name) == ["hello-1-1", "hello-2-1", "hello-5-1"]


def test_a_lower_retain_thins_out_what_is_held(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    for version in ("1", "2", "3"):
        repo.add("hello", version)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive")

    found = mpsync.ok("sync", name, "--retain", "1")
    more = mpsync.ok("sync", name, "--retain", "2")

    assert found["content"]["rpm.package"] == {"total": 1, "added": 0, "removed": 2}
    assert more["content"]["rpm.package"] == {"total": 2, "added": 1, "removed": 0}


def test_a_remembered_retain_is_taken_back_by_0(mpsync: Command, upstream: Upstream, name: str) -> None:
    repo = RpmRepo()
    for version in ("1", "2", "3"):
        repo.add("hello", version)
    mpsync.ok("sync", "rpm", repo.publish(upstream), "--name", name, "--additive", "--retain", "1")

    refused = mpsync.fails("sync", name, "--mirror", code=2)
    found = mpsync.ok("sync", name, "--mirror", "--retain", "0")

    assert "--retain 0" in refused["message"]
    assert found["content"]["rpm.package"]["total"] == 3
