"""Children that are started ahead of a sync, and those that are started as work asks for them."""

from __future__ import annotations

from pathlib import Path

import pytest
from bridging import Core, own_children

from mpsync.bridge import remote_stage
from mpsync.bridge.spare import spare_child
from mpsync.settings import Settings

ROWS = "bridge_stages:Rows"


async def test_a_spare_child_becomes_the_first_stage(tmp_path: Path) -> None:
    async with spare_child(Settings(tmp_path), ROWS) as spares:
        (pid,) = [child.pid for child in spares]
        core = Core(tmp_path, spares=spares)
        await core.run("OwnPid")
        assert core.stage is not None
        assert core.stage.result["pid"] == pid

    assert own_children() == []


async def test_a_spare_child_that_nobody_takes_ends_with_its_block(tmp_path: Path) -> None:
    async with spare_child(Settings(tmp_path), ROWS):
        assert len(own_children()) == 1

    assert own_children() == []


async def test_a_spare_child_whose_module_is_not_there_says_so_only_when_it_is_used(tmp_path: Path) -> None:
    async with spare_child(Settings(tmp_path), "not_there:Stage") as spares:
        core = Core(tmp_path, spares=spares)
        await core.run("Rows", {"rows": 3})

    assert core.texts == ["row 0", "row 1", "row 2"]


@pytest.mark.parametrize(("cores", "children"), [(1, 1), (2, 2), (4, 4)])
async def test_large_files_that_wait_get_children_of_their_own(
    cores: int, children: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_stage, "CUT_BYTES", 1)
    monkeypatch.setattr(remote_stage, "usable_cores", lambda: cores)
    core = Core(tmp_path, workers=None)

    await core.run("ParsesMany", {"count": 8, "step": "SlowRows", "file": __file__})

    assert len({text.rpartition(" ")[2] for text in core.texts}) == children
    assert len(core.texts) == 8
    assert own_children() == []


async def test_small_files_share_the_first_child(tmp_path: Path) -> None:
    core = Core(tmp_path, workers=None)

    await core.run("ParsesMany", {"count": 8, "step": "SlowRows", "file": __file__})

    assert len({text.rpartition(" ")[2] for text in core.texts}) == 1
    assert len(core.texts) == 8
