"""An error becomes a message, a JSON document and an exit code."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from mpsync.cli.main import EXIT_FAILED, EXIT_USAGE, drop_output
from mpsync.cli.output import print_json, printable
from mpsync.cli.signals import Interrupted, stopped
from mpsync.errors import ConfigError, MpsyncError, leaf


class UsageError(ConfigError):
    """The command line makes no sense. ``usage``: how it would."""

    def __init__(self, problem: str, usage: str) -> None:
        super().__init__(problem, usage)
        self.problem, self.usage = problem, usage

    def __str__(self) -> str:
        return self.problem


class OutputLost(MpsyncError):
    """What the command prints could not be written, as on a full disk. ``reason``: the system's words."""

    hint = "what the command did stands; only its output is lost"

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return f"the output can't be written: {self.reason}"


def report(error: BaseException, argv: Sequence[str], arguments: argparse.Namespace | None) -> int:
    """Print what happened and return the exit code; bugs get a traceback, deliberate errors a sentence.

    arguments  None when they could not be parsed: ``argv`` then says whether JSON is wanted
    """
    error = stopped() or leaf(error)
    if _is_of_output(error):
        error = OutputLost(getattr(error, "strerror", None) or str(error))
        drop_output()
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
    with suppress(OSError):  # stderr may lead nowhere too
        if is_bug or getattr(arguments, "debug", False):
            traceback.print_exception(error, file=sys.stderr)
        _print(error, details)
        if is_bug:
            print(
                "mpsync: this is a bug in mpsync or in a plugin; please report it with the text above", file=sys.stderr
            )
    wants_json = "--json" in argv if arguments is None else arguments.json
    if wants_json:
        try:
            print_json({"changed": False, **_document(arguments), "error": details})
        except OSError:  # stderr and the exit code have said it
            drop_output()
    return code


def _is_of_output(error: BaseException) -> bool:
    """Whether a ``print`` failed: no file has a name then, and the innermost frame is the command line's."""
    if not isinstance(error, OSError) or error.filename is not None:
        return False
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    return bool(frames) and str(frames[-1].f_globals.get("__name__")).startswith("mpsync.cli.")


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
