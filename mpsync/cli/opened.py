"""From settings to an open store, and a loop that stops when it is told to.

The embedded server starts in a thread while this one imports what the run will need: both take about as long.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from mpsync.cli import signals
from mpsync.errors import ConfigError
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.core import Storage
    from mpsync.store.db import Connection
    from mpsync.store.repositories import Repository

T = TypeVar("T")

HTTP = "mpsync.fetch.http"
"""Costs 70 ms to import, which a local upstream never pays."""


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings.from_env(
        data_dir=arguments.data_dir, database=arguments.database, workers=arguments.workers, loop=arguments.loop
    )


def has_store(settings: Settings) -> bool:
    """Whether anything was ever stored here: a question about nothing needs no server.

    raises  StoreUnwritable where this can't be seen, as in another user's folder
    """
    data = settings.data_dir / "postgres" / "data"
    try:
        return settings.database is not None or data.exists()
    except OSError as error:
        from mpsync.store.errors import from_os_error

        raise from_os_error(error, data) from error


@contextmanager
def server(settings: Settings, imports: tuple[str, ...] = ()) -> Iterator[str]:
    """The database's conninfo; the embedded server is started, and stopped if we are its last user."""
    with starting(settings, imports) as started:
        if isinstance(started, InThread):
            with signals.interruptible():
                conninfo = started.result()
        else:
            conninfo = started
        yield conninfo


@contextmanager
def starting(settings: Settings, imports: tuple[str, ...] = ()) -> Iterator[str | InThread]:
    """The database's conninfo, or what will have it once the embedded server has started."""
    if settings.database is not None:
        import_all(imports)
        signals.raise_if_stopped()
        yield settings.database
        return
    from mpsync.store.embedded import EmbeddedServer

    embedded = EmbeddedServer(settings.data_dir, on_notice=_notice)
    started = InThread(embedded.start)
    try:
        import_all(imports)
        signals.raise_if_stopped()
        yield started
    finally:
        if not started.is_done:
            embedded.stop()  # a start that waits for somebody else gives up
            started.wait()
        embedded.stop()


def import_all(modules: tuple[str, ...]) -> None:
    for module in modules:
        import_module(module)


def run_async(settings: Settings, work: Callable[[], Awaitable[T]]) -> T:
    """Run ``work`` on the loop that the settings name. Raises Interrupted once a signal has stopped it in order."""
    factory: Any = asyncio.new_event_loop
    if settings.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop

    async def main() -> T:
        # What is imported stays; batches are many objects and no cycles.
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        with signals.cancels_this_task():
            return await work()

    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            return runner.run(main())
    except BaseException as error:
        # Whatever it failed with after a signal, such as a child that died of the same one, the signal was the cause.
        stopped = signals.stopped()
        if stopped is not None:
            raise stopped from error
        raise


def run_with_storage(
    arguments: argparse.Namespace, work: Callable[[Storage], Awaitable[T]], imports: tuple[str, ...] = ()
) -> T:
    """Open the store, run ``work`` with it, close everything."""
    settings = settings_of(arguments)
    with server(settings, ("psycopg", "mpsync.core", *imports)) as conninfo:

        async def main() -> T:
            from mpsync.core import Storage

            async with Storage.open(settings, conninfo) as storage:
                return await work(storage)

        return run_async(settings, main)


async def import_for(url: str) -> None:
    """Import what this upstream needs, when only the store knew its URL: in a thread, where it blocks the loop for 4 ms
    at most in place of 70."""
    if url.startswith("http"):
        await asyncio.to_thread(import_module, HTTP)


async def known(conn: Connection, name: str) -> Repository:
    """The repository of this name. Raises ConfigError that says which there are."""
    from mpsync.store import repositories

    found = await repositories.find(conn, name)
    if found is None:
        names = [repository.name for repository in await repositories.every(conn)]
        raise unknown(name, names)
    return found


def unknown(name: str, names: Sequence[str] = ()) -> ConfigError:
    from difflib import get_close_matches

    close = get_close_matches(name, names, n=3) or sorted(names)[:5]
    there = f"; there is {', '.join(close)}" if close else ""
    more = ", and more: mpsync list" if len(names) > len(close) else ""
    return ConfigError(f"no repository {name!r}{there}{more}")


class InThread:
    """A call in a thread of its own; its result or its error when asked for."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._result: str | None = None
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._has_ended = False
        self._tell: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), name="start server")
        self._thread.start()

    def _run(self, call: Callable[[], str]) -> None:
        try:
            self._result = call()
        except BaseException as error:
            self._error = error
        with self._lock:
            self._has_ended = True
            if self._tell is not None:
                self._tell()

    async def ended(self) -> str:
        """The result, without blocking the loop. Cancelled, it leaves the call to itself."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        with self._lock:
            if self._has_ended:
                ended.set()
            else:
                self._tell = lambda: loop.call_soon_threadsafe(ended.set)
        try:
            await ended.wait()
        finally:
            with self._lock:  # a loop that closes may not be spoken to: uvloop's would crash
                self._tell = None
        return self.result()

    @property
    def is_done(self) -> bool:
        return not self._thread.is_alive()

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> str:
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result


def _notice(text: str) -> None:
    print(f"mpsync: {text}", file=sys.stderr)
