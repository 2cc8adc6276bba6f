"""``mpsync`` with counting ``items()`` stages in a Debian sync: python -m bench.counted_sync COUNTERS ARGUMENTS…

Each counter says on stderr how many units it saw. They stand where a plugin author would put one: behind the look-up.
"""

from __future__ import annotations

import sys
from typing import Any

from bench.pipelines import Counting
from mpsync.cli.main import main
from mpsync.plugins.deb.main import DebPlugin
from mpsync.stages.query_existing_contents import QueryExistingContents
from mpsync.stages.recipe import Recipe


def run(counters: int, arguments: list[str]) -> int:
    counting = [Counting() for _ in range(counters)]
    usual = DebPlugin.stages

    def stages(self: Any, recipe: Recipe, options: Any) -> Recipe:
        for counter in counting:
            recipe = recipe.after(QueryExistingContents, counter)
        return usual(self, recipe, options)

    DebPlugin.stages = stages  # type: ignore[method-assign]  # a bench's stand-in for a plugin of its own
    try:
        return main(arguments)
    finally:
        for counter in counting:
            print(f"counted {counter.seen}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(run(int(sys.argv[1]), sys.argv[2:]))
