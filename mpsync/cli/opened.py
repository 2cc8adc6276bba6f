"""From settings to an open store, and a loop that stops when it is told to.

The embedded server starts in a thread while this one imports what the run will need: both take about as long.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from mpsync.settings import Settings


def settings_of(arguments: argparse.Namespace) -> Settings:
    return Settings.from_env(
        data_dir=arguments.data_dir, database=arguments.database, workers=arguments.workers, loop=arguments.loop
    )


@contextmanager
def server(settings: Settings, imports: tuple[str, ...] = ()) -> Iterator[str]:
    """The database's conninfo; the embedded server is started, and stopped if we are its last user."""
    if settings.database is not None:
        for module in imports:
            import_module(module)
        yield settings.database
        return
    from mpsync.store.embedded import EmbeddedServer

    embedded = EmbeddedServer(settings.data_dir, on_notice=_notice)
    started = _InThread(embedded.start)
    try:
        for module in imports:
            import_module(module)
        yield started.result()
    finally:
        started.wait()
        embedded.stop()


def run_async(settings: Settings, work: Callable[[], Awaitable[Any]]) -> Any:
    """Run ``work`` on the loop that the settings name; SIGINT and SIGTERM cancel it, a second SIGINT doesn't wait."""
    from mpsync.cli.failure import Terminated

    factory: Any = asyncio.new_event_loop
    if settings.loop == "uvloop":
        import uvloop

        factory = uvloop.new_event_loop
    terminated = False

    async def main() -> Any:
        task = asyncio.current_task()
        assert task is not None

        def terminate() -> None:
            nonlocal terminated
            terminated = True
            task.cancel()

        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, terminate)
        try:
            return await work()
        finally:
            loop.remove_signal_handler(signal.SIGTERM)

    with asyncio.Runner(loop_factory=factory) as runner:
        try:
            return runner.run(main())
        except asyncio.CancelledError:
            if terminated:
                raise Terminated from None
            raise


class _InThread:
    """A call in a thread of its own; its result or its error when asked for."""

    def __init__(self, call: Callable[[], str]) -> None:
        self._result: str | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), name="start server")
        self._thread.start()

    def _run(self, call: Callable[[], str]) -> None:
        try:
            self._result = call()
        except BaseException as error:
            self._error = error

    def wait(self) -> None:
        self._thread.join()

    def result(self) -> str:
        self.wait()
        if self._error is not None:
            raise self._error
        assert self._result is not None
        return self._result


def _notice(text: str) -> None:
    import sys

    print(f"mpsync: {text}", file=sys.stderr)
