"""A pytest plugin with the fixtures that pulpcore's stage tests ask for, and a look at what they really test."""

from __future__ import annotations

from pathlib import Path

import pulpcore.plugin.stages
import pytest

SHIM = Path(__file__).parent / "shim"


def pytest_sessionstart() -> None:
    """Refuse to run on a real pulpcore: its tests passing would say nothing about mpsync."""
    found = Path(pulpcore.plugin.stages.__file__)
    if not found.is_relative_to(SHIM):
        raise pytest.UsageError(f"pulpcore.plugin.stages is {found}, not the shim")


@pytest.fixture
def fake_domain() -> None:
    """Pulp's stages ask for the current domain; mpsync has no domains."""
