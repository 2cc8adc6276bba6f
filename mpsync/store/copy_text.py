"""Columns -> COPY text, at C speed: nothing here runs once per value but C functions.

Flow    lists of str, bytes, int, float or bool, with None for NULL -> bytes for ``COPY ... FROM STDIN``
source  PostgreSQL 18 manual, COPY, "Text Format"
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from types import NoneType
from typing import Any

from mpsync.store.errors import UnstorableText

_NULL = "\\N"
_AS_IS = frozenset((int, float, datetime))


def copy_text(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> bytes:
    """Encode rows given as columns.

    names    of the columns, for errors
    columns  all of one length; each holds str, bytes, int, float, bool or aware datetime, and None for NULL
    raises   UnstorableText for NUL and lone surrogates; TypeError and ValueError for mistakes of the caller
    """
    if not columns or not columns[0]:
        return b""
    encoded = [_column(name, column) for name, column in zip(names, columns, strict=True)]
    rows = "\n".join(map("\t".join, zip(*encoded, strict=True)))
    try:
        return rows.encode() + b"\n"
    except UnicodeEncodeError:
        for name, column in zip(names, columns, strict=True):
            _reject_surrogates(name, column)
        raise


def _column(name: str, column: Sequence[Any]) -> Sequence[str]:
    kinds = set(map(type, column))
    nullable = NoneType in kinds
    kinds.discard(NoneType)
    if not kinds:
        return [_NULL] * len(column)
    if kinds == {str}:
        encoded = _escape(name, ["" if value is None else value for value in column] if nullable else column)
    elif kinds <= {bytes, memoryview}:
        encoded = ["" if value is None else "\\\\x" + value.hex() for value in column]
    elif kinds <= _AS_IS:
        encoded = list(map(str, column))
    elif kinds == {bool}:
        encoded = ["t" if value else "f" for value in column]
    else:
        raise TypeError(f"column {name} mixes or holds types that COPY text has no form for: {kinds}")
    if nullable:
        encoded = [_NULL if value is None else text for value, text in zip(column, encoded, strict=True)]
    return encoded


def _escape(name: str, values: Sequence[str]) -> Sequence[str]:
    """``values`` with backslash, tab, newline and carriage return escaped; the same object when there are none."""
    # One string for the whole column: four searches instead of four a value. NUL can't be in a storable value.
    joined = "\0".join(values)
    if joined.count("\0") != len(values) - 1:
        culprit = next(value for value in values if "\0" in value)
        raise UnstorableText(name, culprit[:80])
    if not ("\\" in joined or "\n" in joined or "\t" in joined or "\r" in joined):
        return values
    joined = joined.replace("\\", "\\\\").replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    return joined.split("\0")


def _reject_surrogates(name: str, column: Sequence[Any]) -> None:
    for value in column:
        if isinstance(value, str):
            try:
                value.encode()
            except UnicodeEncodeError as error:
                raise UnstorableText(name, value[:80]) from error
