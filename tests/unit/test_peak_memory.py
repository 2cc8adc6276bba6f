"""Peak memory counts a run's children, whatever session they lead, and not the embedded database."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from mpsync.measure import PeakMemory

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="no PSS in this system's /proc")

HELD_BYTES = 64 << 20
HOLD = f"held = b'x' * {HELD_BYTES}; print('ready', flush=True); input()"


def peak_with(program: str) -> int:
    """Peak while a child in a session of its own holds HELD_BYTES."""
    memory = PeakMemory()
    command = [program, "-c", HOLD]
    with subprocess.Popen(
        command, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        assert child.stdin is not None
        child.stdout.readline()
        with memory:
            pass
        child.communicate(b"\n")
    assert memory.peak_bytes is not None
    return memory.peak_bytes


def test_a_child_in_a_session_of_its_own_counts() -> None:
    alone = PeakMemory()
    with alone:
        pass
    assert alone.peak_bytes is not None

    assert peak_with(sys.executable) - alone.peak_bytes >= HELD_BYTES


def test_the_database_does_not() -> None:
    assert peak_with(sys.executable) - peak_with("/usr/lib/bin/postgres") >= HELD_BYTES
