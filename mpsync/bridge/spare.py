"""A child that is started before it is known what for: it comes up while the database does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mpsync.bridge.process import ChildProcess
from mpsync.settings import Settings


@asynccontextmanager
async def spare_child(settings: Settings, first_stage: str) -> AsyncIterator[list[ChildProcess]]:
    """A list of one child, which has imported the module of ``first_stage`` (``package.module:Class``).

    Who takes it out of the list ends it; one that nobody takes ends with the block.
    """
    spares = [ChildProcess(None, settings, imports=first_stage.partition(":")[0])]
    try:
        yield spares
    finally:
        for child in spares:
            await child.close()
