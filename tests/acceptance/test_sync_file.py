"""The file plugin, by the command: what docs/howto/write-a-plugin.md builds."""

from __future__ import annotations

import hashlib

import pytest
from command import Command
from upstream import Upstream

from mpsync.errors import MetadataError
from mpsync.plugins.file.manifest import parse


def serve(upstream: Upstream, files: dict[str, bytes], *more: str) -> None:
    lines = [f"{path},{hashlib.sha256(data).hexdigest()},{len(data)}" for path, data in files.items()]
    upstream.serve("PULP_MANIFEST", "\n".join([*lines, *more, ""]).encode())
    for path, data in files.items():
        upstream.serve(path, data)


def test_a_manifest_is_synced_changed_and_followed(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"a/one.iso": b"one", "two,with comma.iso": b"two"})
    first = command.ok("sync", "file", upstream.url, "--name", "files", "--policy", "immediate")
    upstream.forget()
    unchanged = command.ok("sync", "files")
    asked = [request.path for request in upstream.of()]
    serve(upstream, {"a/one.iso": b"one", "three.iso": b"three"})
    changed = command.ok("sync", "files")

    assert first["content"]["file.file"] == {"total": 2, "added": 2, "removed": 0}
    assert not unchanged["changed"]
    assert asked == ["PULP_MANIFEST"]
    assert changed["content"]["file.file"] == {"total": 2, "added": 1, "removed": 1}
    assert upstream.count("a/one.iso") == 0, "it is stored already"


def test_a_hostile_line_fails_or_is_skipped(command: Command, upstream: Upstream) -> None:
    serve(upstream, {"good": b"good"}, f"../../etc/passwd,{'0' * 64},3")

    error = command.fails("sync", "file", upstream.url, "--name", "hostile")
    found = command.ok("sync", "file", upstream.url, "--name", "hostile", "--skip-failed")

    assert error["type"] == "UnsafePath"
    assert "line 2" in error["message"]
    assert found["content"]["file.file"]["total"] == 1
    assert "line 2" in found["skipped"][0]["what"]


@pytest.mark.parametrize(
    "line",
    ["no commas", "path,notahash,3", f"path,{'0' * 64},three", f"/abs,{'0' * 64},3", f"big,{'0' * 64},{'9' * 30}"],
)
def test_a_bad_line_is_an_error_that_names_it(line: str) -> None:
    (found,) = parse(line.encode(), "MANIFEST")

    assert isinstance(found, MetadataError)
    assert "MANIFEST line 1" in str(found)


def test_one_path_with_two_digests_is_an_error() -> None:
    found = list(parse(f"a,{'0' * 64},3\na,{'1' * 64},3\n".encode(), "MANIFEST"))

    assert isinstance(found[1], MetadataError)
