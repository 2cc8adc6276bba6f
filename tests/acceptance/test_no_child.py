"""A sync that changes nothing starts no other Python process: every one that starts reports itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command
from debrepo import DebRepo
from upstream import Upstream

REPORT = """
import sys
with open({log!r}, "a") as log:
    log.write(" ".join(sys.orig_argv) + "\\n")
"""


def pythons(command: Command, log: Path, *arguments: str | Path) -> tuple[dict[str, object], list[str]]:
    """The document, and the command lines of all Python processes that ran for it; the command's own is the first."""
    log.unlink(missing_ok=True)
    document = command.ok(*arguments)
    return document, log.read_text().splitlines()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_sync_that_changes_nothing_starts_no_child(
    command: Command, upstream: Upstream, keys: Path, tmp_path: Path, workers: str
) -> None:
    log, name = tmp_path / "log", f"childless{workers}"
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(
        REPORT.format(log=str(log))
    )  # imported by every Python that starts
    reporting = Command(command.data_dir, PYTHONPATH=str(tmp_path / "site"), MPSYNC_WORKERS=workers)
    repo = DebRepo()
    repo.add("one")
    repo.publish(upstream)
    arguments = ("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name)

    first, with_children = pythons(reporting, log, *arguments)
    unchanged, alone = pythons(reporting, log, *arguments)

    assert first["changed"] is True
    assert any("multiprocessing" in line for line in with_children), with_children
    assert unchanged["changed"] is False
    assert len(alone) == 1, alone
    assert "mpsync" in alone[0]
