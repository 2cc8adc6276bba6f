"""One path, one file: an index that lists a path with two digests is reported (A8), and which of them upstream has, a
download says."""

from __future__ import annotations

from mpsync.pipeline.first_stage import Host
from mpsync.pipeline.slots import Slots

EXAMPLES = 5


class OnePath:
    """Fed with the artifacts of one index, batch by batch. Memory: about 130 bytes an artifact.

    Notes the first few conflicts to ``host``; ``finish`` says how many more there were.
    """

    def __init__(self, host: Host, where: str) -> None:
        self._host, self._where = host, where
        self._seen: dict[int, int] = {}
        self.conflicts = 0

    def check(self, slots: Slots) -> None:
        claim = self._seen.setdefault
        for slot, (path, sha256) in enumerate(zip(slots.path, slots.sha256, strict=True)):
            if sha256 is not None:
                found = hash(sha256)
                if claim(hash(path), found) != found:
                    self._note(slots.path[slot], sha256)

    def _note(self, path: str, sha256: bytes) -> None:
        self.conflicts += 1
        if self.conflicts <= EXAMPLES:
            self._host.note(
                self._where,
                f"{self._where}: {path} is listed with different files; the later one has sha256 {sha256.hex()}",
            )

    def finish(self) -> None:
        if self.conflicts > EXAMPLES:
            self._host.note(self._where, f"{self._where}: {self.conflicts - EXAMPLES} more paths with different files")
