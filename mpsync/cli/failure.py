"""An error becomes a message, a JSON document and an exit code."""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from typing import Any

from mpsync.cli.main import EXIT_FAILED, EXIT_INTERRUPTED, EXIT_TERMINATED, EXIT_USAGE
from mpsync.errors import ConfigError, MpsyncError


class Terminated(BaseException):
    """SIGTERM."""


def report(error: BaseException, arguments: argparse.Namespace) -> int:
    """Print what happened and return the exit code; bugs get a traceback, deliberate errors a sentence."""
    error = leaf(error)
    summary: Any = getattr(arguments, "summary", None)
    document: dict[str, Any] = summary.as_json() if summary is not None else {}
    if isinstance(error, SystemExit):
        raise error
    if isinstance(error, Terminated):
        code, details = EXIT_TERMINATED, {"type": "Terminated", "message": "terminated"}
    elif isinstance(error, KeyboardInterrupt | asyncio.CancelledError):
        code, details = EXIT_INTERRUPTED, {"type": "Interrupted", "message": "interrupted; no version was made"}
    elif isinstance(error, MpsyncError):
        code, details = (EXIT_USAGE if isinstance(error, ConfigError) else EXIT_FAILED), error.details()
    else:
        code, details = EXIT_FAILED, {"type": type(error).__name__, "message": str(error) or type(error).__name__}
    _print(error, details, arguments)
    if getattr(arguments, "json", False):
        from mpsync.cli.output import print_json

        print_json({**document, "changed": False, "error": details})
    return code


def _print(error: BaseException, details: dict[str, str], arguments: argparse.Namespace) -> None:
    is_bug = not isinstance(error, MpsyncError | Terminated | KeyboardInterrupt | asyncio.CancelledError)
    if is_bug or getattr(arguments, "debug", False):
        traceback.print_exception(error, file=sys.stderr)
    print(f"mpsync: {details['message']}", file=sys.stderr)
    for name in ("url", "expected", "got"):
        if details.get(name) and details[name] not in details["message"]:
            print(f"  {name}: {details[name]}", file=sys.stderr)
    hint = getattr(error, "hint", None)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    if is_bug:
        print("mpsync: this is a bug in mpsync or in a plugin; please report it with the text above", file=sys.stderr)


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
