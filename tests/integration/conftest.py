"""Fixtures of the tests that use real processes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest


@pytest.fixture
async def nothing_is_left(tmp_path: Path) -> AsyncIterator[None]:
    """After the test this process has no child, thread, descriptor, semaphore or temporary file more than before."""
    from multiprocessing import resource_tracker

    from bridging import Belongings, settled

    resource_tracker.ensure_running()  # Python's own helper process stays as long as this one does
    before = Belongings.now(tmp_path)
    yield
    await settled()
    assert Belongings.now(tmp_path) == before
