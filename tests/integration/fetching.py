"""What the tests of the fetch room share: a fetcher with short time-outs, and bytes with their promise."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from mpsync.fetch.session import Fetcher, FetchEvent
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote
from mpsync.settings import Settings

BODY = hashlib.shake_128(b"seed").digest(400_000)
"""Larger than what is held in memory, so that it is written in runs."""

SMALL = BODY[:5000]


def promise(body: bytes, **digests: str) -> Expected:
    """What honest metadata says of ``body``."""
    return Expected(len(body), {"sha256": hashlib.sha256(body).hexdigest(), **digests})


class Opened:
    """A fetcher, what it told, and where its files are."""

    def __init__(self, fetcher: Fetcher, folder: Path, events: list[FetchEvent]) -> None:
        self.fetcher, self.folder, self.events = fetcher, folder, events
        self.on_event: Callable[[FetchEvent], None] | None = None
        self.fetch, self.read = fetcher.fetch, fetcher.read

    @property
    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]

    @property
    def files(self) -> list[Path]:
        """Everything in the temp folder."""
        return sorted(self.folder.iterdir())


@asynccontextmanager
async def opened(folder: Path, remote: Remote | str, **settings: Any) -> AsyncIterator[Opened]:
    """A fetcher for ``remote`` with time-outs short enough for tests."""
    values: dict[str, Any] = {"stall_timeout_s": 0.3, "connect_timeout_s": 2.0, "retries": 2, "retry_budget_s": 5.0}
    made = Settings(data_dir=folder / "data", **{**values, **settings})
    events: list[FetchEvent] = []
    remote = Remote(remote) if isinstance(remote, str) else remote
    async with AsyncExitStack() as stack:

        def tell(event: FetchEvent) -> None:
            events.append(event)
            if it.on_event is not None:
                it.on_event(event)

        fetcher = await stack.enter_async_context(Fetcher(made, remote, on_event=tell))
        it = Opened(fetcher, made.temp_dir, events)
        yield it


async def together(*jobs: Callable[[], Awaitable[Any]]) -> list[Any]:
    """Run them at once; the first failure is raised bare."""
    return await asyncio.gather(*(job() for job in jobs))
