"""Progress for whoever watches: bars on a terminal, few plain lines in a log, JSON lines for a program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mpsync.pipeline.progress import Event, Progress

LOG_EVERY_S = 10.0


@contextmanager
def watching(progress: Progress, arguments: argparse.Namespace) -> Iterator[None]:
    """Show ``progress`` on stderr until the block ends."""
    if arguments.events:
        view: Any = _JsonLines()
    elif arguments.quiet or arguments.json:
        view = None
    elif sys.stderr.isatty():
        view = _Bars()
    else:
        view = _Lines()
    if view is None:
        yield
        return
    end = progress.subscribe(view.show)
    try:
        with view:
            yield
    finally:
        end()


class _View:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


class _JsonLines(_View):
    def show(self, event: Event) -> None:
        import orjson

        sys.stderr.write(orjson.dumps(event.as_json()).decode() + "\n")


class _Lines(_View):
    """A line when a phase begins and ends, and one now and then between."""

    def __init__(self) -> None:
        self._said_s = monotonic()

    def show(self, event: Event) -> None:
        if event.kind == "progress":
            if monotonic() - self._said_s < LOG_EVERY_S:
                return
        elif event.kind not in ("done", "warning", "note"):
            return
        self._said_s = monotonic()
        total = f" of {event.total:,}" if event.total else ""
        text = event.text or f"{event.name}: {event.done:,}{total} {event.unit}"
        print(f"mpsync: {text}", file=sys.stderr, flush=True)


class _Bars(_View):
    """Live bars with totals, rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._began: dict[str, float] = {}

    def __enter__(self) -> None:
        self._bars.start()

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, event: Event) -> None:
        if event.kind in ("note", "warning"):
            self._bars.console.print(event.text)
        elif event.kind in ("phase", "progress", "done"):
            if event.name not in self._tasks:
                self._began[event.name] = monotonic()
                self._tasks[event.name] = self._bars.add_task(event.name, total=event.total, rate="")
            seconds = monotonic() - self._began[event.name]
            rate = f"{event.done / seconds:,.0f} {event.unit}/s" if seconds > 0.2 else ""
            self._bars.update(self._tasks[event.name], completed=event.done, total=event.total, rate=rate)
