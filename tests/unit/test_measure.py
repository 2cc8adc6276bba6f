"""The heartbeat: what blocks the loop is in the figures, whenever it happens."""

from __future__ import annotations

import asyncio
import time

from mpsync.measure import LoopLag
from mpsync.sync import Summary, heartbeat

BLOCK_S = 0.05
AT_LEAST_MS = (BLOCK_S - 0.011) * 1000
"""The beat was due at most one interval after the block began."""


def block() -> None:
    time.sleep(BLOCK_S)


async def test_a_block_before_the_first_beat_counts() -> None:
    summary = Summary("one")

    async with heartbeat(summary):
        block()
        await asyncio.sleep(0.02)

    assert summary.loop_lag_ms["max"] >= AT_LEAST_MS


async def test_a_block_that_lasts_until_the_end_counts() -> None:
    summary = Summary("one")

    async with heartbeat(summary):
        await asyncio.sleep(0.02)
        block()

    assert summary.loop_lag_ms["max"] >= AT_LEAST_MS


async def test_the_outermost_heartbeat_of_a_run_makes_its_figures() -> None:
    summary = Summary("one")

    async with heartbeat(summary):
        async with heartbeat(summary):
            await asyncio.sleep(0.02)
        block()  # a server that stops, a store that closes

    assert summary.loop_lag_ms["max"] >= AT_LEAST_MS
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_two_runs_with_one_summary_each_have_a_heartbeat() -> None:
    summary = Summary("one")
    async with heartbeat(summary):
        await asyncio.sleep(0)

    async with heartbeat(summary):
        block()

    assert summary.loop_lag_ms["max"] >= AT_LEAST_MS


async def test_a_run_shorter_than_a_beat_has_figures_too() -> None:
    lag = LoopLag()

    assert lag.summary() == {"p50": 0.0, "p99": 0.0, "max": 0.0}
