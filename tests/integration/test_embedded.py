"""The embedded PostgreSQL: real servers, real processes, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from mpsync.errors import StoreError
from mpsync.store import embedded, embedded_log
from mpsync.store.db import Database
from mpsync.store.embedded import EmbeddedServer
from mpsync.store.embedded_programs import Identity, find_programs, spawn
from mpsync.store.embedded_state import PidFile, conninfo
from mpsync.store.errors import DatabaseBusy, DatabaseStartFailed, DatabaseVersion, DiskFull

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

USER_IMPORTS = """
import sys
from pathlib import Path
from mpsync.store.embedded import EmbeddedServer
"""

USER = f"""
{USER_IMPORTS}
server = EmbeddedServer(Path(sys.argv[1]))
print(server.start(), flush=True)
sys.stdin.readline()
server.stop(wait_s=10)
"""

FORK = """
import os, time
if os.fork() == 0:
    time.sleep(60)
    os._exit(0)
"""


class User:
    """Another command, in a process of its own, that uses the server until told to leave."""

    def __init__(self, data_dir: Path, *prefix: str) -> None:
        self.process = subprocess.Popen(
            [*prefix, sys.executable, "-c", USER, str(data_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def conninfo(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def leave(self) -> int:
        self.process.communicate("\n", timeout=30)
        return self.process.returncode

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=30)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory, made once: most tests begin with a copy instead of an initdb."""
    data_dir = tmp_path_factory.mktemp("template")
    server = EmbeddedServer(data_dir)
    with psycopg.connect(server.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE note (text text)")
    server.stop(wait_s=10)
    assert not server_lives(data_dir)
    return data_dir


@pytest.fixture
def data_dir(template: Path, tmp_path: Path) -> Iterator[Path]:
    shutil.copytree(template, tmp_path / "store", ignore=shutil.ignore_patterns("socket"))
    yield tmp_path / "store"
    end_server(tmp_path / "store")


@pytest.fixture
def empty_dir(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "store"
    end_server(tmp_path / "store")


def end_server(data_dir: Path) -> None:
    """Whatever a failed test left."""
    state = PidFile.read(data_dir / "postgres" / "data")
    if state and server_lives(data_dir):
        with contextlib.suppress(ProcessLookupError):
            os.kill(state.pid, signal.SIGKILL)
        eventually(lambda: not server_lives(data_dir))


def server_lives(data_dir: Path) -> bool:
    with open(data_dir / "postgres" / "alive") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def server_pid(data_dir: Path) -> int:
    state = PidFile.read(data_dir / "postgres" / "data")
    assert state is not None
    return state.pid


def kill_server(pid: int) -> None:
    """kill -9, and wait until it is dead: gone, or a zombie of this process."""
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: is_dead(pid))


def is_dead(pid: int) -> bool:
    """Gone, or a zombie: only then are its sockets closed too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def eventually(condition: Callable[[], bool]) -> None:
    """Poll until true; the test's own limit is 30 s, far beyond what any of this takes."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def write(conninfo: str, text: str) -> None:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("INSERT INTO note VALUES (%s)", [text])


def notes(conninfo: str) -> list[str]:
    with psycopg.connect(conninfo, autocommit=True) as connection:
        return [text for (text,) in connection.execute("SELECT text FROM note")]


def test_first_start_makes_a_database_and_the_last_stop_ends_the_server(empty_dir: Path) -> None:
    server = EmbeddedServer(empty_dir)

    with psycopg.connect(server.start()) as connection:
        version = connection.info.server_version
        row = connection.execute("SELECT current_setting('fsync'), current_setting('listen_addresses')").fetchone()
    server.stop(wait_s=10)

    assert version // 10000 == 18
    assert row == ("on", "")
    assert not server_lives(empty_dir)


def test_what_was_committed_is_there_after_a_restart(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    write(server.start(), "kept")
    server.stop()

    assert notes(server.start()) == ["kept"]
    server.stop()


def test_stop_without_start_and_a_second_stop_do_nothing(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.stop()
    server.start()
    server.stop(wait_s=10)
    server.stop()

    assert not server_lives(data_dir)


def test_users_share_one_server_and_the_last_to_leave_stops_it(data_dir: Path) -> None:
    first, second = User(data_dir), User(data_dir)
    assert first.conninfo() == second.conninfo()
    pid = server_pid(data_dir)

    assert first.leave() == 0
    assert server_lives(data_dir)
    assert server_pid(data_dir) == pid

    assert second.leave() == 0
    assert not server_lives(data_dir)


def test_several_first_starts_at_once_make_one_database(empty_dir: Path) -> None:
    users = [User(empty_dir) for _ in range(4)]

    assert len({user.conninfo() for user in users}) == 1
    assert [user.leave() for user in users] == [0, 0, 0, 0]
    assert not server_lives(empty_dir)


def test_next_command_uses_and_stops_the_server_that_a_killed_user_left(data_dir: Path) -> None:
    user = User(data_dir)
    user.conninfo()
    pid = server_pid(data_dir)
    user.kill()
    assert server_lives(data_dir)

    server = EmbeddedServer(data_dir)
    assert notes(server.start()) == []
    assert server_pid(data_dir) == pid
    server.stop(wait_s=10)

    assert not server_lives(data_dir)


def test_a_killed_server_recovers_what_was_committed(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    write(server.start(), "committed")
    kill_server(server_pid(data_dir))

    other = EmbeddedServer(data_dir)
    assert notes(other.start()) == ["committed"]
    server.stop()
    assert notes(conninfo_of(data_dir)) == ["committed"]
    other.stop(wait_s=10)

    assert not server_lives(data_dir)


def conninfo_of(data_dir: Path) -> str:
    state = PidFile.read(data_dir / "postgres" / "data")
    assert state is not None
    return conninfo(state.socket_dir)


def test_start_waits_for_processes_of_a_killed_server(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    address = server.start()
    postmaster = server_pid(data_dir)
    with psycopg.connect(address, autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        kill_server(postmaster)
        threading.Timer(0.3, os.kill, (backend, signal.SIGCONT)).start()

        other = EmbeddedServer(data_dir)
        assert notes(other.start()) == []

    assert is_dead(backend)
    server.stop()
    other.stop()


def test_processes_of_a_killed_server_that_never_end_are_an_error(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "ORPHAN_S", 0.05)
    server = EmbeddedServer(data_dir)
    address = server.start()
    postmaster = server_pid(data_dir)
    with psycopg.connect(address, autocommit=True) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGSTOP)
        kill_server(postmaster)

        with pytest.raises(DatabaseBusy, match="still run"):
            EmbeddedServer(data_dir).start()

        os.kill(backend, signal.SIGKILL)
    server.stop()


def test_a_start_finds_a_server_that_is_still_stopping(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    for turn in range(20):
        write(server.start(), str(turn))
        server.stop(wait_s=0)

    assert len(notes(server.start())) == 20
    server.stop()


def test_a_stale_pid_file_whose_pid_is_now_somebody_else_is_no_obstacle(data_dir: Path) -> None:
    stale = f"{os.getpid()}\n{data_dir}/postgres/data\n1\n5432\n/nowhere\n\n  1  1\nready   \n"
    (data_dir / "postgres" / "data" / "postmaster.pid").write_text(stale)

    server = EmbeddedServer(data_dir)

    assert notes(server.start()) == []
    server.stop(wait_s=10)
    assert not server_lives(data_dir)


def test_a_killed_first_start_leaves_nothing_that_matters(empty_dir: Path) -> None:
    user = User(empty_dir)
    eventually(lambda: any((empty_dir / "postgres").glob("init-*/base")))
    user.kill()

    server = EmbeddedServer(empty_dir)
    with psycopg.connect(server.start()):
        pass
    server.stop(wait_s=10)

    assert list((empty_dir / "postgres").glob("init-*")) == []


def test_data_of_another_major_version_is_an_error_that_names_both(data_dir: Path) -> None:
    (data_dir / "postgres" / "data" / "PG_VERSION").write_text("13\n")

    with pytest.raises(DatabaseVersion, match="PostgreSQL 13, installed is 18"):
        EmbeddedServer(data_dir).start()


def test_a_bad_setting_of_the_operator_is_an_error_that_names_the_file(data_dir: Path) -> None:
    (data_dir / "postgres" / "data" / "local.conf").write_text("work_mem = many\n")

    with pytest.raises(DatabaseStartFailed, match=r"local\.conf"):
        EmbeddedServer(data_dir).start()

    assert not server_lives(data_dir)


def test_a_setting_of_the_operator_wins(data_dir: Path) -> None:
    (data_dir / "postgres" / "data" / "local.conf").write_text("work_mem = '33MB'\n")
    server = EmbeddedServer(data_dir)

    with psycopg.connect(server.start()) as connection:
        row = connection.execute("SHOW work_mem").fetchone()

    assert row == ("33MB",)
    server.stop()


def test_lost_wal_is_an_error_that_says_what_to_do(data_dir: Path) -> None:
    for segment in (data_dir / "postgres" / "data" / "pg_wal").glob("0*"):
        segment.unlink()

    with pytest.raises(DatabaseStartFailed, match="restore a backup, or sync anew"):
        EmbeddedServer(data_dir).start()


def test_the_server_is_out_of_reach_of_the_terminals_interrupt(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()

    assert os.getsid(server_pid(data_dir)) == server_pid(data_dir)
    server.stop()


def test_a_child_that_outlives_us_does_not_keep_the_server(data_dir: Path) -> None:
    code = USER.replace("sys.stdin.readline()", FORK)
    user = subprocess.Popen([sys.executable, "-c", code, str(data_dir)], start_new_session=True)
    try:
        user.wait(timeout=30)

        assert not server_lives(data_dir)
    finally:
        os.killpg(user.pid, signal.SIGKILL)


def test_a_started_program_does_not_keep_the_server(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()
    child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        server.stop(wait_s=10)

        assert not server_lives(data_dir)
    finally:
        child.kill()
        child.wait()


def test_a_server_that_somebody_else_started_is_left_alone(data_dir: Path, tmp_path: Path) -> None:
    identity = embedded.identities((data_dir / "postgres" / "data").stat().st_uid)[0]
    data = data_dir / "postgres" / "data"
    sockets = Path(tempfile.mkdtemp())
    with open(tmp_path / "log", "wb") as log, open(tmp_path / "not-alive", "wb") as other:
        pid = spawn(
            find_programs("18").bin_dir / "postgres",
            ["-D", str(data), "-k", str(sockets), "-c", "listen_addresses="],
            identity=identity,
            data_dir=data,
            log_fd=log.fileno(),
            alive_fd=other.fileno(),
        )
    try:
        eventually(lambda: (state := PidFile.read(data)) is not None and state.status == "ready")

        with pytest.raises(DatabaseBusy, match="not started by mpsync"):
            EmbeddedServer(data_dir).start()
    finally:
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
        shutil.rmtree(sockets)


def test_a_long_data_path_gets_a_short_socket_path_that_goes_with_the_server(tmp_path: Path, template: Path) -> None:
    data_dir = tmp_path / ("long" * 25) / "store"
    shutil.copytree(template, data_dir, ignore=shutil.ignore_patterns("socket"))
    server = EmbeddedServer(data_dir)

    assert notes(server.start()) == []
    state = PidFile.read(data_dir / "postgres" / "data")
    server.stop(wait_s=10)

    assert state is not None
    assert data_dir not in state.socket_dir.parents
    assert not state.socket_dir.exists()


def test_a_strange_data_path_works(template: Path) -> None:
    with tempfile.TemporaryDirectory() as short:
        data_dir = Path(short, 'it\'s a "strange", \\ $HOME path')
        shutil.copytree(template, data_dir, ignore=shutil.ignore_patterns("socket"))
        server = EmbeddedServer(data_dir)

        assert notes(server.start()) == []
        server.stop(wait_s=10)


def test_variables_of_the_user_do_not_bend_the_address(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("HOST", "192.0.2.1"), ("HOSTADDR", "192.0.2.1"), ("PORT", "1"), ("DATABASE", "x")):
        monkeypatch.setenv("PG" + name, value)
    monkeypatch.setenv("PGOPTIONS", "-c nonsense=1 --work_mem=none")
    server = EmbeddedServer(data_dir)

    assert notes(server.start()) == []
    server.stop()


def test_a_strangers_socket_directory_is_refused(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data_dir = tmp_path / ("long" * 25) / "store"
    shutil.copytree(template, data_dir, ignore=shutil.ignore_patterns("socket"))
    with tempfile.TemporaryDirectory() as runtime:
        monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
        server = EmbeddedServer(data_dir)
        server.start()
        state = PidFile.read(data_dir / "postgres" / "data")
        server.stop(wait_s=10)
        assert state is not None
        assert state.socket_dir.parent == Path(runtime)
        state.socket_dir.symlink_to(tmp_path)

        with pytest.raises(StoreError, match="not a private directory"):
            server.start()


def test_waiting_for_another_command_is_told_and_can_be_given_up(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_log, "NOTICE_AFTER_S", 0.0)
    told = threading.Event()
    said: list[str] = []
    caught: list[Exception] = []

    def hear(text: str) -> None:
        said.append(text)
        told.set()

    server = EmbeddedServer(data_dir, on_notice=hear)

    def start() -> None:
        try:
            server.start()
        except DatabaseBusy as error:
            caught.append(error)

    with open(data_dir / "postgres" / "lock") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        thread = threading.Thread(target=start)
        thread.start()
        assert told.wait(30)
        server.stop()
        thread.join(30)

    assert said == ["waiting: another command starts or stops the database"]
    assert len(caught) == 1


def test_recovery_is_told_with_what_the_server_says(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_log, "NOTICE_AFTER_S", 0.0)
    monkeypatch.setattr(embedded_log, "NOTICE_EVERY_S", 0.0)
    server = EmbeddedServer(data_dir)
    write(server.start(), "committed")
    kill_server(server_pid(data_dir))
    said: list[str] = []

    other = EmbeddedServer(data_dir, on_notice=said.append)
    other.start()

    assert any("the database is starting: 20" in text for text in said)
    server.stop()
    other.stop()


def test_a_start_that_makes_no_progress_is_an_error(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTICE_AFTER_S", "NOTICE_EVERY_S", "STALL_S"):
        monkeypatch.setattr(embedded_log, name, 0.0)
    user = User(data_dir)
    user.conninfo()
    state = PidFile.read(data_dir / "postgres" / "data")
    assert state is not None
    pid_file = data_dir / "postgres" / "data" / "postmaster.pid"
    pid_file.write_text(pid_file.read_text().replace("ready   ", "starting"))

    with pytest.raises(DatabaseBusy, match="made no progress"):
        EmbeddedServer(data_dir).start()

    assert user.leave() == 0


def test_the_log_stays_small(data_dir: Path) -> None:
    log = data_dir / "postgres" / "log"
    log.write_bytes(b"noise\n" * (embedded_log.LOG_BYTES // 6 + 1))
    server = EmbeddedServer(data_dir)

    server.start()
    server.stop()

    assert log.stat().st_size < 100_000
    assert log.with_name("log.1").stat().st_size == embedded_log.LOG_BYTES


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount")
    where = tmp_path / "disk"
    where.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", str(where)], capture_output=True)
    if made.returncode != 0:
        pytest.skip("cannot mount here")
    yield where
    subprocess.run(["umount", "-l", str(where)], check=True)


def test_a_full_disk_at_the_first_start_is_said_and_nothing_is_left(small_disk: Path) -> None:
    with pytest.raises(DiskFull, match="free some space"):
        EmbeddedServer(small_disk).start()

    assert sorted(path.name for path in (small_disk / "postgres").iterdir()) == ["alive", "lease", "lock", "log"]


async def test_a_full_disk_in_a_statement_is_said_and_the_server_goes_on(small_disk: Path, template: Path) -> None:
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,size=96m", str(small_disk)], check=True)
    shutil.copytree(template, small_disk / "store", ignore=shutil.ignore_patterns("socket"))
    server = EmbeddedServer(small_disk / "store")
    async with Database.open(server.start()) as database:
        async with database.connection() as connection:
            await connection.execute("CREATE UNLOGGED TABLE big (text text)")  # without WAL: only the table grows

        async def fill() -> None:
            async with database.connection() as connection:
                await connection.execute("INSERT INTO big SELECT repeat('x', 500) FROM generate_series(1, 1000000)")

        with pytest.raises(DiskFull, match="free some space"):
            await fill()

        async with database.connection() as connection:
            await connection.execute("DROP TABLE big")
            await connection.execute("INSERT INTO note VALUES ('again')")
    assert notes(conninfo_of(small_disk / "store")) == ["again"]
    server.stop(wait_s=10)


@as_root
def test_root_without_user_namespaces_becomes_somebody_else(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uid = 65534
    monkeypatch.setattr(embedded, "identities", lambda owner: [Identity("setuid", uid)])
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(template, closed / "store")
    server = EmbeddedServer(closed / "store")

    write(server.start(), "as somebody else")
    owner = os.stat(f"/proc/{server_pid(closed / 'store')}").st_uid
    server.stop(wait_s=10)

    assert owner == uid
    assert (closed / "store" / "postgres" / "data").stat().st_uid == uid
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not server_lives(closed / "store")

    monkeypatch.undo()
    again = EmbeddedServer(closed / "store")
    assert notes(again.start()) == ["as somebody else"]
    again.stop(wait_s=10)


@as_root
def test_root_falls_back_when_the_first_way_is_closed(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [Identity("namespace", 2**32 - 1), Identity("setuid", 65534)]  # no such uid: the kernel refuses the map
    monkeypatch.setattr(embedded, "identities", lambda owner: ways)
    server = EmbeddedServer(empty_dir)

    with psycopg.connect(server.start()):
        pass

    server.stop(wait_s=10)
    assert (empty_dir / "postgres" / "data").stat().st_uid == 65534


@as_root
def test_no_way_at_all_says_so(empty_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "identities", lambda owner: [Identity("namespace", 2**32 - 1)])

    with pytest.raises(DatabaseStartFailed, match="run as an ordinary user"):
        EmbeddedServer(empty_dir).start()


@as_root
@pytest.mark.parametrize("uid", [65534, 54321], ids=["nobody", "without an entry in passwd"])
def test_an_ordinary_user_runs_the_server_as_itself(uid: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:
        os.chmod(short, 0o755)
        os.mkdir(f"{short}/home")
        os.chown(f"{short}/home", uid, uid)
        prefix = become(uid, Path(short), monkeypatch)
        user = User(Path(short, "home", "store"), *prefix)

        assert notes_absent(user.conninfo())
        assert Path(short, "home", "store", "postgres", "data").stat().st_uid == uid
        assert user.leave() == 0


def become(uid: int, folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """How to run this Python as ``uid``, wherever it is installed.

    A Python below /root is out of an ordinary user's reach: it gets the one capability to search directories and read
    files (else, in a container without that, the one to pass all permissions). The server doesn't inherit it in a user
    namespace, so PostgreSQL's programs are copied to ``folder`` where they are out of reach.
    """
    plain = ["setpriv", "--reuid", str(uid), "--regid", str(uid), "--clear-groups"]
    program = find_programs(None).bin_dir / "postgres"
    if subprocess.run([*plain, "test", "-x", str(program)]).returncode:
        wheel = program.parents[2]
        for part in wheel.parent.glob(f"{wheel.name}*"):  # beside the package lie the libraries of its programs
            shutil.copytree(part, folder / "python" / part.name)
        monkeypatch.setenv("PYTHONPATH", str(folder / "python"), prepend=os.pathsep)
    tries = [[*plain, f"--inh-caps=+{one}", f"--ambient-caps=+{one}"] for one in ("dac_read_search", "dac_override")]
    for prefix in (*tries, plain):
        ran = subprocess.run([*prefix, sys.executable, "-c", USER_IMPORTS], capture_output=True, text=True)
        if not ran.returncode:
            return prefix
    raise AssertionError(f"cannot run {sys.executable} as {uid}: {ran.stderr}")


def notes_absent(conninfo: str) -> bool:
    with psycopg.connect(conninfo) as connection:
        return connection.execute("SELECT to_regclass('note')").fetchone() == (None,)


def test_nothing_listens_on_the_network(data_dir: Path) -> None:
    server = EmbeddedServer(data_dir)
    server.start()

    listening = Path("/proc/net/tcp").read_text()

    inodes = {
        os.readlink(link)
        for link in Path(f"/proc/{server_pid(data_dir)}/fd").iterdir()
        if os.readlink(link).startswith("socket:")
    }
    assert not [line for line in listening.splitlines()[1:] if f"socket:[{line.split()[9]}]" in inodes]
    server.stop()
