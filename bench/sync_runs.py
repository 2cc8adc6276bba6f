"""Whole ``mpsync sync`` commands, as a user runs them, measured.

Flow    an upstream's generations behind one address -> command -> value and details of one repetition
"""

from __future__ import annotations

import compileall
import json
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import bench
import mpsync
from bench import database, page_cache
from bench.measure import Measured, run_command
from bench.results import Case
from bench.scenario import Context
from bench.upstreams.serve import serving

AUTO = "auto"


@dataclass(slots=True)
class Upstream:
    """Generations of one repository behind one address; ``show`` switches between them.

    generations  folders, first one first
    words        the plugin's own options, as on the command line
    """

    plugin: str
    words: tuple[str, ...]
    generations: tuple[Path, ...]
    index: Path
    packages: int
    url: str = ""
    shown: Path = field(default=Path())
    _link: Path = field(default=Path())

    @contextmanager
    def served(self, work: Path) -> Iterator[Upstream]:
        self._link = work / "www"
        self.show(0)
        with serving(self._link) as server:
            self.url = server.url
            yield self
        self._link.unlink()

    def show(self, generation: int) -> None:
        """From now on the address gives this generation."""
        self.shown = self.generations[generation]
        temp = self._link.with_suffix(".new")
        temp.symlink_to(self.generations[generation].absolute())
        temp.rename(self._link)


@dataclass(frozen=True, slots=True)
class Variant:
    """How to run it. workers: None = what mpsync does without being told."""

    workers: int | None = None
    loop: str = "uvloop"
    policy: str = "on_demand"

    def words(self) -> tuple[str, ...]:
        workers = () if self.workers is None else ("--workers", str(self.workers))
        return *workers, "--loop", self.loop, "--policy", self.policy

    def params(self, **others: Any) -> dict[str, Any]:
        """A case's parameters, with ``others``."""
        return {"workers": AUTO if self.workers is None else self.workers, "loop": self.loop, **others}


def command(
    upstream: Upstream, data_dir: Path, variant: Variant, extra: Sequence[str] = (), *, module: str = "mpsync"
) -> list[str]:
    """The command line. ``module``: mpsync, or a module of the bench that stands for it."""
    sync = [sys.executable, "-m", module, "sync", upstream.plugin, upstream.url, *upstream.words]
    return [*sync, "--name", "bench", "--data-dir", str(data_dir), "--json", "--quiet", *variant.words(), *extra]


def sync(
    context: Context, upstream: Upstream, data_dir: Path, variant: Variant, *, extra: Sequence[str] = ()
) -> tuple[Measured, dict[str, Any]]:
    """Run one sync; returns what it cost and its own summary. Raises CommandFailed."""
    if context.options.cold_cache:
        page_cache.drop(upstream.shown)
    else:
        page_cache.warm(upstream.shown)
    page_cache.settle()
    line = command(upstream, data_dir, variant, extra, module="bench.lag_histogram")
    measured = run_command(line, data_dir=data_dir, env=_with_bytecode())
    return measured, json.loads(measured.stdout)


@cache
def _with_bytecode() -> dict[str, str]:
    """mpsync's modules compiled, as pip leaves them: a checkout, or an environment that forbids it, compiles them each time."""
    for package in (mpsync, bench):
        compileall.compile_dir(Path(str(package.__file__)).parent, quiet=2)
    return {"PYTHONDONTWRITEBYTECODE": ""}


def repetition(
    context: Context, case: Case, upstream: Upstream, data_dir: Path, variant: Variant, *, extra: Sequence[str] = ()
) -> dict[str, Any]:
    """Run one sync and add it to ``case``, in seconds of the whole command. Returns the command's summary."""
    before = database.written(data_dir) if data_dir.exists() else database.empty()
    measured, summary = sync(context, upstream, data_dir, variant, extra=extra)
    after = database.written(data_dir)
    case.values.append(measured.wall_s)
    kept = ("content", "downloaded", "requests", "seconds", "stages", "loop_lag_ms", "peak_pss_bytes", "changed")
    wrote = after.since(before)
    case.details.append(
        {**measured.as_json(), "database": wrote, "summary": {name: summary.get(name) for name in kept}}
    )
    return summary


@dataclass(frozen=True, slots=True)
class Run:
    """Repetitions of one variant: each ``sync`` goes into the cases of its name, seconds and (of cold ones) peak memory."""

    context: Context
    upstream: Upstream
    variant: Variant
    params: Mapping[str, Any]

    def sync(self, name: str, data_dir: Path, *extra: str) -> dict[str, Any]:
        """Run one sync; returns the command's summary."""
        params = {**self.params, **self.context.cache_params()}
        seconds = self.context.case(name, "s", **params)
        summary = repetition(self.context, seconds, self.upstream, data_dir, self.variant, extra=extra)
        peak_bytes = seconds.details[-1]["peak_pss_bytes"]
        if name.startswith("cold") and peak_bytes:
            self.context.case(f"memory {name}", "MB", **params).values.append(peak_bytes / 1e6)
        return summary


def profile(
    context: Context, name: str, upstream: Upstream, data_dir: Path, variant: Variant, *, extra: Sequence[str] = ()
) -> None:
    """Run one more sync under py-spy, with its children; writes a flame graph and says where."""
    program = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if program is None:
        context.note("no profile: py-spy is not installed (pip install py-spy)")
        return
    path = context.profile_path(name)
    spied = [program, "record", "--subprocesses", "--rate", "500", "--output", str(path), "--"]
    run = run_command([*spied, *command(upstream, data_dir, variant, extra)], data_dir=data_dir, check=False)
    if run.exit_code or not path.exists():
        context.note(f"no profile of {name}: py-spy said {run.stderr.strip()[-300:]!r}")
    else:
        context.say(f"flame graph: {path}")
