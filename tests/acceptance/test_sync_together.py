"""Syncs of different repositories with the same content at once: no deadlock, and what each would have made alone."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from command import Command, finish
from debrepo import DebRepo
from upstream import Upstream

REPOSITORIES = 4
PACKAGES = 250
ROUNDS = 2


def publish(upstreams: list[Upstream], round_number: int) -> None:
    """Four suites with the same packages, each in an order of its own; two upstreams serve two each."""
    low = round_number * PACKAGES // 5
    for number in range(REPOSITORIES):
        repo, order = DebRepo(suite=f"suite{number}"), list(range(low, low + PACKAGES))
        random.Random(number).shuffle(order)
        for package in order:
            repo.add(f"package{package}", more=f"Depends: package{package - 1}\n")
        repo.date = repo.date.replace(minute=0, second=round_number)  # later with every round
        repo.publish(upstreams[number % 2])


def arguments(upstreams: list[Upstream], keys: Path, number: int) -> list[str]:
    policy = "immediate" if number < 2 else "on_demand"
    named = ["--suite", f"suite{number}", "--keyring", str(keys), "--name", f"together{number}", "--policy", policy]
    return ["sync", "deb", upstreams[number % 2].url, *named, "--json"]


def contents(command: Command, found: dict[str, Any], number: int) -> dict[str, Any]:
    """What one repository holds, and what its sync said of it."""
    units = command.ok("content", f"together{number}")["content"]
    return {
        "units": sorted((unit["kind"], unit["name"], unit["version"]) for unit in units),
        "packages": found["content"]["deb.package"],
        "version": found["version"],
        "changed": found["changed"],
        "held": command.ok("show", f"together{number}")["artifacts"]["held"] if number < 2 else None,
    }


def stored(command: Command) -> set[str]:
    return {path.name for path in (command.data_dir / "artifacts" / "sha256").rglob("*/*")}


def test_four_syncs_at_once_make_what_they_make_one_after_the_other(
    upstream: Upstream, keys: Path, tmp_path: Path
) -> None:
    together, in_sequence = Command(tmp_path / "together"), Command(tmp_path / "sequence")
    with Upstream() as other:
        upstreams = [upstream, other]
        for round_number in range(ROUNDS):
            publish(upstreams, round_number)
            wanted = [arguments(upstreams, keys, number) for number in range(REPOSITORIES)]

            at_once = [finish(process) for process in [together.start(*one) for one in wanted]]
            alone = [in_sequence(*one) for one in wanted]

            for outcome in (*at_once, *alone):
                assert outcome.code == 0, f"round {round_number}: {outcome}"
            for number in range(REPOSITORIES):
                expected = contents(in_sequence, alone[number].json, number)
                assert contents(together, at_once[number].json, number) == expected, f"round {round_number}"
                assert expected["version"] == round_number + 1
                assert expected["packages"]["total"] == PACKAGES
            assert stored(together) >= {name for name in stored(in_sequence) if "." not in name}
            print(f"round {round_number}: {REPOSITORIES} syncs of {PACKAGES} packages at once, as in sequence")
