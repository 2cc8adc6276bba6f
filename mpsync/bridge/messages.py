"""What crosses between the core and a child: frozen values, nothing else.

Up      Rows, Await, Ask, Done, Report, Failed, End        (child -> core)
Down    Begin, Settled, Work, Answer, Credit, Finish, Cancel      (core -> child)

A queue each way and one producer each: messages of one child arrive in the order they were sent. So whatever a message
speaks of, a row or a request, has arrived before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Plain = Any
"""JSON values, and what codec.plain() adds to them: datetime, Path, bytes, tuple."""


@dataclass(frozen=True, slots=True)
class Error:
    """An exception on its way: rebuilt as itself when it is an MpsyncError with plain arguments."""

    type: str  # module:qualname
    arguments: list[Plain]
    text: str
    traceback: str


@dataclass(frozen=True, slots=True)
class Rows:
    """A columnar batch, as codec.encode_batch() made it. Costs credit."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Await:
    """Somebody in the child waits for these items; their rows were sent before. files: those of which files are enough."""

    tickets: list[int]
    files: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Ask:
    """A request of the first stage; an Answer comes back. what: parse (a ParseTask), top_file (a path)."""

    request: int
    what: Literal["parse", "top_file"]
    argument: Plain


@dataclass(frozen=True, slots=True)
class Done:
    """A Work is done: its value, or its error."""

    request: int
    value: Plain = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """For the run's Progress: something skipped, noted, or moved on."""

    what: Literal["skip", "note", "progress"]
    name: str
    text: str = ""
    by: int = 0
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The first stage raised; nothing follows."""

    error: Error


@dataclass(frozen=True, slots=True)
class End:
    """The first stage has ended; nothing follows."""

    result: Plain


@dataclass(frozen=True, slots=True)
class Begin:
    """Be the first stage: ``package.module:Class``, and its options. Not an argument of the process: starting one writes
    those to a pipe that nobody reads before Python is up, and waits on the loop while they don't fit in it.
    """

    factory: str
    options: dict[str, Plain]


@dataclass(frozen=True, slots=True)
class Settled:
    """An awaited item was saved (content_id, and the local files of artifacts that were not deferred), dropped, or failed.

    content_id  0: it isn't saved yet, and these are its files; None: it was dropped
    """

    ticket: int
    content_id: int | None = None
    local_paths: Plain = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """To be done by this child. how: parse a task, or unpack one into a file and cut that into ``parts`` ranges."""

    request: int
    how: Literal["parse", "unpack"]
    task: Plain
    into: str = ""
    parts: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """To an Ask."""

    request: int
    value: Plain = None
    error: Error | None = None


@dataclass(frozen=True, slots=True)
class Credit:
    """The core has taken this many bytes of Rows; as many more may be sent."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class Finish:
    """No more work will come."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """The core has given up: clean up and end. SIGTERM follows soon."""


Message = Rows | Await | Ask | Done | Report | Failed | End | Begin | Settled | Work | Answer | Credit | Finish | Cancel
CLASSES: dict[str, type[Any]] = {
    kind.__name__: kind
    for kind in (Rows, Await, Ask, Done, Report, Failed, End, Begin, Settled, Work, Answer, Credit, Finish, Cancel)
}
