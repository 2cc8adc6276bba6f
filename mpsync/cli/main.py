"""The console script: parse, run one verb, exit with a code that says what happened.

0 done (changed or not)    1 failed    2 usage    130 interrupted (SIGINT)    143 terminated (SIGTERM)

Nothing heavy is imported here: a spawned child, ``--help`` and a no-change sync all pay for what stands at the top.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

EXIT_DONE, EXIT_FAILED, EXIT_USAGE, EXIT_INTERRUPTED, EXIT_TERMINATED = 0, 1, 2, 130, 143


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point. Returns the exit code; argparse exits with 2 itself on a usage error."""
    from mpsync.cli.parser import parse

    arguments = parse(sys.argv[1:] if argv is None else argv)
    from mpsync.cli.failure import report

    try:
        code: int = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except BaseException as error:
        return report(error, arguments)


if __name__ == "__main__":
    sys.exit(main())
