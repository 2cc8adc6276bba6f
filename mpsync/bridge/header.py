"""What the header of a batch must look like: checked where it is written and where it is read.

Past this check nobody looks again: a stage may take any row and any file of the batch.
"""

from __future__ import annotations

from collections.abc import Iterable
from operator import add
from typing import Any, get_args

from mpsync.bridge.errors import BadFrame
from mpsync.pipeline.declarative import OnFailure

DIGEST_BYTES = 32
_FAILURES = (None, *get_args(OnFailure))


def check_header(header: Any, room: int) -> None:
    """Refuse a header that doesn't fit itself, or the ``room`` bytes behind it. Raises BadFrame naming the field."""
    if not isinstance(header, dict):
        raise BadFrame(f"the header of a batch is {header!r:.80}")
    try:
        _check_columns(header, room)
        _check_extras(header)
    except KeyError as exc:
        raise BadFrame(f"the header of a batch lacks {exc}") from exc


def _check_columns(header: dict[str, Any], room: int) -> None:
    rows, files = header["rows"], header["slots"]
    _must(_are([rows, files], int) and min(rows, files) >= 0, header, "rows", "slots")
    segments = header["segments"]
    _must(_is_list(segments) and all(_is_segment(segment) for segment in segments), header, "segments")
    held = sum(segment[1] for segment in segments)
    if DIGEST_BYTES * (rows + files) + held != room:  # before anything is made of these numbers
        raise BadFrame(f"a batch of {rows} rows, {files} files and {held} bytes of records has {room} bytes")
    for name in ("names", "versions"):
        _must(_is_column(header[name], str, rows), header, name)
    for name in ("kinds", "listings", "archs"):
        _must(_is_uniform(header[name], str, rows), header, name)
    starts, lengths = header["starts"], header["lengths"]
    _must(_is_column(starts, int, rows) and min(starts, default=0) >= 0, header, "starts")
    _must(_is_column(lengths, int, rows) and min(lengths, default=0) >= 0, header, "lengths")
    known = header["known"]
    _must(known is None or (_is_column(known, int, rows) and max(known, default=0) <= 0), header, "known")
    end = sum(segment[0] for segment in segments)
    _must(max(map(add, starts, lengths), default=0) <= end, header, "starts", "lengths")
    owner = range(files) if header["owner"] is None else header["owner"]
    is_ascending = _is_column(owner, int, files) and list(owner) == sorted(owner)
    _must(is_ascending and (not files or (owner[0] >= 0 and owner[-1] < rows)), header, "owner")
    _must(_is_column(header["path"], str, files), header, "path")
    _must(_is_column(header["size"], int, files), header, "size")
    _must(_is_uniform(header["deferred"], bool, files), header, "deferred")


def _check_extras(header: dict[str, Any]) -> None:
    rows, files = header["rows"], header["slots"]
    urls, digests = header["urls"], header["digests"]
    _must(urls is None or (_is_list(urls, files) and all(map(_are_urls, urls))), header, "urls")
    _must(digests is None or (_is_list(digests, files) and all(map(_are_digests, digests))), header, "digests")
    unknown = header["unknown"]
    _must(_is_list(unknown) and _are(unknown, int) and all(0 <= slot < files for slot in unknown), header, "unknown")
    for name, bound, is_right in (
        ("fetched", files, _is_fetched),
        ("items", rows, _is_item),
        ("refers", rows, _are_references),
    ):
        found = header[name]
        _must(isinstance(found, dict), header, name)
        _must(
            all(key.isdecimal() and int(key) < bound and is_right(value) for key, value in found.items()), header, name
        )
    _must(_is_list(header["released"]) and _are(header["released"], int), header, "released")


def _must(is_right: bool, header: dict[str, Any], *names: str) -> None:
    if not is_right:
        said = ", ".join(f"{name} {header[name]!r:.80}" for name in names)
        raise BadFrame(f"a batch of {header['kinds']!r:.60} ({header['rows']!r:.20} rows) cannot cross: {said}")


def _is_list(value: Any, length: int | None = None) -> bool:
    return isinstance(value, list) and (length is None or len(value) == length)


def _are(values: Iterable[Any], kind: type) -> bool:
    """Whether all are of ``kind``; a bool is no int. The set is made at C speed."""
    return set(map(type, values)) <= {kind}


def _is_column(value: Any, kind: type, length: int) -> bool:
    return isinstance(value, list | range) and len(value) == length and _are(value, kind)


def _is_uniform(value: Any, kind: type, length: int) -> bool:
    """A column, or a list of one that stands for every row."""
    return _is_column(value, kind, length) or _is_column(value, kind, 1)


def _is_segment(value: Any) -> bool:
    return _is_list(value, 3) and _are(value[:2], int) and min(value[:2]) >= 0 and isinstance(value[2], bool)


def _are_urls(value: Any) -> bool:
    return value is None or (isinstance(value, list | tuple) and _are(value, str))


def _are_digests(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and _are(value.values(), str))


def _is_fetched(value: Any) -> bool:
    return _is_list(value, 4) and _are((value[0], value[3]), str) and _are([value[1]], int) and _are_digests(value[2])


def _are_references(value: Any) -> bool:
    return _is_list(value) and all(_is_list(found, 4) and _are(found, str) for found in value)


def _is_item(value: Any) -> bool:
    is_whole = _is_list(value, 3) and isinstance(value[1], dict | None)
    return is_whole and _are([value[0]], int) and value[2] in _FAILURES
