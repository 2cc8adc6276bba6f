"""SQL by name: ``-- name: foo`` opens a statement in a .sql file, and the file reads top to bottom."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import LiteralString

_NAME = re.compile(r"^--[ \t]*name:[ \t]*(\S*)[ \t]*$", re.MULTILINE)
_COMMENT = re.compile(r"^[ \t]*--.*\n?", re.MULTILINE)


@cache
def statements(package: str, path: str) -> Mapping[str, LiteralString]:
    """The statements of ``path`` inside ``package``: ``statements("mpsync.store", "sql/contents.sql")["by_key"]``.

    Lines that are comments are left out: the driver would take a ``%`` in them for a parameter. A literal ``%`` is
    written ``%%``, as everywhere in the driver.
    raises  ValueError for a bad file: no name, a name twice, an empty statement, SQL before the first name
    """
    return parse_statements(files(package).joinpath(path).read_text("utf-8"), f"{package}/{path}")


def parse_statements(text: str, where: str) -> dict[str, LiteralString]:
    """{name: SQL} of one file's text; ``where`` names it in errors. Raises ValueError."""
    before, *parts = _NAME.split(text)
    if _COMMENT.sub("", before).strip():
        raise ValueError(f"{where}: SQL before the first '-- name:' line")
    found: dict[str, LiteralString] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        sql = _COMMENT.sub("", body).strip().removesuffix(";").rstrip()
        if not name.isidentifier():
            raise ValueError(f"{where}: {name!r} is no name for a statement")
        if name in found:
            raise ValueError(f"{where}: statement {name} appears twice")
        if not sql:
            raise ValueError(f"{where}: statement {name} is empty")
        found[name] = sql  # from our own package: as literal as SQL in a source line
    return found
