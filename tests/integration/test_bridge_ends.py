"""However a child ends, and whatever its plugin left running: the core goes on at once, and what began in it is cleaned up."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import psutil
import pytest
from bridging import HANG_S, Core, Resolver, own_children

from mpsync.bridge.errors import BadFrame, ChildDied
from mpsync.errors import PluginError
from mpsync.pipeline.stage import Stage

pytestmark = pytest.mark.usefixtures("nothing_is_left")


async def test_a_process_that_a_plugin_forked_does_not_keep_the_core_waiting(tmp_path: Path) -> None:
    core = Core(tmp_path)

    await core.run("Forks")

    assert await has_ended(int(core.texts[0]))


async def test_a_killed_child_is_found_though_what_it_forked_holds_its_pipe(tmp_path: Path) -> None:
    core = Core(tmp_path)

    with pytest.raises(ChildDied, match="was killed by SIGKILL"):
        await core.run("Forks", {"is_killed": True})

    assert await has_ended(int(core.texts[0]))


@pytest.mark.parametrize("is_killed", [False, True])
async def test_a_detached_process_of_a_plugin_does_not_keep_the_core_waiting(is_killed: bool, tmp_path: Path) -> None:
    core = Core(tmp_path)
    try:
        if is_killed:
            with pytest.raises(ChildDied, match="was killed by SIGKILL"):
                await core.run("Forks", {"is_killed": True, "is_detached": True})
        else:
            await core.run("Forks", {"is_detached": True})
    finally:
        os.kill(int(core.texts[0]), signal.SIGKILL)
        for thread in threading.enumerate():  # reads a pipe that only that process held open
            if thread.name.startswith("read child"):
                await asyncio.to_thread(thread.join, 5)


async def has_ended(pid: int) -> bool:
    """Within some seconds. One that only waits for init to fetch its exit code has ended."""
    for _ in range(200):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        await asyncio.sleep(0.02)
    return False


@pytest.mark.parametrize("workers", [0, 1, 3])
@pytest.mark.parametrize("is_step", [False, True], ids=["first stage", "parse step"])
async def test_a_cancelled_core_lets_stages_clean_up(workers: int, is_step: bool, tmp_path: Path) -> None:
    begun = asyncio.Event()
    core = Core(tmp_path, workers, resolver=Resolver(lambda batch: begun.set()))
    file = str(tmp_path / "file")
    options: dict[str, Any] = {"step": "CleaningStep", "context": {"file": file}} if is_step else {"file": file}
    run = asyncio.create_task(core.run("ParsesOne" if is_step else "Cleans", options))
    await begun.wait()
    assert os.path.exists(file)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert not os.path.exists(file)


async def test_a_busy_child_gets_sigterm_before_it_is_killed(tmp_path: Path) -> None:
    busy, file = tmp_path / "busy", tmp_path / "file"
    run = asyncio.create_task(Core(tmp_path).run("HandlesSigterm", {"busy": str(busy), "file": str(file)}))
    while not busy.exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.01)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert file.exists()
    file.unlink()
    busy.unlink()


async def test_a_child_that_hangs_while_it_starts_is_killed(tmp_path: Path) -> None:
    core = Core(tmp_path)
    run = asyncio.create_task(core.run("Idle"))
    while not core.children:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)
    os.kill(core.children[0].pid, signal.SIGSTOP)  # long before it has a session of its own

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert own_children() == []


PROGRAM = """
import asyncio, os, signal, sys
from pathlib import Path

sys.path[:0] = {path!r}
with open("imported", "a") as file:
    file.write("once ")

from bridging import Core, Resolver
from mpsync.bridge.errors import ChildDied
from mpsync.bridge.messages import Answer

core = Core(Path())


async def flood_and_kill(batch):
    (child,) = core.children
    Path("pids").write_text(batch.raw_at(0).decode())
    os.kill(child.pid, signal.SIGSTOP)
    for number in range(100):
        child.send(Answer(number, "x" * 100_000))
    await asyncio.sleep(0.1)
    os.kill(child.pid, signal.SIGKILL)


async def main():
    core.resolver = Resolver(lambda batch: asyncio.ensure_future(flood_and_kill(batch)))
    try:
        await core.run("Forks", {{"is_detached": True}})
    except ChildDied:
        print("died")


asyncio.run(main())
"""
"""A program without a main guard, whose child leaves a process that holds both pipes open, the one down full of data."""


def test_a_program_ends_whatever_its_child_left_and_no_child_imports_it(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(path=[str(Path(__file__).parents[1]), str(Path(__file__).parent)]))

    with (tmp_path / "said").open("w") as said:
        ran = subprocess.Popen([sys.executable, str(program)], cwd=tmp_path, stdout=said, stderr=said)
    try:
        exitcode = ran.wait(HANG_S)
    finally:
        ran.kill()
        ran.wait()
        os.kill(int((tmp_path / "pids").read_text()), signal.SIGKILL)

    assert (exitcode, (tmp_path / "said").read_text()) == (0, "died\n")
    assert (tmp_path / "imported").read_text() == "once "
    for file in tmp_path.iterdir():
        file.unlink()


@pytest.mark.parametrize("frame", [b"", b"junk", b"\0\1\0\0\0{", b'\1["Await", {"tickets": [77]}]', b"\1[]"], ids=repr)
async def test_a_frame_that_cannot_be_read_ends_the_sync(frame: bytes, tmp_path: Path) -> None:
    with pytest.raises(BadFrame):
        await Core(tmp_path).run("SendsJunk", {"frame": frame.hex()})


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_a_stage_that_was_started_early_gives_the_same(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers, is_started_early=True)

    await core.run("Rows", {"rows": 10})

    assert core.texts == [f"row {row}" for row in range(10)]


async def test_a_stage_that_was_started_and_never_ran_is_closed(tmp_path: Path) -> None:
    core = Core(tmp_path, 2, is_started_early=True)
    run = asyncio.create_task(core.run("Rows", {"rows": 10}))
    while len(core.children) < 2:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert own_children() == []


class FailsWith(Stage):
    """Fails items with an error that is not ours."""

    async def run(self) -> None:
        async for item in self.items():
            item.fail(PermissionError(13, "Permission denied", "file"))


async def test_an_item_that_failed_with_a_foreign_error_gives_it_to_its_waiter(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match=r"PermissionError.*Permission denied"):
        await Core(tmp_path).run("AwaitsOne", between=[FailsWith()])
