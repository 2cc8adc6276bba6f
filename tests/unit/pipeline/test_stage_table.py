"""The stage table says when each stage ran, on one line of time."""

from __future__ import annotations

from mpsync.pipeline.meter import StageMeter


def test_a_stage_begins_sees_its_first_row_and_ends_in_this_order() -> None:
    meter = StageMeter()
    with meter.running():
        meter.count(0)  # the end marker weighs nothing
        without_rows = meter.table_row("before", 0)
        meter.count(2)
        meter.count(3)
    row = meter.table_row("after", 0)

    assert "first_s" not in without_rows
    assert "end_s" not in without_rows
    assert row["items"] == 5
    moments = [float(row[name]) for name in ("start_s", "first_s", "end_s")]
    assert moments == sorted(moments)


def test_stages_of_one_process_share_a_line_of_time() -> None:
    first, second = StageMeter(), StageMeter()
    with first.running():
        pass
    with second.running():
        pass

    assert float(first.table_row("first", 0)["end_s"]) <= float(second.table_row("second", 0)["start_s"])


def test_a_stage_that_never_ran_has_no_moments() -> None:
    assert not {"start_s", "first_s", "end_s"} & StageMeter().table_row("idle", 0).keys()
