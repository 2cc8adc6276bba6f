"""A core to be killed: runs ``bridge_stages:<stage>`` under uvloop, as the command line does, and says its children's pids.

    python bridge_core.py STAGE WORKERS FOLDER [OPTIONS as JSON]

Prints "pids <pid>..." once the first row has come, "result {...}" at the end. SIGINT and SIGTERM cancel it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import uvloop
from bridging import Belongings, Core, Resolver, own_children


async def main(stage: str, workers: str, folder: str, options: str = "{}") -> int:
    core = Core(Path(folder), int(workers))

    def say(_: object) -> None:
        print("pids", *(child.pid for child in core.children), flush=True)

    core.resolver = Resolver(say)
    this = asyncio.current_task()
    assert this is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, this.cancel)
    try:
        result = await core.run(stage, json.loads(options))
    except asyncio.CancelledError:
        print("cancelled", len(own_children()), len(Belongings.now(Path(folder)).semaphores), flush=True)
        return 130
    print("result", json.dumps(result), flush=True)
    return 0


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(main(*sys.argv[1:])))
