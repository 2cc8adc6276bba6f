"""What an operator meets first: an upstream, a directory or a server that isn't there, named and with what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest
from command import Command, Outcome
from psycopg.conninfo import conninfo_to_dict
from rpmrepo import RpmRepo
from upstream import Upstream

from mpsync.store.embedded import EmbeddedServer

KINDS = {"rpm": (), "deb": ("--suite", "stable", "--no-verify")}


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port that nobody listens on, and nobody else gets."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def hint(outcome: Outcome) -> str:
    """The last line for people; indented, behind the message."""
    lines = outcome.stderr.splitlines()
    assert "Traceback" not in outcome.stderr
    assert any(line == f"mpsync: {outcome.error['message']}" for line in lines)
    assert lines[-1].startswith("  ")
    return lines[-1]


def contact(command: Command, plugin: str, url: str, *more: str) -> Outcome:
    return command("sync", plugin, url, *KINDS[plugin], "--name", "contact", *more, "--json")


@pytest.mark.parametrize("plugin", KINDS)
def test_a_closed_port_is_named_in_plain_words(command: Command, closed_port: int, plugin: str) -> None:
    outcome = contact(command, plugin, f"http://127.0.0.1:{closed_port}/repo")

    assert outcome.code == 1
    assert outcome.error["type"] == "ConnectFailed"
    assert outcome.error["url"].startswith(f"http://127.0.0.1:{closed_port}/repo/")
    assert "connection refused" in outcome.error["message"]
    assert "--proxy" in hint(outcome)
    assert outcome.json["changed"] is False
    assert outcome.json["version"] == 0


@pytest.mark.parametrize("plugin", KINDS)
def test_a_name_that_does_not_resolve_is_named(command: Command, plugin: str) -> None:
    outcome = contact(command, plugin, "http://mirror.invalid/repo")

    assert outcome.code == 1
    assert outcome.error["type"] == "ConnectFailed"
    assert "mirror.invalid" in outcome.error["message"]
    assert "host" in hint(outcome)


@pytest.mark.parametrize("plugin", KINDS)
def test_a_port_that_does_not_speak_tls_is_a_tls_error(command: Command, plugin: str) -> None:
    class Plain(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, name="plain").start()
        try:
            outcome = contact(command, plugin, f"https://127.0.0.1:{server.server_port}/repo")
        finally:
            server.shutdown()

    assert outcome.code == 1
    assert outcome.error["type"] == "TlsFailed"
    assert "--ca-file" in hint(outcome)


@pytest.mark.parametrize(("plugin", "kind"), [("rpm", "NoRepomd"), ("deb", "NoRelease")])
@pytest.mark.parametrize("is_local", [False, True])
def test_a_place_without_a_repository_is_named_with_what_was_looked_for(
    command: Command, upstream: Upstream, tmp_path: Path, plugin: str, kind: str, is_local: bool
) -> None:
    url = f"file://{tmp_path}" if is_local else f"{upstream.url}/repo?token=s3cret"

    outcome = contact(command, plugin, url)

    assert outcome.code == 1
    assert outcome.error["type"] == kind
    assert outcome.error["url"].startswith(url.partition("?")[0])
    assert outcome.error["url"].partition("?")[0] in outcome.error["message"]
    assert outcome.error["expected"]
    assert "check the URL" in hint(outcome)
    assert "s3cret" not in outcome.stdout + outcome.stderr


@pytest.mark.parametrize("plugin", KINDS)
def test_a_folder_that_is_not_there_costs_no_database(own_command: Command, tmp_path: Path, plugin: str) -> None:
    outcome = contact(own_command, plugin, f"file://{tmp_path}/unmounted")

    assert outcome.code == 1
    assert outcome.error["type"] == "NotFound"
    assert "unmounted" in outcome.error["url"]
    assert "check the URL" in hint(outcome)
    assert not own_command.data_dir.exists()


def test_a_first_sync_that_failed_holds_no_name(own_command: Command, upstream: Upstream, closed_port: int) -> None:
    repo = RpmRepo()
    repo.add("hello")
    repo.publish(upstream)
    wrong = f"http://127.0.0.1:{closed_port}"
    own_command.fails("sync", "rpm", f"{wrong}/repo/", "--name", "named")
    own_command.fails("sync", "deb", upstream.url, "--suite", "s", "--no-verify", "--name", "named")
    own_command.fails("sync", "rpm", f"{wrong}/same")

    named = own_command.ok("sync", "rpm", upstream.url, "--name", "named")
    unnamed = own_command.fails("sync", "rpm", f"{upstream.url}/same")
    refused = own_command.fails("sync", "deb", upstream.url, "--suite", "s", "--no-verify", "--name", "named", code=2)

    assert named["version"] == 1
    assert unnamed["type"] == "NoRepomd", "not: the name is taken by another URL"
    assert "is of type rpm" in refused["message"]
    assert own_command.ok("show", "named")["url"].startswith(upstream.url)


@pytest.mark.parametrize("plugin", KINDS)
def test_credentials_that_are_missing_are_asked_for(command: Command, upstream: Upstream, plugin: str) -> None:
    upstream.status(None, 401, times=None)

    outcome = contact(command, plugin, upstream.url)

    assert outcome.code == 1
    assert outcome.error["type"] == "Unauthorized"
    assert outcome.error["got"] == "401"
    assert "--password-file" in hint(outcome)


def test_a_proxy_that_wants_credentials_says_where_they_go(command: Command, upstream: Upstream) -> None:
    upstream.status(None, 407, times=None)

    outcome = contact(command, "rpm", "http://mirror.invalid/repo", "--proxy", upstream.url)

    assert outcome.code == 1
    assert outcome.error["got"] == "407"
    assert "--proxy" in hint(outcome)


# ---- our side


def test_a_data_directory_that_can_t_be_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not ours")
    for data_dir in (file, file / "below", Path("/proc/nobody-writes-here")):
        outcome = contact(Command(data_dir), "rpm", f"file://{tmp_path}")

        assert outcome.code == 1
        assert outcome.error["type"] == "StoreUnwritable"
        assert str(data_dir) in outcome.error["message"]
        assert "--data-dir" in hint(outcome)
    assert file.read_text() == "not ours"


def test_a_data_directory_that_is_read_only_is_named(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    if os.geteuid() == 0:  # root may write everywhere but here
        locked = Path("/sys/kernel")

    outcome = contact(Command(locked / "data"), "rpm", f"file://{tmp_path}")

    assert outcome.error["type"] == "StoreUnwritable"
    assert "--data-dir" in hint(outcome)


@pytest.mark.parametrize("verb", [("rpm", "file:///"), ("list",), ("delete", "name")])
def test_a_data_directory_that_cannot_be_looked_into_is_no_bug(tmp_path: Path, verb: tuple[str, ...]) -> None:
    data_dir = tmp_path / ("x" * 256)  # as another user's, but for root too

    outcome = contact(Command(data_dir), *verb) if verb[0] == "rpm" else Command(data_dir)(*verb, "--json")

    assert outcome.error["type"] == "StoreUnwritable"
    assert "Traceback" not in outcome.stderr


@pytest.mark.parametrize("database", ["mysql:whatever", "nonsense=1", "postgresql://joe:s3cret@[::1/db"])
def test_a_database_address_that_is_none_is_a_usage_error(own_command: Command, tmp_path: Path, database: str) -> None:
    outcome = contact(own_command, "rpm", f"file://{tmp_path}", "--database", database)

    assert outcome.code == 2
    assert outcome.error["type"] == "ConfigError"
    assert "postgresql://USER@HOST:PORT/NAME" in outcome.error["message"]
    assert "s3cret" not in outcome.stdout + outcome.stderr
    assert not own_command.data_dir.exists()


def test_a_database_that_does_not_answer_is_named_and_leaves_no_folder(
    own_command: Command, tmp_path: Path, closed_port: int
) -> None:
    for host in (f"127.0.0.1:{closed_port}", "database.invalid"):
        outcome = contact(
            own_command, "rpm", f"file://{tmp_path}", "--database", f"postgresql://joe:s3cret@{host}/db", "--debug"
        )

        assert outcome.code == 1
        assert outcome.error["type"] == "ConnectionLost"
        assert host.partition(":")[0] in outcome.error["message"]
        assert "--database" in outcome.stderr.splitlines()[-1]
        assert "s3cret" not in outcome.stdout + outcome.stderr
        assert not own_command.data_dir.exists()


def test_a_wrong_database_password_is_said_and_not_repeated(own_command: Command, tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "theirs")
    conninfo = server.start()
    at = conninfo_to_dict(conninfo)
    try:
        with psycopg.connect(conninfo, autocommit=True) as conn:
            conn.execute("CREATE ROLE joe LOGIN PASSWORD 'right'")
            found = conn.execute("SHOW hba_file").fetchone()
            assert found is not None
            rules = Path(found[0])
            rules.write_text("local all joe scram-sha-256\n" + rules.read_text())
            conn.execute("SELECT pg_reload_conf()")
        database = f"postgresql://joe:s3cret@/{at['dbname']}?host={at['host']}&port={at.get('port', 5432)}"
        outcome = contact(own_command, "rpm", f"file://{tmp_path}", "--database", database)
    finally:
        server.stop(wait_s=10)

    assert outcome.code == 1
    assert outcome.error["type"] == "ConnectionLost"
    assert "password" in outcome.error["message"]
    assert "joe" in outcome.error["message"]
    assert "password" in hint(outcome)
    assert "s3cret" not in outcome.stdout + outcome.stderr


def test_every_error_of_the_upstream_that_is_raised_at_people_says_what_to_do() -> None:
    code = (
        "from mpsync.cli.main import main; import mpsync.fetch.errors, mpsync.plugin.openpgp, mpsync.plugin.decompress;"
        "import mpsync.plugins.deb.generation, mpsync.plugins.rpm.first_stage, mpsync.store.versions;"
        "from mpsync.errors import UpstreamError;"
        "walk = lambda kind: [kind, *(found for sub in kind.__subclasses__() for found in walk(sub))];"
        "print(*sorted({k.__name__ for k in walk(UpstreamError) if not k.hint}))"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    families = ["AskedToWait", "FetchError", "TrustError", "UpstreamError"]  # never raised at people as such
    assert found.stdout.split() == families
