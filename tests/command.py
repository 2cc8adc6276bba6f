"""The command as its users run it: a process with a data directory of its own, its output, its exit code, its signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 100


@dataclass(frozen=True)
class Outcome:
    """code, stdout and stderr of a finished command; ``json`` is the one document on its stdout."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def error(self) -> dict[str, Any]:
        found: dict[str, Any] = self.json["error"]
        return found


class Command:
    """``mpsync`` on one data directory; ``env`` may be changed."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        self.env = {
            name: value for name, value in os.environ.items() if not name.startswith("MPSYNC_") or name == "MPSYNC_LOOP"
        }
        self.env |= {"MPSYNC_DATA_DIR": str(data_dir), "COLUMNS": "200", "MPSYNC_RETRIES": "1", **env}

    def start(self, *arguments: str | Path | int, **options: Any) -> subprocess.Popen[str]:
        """A process in a session of its own, so that the whole group can be signalled."""
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(
            [sys.executable, "-m", "mpsync", *map(str, arguments)],
            env=self.env, text=True, start_new_session=True, **pipes,
        )  # fmt: skip

    def __call__(self, *arguments: str | Path | int) -> Outcome:
        return finish(self.start(*arguments))

    def ok(self, *arguments: str | Path | int) -> dict[str, Any]:
        """Run with --json; fails unless the command succeeds."""
        outcome = self(*arguments, "--json")
        assert outcome.code == 0, f"{arguments} exited with {outcome.code}:\n{outcome.stdout}\n{outcome.stderr}"
        return outcome.json

    def fails(self, *arguments: str | Path | int, code: int = 1) -> dict[str, Any]:
        """Run with --json; returns the error of its document. Fails unless the command exits with ``code``."""
        outcome = self(*arguments, "--json")
        assert outcome.code == code, f"{arguments} exited with {outcome.code}:\n{outcome.stdout}\n{outcome.stderr}"
        assert outcome.error["type"]
        assert outcome.error["message"]
        return outcome.error

    def left_behind(self) -> dict[str, list[str]]:
        """Processes that name the data directory, and temporary files in it; empty lists are left out."""
        needle, found = str(self.data_dir).encode(), []
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit() or int(folder.name) == os.getpid():
                continue
            try:
                command, env = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
            except OSError:
                continue
            if command and (needle in command or needle in env):
                found.append(f"{folder.name} {command.replace(bytes(1), b' ').decode()[:80]}")
        temp = self.data_dir / "artifacts" / "tmp"
        files = [str(path.relative_to(temp)) for path in temp.rglob("*")] if temp.exists() else []
        return {name: values for name, values in (("processes", found), ("files", files)) if values}


def finish(process: subprocess.Popen[str], timeout_s: float = TIMEOUT_S) -> Outcome:
    try:
        stdout, stderr = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
        raise AssertionError(f"{process.args} hung:\n{stdout}\n{stderr}") from None
    return Outcome(process.returncode, stdout or "", stderr or "")
