"""What a run cost: lag of the event loop, and memory of all its processes."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path
from time import perf_counter

HEARTBEAT_S = 0.01
SAMPLE_S = 0.1


class LoopLag:
    """A heartbeat every 10 ms; how much later than asked it beats is how long the loop was blocked."""

    def __init__(self) -> None:
        self._late_s: list[float] = []
        self._due_s = perf_counter() + HEARTBEAT_S  # from here on: what blocks before the first beat counts

    async def run(self) -> None:
        while True:
            await asyncio.sleep(max(0.0, self._due_s - perf_counter()))
            self._beat()
            self._due_s = perf_counter() + HEARTBEAT_S

    def stop(self) -> None:
        """A beat that is overdue at the end counts too."""
        if perf_counter() > self._due_s:
            self._beat()

    def _beat(self) -> None:
        self._late_s.append(max(0.0, perf_counter() - self._due_s))

    def summary(self) -> dict[str, float]:
        """{p50, p99, max} in milliseconds."""
        late = sorted(self._late_s) or [0.0]
        at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
        return {name: round(late[min(len(late) - 1, int(len(late) * part))] * 1000, 2) for name, part in at.items()}


class PeakMemory:
    """Peak of the proportional set size (PSS) of this process and its mpsync children together, sampled in a thread.

    source  proc(5), smaps_rollup; where it isn't there, ``peak_bytes`` is None. The embedded database is not counted
    """

    def __init__(self) -> None:
        self.peak_bytes: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="peak memory", daemon=True)

    def __enter__(self) -> PeakMemory:
        if Path("/proc/self/smaps_rollup").exists():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._thread.is_alive():
            self._stop.set()
            self._thread.join()

    def _run(self) -> None:
        is_last = False
        while True:
            found = sum(_pss_bytes(pid) for pid in _family(os.getpid()))
            self.peak_bytes = max(self.peak_bytes or 0, found)
            if is_last:
                return
            is_last = self._stop.wait(SAMPLE_S)  # a run may be shorter than a sample: look once more at its end


def _family(pid: int) -> list[int]:
    """``pid`` and all its descendants, but for the database's."""
    found, queue = [pid], [pid]
    while queue:
        parent = queue.pop()
        for task in _children(parent):
            if not _is_database(task):
                found.append(task)
                queue.append(task)
    return found


def _is_database(pid: int) -> bool:
    """Whether a child of ours is PostgreSQL, or what is about to become it (store/embedded_programs.py)."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(word.endswith((b"/bin/postgres", b"/bin/initdb")) for word in words)


def _children(pid: int) -> list[int]:
    """Children of every thread of a process: a child belongs to the thread that started it."""
    found: list[int] = []
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_text().split())
    except OSError:
        pass
    return found


def _pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0
