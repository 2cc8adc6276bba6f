"""Run a whole command and say what it cost: wall, CPU by process, memory over time.

Flow    command -> subprocess, sampled from /proc by a thread of this process -> Measured
Roles   main (the command), children (its descendants), postgres (the embedded server and its backends), wherever they are
source  proc(5): stat, smaps_rollup. Where there is no /proc, the figures are empty, the wall is not
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CPU_SAMPLE_S = 0.025
MEMORY_EVERY = 4
"""Memory is sampled at each fourth look at CPU time: reading smaps_rollup walks page tables."""

ROLES = ("main", "children", "postgres")
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Measured:
    """What one run cost.

    cpu_s         {role: user + system seconds}; a process that died between two samples lacks up to 25 ms
    total_cpu_s   of the command and all it waited for, from the kernel: exact
    pss_series    [[seconds, bytes of main, of children, of postgres], …]
    """

    wall_s: float
    exit_code: int
    total_cpu_s: float
    cpu_s: dict[str, float] = field(default_factory=dict)
    pss_series: list[list[float]] = field(default_factory=list)
    stdout: str = ""
    stderr: str = ""

    @property
    def peak_pss_bytes(self) -> int:
        """Of main and children together; the database is not counted."""
        return int(max((main + children for _, main, children, _ in self.pss_series), default=0))

    def as_json(self) -> dict[str, Any]:
        return {
            "wall_s": round(self.wall_s, 4),
            "total_cpu_s": round(self.total_cpu_s, 3),
            "cpu_s": {role: round(seconds, 3) for role, seconds in self.cpu_s.items()},
            "peak_pss_bytes": self.peak_pss_bytes,
            "pss_series": self.pss_series,
        }


class CommandFailed(RuntimeError):
    """A measured command failed: its result would be worth nothing."""


def run_command(
    command: Sequence[str], *, data_dir: Path | None = None, env: Mapping[str, str] | None = None, check: bool = True
) -> Measured:
    """Run ``command`` to its end.

    data_dir  of an mpsync command: its embedded server is found by postmaster.pid, whoever is its parent
    raises    CommandFailed with the end of its stderr when it fails, unless ``check`` is off
    """
    # Into files: a full pipe would hold the command up, and a reader would take a core from it.
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        given_env = {**os.environ, **(env or {})}
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err, env=given_env)
        sampler = _Sampler(process.pid, data_dir, began)
        sampler.start()
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        sampler.stop()
        said = []
        for file in (out, err):
            file.seek(0)
            said.append(file.read().decode(errors="replace"))
    cpu_s = usage.ru_utime + usage.ru_stime
    measured = Measured(wall_s, process.returncode, cpu_s, sampler.cpu_by_role(), sampler.memory, *said)
    if check and measured.exit_code:
        raise CommandFailed(f"{' '.join(command)}: exit code {measured.exit_code}: {measured.stderr[-2000:]}")
    return measured


class _Sampler(threading.Thread):
    def __init__(self, pid: int, data_dir: Path | None, began: float) -> None:
        super().__init__(name="sampler", daemon=True)
        self._pid, self._data_dir, self._began = pid, data_dir, began
        self._ended = threading.Event()
        self._cpu_s: dict[tuple[str, int], float] = {}
        self.memory: list[list[float]] = []

    def run(self) -> None:
        for count in _ticks(self._ended):
            roles = {pid: self._role(pid) for pid in self._processes()}
            for pid, role in roles.items():
                seconds = process_cpu_s(pid)
                if seconds is not None:
                    self._cpu_s[role, pid] = seconds
            if count % MEMORY_EVERY == 0:
                self._sample_memory(roles)

    def stop(self) -> None:
        self._ended.set()
        self.join()

    def cpu_by_role(self) -> dict[str, float]:
        return {role: sum(s for (of, _), s in self._cpu_s.items() if of == role) for role in ROLES}

    def _sample_memory(self, roles: dict[int, str]) -> None:
        row = [round(time.perf_counter() - self._began, 3), 0.0, 0.0, 0.0]
        for pid, role in roles.items():
            row[1 + ROLES.index(role)] += pss_bytes(pid)
        if any(row[1:]):
            self.memory.append(row)

    def _processes(self) -> list[int]:
        found = descendants(self._pid)
        if self._data_dir is not None:
            try:
                text = (self._data_dir / "postgres" / "data" / "postmaster.pid").read_text()
                found += [pid for pid in descendants(int(text.split("\n", 1)[0])) if pid not in found]
            except (OSError, ValueError):
                pass
        return found

    def _role(self, pid: int) -> str:
        if pid == self._pid:
            return "main"
        try:
            return "postgres" if Path(f"/proc/{pid}/comm").read_text().startswith("postgres") else "children"
        except OSError:
            return "children"


def _ticks(ended: threading.Event) -> Iterator[int]:
    count = 0
    while not ended.is_set():
        yield count
        count += 1
        ended.wait(CPU_SAMPLE_S)


def descendants(pid: int) -> list[int]:
    """``pid`` and everything below it."""
    found, queue = [pid], [pid]
    while queue:
        parent = queue.pop()
        try:
            for thread in os.listdir(f"/proc/{parent}/task"):
                queue += map(int, Path(f"/proc/{parent}/task/{thread}/children").read_text().split())
        except OSError:
            continue
        found += [child for child in queue if child not in found]
    return found


def pss_bytes(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return 0


def process_cpu_s(pid: int) -> float | None:
    """User and system seconds of one process, without its children."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * _TICK_S
    except (OSError, IndexError, ValueError):
        return None
