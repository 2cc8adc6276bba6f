"""Acceptance tests run the command as its users do: as a process, against a real upstream and a real database."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command
from debrepo import keyring as make_keyring


@pytest.fixture
def mpsync(command: Command) -> Command:
    """The command on the file's store; its tests name their repositories apart."""
    return command


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """A keyring with the key that DebRepo signs with."""
    return make_keyring(tmp_path)
