"""Stopped at any time, by Ctrl-C, by SIGTERM, by kill -9: nothing is left behind, nothing finished is lost.

Random times come from fixed seeds; what is asserted holds whenever the signal comes.
"""

from __future__ import annotations

import os
import pty
import random
import signal
import time
from pathlib import Path

import pytest
from command import Command, Outcome, finish
from debrepo import DebRepo, keyring
from upstream import Upstream

STOP_S = 5.0
"""Far above the second that is promised: tests don't measure time on a busy machine, but a hang is a hang."""


@pytest.fixture
def arguments(upstream: Upstream, tmp_path: Path) -> tuple[str | Path, ...]:
    """An immediate sync of 250 packages from a slow upstream: about a second and a half."""
    repo = DebRepo()
    for number in range(250):
        repo.add(f"p{number}", payload=f"{number} ".encode() * 2000)
    repo.publish(upstream)
    upstream.latency_s = 0.02
    keys = keyring(tmp_path)
    name = ("--name", "stopped", "--policy", "immediate", "--json")
    return ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, *name)


def settle(command: Command, *what: str) -> dict[str, list[str]]:
    """What is left behind (of ``what``), once the server, which goes by itself, had the time to write its last."""
    for _ in range(100):
        left = {name: found for name, found in command.left_behind().items() if not what or name in what}
        if not left:
            return {}
        time.sleep(0.05)
    return left


def stop(command: Command, arguments: tuple[str | Path, ...], after_s: float, number: int, *, group: bool) -> Outcome:
    process = command.start(*arguments)
    time.sleep(after_s)
    if process.poll() is None:
        (os.killpg if group else os.kill)(process.pid, number)
    return finish(process, STOP_S)


@pytest.mark.parametrize(
    ("number", "code", "name"), [(signal.SIGINT, 130, "Interrupted"), (signal.SIGTERM, 143, "Terminated")]
)
def test_a_signal_at_any_time_leaves_nothing_behind(
    own_command: Command, arguments: tuple[str | Path, ...], number: int, code: int, name: str
) -> None:
    source = random.Random(int(number))
    claims = 0
    for run in range(6):
        outcome = stop(own_command, arguments, source.uniform(0.15, 1.3), number, group=run % 2 == 0)

        assert outcome.code in (code, 0), outcome
        if outcome.code:
            assert outcome.error["type"] == name
        if outcome.json["changed"]:  # a signal behind the commit comes too late: then the version stands, whole
            claims += 1
            made = own_command.ok("versions", arguments[arguments.index("--name") + 1])
            assert len(made["versions"]) == outcome.json["version"] == 1
        assert "Traceback" not in outcome.stderr
        assert settle(own_command) == {}

    final = own_command.ok(*arguments[:-1])

    assert claims + final["changed"] <= 1, "one version, so one run at most says that it made it"
    assert final["content"]["deb.package"]["total"] == 250
    assert final["version"] == 1
    assert settle(own_command) == {}


def test_ctrl_c_in_the_terminal_stops_everything(own_command: Command, arguments: tuple[str | Path, ...]) -> None:
    ours, theirs = pty.openpty()
    process = own_command.start(*arguments, stdin=theirs, stderr=theirs, preexec_fn=lambda: _control(theirs))
    os.close(theirs)
    time.sleep(0.7)
    assert process.poll() is None
    os.write(ours, b"\x03")
    outcome = finish(process, STOP_S)
    os.close(ours)

    assert outcome.code == 130
    assert settle(own_command) == {}


def _control(descriptor: int) -> None:
    """In the child: make the terminal its controlling one, so that Ctrl-C means SIGINT to the whole group."""
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSCTTY, 0)


def test_an_impatient_second_ctrl_c_changes_nothing(own_command: Command, arguments: tuple[str | Path, ...]) -> None:
    process = own_command.start(*arguments)
    time.sleep(0.6)
    for _ in range(5):
        os.killpg(process.pid, signal.SIGINT)
        time.sleep(0.01)
    outcome = finish(process, STOP_S)

    assert outcome.code == 130
    assert "Traceback" not in outcome.stderr
    assert settle(own_command) == {}


def test_a_command_started_with_ctrl_c_ignored_keeps_ignoring_it(
    own_command: Command, arguments: tuple[str | Path, ...]
) -> None:
    process = own_command.start(*arguments, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    time.sleep(0.6)
    os.killpg(process.pid, signal.SIGINT)
    outcome = finish(process)

    assert outcome.code == 0, outcome


def test_killed_at_random_times_the_next_run_goes_on_where_it_was(
    own_command: Command, upstream: Upstream, arguments: tuple[str | Path, ...]
) -> None:
    source = random.Random(9)
    kills = 0
    while kills < 6:
        process = own_command.start(*arguments)
        time.sleep(source.uniform(0.2, 1.1))
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL) if kills % 2 else process.kill()
            kills += 1
        finish(process)
        seen = own_command.ok("list")["repositories"]
        assert all(one["version"] <= 1 for one in seen)
        assert all(one["content"].get("deb.package", {"total": 250})["total"] == 250 for one in seen), "half a version"
        assert settle(own_command, "processes") == {}, "the command after the kill stops the server it found"

    found = own_command.ok(*arguments[:-1])
    again = own_command.ok("sync", "stopped", "--force")

    assert found["version"] == 1
    assert found["content"]["deb.package"]["total"] == 250
    assert again["changed"] is False
    stored = {path.name for path in (own_command.data_dir / "artifacts" / "sha256").rglob("*/*")}
    assert len(stored) >= 250
    assert settle(own_command) == {}


def test_a_file_that_was_finished_before_a_kill_is_never_asked_for_again(
    own_command: Command, upstream: Upstream, arguments: tuple[str | Path, ...]
) -> None:
    upstream.latency_s = 0.0
    upstream.stall("pool/p249_1.0_amd64.deb")
    process = own_command.start(*arguments)
    store = own_command.data_dir / "artifacts" / "sha256"
    deadline = time.monotonic() + 30
    while not store.exists() or len(list(store.rglob("*/*"))) < 200:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    finish(process)
    finished = {path.name for path in store.rglob("*/*")}
    upstream.heal()
    upstream.forget()

    found = own_command.ok(*arguments[:-1])

    asked = [request.path for request in upstream.requests if request.path.startswith("pool/")]
    assert found["content"]["deb.package"]["total"] == 250
    assert len(asked) <= 252 - len(finished) + 2, "the two indices are among the finished files"
    assert len(asked) == len(set(asked))
