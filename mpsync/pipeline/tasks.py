"""Ending a task that nobody waits for any more."""

from __future__ import annotations

import asyncio
from typing import Any


async def end_task(task: asyncio.Task[Any] | None) -> None:
    """Cancel it and wait until it has ended; its error, if it has one, was raised to somebody else, or nobody wants it."""
    if task is None:
        return
    task.cancel()
    await asyncio.wait((task,))
    if not task.cancelled():
        task.exception()  # taken, so that the loop has nothing to say of it
