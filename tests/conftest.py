"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from upstream import Upstream

from mpsync.store.embedded import EmbeddedServer


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real HTTP server on loopback that fails on demand."""
    with Upstream() as running:
        yield running


@pytest.fixture
def other() -> Iterator[Upstream]:
    """Another one: a second mirror, or whom a redirect leads to."""
    with Upstream() as running:
        yield running


@pytest.fixture(scope="module")
def conninfo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real database server for all tests of a file."""
    server = EmbeddedServer(tmp_path_factory.mktemp("db"))
    yield server.start()
    server.stop(wait_s=10)


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    """The command on a store whose server runs for all tests of a file; these name their repositories apart."""
    data_dir = tmp_path_factory.mktemp("store")
    server = EmbeddedServer(data_dir)
    server.start()
    yield Command(data_dir)
    server.stop(wait_s=10)


@pytest.fixture
def own_command(tmp_path: Path) -> Command:
    """The command on a store of the test's own, with nothing in it."""
    return Command(tmp_path / "data")
