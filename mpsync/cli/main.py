"""The console script: parse, run one verb, exit with a code that says what happened.

0 done (changed or not)    1 failed    2 usage    130 interrupted (SIGINT)    143 terminated (SIGTERM)
129 hung up (SIGHUP)       141 the reader of our output left

Nothing heavy is imported here: a spawned child, ``--help`` and a no-change sync all pay for what stands at the top.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_BROKEN_PIPE = 0, 1, 2, 141


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit code; as the console script (argv None) it ends the process with it."""
    if argv is not None:
        return run(list(argv), is_last=False)
    code = run(sys.argv[1:], is_last=True)
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except BrokenPipeError:
        code = EXIT_BROKEN_PIPE
    # Everything was closed in order. To take the interpreter apart, object by object, is 70 ms for nobody.
    os._exit(code)


def run(argv: list[str], *, is_last: bool) -> int:
    """Run one command line; the exit code. is_last: the process ends behind it."""
    from mpsync.cli import signals

    arguments = None
    open_standard_files()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal's encoding lacks must not end the command
            stream.reconfigure(errors="backslashreplace")
    with signals.handled(is_last=is_last):
        try:
            from mpsync.cli.parser import parse

            arguments = parse(argv)
            signals.raise_if_stopped()
            code: int = arguments.run(arguments)
            sys.stdout.flush()
            return code
        except BrokenPipeError:  # the reader of our output has seen enough
            drop_output()
            return EXIT_BROKEN_PIPE
        except SystemExit as error:  # argparse: --help and --version
            return int(error.code or 0)
        except BaseException as error:
            from mpsync.cli.failure import report

            return report(error, argv, arguments)


def open_standard_files() -> None:
    """Whoever started us may have closed 0, 1 or 2: they lead nowhere then.

    Left closed, the next socket gets the number: uvloop aborts the process over that, and ``print`` would write into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number that is free: this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)


def drop_output() -> None:
    """Nobody can have what stdout still holds: without this the interpreter's last flush fails, and spoils the exit code."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


if __name__ == "__main__":
    sys.exit(main())
