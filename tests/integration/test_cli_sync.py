"""``mpsync sync`` as a process: its document, its exit codes, what it remembers, and what it never tells."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from command import Command, finish
from debrepo import OTHER_KEY, DebRepo, keyring
from psycopg.conninfo import conninfo_to_dict
from upstream import Upstream

from mpsync.store.embedded import EmbeddedServer

PHASES = {"total", "start", "probe", "sync", "commit"}


@pytest.fixture
def repo(upstream: Upstream) -> DebRepo:
    """Three packages, published."""
    made = DebRepo()
    for name in ("alpha", "beta", "gamma"):
        made.add(name)
    made.publish(upstream)
    return made


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return keyring(tmp_path)


def deb(upstream: Upstream, keys: Path, name: str, *more: str | Path) -> tuple[str | Path, ...]:
    return ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name, *more)


# ---- the document


def test_the_document_has_everything_that_is_promised(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    found = command.ok(*deb(upstream, keys, "contract"))

    assert found["repository"] == "contract"
    assert found["version"] == 1
    assert found["changed"] is True
    assert found["content"]["deb.package"] == {"total": 3, "added": 3, "removed": 0}
    assert all(kind.startswith("deb.") for kind in found["content"])
    assert found["downloaded"]["files"] >= 2
    assert found["downloaded"]["bytes"] > 100
    assert found["requests"] == upstream.count()
    assert set(found["seconds"]) == PHASES
    assert found["seconds"]["total"] >= max(found["seconds"][phase] for phase in PHASES - {"total"})
    assert found["peak_pss_bytes"] > 10_000_000
    assert set(found["loop_lag_ms"]) == {"p50", "p99", "max"}
    assert isinstance(found["skipped"], list)
    assert "error" not in found


def test_an_unchanged_sync_has_the_same_document_and_code(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    first = command.ok(*deb(upstream, keys, "again"))

    found = command.ok("sync", "again")

    assert found["changed"] is False
    assert found["version"] == 1
    assert found["requests"] == 1
    assert found["content"]["deb.package"] == {"total": 3, "added": 0, "removed": 0}
    assert set(found) == set(first)
    assert set(found["seconds"]) == {"total", "start", "probe"}
    assert found["peak_pss_bytes"] > 10_000_000


def test_a_failed_sync_prints_one_document_with_the_error(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    repo.add("only-here")  # an index that another test's repository holds would not be asked for
    repo.publish(upstream)
    upstream.serve("dists/stable/main/binary-amd64/Packages.xz", b"not what was promised")
    for path in [path for path in upstream._files if "by-hash" in path]:
        upstream.remove(path)
    upstream.remove("dists/stable/main/binary-amd64/Packages.gz")

    outcome = command(*deb(upstream, keys, "failing"), "--json")

    assert outcome.code == 1
    document = outcome.json
    assert document["changed"] is False
    assert document["version"] == 0
    error = document["error"]
    assert error["type"] in ("SizeMismatch", "DigestMismatch")
    assert error["url"].endswith("Packages.xz")
    assert error["expected"]
    assert error["got"]
    assert error["message"] in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_a_usage_error_has_a_document_too_and_starts_nothing(own_command: Command) -> None:
    for arguments in (
        ("sync", "deb", "http://mirror.example/debian", "--suite", "a", "--mirror", "--additive"),
        ("sync", "deb", "http://mirror.example/debian"),
        ("sync", "deb", "ftp://mirror.example/debian", "--suite", "a"),
        ("sync", "deb", "http://mirror.example/", "--suite", "a", "--workers", "-1"),
        ("sync", "deb", "http://mirror.example/", "--suite", "a", "--password-file", "/nowhere"),
        ("sync", "unknown", "--whatever"),
        ("nonsense",),
    ):
        outcome = own_command(*arguments, "--json")

        assert outcome.code == 2, outcome
        assert outcome.error["message"]
        assert not own_command.data_dir.exists(), "a usage error must not cost a database"


def test_people_get_a_summary_and_a_log_few_plain_lines(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    outcome = command(*deb(upstream, keys, "human"))

    lines = outcome.stdout.splitlines()
    assert lines[0] == "human: version 1"
    assert any(line.split() == ["deb.package", "3", "+3", "-0", "=0"] for line in lines)
    assert any("requests" in line and "downloaded" in line for line in lines)
    assert any("peak memory" in line for line in lines)
    assert 1 <= len(outcome.stderr.splitlines()) <= 8
    assert all(line.startswith("mpsync: ") for line in outcome.stderr.splitlines())
    assert "\x1b" not in outcome.stdout + outcome.stderr
    assert command("sync", "human").stdout.splitlines()[0] == "human: unchanged, version 1"


def test_quiet_says_nothing_but_the_summary(command: Command, upstream: Upstream, repo: DebRepo, keys: Path) -> None:
    assert command(*deb(upstream, keys, "quiet"), "--quiet").stderr == ""


def test_events_are_json_lines_on_stderr(command: Command, upstream: Upstream, repo: DebRepo, keys: Path) -> None:
    outcome = command(*deb(upstream, keys, "events"), "--events", "--json")

    events = [json.loads(line) for line in outcome.stderr.splitlines()]
    assert outcome.json["changed"]
    assert {"phase", "done"} <= {event["kind"] for event in events}
    last = [event for event in events if event["kind"] == "done" and event["name"] == "save"]
    assert last[0]["done"] >= 3


def test_a_terminal_gets_live_bars(command: Command, upstream: Upstream, repo: DebRepo, keys: Path) -> None:
    ours, theirs = pty.openpty()
    command_env = {**command.env, "TERM": "xterm"}
    terminal = Command(command.data_dir)
    terminal.env = command_env
    process = terminal.start(*deb(upstream, keys, "terminal"), stderr=theirs)
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    outcome = finish(process)
    os.close(ours)

    assert outcome.code == 0
    assert b"\x1b[" in seen
    assert b"save" in seen
    assert outcome.stdout.startswith("terminal: version 1")
    assert "\x1b" not in outcome.stdout


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # the other side is closed: a terminal says EIO
        return b""


# ---- what is remembered


def test_an_option_given_later_overrides_what_is_remembered(command: Command, upstream: Upstream, keys: Path) -> None:
    for arch in ("amd64", "arm64"):
        repo = DebRepo(arch=arch, fields={"Architectures": "amd64 arm64"}, suite=f"s-{arch}")
        repo.add(f"only-{arch}")
        repo.publish(upstream)
    command.ok("sync", "deb", upstream.url, "--suite", "s-amd64", "--keyring", keys, "--name", "override")

    found = command.ok("sync", "override", "--suite", "s-arm64")
    after = command.ok("sync", "override")

    assert found["content"]["deb.package"] == {"total": 1, "added": 1, "removed": 1}
    assert after["changed"] is False
    assert command.ok("show", "override")["arguments"]["suite"] == ["s-arm64"]


def test_an_override_that_fails_is_not_remembered(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    command.ok(*deb(upstream, keys, "typo"))

    failed = command("sync", "typo", "--suite", "stabel", "--json")

    assert failed.code == 1
    assert command.ok("show", "typo")["arguments"]["suite"] == ["stable"]
    assert command.ok("sync", "typo")["changed"] is False


def test_an_override_that_was_killed_is_synced_when_it_is_given_again(
    own_command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    other = DebRepo(suite="other")
    other.add("delta")
    other.publish(upstream)
    own_command.ok(*deb(upstream, keys, "killed"))
    upstream.stall("dists/other/InRelease", at=5)
    process = own_command.start("sync", "killed", "--suite", "other")
    while not upstream.count("dists/other/InRelease"):
        assert process.poll() is None
    process.kill()
    finish(process)
    upstream.heal()

    same = own_command.ok("sync", "killed")
    found = own_command.ok("sync", "killed", "--suite", "other")

    assert same["changed"] is False
    assert found["content"]["deb.package"] == {"total": 1, "added": 1, "removed": 3}


def test_a_switch_is_taken_back_by_its_opposite(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    command.ok("sync", "deb", upstream.url, "--suite", "stable", "--no-verify", "--name", "switched")

    found = command.ok("sync", "switched", "--verify", "--keyring", keys)

    assert not [note for note in found["notes"] if "NOT verified" in note]
    assert command.ok("show", "switched")["arguments"]["no_verify"] is False


def test_a_keyring_that_is_given_takes_back_a_remembered_no_verify(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    command.ok("sync", "deb", upstream.url, "--suite", "stable", "--no-verify", "--name", "verified-now")

    found = command.ok("sync", "verified-now", "--keyring", keys, "--force")

    assert not [note for note in found["notes"] if "NOT verified" in note]


def test_a_moved_upstream_is_followed_only_when_the_name_is_given(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    arguments = ("--suite", "stable", "--keyring", keys)
    with Upstream() as other:
        repo.publish(other, tick=False)
        first = command.ok("sync", "deb", upstream.url + "/", *arguments, "--name", "moving")
        upstream.forget()
        other.forget()

        found = command.ok("sync", "deb", other.url, *arguments, "--name", "moving")
        fetched = command.ok("fetch", "moving")

        assert first["version"] == 1
        assert found["content"]["deb.package"] == {"total": 3, "added": 0, "removed": 0}
        assert upstream.count() == 0, "everything comes from the new one"
        assert other.count("pool/alpha_1.0_amd64.deb") == 1
        assert fetched["deferred"]["files"] == 0


def test_a_default_name_never_takes_over_a_repository_of_another_upstream(
    own_command: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo()
    repo.add("alpha")
    repo.publish(upstream)
    arguments = ("--suite", "stable", "--keyring", keys)
    name = own_command.ok("sync", "deb", upstream.url, *arguments)["repository"]
    with Upstream() as other:
        repo.publish(other)
        path = upstream.url.replace(str(upstream.port), str(other.port))
        found = own_command("sync", "deb", path, *arguments, "--json")

    assert name
    if found.code == 0:  # a port is part of the name: then both stand side by side
        assert found.json["repository"] != name
    else:
        assert found.code == 2
        assert "--name" in found.error["message"]


def test_a_relative_keyring_is_found_from_everywhere_later(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path, tmp_path: Path
) -> None:
    arguments = ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys.name, "--name", "relative")
    assert finish(command.start(*arguments, cwd=keys.parent)).code == 0
    repo.add("new")
    repo.publish(upstream)

    outcome = finish(command.start("sync", "relative", "--json", cwd="/"))

    assert outcome.code == 0, outcome.stderr
    assert outcome.json["content"]["deb.package"]["added"] == 1


# ---- two at once


def test_a_second_sync_of_a_repository_fails_or_waits_by_choice(
    command: Command, upstream: Upstream, repo: DebRepo, keys: Path
) -> None:
    command.ok(*deb(upstream, keys, "busy"))
    repo.add("delta")
    repo.publish(upstream)
    upstream.stall("dists/stable/InRelease", at=5, times=1)
    upstream.forget()
    first = command.start("sync", "busy", "--json")
    while not upstream.count():
        assert first.poll() is None

    refused = command("sync", "busy", "--arch", "amd64", "--json")
    waiting = command.start("sync", "busy", "--wait", "--json")
    first.terminate()
    stopped, waited = finish(first), finish(waiting)

    assert refused.code == 1
    assert refused.error["type"] == "RepositoryBusy"
    assert "--wait" in refused.stderr
    assert stopped.code == 143
    assert waited.code == 0, waited.stderr
    assert waited.json["content"]["deb.package"]["added"] == 1
    assert command.ok("show", "busy")["arguments"]["arch"] is None


# ---- another database


def test_a_server_of_the_operator_s_is_used_and_left_alone(
    own_command: Command, upstream: Upstream, repo: DebRepo, keys: Path, tmp_path: Path
) -> None:
    server = EmbeddedServer(tmp_path / "theirs")
    found_at = conninfo_to_dict(server.start())
    database = f"postgresql://{found_at['user']}@/{found_at['dbname']}?host={found_at['host']}&port={found_at.get('port', 5432)}"
    try:
        found = own_command.ok(*deb(upstream, keys, "theirs", "--policy", "immediate"), "--database", database)
        own_command.env["MPSYNC_DATABASE"] = database
        again = own_command.ok("sync", "theirs")
        listed = own_command.ok("list")
    finally:
        server.stop(wait_s=10)

    assert found["content"]["deb.package"]["total"] == 3
    assert again["changed"] is False
    assert [one["repository"] for one in listed["repositories"]] == ["theirs"]
    assert not (own_command.data_dir / "postgres").exists()
    assert len(list((own_command.data_dir / "artifacts" / "sha256").rglob("*/*"))) >= 5


def test_a_server_that_doesn_t_answer_is_said_at_once(own_command: Command) -> None:
    database = "postgresql://user:s3cret@127.0.0.1:9/none"

    outcome = own_command("list", "--database", database, "--json")

    assert outcome.code == 1
    assert outcome.error["type"] == "ConnectionLost"
    assert "s3cret" not in outcome.stdout + outcome.stderr


# ---- secrets


def test_credentials_are_used_and_neither_stored_nor_printed(
    own_command: Command, upstream: Upstream, repo: DebRepo, keys: Path, tmp_path: Path
) -> None:
    secret = "pass-w0rd-of-mine"
    file = tmp_path / "password"
    file.write_text(secret + "\n")
    with_url = upstream.url.replace("http://", f"http://us3r:{secret}@")
    upstream.status("pool/beta_1.0_amd64.deb", 404, times=None)
    said = ""
    for arguments in (
        ("sync", "deb", with_url, "--suite", "stable", "--keyring", keys, "--name", "secret", "--json", "--events"),
        ("sync", "secret", "--username", "us3r", "--password-file", file, "--force", "--debug"),
        ("fetch", "secret", "--username", "us3r", "--password-file", file, "--debug", "--json"),
        ("sync", "deb", with_url, "--suite", "nowhere", "--keyring", keys, "--debug"),
        ("show", "secret", "--json"),
    ):
        outcome = own_command(*arguments)
        said += outcome.stdout + outcome.stderr

    assert {request.headers.get("authorization", "")[:6] for request in upstream.requests} == {"Basic "}
    assert secret not in said
    assert "us3r" not in said
    files = [path for path in own_command.data_dir.rglob("*") if path.is_file()]
    assert len(files) > 100, "the database's own files are searched"
    assert not [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.parametrize(
    ("keys_of", "valid", "name", "said"),
    [
        (OTHER_KEY, None, "UnknownKey", "--keyring"),
        (None, -1, "Expired", "--no-check-valid-until"),
    ],
)
def test_a_refusal_says_what_to_do(
    command: Command, upstream: Upstream, tmp_path: Path, keys_of: Any, valid: int | None, name: str, said: str
) -> None:
    repo = DebRepo(valid_until=datetime.now(UTC) + timedelta(days=valid) if valid else None)
    repo.date -= timedelta(days=3)
    repo.add("alpha")
    repo.publish(upstream)
    keys = keyring(tmp_path, *([keys_of] if keys_of else []))

    outcome = command(*deb(upstream, keys, f"refused-{name}"), "--json")

    assert outcome.code == 1
    assert said in outcome.stderr
    assert outcome.error["message"]


def test_the_help_of_a_plugin_names_its_options_and_the_exit_codes(command: Command) -> None:
    outcome = command("sync", "deb", "--help")

    assert outcome.code == 0
    assert "--suite" in outcome.stdout
    assert "130 interrupted" in outcome.stdout


def test_version_and_help_load_nothing_heavy() -> None:
    code = (
        "import sys; from mpsync.cli.main import main; main(['--version']);"
        "print([m for m in ('asyncio', 'psycopg', 'aiohttp', 'rich', 'uvloop') if m in sys.modules])"
    )

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.splitlines()[-1] == "[]"
