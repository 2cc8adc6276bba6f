"""What ends the core ends its children: SIGKILL, SIGTERM, and Ctrl-C in a terminal, which reaches them all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from time import monotonic, sleep
from typing import Any

import psutil
import pytest
from bridging import HANG_S

HERE = Path(__file__).parent


@contextmanager
def running(stage: str, workers: int, folder: Path, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """bridge_core.py in a session of its own, as a terminal would have it."""
    core = subprocess.Popen(
        [sys.executable, str(HERE / "bridge_core.py"), stage, str(workers), str(folder), json.dumps(options)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    watch = Timer(HANG_S, core.kill)
    watch.start()
    try:
        yield core
    finally:
        watch.cancel()
        with suppress(ProcessLookupError):
            os.killpg(core.pid, signal.SIGKILL)
        core.communicate()


def first_line(core: subprocess.Popen[str]) -> list[str]:
    assert core.stdout is not None
    line = core.stdout.readline()
    assert line, core.stderr and core.stderr.read()
    return line.split()


def family(core: subprocess.Popen[str]) -> list[psutil.Process]:
    """Every process below the core, Python's resource tracker too."""
    return psutil.Process(core.pid).children(recursive=True)


def still_running(processes: list[psutil.Process], within_s: float) -> list[psutil.Process]:
    """Those that have not ended in time. One that only waits for init to fetch its exit code has ended."""
    give_up = monotonic() + within_s
    while (left := [process for process in processes if not has_ended(process)]) and monotonic() < give_up:
        sleep(0.02)
    return left


def has_ended(process: psutil.Process) -> bool:
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until_busy(processes: list[psutil.Process]) -> None:
    """Until they have used a fifth of a second of a processor from now on."""
    began = sum(process.cpu_times().user for process in processes)
    while sum(process.cpu_times().user for process in processes) < began + 0.2:
        sleep(0.02)


BUSY = {"step": "BlockingStep"}
"""A parser that doesn't let its loop turn."""


@pytest.mark.parametrize(
    ("stage", "workers", "options"),
    [
        ("Sleeps", 1, {}),
        ("Sleeps", 1, {"blocks": True}),
        ("HoldsGil", 1, {"pattern": "(a+)+$"}),
        ("Sleeps", 3, {}),
        ("ParsesOne", 1, BUSY),
        ("ParsesOne", 3, BUSY),
    ],
    ids=["idle", "busy stage", "stage in C code", "idle parsers", "busy parser", "busy parser of three"],
)
def test_no_process_outlives_a_killed_core_by_two_seconds(
    stage: str, workers: int, options: dict[str, Any], tmp_path: Path
) -> None:
    with running(stage, workers, tmp_path, **options) as core:
        first_line(core)
        before = family(core)
        assert len(before) == workers + 1
        if options:
            wait_until_busy(before)

        core.kill()

        left = still_running(before, within_s=2)
        for process in left:
            process.kill()
        assert left == []


def test_no_shared_memory_outlives_a_killed_core(tmp_path: Path) -> None:
    with running("Sleeps", 2, tmp_path) as core:
        first_line(core)
        own = semaphores_of(core.pid)
        assert len(own) == 2 * 2 * 3  # two queues to a child, three semaphores each
        before = family(core)

        core.kill()

        assert still_running(before, within_s=2) == []
        left = {entry.inode() for entry in os.scandir("/dev/shm")}
        assert own.isdisjoint(left)


def semaphores_of(pid: int) -> set[int]:
    """Inodes in /dev/shm that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    return {int(line.split()[4]) for line in lines if "/dev/shm/sem." in line}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("stage", "options"), [("Sleeps", {"blocks": True}), ("ParsesOne", BUSY)])
def test_a_signal_to_the_core_ends_it_cleanly(
    number: signal.Signals, stage: str, options: dict[str, Any], tmp_path: Path
) -> None:
    with running(stage, 3, tmp_path, **options) as core:
        first_line(core)
        before = family(core)
        wait_until_busy(before)

        core.send_signal(number)

        out, err = core.communicate(timeout=20)
        assert (out, err, core.returncode) == ("cancelled 0 0\n", "", 130)
        assert still_running(before, within_s=2) == []


def test_ctrl_c_in_a_terminal_is_the_cores_to_handle(tmp_path: Path) -> None:
    with running("Sleeps", 3, tmp_path) as core:
        first_line(core)

        os.killpg(core.pid, signal.SIGINT)

        out, err = core.communicate(timeout=20)
        assert (out, err, core.returncode) == ("cancelled 0 0\n", "", 130)


def test_ctrl_c_while_children_start_prints_no_traceback_of_theirs(tmp_path: Path) -> None:
    with running("Sleeps", 3, tmp_path) as core:
        while len(family(core)) < 4:
            pass  # the children import now

        os.killpg(core.pid, signal.SIGINT)

        out, err = core.communicate(timeout=20)
        assert "cancelled 0 0" in out
        assert err == ""


def test_a_whole_run_leaves_stderr_empty(tmp_path: Path) -> None:
    with running("Rows", 3, tmp_path, rows=10) as core:
        out, err = core.communicate(timeout=20)

        assert out.splitlines()[-1].startswith("result ")
        assert (err, core.returncode) == ("", 0)
