"""Progress events that anybody can subscribe to: phases with totals, skipped items, notes.

    progress = Progress()
    progress.subscribe(lambda event: print(event.name, event.done, event.total))

Callbacks run on the loop, at once; they must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from time import monotonic
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Event:
    """Something happened.

    kind   phase (began), progress (moved), done (a phase ended), skipped, note, warning
    name   the phase, or what was skipped or noted
    done, total   in ``unit`` (rows, files, bytes); total None = not known
    """

    kind: Literal["phase", "progress", "done", "skipped", "note", "warning"]
    name: str
    done: int = 0
    total: int | None = None
    unit: str = ""
    text: str = ""
    at_s: float = field(default_factory=monotonic)

    def as_json(self) -> dict[str, Any]:
        return {key: value for key, value in asdict(self).items() if value not in (None, "")}


@dataclass(slots=True)
class Phase:
    """One phase of a run, e.g. downloading artifacts."""

    name: str
    unit: str
    done: int = 0
    total: int | None = None
    began_s: float = field(default_factory=monotonic)
    ended_s: float | None = None

    @property
    def seconds(self) -> float:
        return (self.ended_s or monotonic()) - self.began_s


class Progress:
    """The phases of one run, what it skipped and noted, and who listens."""

    def __init__(self) -> None:
        self.phases: dict[str, Phase] = {}
        self.skipped: list[dict[str, str]] = []
        self.notes: list[str] = []
        self._subscribers: list[Callable[[Event], None]] = []

    def subscribe(self, callback: Callable[[Event], None]) -> Callable[[], None]:
        """Call ``callback`` with every Event from now on; returns what ends it."""
        self._subscribers.append(callback)
        return lambda: self._subscribers.remove(callback)

    def emit(self, event: Event) -> None:
        for callback in tuple(self._subscribers):
            callback(event)

    def advance(self, name: str, by: int = 0, *, unit: str = "rows", total: int | None = None) -> None:
        """Move phase ``name``; the first call begins it."""
        phase = self.phases.get(name)
        if phase is None:
            phase = self.phases[name] = Phase(name, unit)
            self.emit(Event("phase", name, 0, total, unit))
        phase.done += by
        if total is not None:
            phase.total = total
        if by and self._subscribers:
            self.emit(Event("progress", name, phase.done, phase.total, phase.unit))

    def expect(self, name: str, more: int, *, unit: str = "rows") -> None:
        """``more`` in all will come of phase ``name``; below zero: so many won't."""
        phase = self.phases.get(name)
        self.advance(name, unit=unit, total=(phase.total or 0 if phase else 0) + more)

    def finish(self, name: str) -> None:
        phase = self.phases.get(name)
        if phase is not None and phase.ended_s is None:
            phase.ended_s = monotonic()
            self.emit(Event("done", name, phase.done, phase.total, phase.unit))

    def skip(self, what: str, why: str) -> None:
        """Something was left out; it stands in the summary's ``skipped`` list."""
        self.skipped.append({"what": what, "why": why})
        self.emit(Event("skipped", what, text=why))

    def note(self, name: str, text: str, kind: Literal["note", "warning"] = "note") -> None:
        """Something worth a line; it stands in the summary's ``notes``."""
        self.notes.append(text)
        self.emit(Event(kind, name, text=text))
