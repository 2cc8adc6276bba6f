"""Redirects, absolute hrefs, and what goes along with them (mirror-failures B10, H11, H13, H14)."""

from __future__ import annotations

from pathlib import Path

import pytest
from fetching import BODY, SMALL, opened, promise
from upstream import Upstream

from mpsync.errors import UpstreamError
from mpsync.fetch.errors import BadRedirect, ForbiddenUrl, HttpStatus, Unauthorized
from mpsync.fetch.session import FetchEvent
from mpsync.model.remote import Remote


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_followed(upstream: Upstream, other: Upstream, tmp_path: Path, status: int) -> None:
    upstream.redirect("a", other.serve("b", SMALL), status=status)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([f"{upstream.url}/a"], promise(SMALL))

        assert fetched.path.read_bytes() == SMALL
        assert fetched.url == f"{upstream.url}/a"
    assert other.requests[0].headers["accept-encoding"] == "identity"


async def test_a_relative_redirect_is_followed(upstream: Upstream, tmp_path: Path) -> None:
    upstream.redirect("x/a", "../y/b c")
    upstream.serve("y/b c", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([f"{upstream.url}/x/a"], promise(SMALL))).size_bytes == len(SMALL)


async def test_a_cut_behind_a_redirect_is_resumed(upstream: Upstream, other: Upstream, tmp_path: Path) -> None:
    upstream.redirect("a", other.serve("b", BODY))
    other.cut("b", at=1000)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([f"{upstream.url}/a"], promise(BODY))).path.read_bytes() == BODY
    assert other.requests[1].headers["range"] == "bytes=1000-"


async def test_credentials_and_headers_stay_with_their_origin(
    upstream: Upstream, other: Upstream, tmp_path: Path
) -> None:
    upstream.redirect("a", other.serve("b", SMALL))
    upstream.redirect("c", upstream.serve("d", SMALL))
    remote = Remote(upstream.url, username="joe", password="secret", headers={"X-Key": "k3y"})

    async with opened(tmp_path, remote) as it:
        await it.fetch([f"{upstream.url}/a"], promise(SMALL))
        await it.fetch([f"{upstream.url}/c"], promise(SMALL))

    assert all(r.headers["authorization"] == "Basic am9lOnNlY3JldA==" for r in upstream.requests)
    assert all(r.headers["x-key"] == "k3y" for r in upstream.requests)
    assert [name for name in ("authorization", "x-key") if name in other.requests[0].headers] == []


async def test_credentials_in_a_mirrors_url_go_to_that_mirror_only(
    upstream: Upstream, other: Upstream, tmp_path: Path
) -> None:
    mirror = other.serve("a", SMALL).replace("http://", "http://me:pass%40word@")
    upstream.serve("a", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([mirror], promise(SMALL))
        await it.fetch([f"{upstream.url}/a"], promise(SMALL))

        assert fetched.url == f"{other.url}/a"
    assert other.requests[0].headers["authorization"] == "Basic bWU6cGFzc0B3b3Jk"
    assert "authorization" not in upstream.requests[0].headers


async def test_a_loop_is_found(upstream: Upstream, tmp_path: Path) -> None:
    upstream.redirect("a", "/b")
    upstream.redirect("b", "/a")

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(BadRedirect, match="a loop"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
    assert upstream.count() == 2


async def test_no_more_redirects_than_allowed(upstream: Upstream, tmp_path: Path) -> None:
    for number in range(5):
        upstream.redirect(f"{number}", f"/{number + 1}")
    upstream.serve("5", SMALL)

    async with opened(tmp_path, upstream.url, max_redirects=5) as it:
        await it.fetch([f"{upstream.url}/0"], promise(SMALL))
    async with opened(tmp_path, upstream.url, max_redirects=4) as it:
        with pytest.raises(BadRedirect, match="more than 4"):
            await it.fetch([f"{upstream.url}/0"], promise(SMALL))


@pytest.mark.parametrize(
    "location",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "http://[::ffff:169.254.169.254]/",
        "gopher://127.0.0.1/",
        "/x%0d%0aHost:%20evil",
        "http://u:p@127.0.0.1/",
    ],
)
async def test_a_redirect_to_a_forbidden_place_is_refused_at_once(
    upstream: Upstream, tmp_path: Path, location: str
) -> None:
    upstream.redirect("a", location)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(BadRedirect) as failure:
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
        assert it.files == []
    assert upstream.count() == 1
    assert "u:p" not in str(failure.value)


async def test_a_redirect_without_a_location_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    upstream.status("a", 302, times=None)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(BadRedirect, match="no Location"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "[::ffff:127.0.0.1]"])
async def test_from_a_public_remote_no_url_leads_to_this_machine(upstream: Upstream, tmp_path: Path, host: str) -> None:
    upstream.serve("a", SMALL)

    async with opened(tmp_path, "http://mirror.invalid/", retries=0) as it:
        with pytest.raises(ForbiddenUrl):
            await it.fetch([f"http://{host}:{upstream.port}/a"], promise(SMALL))
    assert upstream.connections == 0


async def test_a_named_host_is_reached_wherever_it_is(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)

    async with opened(tmp_path, Remote("http://mirror.invalid/", allowed_hosts=("127.0.0.1",))) as it:
        assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://mirror.example/a",
        "gopher://x/",
        "/etc/passwd",
        "http://h/a\r\nX: y",
        "http://h/a b",
    ],
)
async def test_what_is_no_http_url_is_refused(upstream: Upstream, tmp_path: Path, url: str) -> None:
    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(ForbiddenUrl):
            await it.fetch([url], promise(SMALL))


async def test_illegal_characters_are_refused_for_a_known_origin_too(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        await it.fetch([url], promise(SMALL))
        with pytest.raises(ForbiddenUrl):
            await it.fetch([url + "\r\nX: y"], promise(SMALL))
    assert upstream.count() == 1


async def test_no_secret_is_in_any_error_event_or_result(upstream: Upstream, other: Upstream, tmp_path: Path) -> None:
    upstream.serve("ok", SMALL)
    upstream.cut("cut", at=0, times=None)
    upstream.serve("cut", SMALL)
    upstream.status("bad", 500, times=None)
    upstream.serve("wrong", SMALL[::-1])
    upstream.redirect("away", f"{other.url}/gone?signature=s1gn4ture")
    other.status("gone", 500, times=None)
    upstream.status("no", 401, times=None)
    base = upstream.url.replace("http://", "http://joe:s3cret@") + "/?token=t0ken"
    remote = Remote(base, headers={"X-Key": "k3y"})
    told: list[str] = []

    async with opened(tmp_path, remote, retries=1) as it:
        fetched = await it.fetch([remote.join("ok")], promise(SMALL))
        told.append(repr(fetched))
        for path in ("cut", "bad", "wrong", "missing", "away", "no"):
            with pytest.raises(UpstreamError) as failure:
                await it.fetch([remote.join(path).replace("http://", "http://joe:s3cret@")], promise(SMALL))
            told += [str(failure.value), repr(failure.value), repr(failure.value.details())]
        told += [repr(event) for event in it.events]
        assert isinstance(failure.value, Unauthorized)
        assert isinstance(it.events[0], FetchEvent)
    assert upstream.requests[0].target == "/ok?token=t0ken"

    secrets = ("s3cret", "t0ken", "s1gn4ture", "k3y", "am9l")
    assert [secret for secret in secrets for text in told if secret in text] == []


async def test_an_error_of_a_redirect_names_what_was_asked_for(
    upstream: Upstream, other: Upstream, tmp_path: Path
) -> None:
    upstream.redirect("a", f"{other.url}/b")
    other.status("b", 500, times=None)

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(HttpStatus, match=f"{upstream.url}/a"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
