"""Parts of the embedded server that need no server."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from mpsync.errors import StoreError
from mpsync.store import embedded_programs
from mpsync.store.embedded_log import explain
from mpsync.store.embedded_programs import Identity, find_programs, identities
from mpsync.store.embedded_state import PidFile, answers, conninfo
from mpsync.store.errors import DatabaseStartFailed, DiskFull


def test_programs_are_found_without_importing_the_wheel() -> None:
    programs = find_programs(None)

    assert programs.major == "18"
    assert os.access(programs.bin_dir / "postgres", os.X_OK)
    assert embedded_programs.WHEEL not in sys.modules


def wheel(root: Path, *majors: str) -> None:
    package = root / "some_wheel"
    for number, major in enumerate(majors):
        share = package / f"pginstall{number}" / "share" / "postgresql"
        share.mkdir(parents=True)
        (share / "postgres.bki").write_text(f"# PostgreSQL {major}\n")
    (package / "__init__.py").touch()


@pytest.mark.parametrize(
    ("majors", "data_major", "chosen"),
    [
        (("16", "18"), None, "18"),
        (("16", "18"), "16", "16"),
        (("16", "18"), "17", "18"),
        (("9", "19"), None, "19"),
    ],
)
def test_the_version_of_existing_data_is_preferred_then_ours_then_the_newest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, majors: tuple[str, ...], data_major: str | None, chosen: str
) -> None:
    wheel(tmp_path, *majors)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(embedded_programs, "WHEEL", "some_wheel")

    assert find_programs(data_major).major == chosen


def test_a_missing_wheel_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_programs, "WHEEL", "no_such_wheel_here")

    with pytest.raises(StoreError, match="--database"):
        find_programs(None)


@pytest.mark.parametrize(
    ("uid", "owner", "ways"),
    [
        (0, None, ["namespace", "setuid"]),
        (0, 0, ["namespace", "setuid"]),
        (0, 1234, ["setuid"]),
        (65534, None, ["direct"]),
        (54321, None, ["namespace", "direct"]),
    ],
)
def test_ways_to_run_depend_on_who_we_are_and_who_owns_the_data(
    monkeypatch: pytest.MonkeyPatch, uid: int, owner: int | None, ways: list[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)

    found = identities(owner)

    assert [identity.way for identity in found] == ways
    assert owner not in (1234,) or found == [Identity("setuid", 1234)]


def test_a_half_written_pid_file_is_none(tmp_path: Path) -> None:
    whole = "123\n/data\n1\n5432\n/run/x\n\n  1 2\nready   \n"
    assert PidFile.read(tmp_path) is None
    for text in ("", "12", "123\n/data\n1\n5432\n/run/x\n"):
        (tmp_path / "postmaster.pid").write_text(text)
        assert PidFile.read(tmp_path) is None

    (tmp_path / "postmaster.pid").write_text(whole)

    assert PidFile.read(tmp_path) == PidFile(123, Path("/run/x"), "ready")


def test_a_quote_and_a_backslash_in_the_socket_path_are_escaped() -> None:
    assert conninfo(Path("/it's\\here")).startswith("host='/it\\'s\\\\here' ")


def test_nobody_answers_where_nothing_listens(tmp_path: Path) -> None:
    assert not answers(tmp_path)


@pytest.mark.parametrize(
    ("said", "kind", "message"),
    [
        ("x\nFATAL:  could not write: No space left on device\nlast\n", DiskFull, "free some space"),
        (
            "FATAL:  wrote only 4096 of 8192 bytes\nHINT:  Check free disk space.\nPANIC:  x\n",
            DiskFull,
            "free some space",
        ),
        ("creating configuration files ... ok\nPANIC:  x\n", DatabaseStartFailed, "it ended: PANIC:  x (log"),
        ('FATAL:  configuration file "/a/b" contains errors\n', DatabaseStartFailed, "local.conf"),
        ("FATAL:  bad thing\nLOG:  shut down\n", DatabaseStartFailed, "it ended: FATAL:  bad thing"),
        ("", DatabaseStartFailed, "it said nothing"),
        ("FATAL: could not create shared memory segment: x\n", DatabaseStartFailed, "kernel.shmmni"),
    ],
)
def test_the_log_explains_a_failure(tmp_path: Path, said: str, kind: type[StoreError], message: str) -> None:
    log = tmp_path / "log"
    log.write_text("FATAL:  an older failure: No space left on device\n" + said)

    error = explain(log, log.stat().st_size - len(said), "it ended")

    assert type(error) is kind
    assert message in str(error)
