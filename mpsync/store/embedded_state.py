"""What a server says of itself: postmaster.pid, its socket, and the way to it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

_PROBE_S = 0.5


@dataclass(frozen=True, slots=True)
class PidFile:
    """postmaster.pid, as far as we use it.

    status  starting, ready, stopping or standby
    source  PostgreSQL's src/include/utils/pidfile.h; pg_ctl reads the same lines
    """

    pid: int
    socket_dir: Path
    status: str

    @classmethod
    def read(cls, data: Path) -> PidFile | None:
        """None when there is none, or it is half-written."""
        try:
            lines = os.fsdecode((data / "postmaster.pid").read_bytes()).split("\n")
            return cls(int(lines[0]), Path(lines[4]), lines[7].strip())
        except (FileNotFoundError, IndexError, ValueError):
            return None


def is_postgres_of(pid: int, data: Path, *, if_unknown: bool) -> bool:
    """Whether ``pid`` works in ``data``: a stale file's pid may by now be anybody's.

    if_unknown  what to say of a process named postgres whose directory we may not see (root in a container, without
                CAP_SYS_PTRACE), and of any process where there is no /proc
    """
    try:
        return os.path.samefile(f"/proc/{pid}/cwd", data)
    except PermissionError:
        try:
            return if_unknown and Path(f"/proc/{pid}/comm").read_text().strip() == "postgres"
        except OSError:
            return False
    except OSError:
        return if_unknown and not os.path.exists("/proc/self/cwd")


def answers(socket_dir: Path) -> bool:
    """Whether somebody listens: the status of a killed server stays ``ready``, its socket refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        try:
            probe.connect(os.fspath(socket_dir / ".s.PGSQL.5432"))
        except OSError:
            return False
        return True


def conninfo(socket_dir: Path) -> str:
    """A libpq string; it names all that a PG* variable of the user could bend."""
    host = os.fspath(socket_dir).replace("\\", "\\\\").replace("'", "\\'")
    return f"host='{host}' hostaddr='' port=5432 dbname=postgres user=mpsync options=''"
