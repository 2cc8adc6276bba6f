"""ParseTask as plain values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from mpsync.pipeline.first_stage import ParseTask


def task_to_plain(task: ParseTask) -> dict[str, Any]:
    return {field.name: getattr(task, field.name) for field in fields(ParseTask)}


def task_from_plain(found: dict[str, Any]) -> ParseTask:
    return ParseTask(**found)
