"""Mirrorlists and metalinks over real servers: who is asked, who is left, what is promised (mirror-failures B17, B18,
H14)."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fetching import Opened, opened
from upstream import Upstream

from mpsync.core import ProbeUpstream, RemoteHandle
from mpsync.errors import ConfigError, MetadataError
from mpsync.fetch.errors import DigestMismatch, ForbiddenUrl, NotFound, SizeMismatch, Stalled
from mpsync.model.content import Artifact
from mpsync.model.digests import Fetched
from mpsync.model.remote import Remote
from mpsync.plugins.rpm.mirrors import Mirrors, check_url, fetch_repomd, list_options, mirrors_of

PATH = "repodata/repomd.xml"
NEW, OLD, BAD = b"<repomd>new</repomd>", b"<repomd>old.</repomd>", b"<repomd>bad</repomd>"
PACKAGE = hashlib.shake_128(b"package").digest(5000)


class Run:
    """What one sync has: a probe's view and a stage's, of the same fetcher."""

    def __init__(self, it: Opened, remote: Remote) -> None:
        self.it = it
        self.upstream = ProbeUpstream(it.fetcher, remote)
        self.handle = RemoteHandle(it.fetcher, remote)

    async def mirrors(self, **options: str) -> Mirrors:
        return await mirrors_of(self.upstream, options)

    async def package(self, path: str, body: bytes = PACKAGE) -> Fetched:
        artifact = Artifact(size=len(body), digests={"sha256": hashlib.sha256(body).hexdigest()})
        return await self.handle.download([path], artifact)


@asynccontextmanager
async def running(folder: Path, remote: Remote | str, **settings: Any) -> AsyncIterator[Run]:
    remote = Remote(remote) if isinstance(remote, str) else remote
    async with AsyncExitStack() as stack:
        yield Run(await stack.enter_async_context(opened(folder, remote, **settings)), remote)


@pytest.fixture
def hosts() -> Iterator[list[Upstream]]:
    """Three mirrors that have everything."""
    with ExitStack() as stack:
        made = [stack.enter_context(Upstream()) for _ in range(3)]
        for host in made:
            host.serve(PATH, NEW)
            for number in range(6):
                host.serve(f"p{number}.rpm", PACKAGE)
        yield made


def dead() -> str:
    """A mirror's URL where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/"


def mirrorlist(server: Upstream, *urls: str) -> str:
    return server.serve("mirrorlist", "\n".join(("# mirrors", *urls)).encode())


def metalink(server: Upstream, urls: list[str], *bodies: bytes, algorithm: str = "sha256") -> str:
    """A metalink whose newest repomd.xml is the first of ``bodies``, and whose alternates are the others."""

    def said(body: bytes) -> str:
        digest = hashlib.new(algorithm, body).hexdigest()
        return f'<size>{len(body)}</size><verification><hash type="{algorithm}">{digest}</hash></verification>'

    alternates = "".join(f"<mm0:alternate>{said(body)}</mm0:alternate>" for body in bodies[1:])
    resources = "".join(
        f'<url protocol="http" preference="{100 - at}">{url.rstrip("/")}/{PATH}</url>' for at, url in enumerate(urls)
    )
    text = (
        '<metalink xmlns="http://www.metalinker.org/" xmlns:mm0="http://fedorahosted.org/mirrormanager"><files>'
        f'<file name="repomd.xml">{said(bodies[0]) if bodies else ""}'
        f"<mm0:alternates>{alternates}</mm0:alternates><resources>{resources}</resources></file></files></metalink>"
    )
    return server.serve("metalink", text.encode())


def body(file: Fetched | None) -> bytes:
    assert file is not None
    return file.path.read_bytes()


def asked(server: Upstream) -> int:
    """Requests for packages."""
    return sum(request.path.endswith(".rpm") for request in server.requests)


# ---- who is asked


async def test_a_mirrorlist_alone_is_enough(upstream: Upstream, hosts: list[Upstream], tmp_path: Path) -> None:
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(mirrorlist=url)

        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW
        assert body(await run.package("p0.rpm")) == PACKAGE
        assert mirrors.urls == [f"{host.url}/" for host in hosts]
    assert [host.count() for host in hosts] == [2, 0, 0]
    assert upstream.count() == 1  # the list's own host holds no files


async def test_the_base_url_comes_before_the_mirrors(upstream: Upstream, hosts: list[Upstream], tmp_path: Path) -> None:
    base, mirror, _ = hosts
    url = mirrorlist(upstream, mirror.url, base.url)

    async with running(tmp_path, base.url) as run:
        mirrors = await run.mirrors(mirrorlist=url)
        await fetch_repomd(run.upstream, mirrors)
        await run.package("p0.rpm")
    assert (base.count(), mirror.count()) == (2, 0)


async def test_mirrors_below_a_folder_and_with_odd_names_are_joined_as_the_base_is(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].serve("fedora/41/g++ ~1^2.rpm", PACKAGE)
    url = mirrorlist(upstream, dead(), f"{hosts[0].url}/fedora/41")

    async with running(tmp_path, url) as run:
        await run.mirrors(mirrorlist=url)
        await run.package("g++ ~1^2.rpm")
    assert hosts[0].requests[-1].target == "/fedora/41/g++%20~1%5E2.rpm"


async def test_without_a_list_nothing_is_asked_but_the_base(hosts: list[Upstream], tmp_path: Path) -> None:
    async with running(tmp_path, hosts[0].url) as run:
        mirrors = await run.mirrors()

        assert mirrors == Mirrors()
        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW
    assert hosts[0].count() == 1


async def test_a_mirrorlist_that_turns_out_to_be_a_metalink_is_one(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].serve(PATH, BAD)
    url = metalink(upstream, [host.url for host in hosts], NEW)

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(mirrorlist=url)

        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW


# ---- who is left


async def test_a_dead_first_mirror_is_replaced_and_remembered(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    gone = dead()
    url = mirrorlist(upstream, gone, hosts[0].url)

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        for number in range(6):
            await run.package(f"p{number}.rpm")

        assert run.it.fetcher.hosts[gone.split("/")[2]].requests <= 2
    assert asked(hosts[0]) == 6


async def test_a_mirror_that_dies_after_the_probe_is_left_for_the_rest_of_the_run(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        hosts[0].status(None, 500, times=None)
        for number in range(6):
            await run.package(f"p{number}.rpm")
    assert asked(hosts[0]) == 4  # twice each for the first two packages
    assert asked(hosts[1]) == 6


async def test_a_corrupt_mirror_is_replaced_and_remembered(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    for number in range(6):
        hosts[0].serve(f"p{number}.rpm", PACKAGE[::-1])
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await run.mirrors(mirrorlist=url)
        for number in range(6):
            assert body(await run.package(f"p{number}.rpm")) == PACKAGE
    assert asked(hosts[0]) == 2
    assert asked(hosts[1]) == 6


async def test_a_dripping_mirror_is_left_at_its_first_file(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].drip("p0.rpm", 1, 0.02)  # 50 B/s
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url, min_bytes_per_s=2000) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        for number in range(6):
            await run.package(f"p{number}.rpm")

        failed = [event for event in run.it.events if event.kind == "failed"]
        assert [event.url for event in failed] == [f"{hosts[0].url}/p0.rpm"]
        assert "stalled" in failed[0].text
    assert asked(hosts[0]) == 1
    assert asked(hosts[1]) == 6


async def test_a_slow_only_mirror_is_an_error_that_says_so(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].drip("p0.rpm", 1, 0.02)
    url = mirrorlist(upstream, hosts[0].url)

    async with running(tmp_path, url, min_bytes_per_s=2000, retries=0) as run:
        await run.mirrors(mirrorlist=url)
        with pytest.raises(Stalled, match="less than 2000 B/s"):
            await run.package("p0.rpm")


async def test_a_file_that_a_mirror_lacks_comes_from_the_next_and_stale_mirrors_go_last(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    for number in range(6):
        hosts[0].remove(f"p{number}.rpm")
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        for number in range(6):
            await run.package(f"p{number}.rpm")
    assert asked(hosts[0]) == 4
    assert asked(hosts[1]) == 6


async def test_a_file_that_nobody_has_is_missing(upstream: Upstream, hosts: list[Upstream], tmp_path: Path) -> None:
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await run.mirrors(mirrorlist=url)
        with pytest.raises(NotFound, match=r"nowhere\.rpm: not found"):
            await run.package("nowhere.rpm")
    assert [asked(host) for host in hosts] == [1, 1, 1]


async def test_the_mirror_that_had_repomd_is_asked_first_for_all_else(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].remove(PATH)
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        await run.package("p0.rpm")
    assert [asked(host) for host in hosts] == [0, 1, 0]


async def test_a_busy_mirror_is_not_waited_for(upstream: Upstream, hosts: list[Upstream], tmp_path: Path) -> None:
    hosts[0].retry_after("p0.rpm", 60, times=None)
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url, retry_budget_s=100) as run:
        await run.mirrors(mirrorlist=url)
        await run.package("p0.rpm")
        assert [event.kind for event in run.it.events] == ["failed"]
    assert asked(hosts[1]) == 1


async def test_an_optional_top_file_that_one_mirror_lacks_is_asked_for_nowhere_else(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[1].serve(".treeinfo", b"[general]")
    url = mirrorlist(upstream, *(host.url for host in hosts))

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))

        assert await run.upstream.top_file(".treeinfo") is None
        hosts[0].status(".treeinfo", 500, times=None)
        assert body(await run.upstream.top_file(".treeinfo")) == b"[general]"


# ---- what is promised


async def test_a_repomd_that_is_not_promised_is_left_for_the_next_mirrors(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].serve(PATH, BAD)  # same size, other bytes
    hosts[1].serve(PATH, b"longer" * 9)
    url = metalink(upstream, [host.url for host in hosts], NEW, OLD)

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(metalink=url)
        file = await fetch_repomd(run.upstream, mirrors)

        assert body(file) == NEW
        assert file is not None
        assert file.url == f"{hosts[2].url}/{PATH}"
        await run.package("p0.rpm")
    assert [asked(host) for host in hosts] == [0, 0, 1]


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
async def test_an_alternate_is_as_good_as_the_newest(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path, algorithm: str
) -> None:
    hosts[0].serve(PATH, OLD)
    url = metalink(upstream, [host.url for host in hosts], NEW, BAD, OLD, algorithm=algorithm)

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(metalink=url)

        assert body(await fetch_repomd(run.upstream, mirrors)) == OLD
        assert len(mirrors.promises) == 3
    assert hosts[1].count() == 0


async def test_when_no_mirror_has_what_is_promised_the_error_says_where_what_and_what_instead(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    for host in hosts:
        host.serve(PATH, BAD)
    url = metalink(upstream, [*(host.url for host in hosts), dead()], NEW)

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(metalink=url)
        with pytest.raises(DigestMismatch) as caught:
            await fetch_repomd(run.upstream, mirrors)
        assert run.it.files == []

    assert caught.value.url == f"{hosts[2].url}/{PATH}"
    assert caught.value.expected == f"sha256:{hashlib.sha256(NEW).hexdigest()}"
    assert caught.value.got == f"sha256:{hashlib.sha256(BAD).hexdigest()}"


async def test_a_repomd_of_another_size_is_an_error_too(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    hosts[0].serve(PATH, NEW + b"\n")
    url = metalink(upstream, [hosts[0].url], NEW, OLD + b"..")

    async with running(tmp_path, url, retries=0) as run:
        mirrors = await run.mirrors(metalink=url)
        with pytest.raises(SizeMismatch):
            await fetch_repomd(run.upstream, mirrors)


async def test_the_base_url_has_to_keep_the_promise_too(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    base = hosts[0]
    base.serve(PATH, BAD)
    url = metalink(upstream, [hosts[1].url], NEW)

    async with running(tmp_path, base.url) as run:
        assert body(await fetch_repomd(run.upstream, await run.mirrors(metalink=url))) == NEW


async def test_a_repomd_that_is_read_again_has_to_keep_the_promise(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    """As when its signature is of another generation (mirror-failures A4)."""
    url = metalink(upstream, [hosts[0].url, hosts[1].url], NEW)

    async with running(tmp_path, url) as run:
        await fetch_repomd(run.upstream, await run.mirrors(metalink=url))
        hosts[0].serve(PATH, BAD)

        assert body(await run.upstream.top_file(PATH)) == NEW


async def test_a_repomd_that_nobody_has_is_none(upstream: Upstream, hosts: list[Upstream], tmp_path: Path) -> None:
    for host in hosts:
        host.remove(PATH)
    url = metalink(upstream, [host.url for host in hosts], NEW)

    async with running(tmp_path, url) as run:
        assert await fetch_repomd(run.upstream, await run.mirrors(metalink=url)) is None


async def test_a_promised_size_beyond_any_repomd_is_refused(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    url = metalink(upstream, [hosts[0].url], NEW)
    upstream.serve("metalink", upstream._files["metalink"].replace(b"<size>20<", b"<size>999999999999<"))

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(metalink=url)
        with pytest.raises(MetadataError, match="too large for a top file"):
            await fetch_repomd(run.upstream, mirrors)


async def test_a_metalink_that_promises_nothing_is_a_list_and_a_note(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    url = metalink(upstream, [hosts[0].url])

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(metalink=url)

        assert mirrors.promises == []
        assert mirrors.notes == [f"{url}: it promises nothing of {PATH}"]
        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW


# ---- the list itself


async def test_a_mirrorlist_that_is_missing_is_an_error_without_a_base_url(upstream: Upstream, tmp_path: Path) -> None:
    url = f"{upstream.url}/mirrorlist"

    async with running(tmp_path, url) as run:
        with pytest.raises(NotFound, match="/mirrorlist: not found"):
            await run.mirrors(mirrorlist=url)


async def test_a_mirrorlist_that_is_missing_is_a_note_beside_a_base_url(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    async with running(tmp_path, hosts[0].url) as run:
        mirrors = await run.mirrors(mirrorlist=f"{upstream.url}/mirrorlist")

        assert len(mirrors.notes) == 1
        assert "/mirrorlist: not found" in mirrors.notes[0]
        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW


@pytest.mark.parametrize("answer", [None, b"http://127.0.0.1/\n", b"<!DOCTYPE html><html>please log in</html>"])
async def test_a_metalink_that_is_missing_or_none_is_always_an_error(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path, answer: bytes | None
) -> None:
    """Without it nothing says what repomd.xml has to be."""
    if answer is not None:
        upstream.serve("metalink", answer)

    async with running(tmp_path, hosts[0].url) as run:
        with pytest.raises((NotFound, MetadataError), match="/metalink: not"):
            await run.mirrors(metalink=f"{upstream.url}/metalink")
        assert run.it.files == []


async def test_mirrors_that_are_not_http_are_ignored_and_noted(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    odd = ("rsync://a.example/f", "ftp://b.example/f", "file:///etc/", "http://joe:pw@c.example/")
    url = mirrorlist(upstream, *odd, "http://d.example/$releasever/", hosts[0].url)

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(mirrorlist=url)

        assert mirrors.urls == [f"{hosts[0].url}/"]
        assert len(mirrors.notes) == 1
        for word in ("rsync://a.example", "ftp://b.example", "file:///etc", "$releasever, and no variable is expanded"):
            assert word in mirrors.notes[0]
        assert body(await fetch_repomd(run.upstream, mirrors)) == NEW


async def test_a_list_with_variables_only_is_an_error_that_names_one(upstream: Upstream, tmp_path: Path) -> None:
    url = mirrorlist(upstream, "http://d.example/${basearch}/")

    async with running(tmp_path, url) as run:
        with pytest.raises(MetadataError, match=r"no usable mirror.*\$\{basearch\}, and no variable is expanded"):
            await run.mirrors(mirrorlist=url)


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://m.example/$releasever/", r"\$releasever is one of dnf's variables"),
        ("http://m.example/?arch=${basearch}", r"\$\{basearch\} is one of"),
        ("rsync://m.example/", "use http"),
        ("m.example/list", "use http"),
        ("https://joe:pw@m.example/list", "it holds credentials"),
    ],
)
def test_urls_that_can_not_be_lists_are_refused(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        list_options(None, url)
    assert "pw" not in str(caught.value)


def test_the_two_lists_contradict_each_other() -> None:
    with pytest.raises(ConfigError, match="contradict"):
        list_options("http://m.example/a", "http://m.example/b")
    assert list_options("http://m.example/a", None) == {"mirrorlist": "http://m.example/a", "metalink": ""}


async def test_a_base_url_with_a_variable_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path, "http://m.example/$basearch/") as run:
        with pytest.raises(ConfigError, match=r"\$basearch"):
            await run.mirrors()
    assert check_url("http://m.example/a$/b") == "http://m.example/a$/b"


# ---- secrets, and where a list may lead


async def test_credentials_and_headers_stay_at_the_base_url(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    base, mirror, _ = hosts
    base.remove("p0.rpm")
    remote = Remote(f"{base.url}/?token", username="joe", password="secret", headers={"X-Token": "t"})
    url = mirrorlist(upstream, mirror.url)

    async with running(tmp_path, remote) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
        await run.package("p0.rpm")

    for request in base.requests:
        assert "authorization" in request.headers
        assert "x-token" in request.headers
        assert request.target.endswith("?token")
    assert asked(mirror) == 1
    for request in (*upstream.requests, *mirror.requests):
        assert "authorization" not in request.headers
        assert "x-token" not in request.headers
        assert "token" not in request.target


async def test_credentials_of_a_list_go_to_its_origin_only(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    url = mirrorlist(upstream, hosts[0].url)

    async with running(tmp_path, Remote(url, username="joe", password="secret")) as run:
        await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))
    assert "authorization" in upstream.requests[0].headers
    assert hosts[0].count() == 1
    assert "authorization" not in hosts[0].requests[0].headers


async def test_a_list_from_elsewhere_leads_nowhere_near_this_machine(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list is at a private address, for which a proxy answers here: loopback is nearer than that."""
    monkeypatch.setenv("http_proxy", upstream.url)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    mirrorlist(upstream, f"{hosts[0].url}/")

    url = "http://10.1.2.3/mirrorlist"

    async with running(tmp_path, url) as run:
        mirrors = await run.mirrors(mirrorlist=url)
        with pytest.raises(ForbiddenUrl, match="loopback"):
            await fetch_repomd(run.upstream, mirrors)
    assert hosts[0].count() == 0


async def test_a_list_on_this_machine_beside_a_public_base_leads_to_this_machine(
    upstream: Upstream, hosts: list[Upstream], tmp_path: Path
) -> None:
    url = mirrorlist(upstream, hosts[0].url)

    async with running(tmp_path, "http://192.0.2.1/", connect_timeout_s=0.2, retries=0) as run:
        assert body(await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))) == NEW
        with pytest.raises(ForbiddenUrl):  # only its mirrors
            await run.handle.download([f"{hosts[1].url}/p0.rpm"], Artifact(size=5000, digests={}))


async def test_a_list_in_a_file_leads_where_the_user_wrote_it_to(hosts: list[Upstream], tmp_path: Path) -> None:
    folder = tmp_path / "mirror" / "repodata"
    folder.mkdir(parents=True)
    (folder / "repomd.xml").write_bytes(NEW)
    (tmp_path / "list").write_text(f"file://{tmp_path}/mirror\n{hosts[0].url}\n")
    url = f"file://{tmp_path}/list"

    async with running(tmp_path, url) as run:
        file = await fetch_repomd(run.upstream, await run.mirrors(mirrorlist=url))

        assert file is not None
        assert file.url == f"file://{tmp_path}/mirror/repodata/repomd.xml"
        assert (await run.package("p0.rpm")).url == f"{hosts[0].url}/p0.rpm"


async def test_a_list_over_http_can_not_speak_for_a_repository_over_https(upstream: Upstream, tmp_path: Path) -> None:
    url = mirrorlist(upstream, "http://m.example/")

    async with running(tmp_path, "https://m.example/") as run:
        with pytest.raises(ConfigError, match="use https"):
            await run.mirrors(mirrorlist=url)
    assert upstream.count() == 0
