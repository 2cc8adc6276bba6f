"""--header goes to the upstream's own host, to nobody else, and into no store."""

from __future__ import annotations

from pathlib import Path

from command import Command
from rpmrepo import RpmRepo
from upstream import Upstream


def test_headers_go_with_every_request_and_are_not_remembered(
    mpsync: Command, upstream: Upstream, tmp_path: Path
) -> None:
    repo = RpmRepo()
    repo.add("hello")
    url = repo.publish(upstream)
    file = tmp_path / "headers"
    file.write_text("X-Token: s3cret\n")

    mpsync.ok("sync", "rpm", url, "--name", "headed", "--header", f"@{file}", "--policy", "immediate")
    first = upstream.of()
    upstream.forget()
    mpsync.ok("sync", "headed")
    again = upstream.of()

    assert first
    assert {request.headers.get("x-token") for request in first} == {"s3cret"}
    assert {request.headers.get("x-token") for request in again} == {None}


def test_a_host_that_a_redirect_leads_to_does_not_see_them(mpsync: Command, upstream: Upstream) -> None:
    repo = RpmRepo()
    moved = repo.add("moved-elsewhere")
    url = repo.publish(upstream)
    with Upstream() as other:
        body = repo.payloads[moved.location_href]
        upstream.redirect(moved.location_href, other.serve(moved.location_href, body))

        mpsync.ok("sync", "rpm", url, "--name", "led", "--header", "X-Token: s3cret", "--policy", "immediate")

        assert [request.headers.get("x-token") for request in other.of()] == [None]
