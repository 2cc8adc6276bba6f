"""Acceptance tests run the command as its users do: as a process, against a real upstream and a real database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from debrepo import keyring as make_keyring

from mpsync.store.embedded import EmbeddedServer

TIMEOUT_S = 100


@dataclass(frozen=True)
class Outcome:
    """code, stdout and stderr of a finished command; ``json`` is the document on its stdout."""

    code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found


class Mpsync:
    """The command, with a data directory of its own."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.env = {**os.environ, "MPSYNC_DATA_DIR": str(data_dir)}

    def start(self, *arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mpsync", *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )

    def __call__(self, *arguments: str | Path) -> Outcome:
        process = self.start(*arguments)
        try:
            stdout, stderr = process.communicate(timeout=TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGABRT)
            process.kill()
            raise
        return Outcome(process.returncode, stdout, stderr)

    def ok(self, *arguments: str | Path) -> dict[str, Any]:
        """Run with --json; fails unless the command succeeds."""
        outcome = self(*arguments, "--json")
        assert outcome.code == 0, f"{arguments} exited with {outcome.code}:\n{outcome.stdout}\n{outcome.stderr}"
        return outcome.json

    def fails(self, *arguments: str | Path, code: int = 1) -> dict[str, Any]:
        """Run with --json; returns the error of its document."""
        outcome = self(*arguments, "--json")
        assert outcome.code == code, f"{arguments} exited with {outcome.code}:\n{outcome.stdout}\n{outcome.stderr}"
        error: dict[str, Any] = outcome.json["error"]
        assert error["type"]
        assert error["message"]
        return error


@pytest.fixture(scope="session")
def shared_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A data directory whose server runs for the whole session: commands find it running and leave it so."""
    data_dir = tmp_path_factory.mktemp("store")
    server = EmbeddedServer(data_dir)
    server.start()
    yield data_dir
    server.stop(wait_s=10)


@pytest.fixture
def mpsync(shared_store: Path) -> Mpsync:
    """The command on the session's store; tests name their repositories apart."""
    return Mpsync(shared_store)


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A keyring with the key that DebRepo signs with."""
    return make_keyring(tmp_path)
