"""kill -9 of the command at random times, again and again: whole versions only, and nothing that was finished is lost.

Each run kills at times of its own; MPSYNC_TEST_SEED repeats one. The seed and what was done is printed.
"""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from command import Command, Outcome, finish
from debrepo import DebRepo
from upstream import Upstream

KILLS = 6
"""For each seed; there are three."""

SEED = int(os.environ.get("MPSYNC_TEST_SEED", time.time_ns() % 1_000_000))
STEP = 40


def names(command: Command) -> frozenset[str]:
    """The packages of the version that is visible now; none before the first."""
    return names_of(command("content", "killed", "--kind", "package", "--json"))


def names_of(outcome: Outcome) -> frozenset[str]:
    if outcome.code:
        assert "killed" in outcome.error["message"], outcome  # there is no such repository yet
        return frozenset()
    return frozenset(unit["name"] for unit in outcome.json["content"])


def finished(command: Command) -> set[str]:
    """Digests of the files in the store."""
    found = (command.data_dir / "artifacts" / "sha256").rglob("*/*")
    return {path.parent.name + path.name if len(path.name) == 62 else path.name for path in found}


def wait_for(sync: subprocess.Popen[str], upstream: Upstream, requests: int) -> None:
    """Until upstream was asked so often, or the command has ended."""
    while sync.poll() is None and upstream.count() < requests:
        time.sleep(0.002)


@pytest.mark.parametrize("seed", [f"{SEED} {part}" for part in "abc"], ids="abc")
def test_killed_at_random_times_no_half_version_is_seen_and_no_finished_file_asked_for_again(
    seed: str, own_command: Command, upstream: Upstream, keys: Path
) -> None:
    chance = random.Random(seed)
    print(f"MPSYNC_TEST_SEED={SEED}, part {seed!r}")
    upstream.latency_s = 0.02
    arguments = ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "killed")
    repo, kills, generation = DebRepo(), 0, 0
    digest_by_path: dict[str, str] = {}
    allowed = {frozenset[str]()}
    while kills < KILLS:
        generation += 1
        if generation > 1:
            del repo.packages[f"p{generation - 1}-0"]
        for number in range(STEP):
            name = f"p{generation}-{number}"
            path = repo.add(name, payload=f"{name} ".encode() * 3000)
            digest_by_path[path] = hashlib.sha256(repo.packages[name][2]).hexdigest()
        repo.publish(upstream)
        allowed.add(wanted := frozenset(repo.packages))
        code = -1
        while code:
            held = finished(own_command)
            upstream.forget()
            sync = own_command.start(*arguments, "--policy", "immediate", "--json")
            reads = chance.random() < 0.3
            reader = own_command.start("content", "killed", "--kind", "package", "--json") if reads else None
            expected = len(set(digest_by_path.values()) - held) + 2  # and two of metadata
            wait_for(sync, upstream, chance.randrange(expected + 1) if chance.random() < 0.6 else expected)
            time.sleep(chance.uniform(0, 0.5) ** 2)
            if sync.poll() is None:
                os.killpg(sync.pid, signal.SIGKILL) if chance.random() < 0.5 else sync.kill()
            code = finish(sync).code
            kills += code == -signal.SIGKILL

            asked = [request.path for request in upstream.of()]
            seen = [names(own_command), *([names_of(finish(reader))] if reader else [])]
            print(
                f"generation {generation}: {f'kill {kills}' if code else 'ended'} after {len(asked)} requests, "
                f"{len(held)} files held before and {len(finished(own_command))} now; {list(map(len, seen))} packages visible"
            )
            assert code in (0, -signal.SIGKILL)
            assert allowed.issuperset(seen), "half a version is visible"
            assert not [path for path in asked if digest_by_path.get(path) in held], (
                "a finished file is asked for again"
            )
        assert seen[0] == wanted
        allowed = {wanted}

    again = own_command.ok(*arguments, "--policy", "immediate", "--force")

    assert again["changed"] is False
    assert set(digest_by_path.values()) <= finished(own_command)
    deadline = time.monotonic() + 10
    while (left := left_behind(own_command)) and time.monotonic() < deadline:  # the server goes by itself, soon
        time.sleep(0.05)
    assert left == {}


def left_behind(command: Command) -> dict[str, list[str]]:
    """But for empty folders: one is left by a kill right between making it and locking it, and goes after a day."""
    found, temp = command.left_behind(), command.data_dir / "artifacts" / "tmp"
    files = [path for path in found.pop("files", ()) if (temp / path).is_file() or list((temp / path).iterdir())]
    return found | ({"files": files} if files else {})
