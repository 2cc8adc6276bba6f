"""Messages and batches to bytes and back. A bad value fails here, in the process and stage that made it.

A frame of rows is a zero byte, 4 bytes of header length, an orjson header, and runs of raw bytes. The header holds what the
core reads (names, paths, lengths), the runs what it only compares or stores (keys, sha256, records).
"""

from __future__ import annotations

import struct
import traceback
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from mpsync.bridge.errors import BadFrame, ChildFailed
from mpsync.bridge.header import DIGEST_BYTES, check_header
from mpsync.bridge.messages import CLASSES, Error, Message, Rows
from mpsync.errors import MpsyncError
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.first_stage import CannotLoad, load
from mpsync.pipeline.raw import RawRun, Segment
from mpsync.pipeline.slots import Slots

_ROWS = b"\0"
_LENGTH = struct.Struct("<I")
_TAG = "$"


def encode(message: Message) -> bytes:
    """A message as bytes. Raises PluginError's BadFrame for values that are not plain."""
    if isinstance(message, Rows):
        return message.body
    found = {field.name: plain(getattr(message, field.name)) for field in fields(message)}
    return b"\1" + orjson.dumps([type(message).__name__, found])


def decode(frame: bytes) -> Message:
    """The message in a frame. Raises BadFrame."""
    if frame[:1] == _ROWS:
        return Rows(frame)
    try:
        if frame[:1] != b"\1":
            raise ValueError("it begins with neither 0 nor 1")
        name, found = orjson.loads(frame[1:])
        values = {key: unplain(value) for key, value in found.items()}
        if values.get("error") is not None:
            values["error"] = Error(**values["error"])
        message: Message = CLASSES[name](**values)
        return message
    except (ValueError, TypeError, KeyError, AttributeError) as exc:
        raise BadFrame(f"frame {frame[:80]!r} is no message: {exc}") from exc


def plain(value: Any) -> Any:
    """JSON values as they are; datetime, Path, bytes and tuples tagged. Raises BadFrame for anything else.

    A dict's keys are text: JSON would make text of any other, and in-process they would stay what they are.
    """
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise BadFrame(f"{value!r:.80} cannot cross to another process: its keys are not all text")
        made = {key: plain(inner) for key, inner in value.items()}
        return {_TAG: "dict", "v": made} if _TAG in made else made
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if isinstance(value, tuple):
        return {_TAG: "tuple", "v": [plain(inner) for inner in value]}
    if isinstance(value, datetime):
        return {_TAG: "datetime", "v": value.isoformat()}
    if isinstance(value, Path):
        return {_TAG: "path", "v": str(value)}
    if isinstance(value, bytes):
        return {_TAG: "bytes", "v": value.hex()}
    if isinstance(value, Error):
        return plain(asdict(value))
    raise BadFrame(f"{type(value).__name__} {value!r:.80} cannot cross to another process: use plain values")


def unplain(value: Any) -> Any:
    if isinstance(value, list):
        return [unplain(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    made: Any = value.get("v")
    match value.get(_TAG):
        case None:
            return {key: unplain(inner) for key, inner in value.items()}
        case "dict":
            return {key: unplain(inner) for key, inner in made.items()}
        case "tuple":
            return tuple(unplain(inner) for inner in made)
        case "datetime":
            return datetime.fromisoformat(made)
        case "path":
            return Path(made)
        case "bytes":
            return bytes.fromhex(made)
    raise BadFrame(f"unknown tag {value.get(_TAG)!r}")


# --- exceptions ----------------------------------------------------------------------------------------------


def encode_error(error: BaseException) -> Error:
    """Type, arguments, text and traceback of an exception; arguments only as far as they are plain."""
    kind = type(error)
    try:
        arguments = [plain(argument) for argument in error.args]
    except BadFrame:
        arguments = []
    remote = "".join(traceback.format_exception(error))
    return Error(f"{kind.__module__}:{kind.__qualname__}", arguments, str(error) or kind.__name__, remote)


def decode_error(error: Error) -> MpsyncError:
    """The same MpsyncError, with the remote traceback as a note; ChildFailed for anything else."""
    try:
        kind = load(error.type)
        if isinstance(kind, type) and issubclass(kind, MpsyncError):
            rebuilt: MpsyncError = kind(*(unplain(argument) for argument in error.arguments))
            rebuilt.add_note(f"raised in a child process:\n{error.traceback}")
            return rebuilt
    except (CannotLoad, TypeError, ValueError, AttributeError):
        pass
    return ChildFailed(error.type, error.text, error.traceback)


# --- batches -------------------------------------------------------------------------------------------------


def encode_batch(batch: Batch, tickets: dict[int, int], released: list[int]) -> bytes:
    """A batch as the body of Rows: the frame itself, since a copy of it is a millisecond of both processes.

    tickets   {row: ticket} of rows that were declared as items
    released  tickets whose items nobody in the child holds any more
    """
    slots = batch.slots
    rows = len(batch)
    header = {
        "rows": rows,
        "kinds": _uniform(batch.kinds),
        "listings": _uniform(batch.listings),
        "names": batch.names,
        "versions": batch.versions,
        "archs": _uniform(batch.archs),
        "lengths": batch.lengths,
        "slots": len(slots),
        "owner": None if slots.owner == list(range(rows)) else slots.owner,
        "path": slots.path,
        "size": slots.size,
        "urls": slots.urls if any(slots.urls) else None,
        "digests": slots.digests if any(slots.digests) else None,
        "deferred": _uniform(slots.deferred),
        "unknown": [slot for slot, sha256 in enumerate(slots.sha256) if sha256 is None] if None in slots.sha256 else [],
        "fetched": {
            str(slot): [str(file.path), file.size_bytes, file.digests, file.url]
            for slot, file in enumerate(slots.fetched)
            if file is not None
        }
        if any(slots.fetched)
        else {},
        "segments": [[segment.size, len(segment.data), segment.is_packed] for segment in batch.raw.segments],
        "starts": batch.starts,
        "known": batch.ids if any(batch.ids) else None,
        "refers": {str(row): list(map(list, found)) for row, found in batch.refers.items()},
        "items": {str(row): _item_extras(batch.items[row], ticket) for row, ticket in tickets.items()},
        "released": released,
    }
    held = sum(len(segment.data) for segment in batch.raw.segments)
    check_header(header, DIGEST_BYTES * (rows + len(slots)) + held)
    try:
        head = orjson.dumps(header)
    except TypeError as exc:  # digits beyond 64 bits, half a surrogate pair
        raise BadFrame(f"a batch of {header['kinds']!r:.60} cannot cross: {exc}") from exc
    keys = b"".join(batch.keys)
    sha256 = b"".join([value or bytes(DIGEST_BYTES) for value in slots.sha256])
    if len(keys) != DIGEST_BYTES * rows or len(sha256) != DIGEST_BYTES * len(slots):
        raise BadFrame("keys and sha256 digests are 32 bytes each")
    return b"".join(
        (_ROWS, _LENGTH.pack(len(head)), head, keys, sha256, *(segment.data for segment in batch.raw.segments))
    )


def decode_batch(body: bytes) -> tuple[Batch, dict[int, int], list[int]]:
    """(batch, {row: ticket}, released tickets). Declared rows have their items in ``batch.items``. Raises BadFrame."""
    try:
        (size,) = _LENGTH.unpack_from(body, 1)
        at = 1 + _LENGTH.size + size
        header = orjson.loads(memoryview(body)[1 + _LENGTH.size : at])
    except (struct.error, ValueError) as exc:
        raise BadFrame(f"a batch of {len(body)} bytes cannot be read: {exc}") from exc
    check_header(header, len(body) - at)
    rows, files = header["rows"], header["slots"]
    keys, at = _digests(body, at, rows)
    sha256, at = _digests(body, at, files)
    batch = Batch(_raw(body, at, header["segments"]))
    batch.kinds, batch.listings = _spread(header["kinds"], rows), _spread(header["listings"], rows)
    batch.names, batch.versions, batch.archs = header["names"], header["versions"], _spread(header["archs"], rows)
    batch.keys, batch.lengths, batch.starts, batch.ids = (
        keys,
        header["lengths"],
        header["starts"],
        header["known"] or [0] * rows,
    )
    urls = header["urls"]
    unknown = set(header["unknown"])
    batch.slots = Slots(
        owner=header["owner"] if header["owner"] is not None else list(range(rows)),
        path=header["path"],
        sha256=[None if slot in unknown else value for slot, value in enumerate(sha256)] if unknown else list(sha256),
        size=header["size"],
        urls=[tuple(found) if found else None for found in urls] if urls else [None] * files,
        digests=header["digests"] or [None] * files,
        deferred=_spread(header["deferred"], files),
        ids=[0] * files,
        fetched=[None] * files,
    )
    for slot, (path, size_bytes, digests, url) in header["fetched"].items():
        batch.slots.fetched[int(slot)] = Fetched(Path(path), size_bytes, digests, url)
    for row_text, found in header["refers"].items():
        batch.refers[int(row_text)] = list(map(tuple, found))
    tickets: dict[int, int] = {}
    for row_text, (ticket, extra_data, on_failure) in header["items"].items():
        row = int(row_text)
        tickets[row] = ticket
        item = batch.item(row)
        item.ticket, item.extra_data, item.on_failure = ticket, _extra_data(extra_data), on_failure
    return batch, tickets, header["released"]


def _item_extras(item: DeclarativeContent, ticket: int) -> list[Any]:
    return [ticket, plain(item.extra_data) if item.extra_data else None, item.on_failure]


def _extra_data(found: dict[str, Any] | None) -> dict[str, Any]:
    try:
        made: dict[str, Any] = unplain(found or {})
        return made
    except (ValueError, TypeError, AttributeError) as exc:
        raise BadFrame(f"extra_data {found!r:.80} cannot be read: {exc}") from exc


def _uniform(column: list[Any]) -> Any:
    """One value in a list of one when the whole column is the same; the column else."""
    return [column[0]] if column and column.count(column[0]) == len(column) else column


def _spread(column: list[Any], rows: int) -> list[Any]:
    return column * rows if len(column) == 1 else column


def _digests(body: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    end = at + DIGEST_BYTES * count
    return [body[start : start + DIGEST_BYTES] for start in range(at, end, DIGEST_BYTES)], end


def _raw(body: bytes, at: int, segments: list[list[int]]) -> RawRun:
    """The run at the end of a body; its bytes are copied out, so that the body can go."""
    made: list[Segment] = []
    start = 0
    for size, held, is_packed in segments:
        made.append(Segment(start, size, body[at : at + held], bool(is_packed)))
        start += size
        at += held
    return RawRun(made)
