"""The embedded PostgreSQL: the wheel's programs with our own init, start and stop.

Flow    data_dir -> start() -> conninfo -> ... -> stop(); all of it lives below ``<data_dir>/postgres``
Runs    in the main process; start and stop block, so call them before the loop or through asyncio.to_thread
Why     the wheel's manager never stops a server whose user was killed, gives up in a long recovery, and as root
        changes the modes of parent folders (design.md, "The store")

Users share one server. Each holds a lease; the last to leave stops it. A killed user's lease vanishes with it, so
the next command finds the server, uses it, and stops it. Three lock files:

lock    exclusive, for as long as somebody starts or stops the server
lease   shared, one per user; who can turn it into an exclusive one is the last user
alive   exclusive, inherited by the server and all its processes: held means that one of them still runs, in
        whatever pid namespace
"""

from __future__ import annotations

import os
import shutil
import signal
import stat
import threading
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from mpsync.errors import StoreError
from mpsync.store.embedded_log import Waiting, explain, rotate
from mpsync.store.embedded_programs import WAY_CLOSED, Identity, Programs, find_programs, identities, spawn
from mpsync.store.embedded_settings import postgresql_conf
from mpsync.store.embedded_state import PidFile, answers, conninfo, is_postgres_of
from mpsync.store.errors import DatabaseBusy, DatabaseStartFailed, DatabaseVersion, StoreUnwritable, from_os_error
from mpsync.store.file_lock import FileLock

POLL_S = 0.005
STOP_LOCK_S = 1.0
ORPHAN_S = 60.0
"""How long processes of a killed server may take to notice that it is gone."""

_SOCKET_PATH_BYTES = 107 - len("/.s.PGSQL.5432.lock")


class EmbeddedServer:
    """One user's hold on the server of ``data_dir``.

    data_dir   made if need be
    on_notice  called with a line of text while start() waits for somebody or something, from start()'s thread
    """

    def __init__(self, data_dir: Path, *, on_notice: Callable[[str], None] | None = None) -> None:
        self.home = data_dir.absolute() / "postgres"
        self.data = self.home / "data"
        self.log = self.home / "log"
        self._notice = on_notice or (lambda text: None)
        self._lease: FileLock | None = None
        self._pid: int | None = None  # of a server we spawned, to be reaped by us
        self._leaving = threading.Event()
        self._one_at_a_time = threading.Lock()

    def start(self) -> str:
        """Take a lease, and start the server unless it runs. Returns its conninfo, a libpq string.

        raises  StoreError leaves: DatabaseStartFailed, DatabaseVersion, DatabaseBusy, DiskFull, StoreUnwritable
        """
        with self._one_at_a_time:
            if self._lease is not None:
                raise AssertionError("already started")
            self._leaving.clear()
            try:
                self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
                lock = FileLock(self.home / "lock")
            except OSError as error:
                raise from_os_error(error, self.home) from error
            try:
                self._wait(lock.try_exclusive, "another command starts or stops the database")
                self._lease = FileLock(self.home / "lease")
                self._wait(self._lease.try_shared, "another command stops the database")
                return self._running_or_started(lock)
            except BaseException as error:
                self._drop_lease(lock)
                if isinstance(error, OSError):
                    raise from_os_error(error, self.home) from error
                raise
            finally:
                lock.close()

    def stop(self, *, wait_s: float = 0.03) -> None:
        """Drop the lease; the last user stops the server, and waits this long to see it gone.

        A server that has much to write goes on by itself after that: it is in a session of its own, what was
        committed is safe already, and the next start() waits for it. Also makes a start() in another thread give up.
        Never raises for a server that is gone.
        """
        self._leaving.set()
        with self._one_at_a_time:
            if self._lease is None:
                return
            lock = FileLock(self.home / "lock")
            try:
                # Who holds the lock for longer than a moment is starting a server, has a lease, and will stop it.
                deadline = time.monotonic() + STOP_LOCK_S
                while not (locked := lock.try_exclusive()) and time.monotonic() < deadline:
                    time.sleep(POLL_S)
                self._drop_lease(lock if locked else None, wait_s)
            finally:
                lock.close()

    def _drop_lease(self, lock: FileLock | None, wait_s: float = 0.0) -> None:
        """Close the lease, if any; when it was the last, and the lock is ours, tell the server to stop."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            if lock is not None and lease.try_exclusive():
                self._stop_server(lock, wait_s)
        finally:
            lease.close()
            self._reap()

    def _running_or_started(self, lock: FileLock) -> str:
        if self._is_alive():
            running = self._join_running(lock.read_note())
            if running is not None:
                rotate(self.log)
                return running
        lock.write_note(b"")
        self._refuse_a_foreign_server()
        (self.data / "postmaster.pid").unlink(missing_ok=True)  # of a killed server: nothing of it lives
        rotate(self.log)
        programs = find_programs(self._data_major())
        tried: list[_WayClosed] = []
        for identity in identities(self._data_owner()):
            try:
                if not self.data.exists():
                    self._init(programs, identity)
                elif identity.owns is not None and self._data_owner() != identity.owns:
                    self._give(self.data, identity.owns)
                if (found := self._data_major()) != programs.major:
                    raise DatabaseVersion(str(self.data), found or "?", programs.major)
                return self._start_server(programs, identity)
            except _WayClosed as error:
                tried.append(error)
        raise DatabaseStartFailed(
            "it refuses to run as this user, and there is no way around that here: "
            f"run as an ordinary user, or name a server with --database ({'; '.join(e.problem for e in tried)})",
            str(self.log),
        ) from tried[-1]

    # ---- starting

    def _init(self, programs: Programs, identity: Identity) -> None:
        """initdb beside the final place, durable, then one rename: a killed init leaves only rubbish."""
        for rubbish in self.home.glob("init-*"):
            shutil.rmtree(rubbish, ignore_errors=True)
        fresh = self.home / f"init-{os.getpid()}"
        fresh.mkdir(mode=0o700)
        if identity.owns is not None:
            self._give(fresh, identity.owns)
        offset = self._log_size()
        # syncfs takes 60 ms where --no-sync takes none, and without it a power cut could lose a database that had
        # reported commits; the C locale sorts by bytes at memcmp speed, the same on every host.
        options = "--auth=trust --username=mpsync --encoding=UTF8 --locale=C --locale-provider=builtin"
        options += " --builtin-locale=C.UTF-8 --sync-method=syncfs --no-instructions"
        pid, alive = self._spawn(programs.bin_dir / "initdb", ["-D", str(fresh), *options.split()], identity, fresh)
        try:
            status = self._wait_exit(pid, offset)
        except BaseException:
            _kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise
        finally:
            alive.close()
        if status != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise self._failure(status, offset, "initdb failed")
        with open(fresh / "local.conf", "w") as file:
            file.write("# Your settings; they win over postgresql.conf, which mpsync writes at every start.\n")
        os.rename(fresh, self.data)

    def _wait_exit(self, pid: int, offset: int) -> int:
        waiting = Waiting(self._notice, "the database is being made", self.log)
        while True:
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                return os.waitstatus_to_exitcode(status)
            self._pause()
            waiting.tick()

    def _start_server(self, programs: Programs, identity: Identity) -> str:
        self._write_conf(identity)
        sockets = self._socket_dir(identity)
        offset = self._log_size()
        arguments = ["-D", str(self.data), "-k", f'"{sockets}"', "-p", "5432"]
        self._pid, alive = self._spawn(programs.bin_dir / "postgres", arguments, identity, self.data)
        alive.close()  # the server's copy stays
        waiting = Waiting(self._notice, "the database is starting", self.log)
        while True:
            state = PidFile.read(self.data)
            if state and state.pid == self._pid and state.status == "ready":
                return conninfo(state.socket_dir)
            status = self._reap()
            if status is not None:
                raise self._failure(status, offset, f"the server ended with status {status}")
            self._pause()
            waiting.tick()

    def _join_running(self, note: bytes) -> str | None:
        """Wait for a server that lives: its conninfo when it is ready, None when it is gone.

        note  the pid of the server that was told to stop last
        """
        waiting = Waiting(self._notice, "the database is starting or stopping", self.log)
        orphan_since: float | None = None
        while self._is_alive():
            state = PidFile.read(self.data)
            stopping = state is not None and (state.status == "stopping" or str(state.pid).encode() == note)
            if state and not stopping and state.status == "ready":
                if answers(state.socket_dir):
                    return conninfo(state.socket_dir)
                # The postmaster was killed; its children notice within moments, unless they are stopped or stuck.
                orphan_since = orphan_since or time.monotonic()
                if time.monotonic() - orphan_since > ORPHAN_S:
                    raise DatabaseBusy(
                        f"processes of a killed database server in {self.data} still run: "
                        f"end them (fuser -k {self.home / 'alive'})"
                    )
            self._pause()
            waiting.tick()
        return None

    def _spawn(self, program: Path, arguments: list[str], identity: Identity, data: Path) -> tuple[int, FileLock]:
        alive = FileLock(self.home / "alive")
        log_fd = -1
        try:
            if not alive.try_exclusive():
                raise DatabaseBusy(f"a database server in {self.data} is still running")
            log_fd = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
            pid = spawn(program, arguments, identity=identity, data_dir=data, log_fd=log_fd, alive_fd=alive.fd)
        except BaseException:
            alive.close()
            raise
        finally:
            if log_fd >= 0:
                os.close(log_fd)
        return pid, alive

    def _failure(self, status: int, offset: int, problem: str) -> StoreError:
        error = explain(self.log, offset, problem)
        if status == WAY_CLOSED and isinstance(error, DatabaseStartFailed):
            return _WayClosed(error.problem, error.log)
        return error

    def _give(self, path: Path, uid: int) -> None:
        """Make ``uid`` the owner of ``path`` and all below it; links are not followed."""
        try:
            for folder, _, names in os.walk(path):
                for name in (folder, *(os.path.join(folder, name) for name in names)):
                    os.chown(name, uid, uid, follow_symlinks=False)
        except PermissionError as error:
            raise _WayClosed(f"cannot give {path} to uid {uid}: {error.strerror}", str(self.log)) from error

    def _write_conf(self, identity: Identity) -> None:
        conf, text = self.data / "postgresql.conf", postgresql_conf()
        if conf.read_text(errors="replace") == text:
            return
        fresh = conf.with_name("postgresql.conf.new")
        fresh.unlink(missing_ok=True)
        with open(fresh, "x") as file:
            file.write(text)
        if identity.owns is not None:
            os.chown(fresh, identity.owns, identity.owns)
        os.replace(fresh, conf)

    def _socket_dir(self, identity: Identity) -> Path:
        """A private directory with a short path: the address of a unix socket holds 107 bytes."""
        path = self.home / "socket"
        if len(os.fsencode(path)) > _SOCKET_PATH_BYTES or set(str(path)) & set(",\"'\\\n"):
            name = f"mpsync-{os.geteuid()}-{sha256(os.fsencode(self.home)).hexdigest()[:16]}"
            path = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp", name)
            if len(os.fsencode(path)) > _SOCKET_PATH_BYTES or not path.parent.is_dir():
                path = Path("/tmp", name)
        path.mkdir(mode=0o700, exist_ok=True)
        found, owners = path.lstat(), (os.geteuid(), identity.owns)
        # Only the one below /tmp can be a stranger's; ours may still belong to another identity of an earlier start.
        stranger = path.parent != self.home and found.st_uid not in owners
        if stranger or not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077:
            raise StoreUnwritable(str(path), "is not a private directory of ours; remove it")
        os.chown(path, identity.owns or os.geteuid(), -1)
        # A killed server leaves both, and PostgreSQL believes the lock file as long as anybody has the pid in it.
        for rubbish in (".s.PGSQL.5432", ".s.PGSQL.5432.lock"):
            (path / rubbish).unlink(missing_ok=True)
        return path

    # ---- stopping

    def _stop_server(self, lock: FileLock, wait_s: float) -> None:
        state = PidFile.read(self.data)
        if state is None and self._pid is not None:  # our start was given up before the server wrote its file
            _kill(self._pid, signal.SIGINT)
        if state is None or not self._is_alive() or not is_postgres_of(state.pid, self.data, if_unknown=True):
            return
        # The next start must not take a server for ready that has not read its signal yet.
        lock.write_note(str(state.pid).encode())
        _kill(state.pid, signal.SIGINT)  # "fast": ends sessions, writes a checkpoint
        deadline = time.monotonic() + wait_s
        while self._is_alive():
            if time.monotonic() > deadline:
                return
            time.sleep(POLL_S / 5)
            self._reap()
        if state.socket_dir.parent != self.home:
            shutil.rmtree(state.socket_dir, ignore_errors=True)

    def _reap(self) -> int | None:
        """The exit status of a server we spawned, once it is gone; None before."""
        if self._pid is None:
            return None
        try:
            found, status = os.waitpid(self._pid, os.WNOHANG)
        except ChildProcessError:  # somebody else's wait took it
            found, status = self._pid, 0
        if not found:
            return None
        self._pid = None
        return os.waitstatus_to_exitcode(status)

    # ---- looking

    def _is_alive(self) -> bool:
        """Whether any process of a server of ours lives. Under the lock only: it takes the alive lock for a moment."""
        alive = FileLock(self.home / "alive")
        try:
            return not alive.try_exclusive()
        finally:
            alive.close()

    def _refuse_a_foreign_server(self) -> None:
        state = PidFile.read(self.data)
        if state and is_postgres_of(state.pid, self.data, if_unknown=False):
            raise DatabaseBusy(f"process {state.pid} serves {self.data} but was not started by mpsync: stop it first")

    def _data_major(self) -> str | None:
        try:
            return (self.data / "PG_VERSION").read_text().strip()
        except FileNotFoundError:
            return None

    def _data_owner(self) -> int | None:
        try:
            return self.data.stat().st_uid
        except FileNotFoundError:
            return None

    def _log_size(self) -> int:
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    # ---- waiting

    def _wait(self, attempt: Callable[[], bool], why: str) -> None:
        waiting = Waiting(self._notice, why, None)
        while not attempt():
            self._pause()
            waiting.tick()

    def _pause(self) -> None:
        if self._leaving.wait(POLL_S):
            raise DatabaseBusy("the start of the database was given up")


class _WayClosed(DatabaseStartFailed):
    """PostgreSQL can't run as this identity here; there may be another."""


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        pass  # gone, or a reused pid of somebody else
