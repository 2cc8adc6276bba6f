"""Standard streams that are closed, full or left by their reader: as cron jobs, daemons and pipes have them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import Command, finish

SAMPLE = Path(__file__).parents[1] / "data" / "sample-deb"
FULL = Path("/dev/full")

needs_full = pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")


@pytest.fixture(scope="module")
def sample(command: Command) -> str:
    """A repository that is there."""
    keys = SAMPLE / "keyring.gpg"
    command.ok("sync", "deb", f"file://{SAMPLE}", "--suite", "sample", "--keyring", keys, "--name", "streams")
    return "streams"


def with_closed(command: Command, numbers: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with these descriptors closed; what is still open is captured."""
    closing = " ".join(f"{number}>&-" for number in numbers)
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {closing}', "sh", sys.executable, "-m", "mpsync", *arguments],
        env=command.env, text=True, capture_output=True, timeout=100,
    )  # fmt: skip


@pytest.mark.parametrize("numbers", ["0", "1", "2", "012"])
def test_closed_streams_lead_nowhere_and_nothing_else_takes_their_place(
    command: Command, sample: str, numbers: str
) -> None:
    listed = with_closed(command, numbers, "list")
    synced = with_closed(command, numbers, "sync", sample, "--force")

    assert (listed.returncode, synced.returncode) == (0, 0), listed.stderr + synced.stderr
    assert ("streams" in listed.stdout) is ("1" not in numbers)
    assert "Traceback" not in listed.stderr + synced.stderr


@needs_full
@pytest.mark.parametrize("arguments", [("content",), ("content", "--json"), ("sync",), ("sync", "--json")])
def test_output_on_a_full_disk_is_said_and_is_no_bug(command: Command, sample: str, arguments: tuple[str, ...]) -> None:
    verb, *options = arguments
    with FULL.open("w") as full:
        outcome = finish(command.start(verb, sample, *options, stdout=full))

    assert outcome.code == 1
    assert "the output can't be written: No space left on device" in outcome.stderr
    assert "Traceback" not in outcome.stderr


@needs_full
def test_a_log_on_a_full_disk_does_not_fail_a_sync(command: Command, sample: str) -> None:
    with FULL.open("w") as full:
        outcome = finish(command.start("sync", sample, "--force", "--events", stderr=full))

    assert outcome.code == 0
    assert outcome.stdout.startswith("streams: unchanged")


@pytest.mark.parametrize("options", [(), ("--events",)])
def test_a_log_whose_reader_leaves_does_not_fail_a_sync(
    command: Command, sample: str, options: tuple[str, ...]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        outcome = finish(command.start("sync", sample, "--force", *options, stderr=writer))
    finally:
        os.close(writer)

    assert outcome.code == 0
    assert outcome.stdout.startswith("streams: unchanged")


def test_an_error_that_nobody_reads_keeps_its_exit_code(command: Command, sample: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        outcome = finish(command.start("show", "nobody", "--json", stdout=writer))
        unheard = finish(command.start("show", "nobody", "--json", stdout=writer, stderr=writer))
    finally:
        os.close(writer)

    assert (outcome.code, unheard.code) == (2, 2)
    assert "no repository 'nobody'" in outcome.stderr
    assert "Traceback" not in outcome.stderr


def test_http_is_imported_off_the_loop_and_only_where_it_is_needed() -> None:
    """The thread that imports is not the loop's: a finder tells which it is."""
    code = """
import asyncio, sys, threading
from mpsync.cli.opened import HTTP, import_for

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == HTTP:
            print(threading.current_thread() is threading.main_thread())

sys.meta_path.insert(0, Finder())
asyncio.run(import_for("file:///srv/debian"))
print(HTTP in sys.modules)
asyncio.run(import_for("http://mirror.example/debian"))
print(HTTP in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.split() == ["False", "False", "True"]
