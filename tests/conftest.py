"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from upstream import Upstream


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A real HTTP server on loopback that fails on demand."""
    with Upstream() as running:
        yield running
