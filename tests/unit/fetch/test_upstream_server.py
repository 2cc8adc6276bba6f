"""The tests' own upstream does what it says, or nothing else here means anything."""

from __future__ import annotations

import http.client
from pathlib import Path

import pytest
from upstream import Upstream


def get(upstream: Upstream, target: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", upstream.port, timeout=5)
    try:
        connection.request("GET", target, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def test_serves_bytes_and_trees_and_logs_requests(upstream: Upstream, tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"from disk")
    assert upstream.serve("a b", b"hello").endswith("/a%20b")
    assert upstream.serve_tree(tmp_path, "tree").endswith("/tree")

    assert get(upstream, "/a%20b")[2] == b"hello"
    assert get(upstream, "/tree/b")[2] == b"from disk"
    assert get(upstream, "/tree/c")[0] == 404

    assert [request.path for request in upstream.requests] == ["a b", "tree/b", "tree/c"]


def test_ranges_honour_if_range(upstream: Upstream) -> None:
    upstream.serve("f", b"0123456789")
    etag = get(upstream, "/f")[1]["ETag"]

    assert get(upstream, "/f", Range="bytes=4-", If_Range=etag)[2] == b"456789"
    assert get(upstream, "/f", Range="bytes=4-", If_Range='"other"')[0] == 200
    assert get(upstream, "/f", Range="bytes=10-")[0] == 416
    assert get(upstream, "/f", If_None_Match=etag)[0] == 304


def test_faults_apply_so_many_times(upstream: Upstream) -> None:
    upstream.serve("f", b"0123456789")
    upstream.status("f", 503, times=2)
    upstream.cut("f", at=3)

    assert [get(upstream, "/f")[0] for _ in range(2)] == [503, 503]
    with pytest.raises(http.client.IncompleteRead):
        get(upstream, "/f")
    assert get(upstream, "/f")[2] == b"0123456789"


def test_content_changes_between_requests(upstream: Upstream) -> None:
    upstream.serve("f", b"old")
    upstream.change("f", b"new", after=1)

    assert [get(upstream, "/f")[2] for _ in range(2)] == [b"old", b"new"]
