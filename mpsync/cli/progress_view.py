"""Progress for whoever watches: bars on a terminal, few plain lines in a log, JSON lines for a program."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from mpsync.cli.output import printable

if TYPE_CHECKING:
    from mpsync.pipeline.progress import Event, Progress

LOG_EVERY_S = 10.0
SHOW_EVERY_S = 0.1


def imports(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What the view loads: rich takes 60 ms, which the loop must not stand still for."""
    has_bars = not (arguments.events or arguments.quiet or arguments.json) and sys.stderr.isatty()
    return ("rich.console", "rich.progress") if has_bars else ()


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
    is_lost = False

    def show(event: Event) -> None:
        nonlocal is_lost
        if is_lost:
            return
        try:
            view.show(event)
        except OSError:  # the log's disk is full, or its reader left: no reason for a sync to fail
            is_lost = True

    end = progress.subscribe(show)
    try:
        with view:
            yield
    finally:
        end()


class _View:
    """Events come by the thousand; whoever looks needs some a second of each phase, and its end."""

    def __init__(self) -> None:
        self._shown_s: dict[str, float] = {}

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass

    def is_too_soon(self, event: Event) -> bool:
        if event.kind != "progress":
            return False
        now = monotonic()
        if now - self._shown_s.get(event.name, 0.0) < SHOW_EVERY_S:
            return True
        self._shown_s[event.name] = now
        return False


class _JsonLines(_View):
    def show(self, event: Event) -> None:
        import orjson

        if not self.is_too_soon(event):
            sys.stderr.write(orjson.dumps(event.as_json()).decode() + "\n")
            sys.stderr.flush()


class _Lines(_View):
    """A line when a phase begins and ends, and one now and then between."""

    def __init__(self) -> None:
        super().__init__()
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
        print(f"mpsync: {printable(text)}", file=sys.stderr, flush=True)


class _Bars(_View):
    """Live bars with totals, rate and time left."""

    def __init__(self) -> None:
        super().__init__()
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._bars = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}", markup=False),
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
            self._bars.console.print(printable(event.text), markup=False, highlight=False)
        elif self.is_too_soon(event):
            return
        elif event.kind in ("phase", "progress", "done"):
            if event.name not in self._tasks:
                self._began[event.name] = monotonic()
                self._tasks[event.name] = self._bars.add_task(event.name, total=event.total, rate="")
            seconds = monotonic() - self._began[event.name]
            rate = f"{event.done / seconds:,.0f} {event.unit}/s" if seconds > 0.2 else ""
            self._bars.update(self._tasks[event.name], completed=event.done, total=event.total, rate=rate)
