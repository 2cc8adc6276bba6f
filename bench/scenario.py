"""What a scenario is, how it is found, and what it is given.

Adding one is one file: ``bench/scenarios/<name>.py`` with ``SCENARIO = Scenario(...)`` in it.
"""

from __future__ import annotations

import pkgutil
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.results import Case, Result
from bench.upstreams.cache import out_dir

SMOKE_PACKAGES = 300
FULL_PACKAGES = 63_440
"""As many as Debian 12 main/amd64 has."""


@dataclass(frozen=True, slots=True)
class Options:
    """From the command line; a scenario uses what applies to it.

    workers   children; None: as mpsync does without --workers
    scale     multiples of the basic number of packages
    upstream  a real mirror's folder instead of a generated repository
    pulp      address of a Pulp server that may be used as a peer; pulp_cleanup: and whose orphans may all be deleted
    quick     tiny, once: shows that it works, its figures mean nothing
    """

    scale: tuple[int, ...] = (1,)
    workers: tuple[int | None, ...] = (None,)
    loop: tuple[str, ...] = ("uvloop",)
    repeat: int = 5
    policy: str = "on_demand"
    upstream: Path | None = None
    suite: str = "bookworm"
    component: str = "main"
    arch: str = "amd64"
    packages: int | None = None
    seed: int = 1
    profile: bool = False
    cold_cache: bool = False
    quick: bool = False
    pulp: str | None = None
    pulp_cleanup: bool = False

    def count(self, full: int = FULL_PACKAGES) -> int:
        """Packages at scale 1."""
        return self.packages or (SMOKE_PACKAGES if self.quick else full)

    def as_json(self) -> dict[str, Any]:
        given = {**asdict(self), "upstream": str(self.upstream) if self.upstream else None}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in given.items()}


class Context:
    """One run of a scenario: its options, a place to work in, and the result it fills."""

    def __init__(self, options: Options, result: Result, work: Path) -> None:
        self.options, self.result, self.work = options, result, work

    def case(self, name: str, unit: str, *, is_better: str = "lower", **params: Any) -> Case:
        """The case of this name and these parameters, made when new."""
        made = Case(name, params, unit, is_better=is_better)
        for case in self.result.cases:
            if case.key == made.key:
                return case
        self.result.cases.append(made)
        return made

    def cache_params(self) -> dict[str, str]:
        """A case's parameter that tells cold page cache from warm: figures of the two are never compared."""
        return {"cache": "cold"} if self.options.cold_cache else {}

    def say(self, text: str) -> None:
        print(f"  {text}", file=sys.stderr, flush=True)

    def note(self, text: str) -> None:
        """Something that a reader of the result must know."""
        if text not in self.result.notes:
            self.result.notes.append(text)
            self.say(f"note: {text}")

    def profile_path(self, name: str) -> Path:
        folder = out_dir() / "profiles"
        folder.mkdir(exist_ok=True)
        return folder / f"{self.result.scenario}-{name.replace(' ', '-')}.svg"

    @contextmanager
    def folder(self, prefix: str) -> Iterator[Path]:
        """A folder for one repetition. It goes with the scenario: to delete 20,000 files now would slow the next run."""
        yield Path(tempfile.mkdtemp(prefix=f"{prefix}-", dir=self.work))


@dataclass(frozen=True, slots=True)
class Scenario:
    """question: what its figures answer; reading: how to read them."""

    name: str
    question: str
    reading: str
    run: Callable[[Context], None]


def discover() -> dict[str, Scenario]:
    """{name: scenario} of all files in bench/scenarios."""
    import bench.scenarios

    found = {}
    for module in pkgutil.iter_modules(bench.scenarios.__path__):
        scenario: Scenario = import_module(f"bench.scenarios.{module.name}").SCENARIO
        found[scenario.name] = scenario
    return dict(sorted(found.items()))


def run(scenario: Scenario, options: Options) -> Result:
    """Run a scenario and return its result; nothing is saved."""
    result = Result(scenario.name, scenario.question, options.as_json())
    work = Path(tempfile.mkdtemp(prefix="work-", dir=out_dir()))
    try:
        scenario.run(Context(options, result, work))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    result.cases = [case for case in result.cases if case.values]
    return result
