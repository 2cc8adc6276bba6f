"""StepHost: what a parse step may ask of the outside. All that a first stage may, but for more parsing."""

from __future__ import annotations

from mpsync.errors import PluginError
from mpsync.pipeline.first_stage import Host, Parsed, ParseTask, TopFile


class StepHost:
    """Hands on to the first stage's host."""

    def __init__(self, host: Host, step: str) -> None:
        self._host, self._step = host, step

    async def parse(self, task: ParseTask) -> Parsed:
        # It would wait for a free parser, and hold one itself: with one parser, for ever.
        raise PluginError(f"{self._step}: a parse step can't have something parsed; its first stage can ({task.path})")

    async def top_file(self, path: str) -> TopFile | None:
        return await self._host.top_file(path)

    def skip(self, what: str, why: str) -> None:
        self._host.skip(what, why)

    def note(self, name: str, text: str) -> None:
        self._host.note(name, text)

    def progress(self, name: str, by: int, total: int | None) -> None:
        self._host.progress(name, by, total)
