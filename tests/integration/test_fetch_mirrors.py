"""Several hosts, busy hosts, hosts that say no (mirror-failures A7, B7, B8, B12, B17)."""

from __future__ import annotations

import asyncio
import email.utils
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fetching import SMALL, opened, promise, together
from upstream import Request, Response, Upstream

from mpsync.fetch.errors import ConnectFailed, DigestMismatch, HttpStatus, NotFound, TooBusy, Unauthorized
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote


@pytest.fixture
def mirror() -> Iterator[Upstream]:
    """A second upstream: the same machine, another host as far as slots and scores go."""
    with Upstream() as running:
        yield running


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# ---- no


@pytest.mark.parametrize("status", [403, 404, 410])
async def test_a_missing_file_is_not_asked_for_again(upstream: Upstream, tmp_path: Path, status: int) -> None:
    upstream.status("a", status, times=None)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(NotFound, match=str(status)):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
        assert it.fetcher.hosts[f"127.0.0.1:{upstream.port}"].score == 1.0  # no fault of the host's
    assert upstream.count() == 1


async def test_after_a_missing_by_hash_name_the_canonical_one_is_asked_for(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("dists/s/Packages.xz", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([f"{upstream.url}/dists/s/by-hash/SHA256/00", url], promise(SMALL))

        assert fetched.url == url
        assert it.kinds == ["failed"]


async def test_a_file_is_not_called_missing_when_a_mirror_could_not_be_asked(
    upstream: Upstream, tmp_path: Path
) -> None:
    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(ConnectFailed):
            await it.fetch([f"http://127.0.0.1:{closed_port()}/a", f"{upstream.url}/a"], promise(SMALL))
        with pytest.raises(NotFound):
            await it.fetch([f"{upstream.url}/a", f"{upstream.url}/b"], promise(SMALL))


async def test_an_unauthorized_host_is_not_asked_again_for_anything(upstream: Upstream, tmp_path: Path) -> None:
    upstream.status(None, 401, times=None)

    async with opened(tmp_path, upstream.url) as it:
        for path in "abc":
            with pytest.raises(Unauthorized, match="credentials are required"):
                await it.fetch([f"{upstream.url}/{path}"], promise(SMALL))
    assert upstream.count() == 1


async def test_refused_credentials_are_said_to_be_refused(upstream: Upstream, tmp_path: Path) -> None:
    upstream.status(None, 401, times=None)

    async with opened(tmp_path, Remote(upstream.url, username="joe", password="secret")) as it:
        with pytest.raises(Unauthorized, match="credentials were refused"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))


async def test_another_mirror_may_know_us(upstream: Upstream, mirror: Upstream, tmp_path: Path) -> None:
    upstream.status(None, 401, times=None)
    url = mirror.serve("a", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([f"{upstream.url}/a", url], promise(SMALL))).url == url


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
async def test_a_passing_failure_is_tried_again(upstream: Upstream, tmp_path: Path, status: int) -> None:
    url = upstream.serve("a", SMALL)
    upstream.status("a", status, times=2)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)
        assert it.kinds == ["retry", "retry"]


async def test_a_lasting_failure_is_an_error_after_the_last_try(upstream: Upstream, tmp_path: Path) -> None:
    upstream.status("a", 502, times=None)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(HttpStatus, match="the server answered 502"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL), retries=1)
    assert upstream.count() == 2


# ---- later


def in_a_second() -> str:
    return email.utils.formatdate(time.time() + 1, usegmt=True)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "1", "date"])
async def test_retry_after_is_honoured_and_takes_no_try(
    upstream: Upstream, tmp_path: Path, status: int, value: str
) -> None:
    url = upstream.serve("a", SMALL)
    upstream.retry_after("a", in_a_second() if value == "date" else value, status=status, times=2)
    waited: list[float] = []

    async with opened(tmp_path, upstream.url, retries=0) as it:
        assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)
        waited = [event.wait_s for event in it.events]
        assert it.kinds == ["wait", "wait"]
    if value == "1":
        assert waited == [1.0, 1.0]


async def test_a_busy_host_is_left_alone_by_everybody(upstream: Upstream, tmp_path: Path) -> None:
    urls = [upstream.serve(f"f{number}", SMALL) for number in range(20)]
    upstream.latency_s = 0.05
    came_at: list[float] = []
    told_at: list[float] = []

    def busy_once(request: Request, response: Response) -> Response | None:
        came_at.append(time.monotonic())
        return Response(429, b"", {"Retry-After": "1"}) if len(came_at) == 1 else None

    upstream.on(None, busy_once)

    async with opened(tmp_path, upstream.url, retries=0, host_connections=2) as it:
        it.on_event = lambda _: told_at.append(time.monotonic())
        await together(*(lambda url=url: it.fetch([url], promise(SMALL)) for url in urls))
    assert len(told_at) == 1
    assert len(came_at) == 21
    # What was under way could not be called back; what stood in the queue behind it stayed there.
    assert len([at for at in came_at if told_at[0] < at < told_at[0] + 1]) <= 2


async def test_a_slot_is_free_while_its_host_makes_us_wait(
    upstream: Upstream, mirror: Upstream, tmp_path: Path
) -> None:
    """One slot: the file that waits for its back-off does not hold it."""
    failing, good = upstream.serve("failing", SMALL), upstream.serve("good", SMALL)
    upstream.status("failing", 500, times=2)
    done: list[str] = []

    async with opened(tmp_path, upstream.url, host_connections=1) as it:

        async def one(name: str, url: str) -> None:
            await it.fetch([url], promise(SMALL))
            done.append(name)

        await together(lambda: one("failing", failing), lambda: one("good", good))
    assert done == ["good", "failing"]


async def test_a_host_that_keeps_us_waiting_too_long_is_given_up(upstream: Upstream, tmp_path: Path) -> None:
    upstream.retry_after("a", 3600, times=None)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(TooBusy, match="3600 s; we wait 5 s at most"):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
        with pytest.raises(TooBusy):  # known by now: not asked again
            await it.fetch([f"{upstream.url}/b"], promise(SMALL))
    assert upstream.count() == 1


async def test_the_waiting_budget_counts_the_sum(upstream: Upstream, tmp_path: Path) -> None:
    upstream.retry_after("a", 0, times=None)

    async with opened(tmp_path, upstream.url, retry_budget_s=1.0) as it:
        with pytest.raises(TooBusy):
            await it.fetch([f"{upstream.url}/a"], promise(SMALL))
    assert 2 <= upstream.count() <= 8


async def test_no_more_connections_than_the_host_may_have(upstream: Upstream, tmp_path: Path) -> None:
    urls = [upstream.serve(f"f{number}", SMALL) for number in range(30)]
    upstream.latency_s = 0.01

    async with opened(tmp_path, upstream.url, host_connections=3) as it:
        await together(*(lambda url=url: it.fetch([url], promise(SMALL)) for url in urls))
    assert upstream.most_open == 3


# ---- elsewhere


async def test_a_dead_mirror_is_replaced_and_remembered(upstream: Upstream, tmp_path: Path) -> None:
    dead = f"http://127.0.0.1:{closed_port()}"
    paths = [f"f{number}" for number in range(10)]
    for path in paths:
        upstream.serve(path, SMALL)

    async with opened(tmp_path, upstream.url) as it:
        for path in paths:
            fetched = await it.fetch([f"{dead}/{path}", f"{upstream.url}/{path}"], promise(SMALL))
            assert fetched.url == f"{upstream.url}/{path}"

        bad, good = it.fetcher.hosts[dead.removeprefix("http://")], it.fetcher.hosts[f"127.0.0.1:{upstream.port}"]
        assert bad.requests <= 3
        assert (bad.score, good.score) == (0.0, 1.0)


async def test_a_corrupt_mirror_is_replaced(upstream: Upstream, mirror: Upstream, tmp_path: Path) -> None:
    bad, good = upstream.serve("a", SMALL[::-1]), mirror.serve("a", SMALL)

    async with opened(tmp_path, upstream.url, retries=1) as it:
        fetched = await it.fetch([bad, good], promise(SMALL))

        assert fetched.url == good
        assert fetched.path.read_bytes() == SMALL


async def test_a_file_begun_on_one_mirror_is_begun_again_on_the_next(
    upstream: Upstream, mirror: Upstream, tmp_path: Path
) -> None:
    first, second = upstream.serve("a", SMALL), mirror.serve("a", SMALL)
    upstream.cut("a", at=1000, times=None)

    async with opened(tmp_path, upstream.url, retries=0) as it:
        assert (await it.fetch([first, second], promise(SMALL))).path.read_bytes() == SMALL
    assert "range" not in mirror.requests[0].headers


async def test_a_bad_mirror_is_still_asked_when_the_good_one_has_not_the_file(
    upstream: Upstream, mirror: Upstream, tmp_path: Path
) -> None:
    for path in ("a", "b", "c"):
        upstream.serve(path, SMALL)
    upstream.status(None, 500, times=12)

    async with opened(tmp_path, upstream.url, retries=2) as it:
        for path in ("a", "b"):
            with pytest.raises(HttpStatus):
                await it.fetch([f"{upstream.url}/{path}", f"{mirror.url}/{path}"], promise(SMALL))
        upstream.heal()
        fetched = await it.fetch([f"{upstream.url}/c", f"{mirror.url}/c"], promise(SMALL))

        assert fetched.url == f"{upstream.url}/c"
    assert mirror.requests[-1].path == "c"  # it was asked first


async def test_the_last_failure_is_the_one_that_is_raised(upstream: Upstream, mirror: Upstream, tmp_path: Path) -> None:
    urls = [upstream.serve("a", SMALL), mirror.serve("a", SMALL)]
    upstream.status("a", 500, times=None)

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(DigestMismatch):
            await it.fetch(urls, Expected.sha256("0" * 64, len(SMALL)))


# ---- connecting


async def test_a_refused_connection_is_named(tmp_path: Path) -> None:
    port = closed_port()

    async with opened(tmp_path, f"http://127.0.0.1:{port}/", retries=1) as it:
        with pytest.raises(ConnectFailed, match="can't connect"):
            await it.fetch([f"http://127.0.0.1:{port}/a"], promise(SMALL))
        assert it.kinds == ["retry"]


async def test_a_name_that_does_not_resolve_is_named(tmp_path: Path) -> None:
    async with opened(tmp_path, "http://mirror.invalid/", retries=0) as it:
        with pytest.raises(ConnectFailed, match=r"mirror\.invalid/a: can't connect"):
            await it.fetch(["http://mirror.invalid/a"], promise(SMALL))


async def test_a_dead_address_of_several_is_passed_over(
    upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def two_addresses(host: Any, port: Any, *rest: Any, **named: Any) -> Any:
        if host == "mirror.example":
            return real("127.0.0.9", port, *rest, **named) + real("127.0.0.1", port, *rest, **named)
        return real(host, port, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", two_addresses)
    upstream.serve("a", SMALL)
    base = f"http://mirror.example:{upstream.port}/"

    async with opened(tmp_path, base, retries=0) as it:
        assert (await it.fetch([base + "a"], promise(SMALL))).size_bytes == len(SMALL)


async def test_a_connection_that_nobody_accepts_times_out(tmp_path: Path) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
        try:
            async with opened(tmp_path, f"http://127.0.0.1:{port}/", retries=0, connect_timeout_s=0.2) as it:
                async with asyncio.timeout(10):
                    with pytest.raises(ConnectFailed, match=r"no connection in 0\.2 s"):
                        await it.fetch([f"http://127.0.0.1:{port}/a"], promise(SMALL))
        finally:
            for filler in fillers:
                filler.close()
