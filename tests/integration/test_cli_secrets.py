"""Secrets are used, and appear nowhere: not in what a command prints, whatever becomes of it, nor in what it stores (H13)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, Outcome
from debrepo import DebRepo, keyring
from rpmrepo import RpmRepo
from upstream import Upstream

USER, PASSWORD, TOKEN, PROXY_USER, PROXY_PASSWORD = (
    "us3r-name", "pass-w0rd-of-mine", "t0ken-of-mine", "pr0xy-user", "pr0xy-pass-of-mine"
)  # fmt: skip
NEVER = (USER, PASSWORD, PROXY_USER, PROXY_PASSWORD)


@pytest.fixture
def proxy() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


@pytest.fixture
def closed_port() -> Iterator[int]:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def with_secrets(url: str) -> str:
    return url.replace("://", f"://{USER}:{PASSWORD}@") + f"/?token={TOKEN}"


def assert_silent(outcome: Outcome, *, may_say: tuple[str, ...] = ()) -> None:
    for secret in (*NEVER, TOKEN):
        if secret not in may_say:
            assert secret not in outcome.stdout
            assert secret not in outcome.stderr


def stored_with(command: Command, secret: str) -> list[Path]:
    """The files of the store that hold the secret, the database's own among them."""
    files = [path for path in command.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 100
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(("plugin", "view"), [("deb", ("--json", "--events", "--debug")), ("rpm", ("--debug",))])
def test_no_secret_is_said_by_syncs_that_succeed_or_fail_in_every_way(
    own_command: Command, upstream: Upstream, tmp_path: Path, plugin: str, view: tuple[str, ...]
) -> None:
    options: tuple[str | Path, ...] = ("--policy", "immediate", "--name", "secret")
    if plugin == "deb":
        deb = DebRepo()
        path = deb.add("hello")
        deb.publish(upstream)
        options = ("--suite", "stable", "--keyring", keyring(tmp_path), *options)
        top = "dists/stable/InRelease"
    else:
        rpm = RpmRepo()
        rpm.add("hello")
        rpm.publish(upstream)
        path, top = "Packages/hello-1.0-1.x86_64.rpm", "repodata/repomd.xml"
    sync = ("sync", plugin, with_secrets(upstream.url), *options, *view)

    # A redirect to a place with a secret of its own, wrong bytes, statuses of all sorts, a cut, and silence.
    location = f"http://{USER}:{PASSWORD}@127.0.0.1:1/?token={TOKEN}"
    for failing, statuses in ((path, (301, 404, 500)), (top, (301, 401, 403, 407))):
        for status in statuses:
            upstream.status(failing, status, None, {"Location": location} if status == 301 else {})
            outcome = own_command(*sync)
            assert outcome.code == 1
            assert_silent(outcome)
            upstream.heal()
    body = upstream._files[path]
    upstream.serve(path, b"x" * len(body))
    assert_silent(own_command(*sync))
    upstream.serve(path, body)
    succeeded = own_command(*sync, "--force")
    again = own_command("sync", "secret", *view)  # without the credentials
    fetched = own_command("fetch", "secret", "--json", "--debug")

    assert succeeded.code == 0
    assert again.code == fetched.code == 0
    for outcome in (succeeded, again, fetched):
        assert_silent(outcome)
    assert any(f"token={TOKEN}" in request.target for request in upstream.requests)
    assert any("authorization" in request.headers for request in upstream.requests)
    for secret in NEVER:
        assert stored_with(own_command, secret) == []
    # On purpose: without its query, a URL is another one, and "sync NAME" would ask for it in vain.
    assert own_command.ok("show", "secret")["url"] == f"{upstream.url}/?token={TOKEN}"
    assert stored_with(own_command, TOKEN)


@pytest.mark.parametrize("mode", ["works", "refuses", "is away"])
def test_the_proxy_s_password_is_sent_to_the_proxy_and_said_to_nobody(
    own_command: Command, upstream: Upstream, proxy: Upstream, closed_port: int, mode: str
) -> None:
    rpm = RpmRepo()
    rpm.add("hello")
    rpm.publish(proxy)  # it is asked for in absolute form, as a proxy is
    if mode == "refuses":
        proxy.status(None, 407, times=None)
    port = closed_port if mode == "is away" else proxy.port
    through = f"http://{PROXY_USER}:{PROXY_PASSWORD}@127.0.0.1:{port}"

    outcomes = [
        own_command("sync", "rpm", with_secrets("http://mirror.invalid"), "--name", "p", "--proxy", through, *view)
        for view in (("--json", "--debug"), ("--events", "--debug"))
    ]
    own_command.env["http_proxy"] = through
    outcomes.append(own_command("sync", "rpm", with_secrets("http://mirror.invalid"), "--name", "p", "--debug"))

    assert {outcome.code for outcome in outcomes} == {0 if mode == "works" else 1}
    for outcome in outcomes:
        assert_silent(outcome)
    for secret in NEVER:
        assert stored_with(own_command, secret) == []
    if mode != "is away":
        assert all("proxy-authorization" in request.headers for request in proxy.requests)
        assert proxy.requests


@pytest.mark.parametrize(
    "arguments",
    [
        ("sync", "secret", with_secrets("https://mirror.example")),  # the plugin's name was forgotten
        ("sync", "rpm", with_secrets("ftp://mirror.example")),
        ("sync", "rpm", f"http://{USER}:{PASSWORD}/with-slash@mirror.example/"),
        ("sync", "rpm", f"http://{USER}:{PASSWORD}#with-hash@mirror.example/"),
        ("sync", "rpm", f"http://{USER}:{PASSWORD}@/?{TOKEN}"),
        ("sync", "rpm", f"http://{USER}:{PASSWORD}@[::1/"),
        ("sync", "rpm", "http://mirror.example/", "--metalink", with_secrets("https://mirror.example")),
        ("sync", "rpm", "--mirrorlist", with_secrets("https://mirror.example")),
        ("sync", "rpm", "http://mirror.example/", "--retain", with_secrets("https://mirror.example")),
        ("list", with_secrets("https://mirror.example")),
        ("delete", "a", f"http://{PROXY_USER}:{PROXY_PASSWORD}@proxy.example"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_not_quoted_with_its_secrets(
    own_command: Command, arguments: tuple[str, ...]
) -> None:
    outcome = own_command(*arguments, "--json")

    assert outcome.code == 2
    assert_silent(outcome)
    assert not own_command.data_dir.exists()


@pytest.mark.parametrize("proxy_url", [
    f"socks5://{PROXY_USER}:{PROXY_PASSWORD}@proxy.example", f"{PROXY_USER}:{PROXY_PASSWORD}@proxy.example:99999",
    f"http://{PROXY_USER}:{PROXY_PASSWORD}/slash@proxy.example",
])  # fmt: skip
def test_a_proxy_that_is_none_is_not_quoted_with_its_secrets(own_command: Command, proxy_url: str) -> None:
    outcome = own_command("sync", "rpm", "http://mirror.invalid/", "--proxy", proxy_url, "--json", "--debug")

    assert outcome.code == 2
    assert "proxy" in outcome.error["message"]
    assert_silent(outcome)
