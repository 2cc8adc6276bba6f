"""An error becomes a message, a JSON document and an exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from mpsync.cli.main import EXIT_FAILED, EXIT_USAGE
from mpsync.cli.output import print_json, printable
from mpsync.cli.signals import Interrupted, stopped
from mpsync.errors import ConfigError, MpsyncError


class UsageError(ConfigError):
    """The command line makes no sense. ``usage``: how it would."""

    def __init__(self, problem: str, usage: str) -> None:
        super().__init__(problem, usage)
        self.problem, self.usage = problem, usage

    def __str__(self) -> str:
        return self.problem


def report(error: BaseException, argv: Sequence[str], arguments: argparse.Namespace | None) -> int:
    """Print what happened and return the exit code; bugs get a traceback, deliberate errors a sentence.

    arguments  None when they could not be parsed: ``argv`` then says whether JSON is wanted
    """
    error = stopped() or leaf(error)
    is_bug = False
    if isinstance(error, KeyboardInterrupt):
        error = Interrupted(2)
    if isinstance(error, Interrupted):
        code, details = error.code, error.details()
    elif isinstance(error, MpsyncError):
        code, details = (EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED), error.details()
    else:
        is_bug = True
        code, details = EXIT_FAILED, {"type": type(error).__name__, "message": str(error) or type(error).__name__}
    if is_bug or getattr(arguments, "debug", False):
        traceback.print_exception(error, file=sys.stderr)
    _print(error, details)
    if is_bug:
        print("mpsync: this is a bug in mpsync or in a plugin; please report it with the text above", file=sys.stderr)
    wants_json = "--json" in argv if arguments is None else arguments.json
    if wants_json:
        print_json({**_document(arguments), "error": details})
    return code


def _document(arguments: argparse.Namespace | None) -> dict[str, Any]:
    """What a sync had found out when it failed; empty for other verbs."""
    summary: Any = getattr(arguments, "summary", None)
    if summary is None:
        return {}
    from mpsync.cli.output import sync_document

    return sync_document(summary)


def _print(error: BaseException, details: dict[str, str]) -> None:
    if isinstance(error, UsageError):
        print(error.usage, end="", file=sys.stderr)
    print(f"mpsync: {printable(details['message'])}", file=sys.stderr)
    for name in ("url", "expected", "got"):
        if details.get(name) and details[name] not in details["message"]:
            print(f"  {name}: {printable(details[name])}", file=sys.stderr)
    if isinstance(error, MpsyncError) and error.hint:
        print(f"  {error.hint}", file=sys.stderr)


def leaf(error: BaseException) -> BaseException:
    """The error that matters of a group: a deliberate one before the accidents it caused."""
    flat, queue = [], [error]
    while queue:
        found = queue.pop(0)
        if isinstance(found, BaseExceptionGroup):
            queue.extend(found.exceptions)
        else:
            flat.append(found)
    return next((found for found in flat if isinstance(found, MpsyncError)), flat[0])
