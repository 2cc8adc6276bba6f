"""``python -m mpsync``."""

import sys

from mpsync.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
