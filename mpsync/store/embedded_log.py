"""The server's log: kept small, read for the reason of a failure, and watched while we wait."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from mpsync.errors import StoreError
from mpsync.store.errors import DatabaseBusy, DatabaseStartFailed, DiskFull

LOG_BYTES = 4 << 20
NOTICE_AFTER_S = 2.0
NOTICE_EVERY_S = 10.0
STALL_S = 300.0
"""A start whose log stands still for this long is stuck; a recovery writes a line every second."""

_TAIL_BYTES = 64 << 10
_FULL = (
    "No space left on device",
    "Disk quota exceeded",
    "Check free disk space",
)  # the last one: of a write cut short
_ADVICE = (
    ("could not create shared memory segment", "the kernel gives no shared memory (sysctl kernel.shmmni, shmall)"),
    ("could not map anonymous shared memory", "too little memory: set shared_buffers in local.conf"),
    ("could not locate a valid checkpoint record", "the data is damaged: restore a backup, or sync anew"),
    ("could not look up effective user ID", "this user needs an entry in /etc/passwd"),
    ("contains invalid value", "a setting is wrong: see postgres/data/local.conf"),
    ("configuration file \"", "a setting is wrong: see postgres/data/local.conf"),
)  # fmt: skip


def rotate(log: Path) -> None:
    """Past LOG_BYTES keep the tail as ``log.1`` and empty the log in place: a running server appends on."""
    try:
        if log.stat().st_size <= LOG_BYTES:
            return
    except FileNotFoundError:
        return
    log.with_name(log.name + ".1").write_bytes(_read_from(log, log.stat().st_size - LOG_BYTES))
    os.truncate(log, 0)


def explain(log: Path, offset: int, problem: str) -> StoreError:
    """The leaf for a server that ended, by what it wrote to ``log`` after byte ``offset``."""
    text = _read_from(log, max(offset, log.stat().st_size - _TAIL_BYTES)).decode(errors="replace")
    if any(sign in text for sign in _FULL):
        return DiskFull(str(log.parent), "no space left for the database")
    lines = [line for line in text.splitlines() if line.strip()]
    loud = [line for line in lines if any(word in line for word in ("FATAL:", "PANIC:", "error:", "embedded_root:"))]
    said = (loud or lines or ["it said nothing"])[-1].strip()
    for sign, advice in _ADVICE:
        if sign in text:
            said += f"; {advice}"
            break
    return DatabaseStartFailed(f"{problem}: {said}", str(log))


def _read_from(log: Path, offset: int) -> bytes:
    with open(log, "rb") as file:
        file.seek(offset)
        return file.read()


class Waiting:
    """One wait for the server or for another command: tells the user, and gives up when nothing moves any more.

    log  watched for progress; None for a wait that has no limit, such as for a lock
    """

    def __init__(self, notice: Callable[[str], None], why: str, log: Path | None) -> None:
        self._notice, self._why, self._log = notice, why, log
        self._next_notice = time.monotonic() + NOTICE_AFTER_S
        self._moved = time.monotonic()
        self._size = -1

    def tick(self) -> None:
        """Call between two polls. Raises DatabaseBusy."""
        now = time.monotonic()
        if now < self._next_notice:
            return
        self._next_notice = now + NOTICE_EVERY_S
        if self._log is None:
            self._notice(f"waiting: {self._why}")
            return
        size = self._log.stat().st_size if self._log.exists() else 0
        if size != self._size:
            self._size, self._moved = size, now
        elif now - self._moved > STALL_S:
            raise DatabaseBusy(f"{self._why}, but made no progress for {STALL_S:.0f} s (log: {self._log})")
        lines = _read_from(self._log, max(0, size - 1000)).decode(errors="replace").splitlines() if size else []
        self._notice(f"waiting: {self._why}" + (f": {lines[-1]}" if lines else ""))
