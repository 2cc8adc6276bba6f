"""The file plugin, by the command: what docs/howto/write-a-plugin.md builds."""

from __future__ import annotations

import hashlib

from command import Command
from upstream import Upstream


def serve(upstream: Upstream, files: dict[str, bytes], *more: str, manifest: str = "PULP_MANIFEST") -> None:
    """Serve ``files`` and a manifest of them; ``more`` are further lines of it."""
    lines = [f"{path},{hashlib.sha256(data).hexdigest()},{len(data)}" for path, data in files.items()]
    upstream.serve(manifest, "\n".join([*lines, *more, ""]).encode())
    for path, data in files.items():
        upstream.serve(path, data)


def asked(upstream: Upstream) -> list[str]:
    return [request.path for request in upstream.of()]


def test_a_manifest_is_synced_changed_and_followed(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"a/one.iso": b"one", "two,with comma.iso": b"two"})
    first = command.ok("sync", "file", upstream.url, "--name", "files", "--policy", "immediate")
    upstream.forget()
    unchanged = command.ok("sync", "files")
    of_unchanged = asked(upstream)
    serve(upstream, {"a/one.iso": b"one", "three.iso": b"three"})
    changed = command.ok("sync", "files")

    assert first["content"]["file.file"] == {"total": 2, "added": 2, "removed": 0}
    assert not unchanged["changed"]
    assert (unchanged["version"], unchanged["requests"]) == (1, 1)
    assert of_unchanged == ["PULP_MANIFEST"]
    assert changed["version"] == 2
    assert changed["content"]["file.file"] == {"total": 2, "added": 1, "removed": 1}
    assert upstream.count("a/one.iso") == 0, "it is stored already"
    assert upstream.count("three.iso") == 1


def test_on_demand_downloads_the_manifest_alone_and_fetch_the_rest(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"od/one.iso": b"on demand one", "od/two.iso": b"on demand two"})

    command.ok("sync", "file", upstream.url, "--name", "files-on-demand")
    of_sync = asked(upstream)
    upstream.forget()
    fetched = command.ok("fetch", "files-on-demand", "--name", "od/one*")

    assert of_sync == ["PULP_MANIFEST"]
    assert asked(upstream) == ["od/one.iso"]
    assert fetched["downloaded"]["files"] == 1
    assert fetched["deferred"]["files"] == 0, "of the units that were asked for"


def test_immediate_stores_the_bytes_that_the_manifest_promised(command: Command, upstream: Upstream) -> None:
    data = b"immediate, byte for byte"
    serve(upstream, {"im/one.iso": data})

    command.ok("sync", "file", upstream.url, "--name", "files-immediate", "--policy", "immediate")

    shown = command.ok("show", "files-immediate")
    digest = hashlib.sha256(data).hexdigest()
    (stored,) = [path for path in command.data_dir.rglob("*") if path.is_file() and digest[4:] in path.name]
    assert shown["artifacts"]["held"] == {"files": 1, "bytes": len(data)}
    assert stored.read_bytes() == data


def test_a_manifest_may_have_another_name_which_is_remembered(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"named.iso": b"named"}, manifest="lists/FILES")

    command.ok("sync", "file", upstream.url, "--name", "files-named", "--manifest", "lists/FILES")
    upstream.forget()
    again = command.ok("sync", "files-named")

    assert not again["changed"]
    assert asked(upstream) == ["lists/FILES"]


def test_without_a_manifest_the_error_says_what_to_do(command: Command, upstream: Upstream) -> None:
    error = command.fails("sync", "file", upstream.url, "--name", "files-none", code=2)

    assert error["type"] == "ConfigError"
    assert "PULP_MANIFEST" in error["message"]
    assert "--manifest" in error["message"]


def test_a_hostile_line_fails_or_is_skipped(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"good": b"good"}, f"../../etc/passwd,{'0' * 64},3")

    error = command.fails("sync", "file", upstream.url, "--name", "hostile")
    found = command.ok("sync", "file", upstream.url, "--name", "hostile", "--skip-failed")

    assert error["type"] == "UnsafePath"
    assert "line 2" in error["message"]
    assert found["content"]["file.file"]["total"] == 1
    assert "line 2" in found["skipped"][0]["what"]


def test_a_bad_line_leaves_the_version_that_was_there(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"kept": b"kept"})
    command.ok("sync", "file", upstream.url, "--name", "files-kept")
    serve(upstream, {"new": b"new"}, "half a li")

    error = command.fails("sync", "files-kept")

    assert error["type"] == "MetadataError"
    assert [unit["name"] for unit in command.ok("content", "files-kept")["content"]] == ["kept"]


def test_a_file_that_is_not_what_its_line_says_fails_or_is_skipped(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"sf/good.iso": b"good one", "sf/bad.iso": b"promised"})
    upstream.serve("sf/bad.iso", b"tampered")
    arguments = ("sync", "file", upstream.url, "--name", "files-tampered", "--policy", "immediate")

    error = command.fails(*arguments)
    found = command.ok(*arguments, "--skip-failed")

    assert error["type"] == "DigestMismatch"
    assert error["url"] == f"{upstream.url}/sf/bad.iso"
    assert [unit["name"] for unit in command.ok("content", "files-tampered")["content"]] == ["sf/good.iso"]
    assert "sf/bad.iso" in found["skipped"][0]["what"]
