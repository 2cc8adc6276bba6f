"""Where generated repositories rest: made once, renamed into place when complete, found again by their parameters.

Everything lies below bench/out (git-ignored), or below MPSYNC_BENCH_OUT. Delete the folder to make them anew.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

FORMAT = 1
"""Raised when a generator makes other bytes than before: cached repositories are then made again."""


def out_dir() -> Path:
    """The folder for everything that the bench makes and that git doesn't keep."""
    found = Path(os.environ.get("MPSYNC_BENCH_OUT") or Path(__file__).resolve().parents[1] / "out")
    found.mkdir(parents=True, exist_ok=True)
    return found


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """The folder ``name``, made by ``make(folder)`` unless it is there. A make that fails leaves nothing."""
    home = out_dir() / "upstreams"
    home.mkdir(exist_ok=True)
    target = home / f"{name}-f{FORMAT}"
    if target.is_dir():
        return target
    temp = Path(tempfile.mkdtemp(prefix=".making-", dir=home))
    temp.chmod(0o755)  # nginx may serve it as another user
    try:
        make(temp)
        temp.rename(target)
    except OSError:
        if not target.is_dir():  # else somebody else was quicker, with the same bytes
            raise
    finally:
        shutil.rmtree(temp, ignore_errors=True)
    return target
