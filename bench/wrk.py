"""``wrk`` on a list of files: what the server gives to a client in C that looks at nothing. source: wrk's SCRIPTING"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

_RATE = re.compile(r"^Requests/sec:\s+([0-9.]+)$", re.MULTILINE)
_WRONG = ("Non-2xx", "Socket errors")
_SCRIPT = """
local paths = {}
for path in io.lines(%s) do paths[#paths + 1] = path end
local next_path = 0
request = function()
    next_path = next_path %% #paths + 1
    return wrk.format("GET", paths[next_path])
end
"""


class WrkFailed(RuntimeError):
    """wrk ended with an error, or not every answer was a file."""


def files_per_s(url: str, paths: Sequence[str], work: Path, *, connections: int, seconds: int) -> float | None:
    """Files a second, in turn, over kept-open connections of one thread; None where wrk isn't installed."""
    program = shutil.which("wrk")
    if program is None:
        return None
    listed, script = work / "paths", work / "paths.lua"
    listed.write_text("".join(f"/{path}\n" for path in paths))
    script.write_text(_SCRIPT % f'"{listed}"')
    how = ["-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", str(script)]
    ran = subprocess.run([program, *how, url], capture_output=True, text=True)
    found = _RATE.search(ran.stdout)
    if ran.returncode or found is None or any(word in ran.stdout for word in _WRONG):
        raise WrkFailed(f"wrk: exit code {ran.returncode}: {(ran.stdout + ran.stderr).strip()[-500:]}")
    return float(found[1])
