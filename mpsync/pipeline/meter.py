"""What a stage did: rows, batches, and where its time went. The source of the stage table in the summary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class StageMeter:
    """Counters of one stage, in seconds and rows.

    wait_in_s   waiting for input        wait_out_s  waiting for the next stage to take output
    busy_s      the rest of the time the stage ran: its own work, and what it awaited
    start_s     when it began, and when it saw its first row (first_s) and ended (end_s); 0 is when this module was loaded,
                so that the rows of all pipelines of a process lie on one line of time. Left out when it has not happened
    """

    __slots__ = (
        "_ended_at",
        "_first_at",
        "_started_at",
        "_waiting_since",
        "batches",
        "rows",
        "wait_in_s",
        "wait_out_s",
    )

    def __init__(self) -> None:
        self.rows = self.batches = 0
        self.wait_in_s = self.wait_out_s = 0.0
        self._started_at: float | None = None
        self._first_at: float | None = None
        self._ended_at: float | None = None
        self._waiting_since: float | None = None

    def count(self, rows: int) -> None:
        if rows and self._first_at is None:
            self._first_at = perf_counter()
        self.rows += rows

    @property
    def is_waiting_in(self) -> bool:
        return self._waiting_since is not None

    @property
    def has_ended(self) -> bool:
        return self._ended_at is not None

    @contextmanager
    def running(self) -> Iterator[None]:
        self._started_at = perf_counter()
        try:
            yield
        finally:
            self._ended_at = perf_counter()

    @contextmanager
    def waiting_in(self) -> Iterator[None]:
        self._waiting_since = began = perf_counter()
        try:
            yield
        finally:
            self._waiting_since = None
            self.wait_in_s += perf_counter() - began

    @property
    def elapsed_s(self) -> float:
        if self._started_at is None:
            return 0.0
        return (self._ended_at or perf_counter()) - self._started_at

    def table_row(self, name: str, queue_max: int) -> dict[str, float | int | str]:
        """One line of the stage table: the contract of the JSON summary."""
        moments = {"start_s": self._started_at, "first_s": self._first_at, "end_s": self._ended_at}
        busy_s = max(0.0, self.elapsed_s - self.wait_in_s - self.wait_out_s)
        return {
            "name": name,
            "items": self.rows,
            "batches": self.batches,
            "busy_s": round(busy_s, 4),
            "wait_in_s": round(self.wait_in_s, 4),
            "wait_out_s": round(self.wait_out_s, 4),
            "queue_max": queue_max,
            **{name: round(at - _LOADED_AT, 4) for name, at in moments.items() if at is not None},
        }


_LOADED_AT = perf_counter()
