"""Modules know their packages, and packages know their modules."""

from __future__ import annotations

from typing import Any

from command import Command
from rpmrepo import RpmRepo, module
from upstream import Upstream


def labels(command: Command, name: str, kind: str, *, which: str, version: int = 1) -> dict[str, list[str]]:
    found: list[dict[str, Any]] = command.ok("content", name, "--kind", kind, "--version", str(version))["content"]
    return {f"{unit['name']} {unit['version']}": unit.get(which, []) for unit in found}


def test_modules_and_packages_know_each_other(mpsync: Command, upstream: Upstream) -> None:
    repo = RpmRepo()
    repo.add("hello", "2.0", epoch="1")
    repo.add("hello", "1.0", epoch="1")
    repo.add("plain")
    repo.texts["modules"] = module("greet", "9", "hello-1:2.0-1.x86_64", "gone-0:1-1.x86_64", "no nevra").encode()
    url = repo.publish(upstream)

    mpsync.ok("sync", "rpm", url, "--name", "related")

    (refers,) = labels(mpsync, "related", "rpm.modulemd", which="refers").values()
    assert refers == ["rpm.package hello 1:2.0-1 x86_64"]
    referred = labels(mpsync, "related", "rpm.package", which="referred_by")
    assert referred["hello 1:1.0-1"] == referred["plain 1.0-1"] == []
    (by,) = referred["hello 1:2.0-1"]
    assert by.startswith("rpm.modulemd greet 9:")


def test_what_a_version_lacks_is_no_relation_of_it(mpsync: Command, upstream: Upstream) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.add("stays")
    repo.texts["modules"] = module("greet", "1", "hello-0:1.0-1.x86_64").encode()
    url = repo.publish(upstream)
    mpsync.ok("sync", "rpm", url, "--name", "left")
    repo.drop("hello")
    repo.publish(upstream)

    mpsync.ok("sync", "left")

    assert list(labels(mpsync, "left", "modulemd", which="refers", version=2).values()) == [[]]
    assert list(labels(mpsync, "left", "modulemd", which="refers", version=1).values()) == [
        ["rpm.package hello 1.0-1 x86_64"]
    ]
