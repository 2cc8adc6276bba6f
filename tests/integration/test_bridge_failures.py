"""Children that die, raise, print and hang: the sync ends with an error that says what happened, and nothing is left."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
from pathlib import Path

import psutil
import pytest
from bridging import Core, Resolver, own_children

from mpsync.bridge import remote_stage
from mpsync.bridge.errors import CannotStart, ChildDied, ChildFailed
from mpsync.bridge.messages import Answer, Message
from mpsync.errors import MetadataError, MpsyncError, PluginError
from mpsync.pipeline.batch import Batch

pytestmark = pytest.mark.usefixtures("nothing_is_left")


@pytest.fixture
def core(tmp_path: Path) -> Core:
    return Core(tmp_path)


@pytest.mark.parametrize("workers", [1, 3])
async def test_a_killed_first_stage_ends_the_sync_and_is_named(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers)

    with pytest.raises(ChildDied) as caught:
        await core.run("Killed", {"signal": signal.SIGKILL})

    error = caught.value
    assert error.exitcode == -signal.SIGKILL
    assert str(error) == (
        f"child process {error.pid} (Killed) was killed by SIGKILL (by the system, if it ran out of memory); "
        "the last it sent was frame 2 (Await)"
    )
    assert core.texts == ["first"]


async def test_a_terminated_child_says_by_which_signal(core: Core) -> None:
    with pytest.raises(ChildDied, match=r"was killed by SIGTERM; the last"):
        await core.run("Killed", {"signal": signal.SIGTERM})


async def test_a_child_that_exits_says_its_code(core: Core) -> None:
    with pytest.raises(ChildDied, match=r"\(Raises\) exited with code 7; the last it sent was"):
        await core.run("Raises", {"what": "exit"})


async def test_a_parser_killed_in_the_middle_of_a_frame_ends_the_sync(tmp_path: Path) -> None:
    core = Core(tmp_path, workers=2)

    with pytest.raises(ChildDied, match=r"\(parser\) was killed by SIGKILL .* frame 1 \(Rows\)"):
        await core.run("ParsesOne", {"step": "MidFrameStep"})

    assert core.texts == ["whole"]


async def test_a_child_killed_with_data_pending_down_to_it_ends_the_sync(
    core: Core, capfd: pytest.CaptureFixture[str]
) -> None:
    async def stop_flood_and_kill(batch: Batch) -> None:
        (child,) = core.children
        os.kill(child.pid, signal.SIGSTOP)
        for number in range(1000):  # far more than pipe and queue hold
            child.send(Answer(number, "x" * 100_000))
        await asyncio.sleep(0.1)
        os.kill(child.pid, signal.SIGKILL)

    core.resolver = Resolver(lambda batch: asyncio.ensure_future(stop_flood_and_kill(batch)))

    with pytest.raises(ChildDied, match="was killed by SIGKILL"):
        await core.run("Sleeps")
    assert capfd.readouterr().err == ""  # the thread that writes to it has nothing to say


async def test_a_raised_error_arrives_as_itself_with_the_remote_traceback(core: Core) -> None:
    with pytest.raises(MetadataError) as caught:
        await core.run("Raises", {"what": "metadata"})

    assert type(caught.value) is MetadataError
    assert caught.value.args == ("dists/x/Release", "no such field", "Suite", "nothing")
    (note,) = caught.value.__notes__
    assert "bridge_stages.py" in note
    assert "in run" in note


async def test_a_foreign_exception_arrives_as_child_failed(core: Core) -> None:
    with pytest.raises(ChildFailed, match=r"LookupError in a child process: .*who is it") as caught:
        await core.run("Raises", {"what": "foreign"})

    assert caught.value.type_name == "builtins:LookupError"
    assert "bridge_stages.py" in caught.value.remote_traceback


async def test_printing_in_a_child_leaves_the_cores_stdout_clean(
    core: Core, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)

    await core.run("Prints")

    out, err = capfd.readouterr()
    assert out == ""
    assert "printed by a plugin" in err
    assert "written by a plugin" in err


async def test_many_items_awaited_at_once_are_one_message(core: Core, monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[Message] = []
    decode = remote_stage.decode

    def decode_and_keep(frame: bytes) -> Message:
        came.append(decode(frame))
        return came[-1]

    monkeypatch.setattr(remote_stage, "decode", decode_and_keep)

    result = await core.run("Awaits", {"items": 100})

    assert result["resolved"] == list(range(1, 101))
    assert [type(message).__name__ for message in came] == ["Rows", "Await", "End"]


async def test_cancelling_the_core_in_mid_sync_leaves_nothing(tmp_path: Path) -> None:
    core = Core(tmp_path, workers=3)
    running = asyncio.Event()
    core.resolver = Resolver(lambda batch: running.set())
    run = asyncio.create_task(core.run("Sleeps", {"blocks": True}))
    await running.wait()

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert own_children() == []


async def test_cancelling_the_core_while_it_closes_kills_the_children(tmp_path: Path) -> None:
    core = Core(tmp_path, workers=2)
    running = asyncio.Event()
    core.resolver = Resolver(lambda batch: running.set())
    run = asyncio.create_task(core.run("Sleeps"))
    await running.wait()
    for child in core.children:
        os.kill(child.pid, signal.SIGSTOP)  # SIGTERM waits for SIGCONT
    run.cancel()
    while core.children:  # noqa: ASYNC110  # close() takes the list first; nothing tells
        await asyncio.sleep(0.01)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert own_children() == []


async def test_a_child_that_does_not_heed_sigterm_is_killed(core: Core) -> None:
    async def stop(batch: Batch) -> None:
        os.kill(core.children[0].pid, signal.SIGSTOP)
        raise MetadataError("here", "the core fails")

    core.resolver = Resolver(lambda batch: asyncio.ensure_future(stop(batch)))

    with pytest.raises(MetadataError):
        await core.run("Sleeps")
    assert own_children() == []


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_the_error_of_a_parse_step_reaches_the_first_stage_and_ends_the_sync(
    workers: int, tmp_path: Path
) -> None:
    with pytest.raises(MetadataError) as caught:
        await Core(tmp_path, workers).run("ParsesOne", {"step": "FailingStep"})

    assert caught.value.args == ("Packages", "broken at line 3", None, None)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_foreign_error_of_a_parse_step_keeps_its_name(workers: int, tmp_path: Path) -> None:
    with pytest.raises(ChildFailed, match="KeyError in a child process"):
        await Core(tmp_path, workers).run("ParsesOne", {"step": "ForeignStep"})


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_what_a_stage_has_parsed_without_waiting_is_complete(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers)

    await core.run("ParsesAndLeaves", {"step": "Step", "context": {"rows": 20, "pause_s": 0.01}})

    assert len(core.texts) == 20


@pytest.mark.parametrize("workers", [0, 1, 2])
async def test_an_error_that_no_stage_waits_for_ends_the_sync(workers: int, tmp_path: Path) -> None:
    with pytest.raises(MetadataError, match="broken at line 3"):
        await Core(tmp_path, workers).run("ParsesAndLeaves", {"step": "FailingStep", "context": {"after_s": 0.2}})


async def test_a_parser_that_dies_fails_the_request_that_waits_for_it(tmp_path: Path) -> None:
    core = Core(tmp_path, workers=3)
    core.resolver = Resolver(lambda batch: os.kill(int(batch.raw_at(0)), signal.SIGKILL))

    with pytest.raises(ChildDied, match=r"\(parser\) was killed by SIGKILL"):
        await core.run("ParsesOne", {"step": "BlockingStep"})


async def test_closing_twice_or_without_a_run_is_harmless(core: Core) -> None:
    await core.run("Idle")
    assert core.stage is not None
    await core.stage.close()

    unused = Core(core.folder)
    with pytest.raises(MpsyncError):
        await unused.run("no_such_module:Stage")
    assert unused.stage is not None
    await unused.stage.close()


async def test_sending_after_the_end_is_harmless(core: Core) -> None:
    children = []
    core.resolver = Resolver(lambda batch: children.extend(core.children))
    await core.run("Rows", {"rows": 1})

    children[0].send(Answer(1, "late"))

    assert not psutil.pid_exists(children[0].pid)


async def test_a_text_that_a_killed_worker_unpacked_is_removed(tmp_path: Path) -> None:
    index = tmp_path / "index"
    index.write_bytes(b"x" * (remote_stage.CUT_BYTES + 1))
    core = Core(tmp_path, workers=3)

    with pytest.raises(ChildDied):
        await core.run("ParsesOne", {"step": "CutStep", "context": {"path": str(index), "is_killed": True}})

    assert list(tmp_path.iterdir()) == [index]
    index.unlink()


async def test_a_text_that_is_unpacked_after_the_core_gave_up_is_removed(tmp_path: Path) -> None:
    index, marker = tmp_path / "index", tmp_path / "marker"
    index.write_bytes(b"x" * (remote_stage.CUT_BYTES + 1))
    options = {"step": "StubbornCutStep", "context": {"path": str(index), "marker": str(marker)}}
    run = asyncio.create_task(Core(tmp_path, workers=3).run("ParsesOne", options))
    while not marker.exists():  # noqa: ASYNC110  # another process makes it
        await asyncio.sleep(0.01)

    run.cancel()

    with pytest.raises(asyncio.CancelledError):
        await run
    assert sorted(tmp_path.iterdir()) == [index, marker]
    index.unlink()
    marker.unlink()


async def test_a_child_ignores_sigint(core: Core) -> None:
    await core.run("Interrupted")

    assert core.texts == ["after"]


async def test_a_child_that_gets_sigint_while_it_starts_ignores_it(core: Core) -> None:
    run = asyncio.create_task(core.run("Rows", {"rows": 1}))
    while not core.children:  # noqa: ASYNC110  # nothing tells
        await asyncio.sleep(0)

    os.kill(core.children[0].pid, signal.SIGINT)

    await run
    assert core.texts == ["row 0"]


@pytest.mark.parametrize("workers", [0, 1, 3])
async def test_a_parse_step_that_has_something_parsed_is_an_error_and_no_hang(workers: int, tmp_path: Path) -> None:
    core = Core(tmp_path, workers)

    with pytest.raises(PluginError, match="NestingStep: a parse step can't have something parsed"):
        await core.run("ParsesOne", {"step": "NestingStep"})

    assert core.progress.skipped == [{"what": "one", "why": "two"}]


async def test_a_child_that_cannot_be_started_is_an_error_that_says_why(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = {int(number) for number in os.listdir("/proc/self/fd")}
    free = [number for number in range(before[0]) if number not in taken]
    resource.setrlimit(resource.RLIMIT_NOFILE, (free[12], before[1]))  # 12 are enough for one child, not for three
    try:
        with pytest.raises(CannotStart, match=r"cannot start a child process for \w+: .*Too many open files"):
            await Core(tmp_path, workers=3).run("Idle")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    gc.collect()  # queues that were made for it


@pytest.mark.parametrize("size", [10, 1_000_000], ids=["small options", "large options"])
async def test_a_child_whose_python_does_not_come_up_is_named(
    core: Core, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nonexistent")

    with pytest.raises(ChildDied, match=r"child process \d+ \(Idle\) exited with code 1; the last it sent was nothing"):
        await core.run("Idle", {"x": "x" * size})
