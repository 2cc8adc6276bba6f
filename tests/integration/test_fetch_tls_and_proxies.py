"""Certificates and proxies (mirror-failures B13, B14). Certificates are made by the openssl program."""

from __future__ import annotations

import asyncio
import base64
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from fetching import SMALL, opened, promise
from upstream import Upstream

from mpsync.errors import ConfigError
from mpsync.fetch.errors import BadRedirect, ForbiddenUrl, TlsFailed, Unauthorized
from mpsync.model.remote import Remote

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


@pytest.fixture(scope="module")
def certs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ca.pem, and pairs <name>.pem/<name>.key signed by it: good, expired, elsewhere, client."""
    folder = tmp_path_factory.mktemp("certs")

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test ca", "-days", "30")
    for name, alt, days in (
        ("good", "IP:127.0.0.1", "30"),
        ("expired", "IP:127.0.0.1", "-1"),
        ("elsewhere", "DNS:other.example", "30"),
        ("client", "DNS:client", "30"),
    ):
        openssl("req", *new, "-keyout", f"{name}.key", "-out", "csr", "-subj", f"/CN={name}")
        (folder / "ext").write_text(f"subjectAltName={alt}\n")
        signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext", "-days", days)
        openssl("x509", "-req", "-in", "csr", *signed, "-out", f"{name}.pem")
    return folder


def server_context(certs: Path, name: str, *, wants_client: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certs / f"{name}.pem", certs / f"{name}.key")
    if wants_client:
        context.load_verify_locations(certs / "ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@needs_openssl
async def test_a_server_of_the_given_authority_is_trusted(certs: Path, tmp_path: Path) -> None:
    with Upstream(tls=server_context(certs, "good")) as upstream:
        url = upstream.serve("a", SMALL)
        async with opened(tmp_path, Remote(upstream.url, ca_file=str(certs / "ca.pem"))) as it:
            assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL


@needs_openssl
@pytest.mark.parametrize(
    ("name", "ca", "reason"),
    [
        ("expired", True, "certificate has expired"),
        ("elsewhere", True, "IP address mismatch"),
        ("good", False, "unable to get local issuer certificate"),
    ],
)
async def test_a_wrong_certificate_ends_it_at_once_with_the_reason(
    certs: Path, tmp_path: Path, name: str, ca: bool, reason: str
) -> None:
    with Upstream(tls=server_context(certs, name)) as upstream:
        url = upstream.serve("a", SMALL)
        async with opened(tmp_path, Remote(upstream.url, ca_file=str(certs / "ca.pem") if ca else None)) as it:
            with pytest.raises(TlsFailed, match=reason):
                await it.fetch([url], promise(SMALL))
            assert it.events == []
            assert it.fetcher.stats.requests == 1
        assert upstream.requests == []


@needs_openssl
async def test_verification_can_be_switched_off(certs: Path, tmp_path: Path) -> None:
    with Upstream(tls=server_context(certs, "expired")) as upstream:
        url = upstream.serve("a", SMALL)
        async with opened(tmp_path, Remote(upstream.url, tls_verify=False)) as it:
            assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)


@needs_openssl
async def test_a_client_certificate_is_shown(certs: Path, tmp_path: Path) -> None:
    with Upstream(tls=server_context(certs, "good", wants_client=True)) as upstream:
        url = upstream.serve("a", SMALL)
        remote = Remote(
            upstream.url,
            ca_file=str(certs / "ca.pem"),
            client_cert=str(certs / "client.pem"),
            client_key=str(certs / "client.key"),
        )
        async with opened(tmp_path, remote) as it:
            assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)


@contextmanager
def refusing(context: ssl.SSLContext) -> Iterator[int]:
    """A server that refuses handshakes with an alert, which asyncio's forgets to send; yields its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                tls = context.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
                with suppress(OSError):
                    tls.do_handshake()
                with socket.socket(fileno=tls.detach()) as raw, suppress(OSError):
                    while raw.recv(4096):  # closing on unread bytes would reset the connection, and the alert be lost
                        pass

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()


@needs_openssl
async def test_a_missing_client_certificate_is_named_and_not_retried(certs: Path, tmp_path: Path) -> None:
    with refusing(server_context(certs, "good", wants_client=True)) as port:
        remote = Remote(f"https://127.0.0.1:{port}/", ca_file=str(certs / "ca.pem"))
        async with opened(tmp_path, remote) as it:
            with pytest.raises(TlsFailed, match="certificate required"):
                await it.fetch([remote.join("a")], promise(SMALL))
            assert it.events == []


@needs_openssl
async def test_no_way_leads_from_https_to_http(certs: Path, upstream: Upstream, tmp_path: Path) -> None:
    plain = upstream.serve("a", SMALL)
    with Upstream(tls=server_context(certs, "good")) as secure:
        secure.redirect("a", plain)
        ca_file = str(certs / "ca.pem")
        async with opened(tmp_path, Remote(secure.url, ca_file=ca_file)) as it:
            with pytest.raises(BadRedirect, match="from https to http"):
                await it.fetch([f"{secure.url}/a"], promise(SMALL))
            with pytest.raises(ForbiddenUrl, match="from https to http"):
                await it.fetch([plain], promise(SMALL))
        assert upstream.requests == []
        async with opened(tmp_path, Remote(secure.url, ca_file=ca_file, allow_downgrade=True)) as it:
            assert (await it.fetch([f"{secure.url}/a"], promise(SMALL))).size_bytes == len(SMALL)


async def test_a_missing_certificate_file_is_a_config_error(tmp_path: Path) -> None:
    async with opened(tmp_path, Remote("https://mirror.invalid/", ca_file="/no/such.pem")) as it:
        with pytest.raises(ConfigError, match=r"/no/such\.pem"):
            await it.fetch(["https://mirror.invalid/a"], promise(SMALL))


async def test_a_https_server_that_speaks_http_is_named(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    remote = Remote(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
    async with server, opened(tmp_path, remote, retries=0) as it:
        with pytest.raises(TlsFailed, match="wrong version number"):
            await it.fetch([remote.join("a")], promise(SMALL))


# ---- proxies


@pytest.fixture
def proxy() -> Iterator[Upstream]:
    """A plain-HTTP proxy that has what it is asked for."""
    with Upstream() as running:
        yield running


async def test_a_proxy_is_asked_with_its_credentials(proxy: Upstream, tmp_path: Path) -> None:
    proxy.serve("a", SMALL)
    remote = Remote(
        "http://mirror.invalid/", proxy=proxy.url.replace("//", "//me:p%40ss@"), username="joe", password="x"
    )

    async with opened(tmp_path, remote) as it:
        assert (await it.fetch([remote.join("a")], promise(SMALL))).size_bytes == len(SMALL)
    request = proxy.requests[0]
    assert request.target == "http://mirror.invalid/a"
    assert base64.b64decode(request.headers["proxy-authorization"].removeprefix("Basic ")) == b"me:p@ss"
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"joe:x"


async def test_a_proxy_that_wants_credentials_is_named_and_not_asked_again(proxy: Upstream, tmp_path: Path) -> None:
    proxy.status(None, 407, times=None)
    remote = Remote("http://mirror.invalid/", proxy=proxy.url)

    async with opened(tmp_path, remote) as it:
        for path in "ab":
            with pytest.raises(Unauthorized, match="the proxy wants credentials"):
                await it.fetch([remote.join(path)], promise(SMALL))
    assert proxy.count() == 1


async def test_a_proxy_that_refuses_a_tunnel_for_lack_of_credentials_is_named(proxy: Upstream, tmp_path: Path) -> None:
    proxy.status(None, 407, times=None)
    remote = Remote("https://mirror.invalid/", proxy=proxy.url.replace("//", "//me:pass@"))

    async with opened(tmp_path, remote) as it:
        with pytest.raises(Unauthorized, match="the proxy wants credentials"):
            await it.fetch([remote.join("a")], promise(SMALL))
    assert proxy.requests[0].method == "CONNECT"
    assert "proxy-authorization" in proxy.requests[0].headers
    assert "authorization" not in proxy.requests[0].headers


async def test_the_environments_proxy_counts_where_the_remote_says_nothing(
    proxy: Upstream, upstream: Upstream, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "direct.invalid")
    proxy.serve("a", SMALL)
    local = upstream.serve("a", SMALL)

    async with opened(tmp_path, "http://mirror.invalid/") as it:
        await it.fetch(["http://mirror.invalid/a"], promise(SMALL))
    async with opened(tmp_path, upstream.url) as it:
        await it.fetch([local], promise(SMALL))  # this machine is never behind a proxy
    async with opened(tmp_path, "http://direct.invalid/", retries=0) as it:
        with pytest.raises(Exception, match="can't connect"):
            await it.fetch(["http://direct.invalid/a"], promise(SMALL))
    async with opened(tmp_path, Remote("http://mirror.invalid/", proxy=""), retries=0) as it:
        with pytest.raises(Exception, match="can't connect"):
            await it.fetch(["http://mirror.invalid/a"], promise(SMALL))
    assert (proxy.count(), upstream.count()) == (1, 1)


async def test_a_socks_proxy_is_a_config_error_that_says_so(tmp_path: Path) -> None:
    remote = Remote("http://mirror.invalid/", proxy="socks5://joe:secret@127.0.0.1:1080")

    async with opened(tmp_path, remote) as it:
        with pytest.raises(ConfigError, match="SOCKS") as failure:
            await it.fetch([remote.join("a")], promise(SMALL))
    assert "secret" not in str(failure.value)
