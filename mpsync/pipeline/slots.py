"""The artifact columns of a batch: one slot per artifact, ``owner`` saying whose it is."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from itertools import chain

from mpsync.model.digests import Fetched


@dataclass(slots=True)
class Slots:
    """Parallel lists, one entry per artifact, ascending by ``owner``.

    owner     row of the batch
    path      where the file is published, relative
    sha256    32 bytes, or None when unknown before the download
    size      bytes, or -1 when unknown
    urls      where to get it; None = ``path`` below the remote's base URL, the usual case
    digests   promised digests other than sha256 as {algorithm: hex}, or None
    deferred  True: on demand, not now
    ids       artifact id in the database; 0 = not saved, or not known
    fetched   what a download left, until it is saved
    """

    owner: list[int] = field(default_factory=list)
    path: list[str] = field(default_factory=list)
    sha256: list[bytes | None] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    urls: list[tuple[str, ...] | None] = field(default_factory=list)
    digests: list[dict[str, str] | None] = field(default_factory=list)
    deferred: list[bool] = field(default_factory=list)
    ids: list[int] = field(default_factory=list)
    fetched: list[Fetched | None] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.owner)

    def add(
        self,
        owner: int,
        path: str,
        sha256: bytes | None,
        size: int,
        urls: tuple[str, ...] | None,
        digests: dict[str, str] | None,
        deferred: bool,
        artifact_id: int = 0,
        fetched: Fetched | None = None,
    ) -> None:
        self.owner.append(owner)
        self.path.append(path)
        self.sha256.append(sha256)
        self.size.append(size)
        self.urls.append(urls)
        self.digests.append(digests)
        self.deferred.append(deferred)
        self.ids.append(artifact_id)
        self.fetched.append(fetched)

    def missing(self) -> list[int]:
        """Slots that must be downloaded now: not deferred, not saved, not fetched."""
        if all(self.deferred):  # the on-demand case: no per-slot work at C speed
            return []
        return [
            i
            for i, deferred in enumerate(self.deferred)
            if not deferred and not self.ids[i] and self.fetched[i] is None
        ]

    def of(self, row: int) -> range:
        """The slots of one row."""
        return range(bisect_left(self.owner, row), bisect_right(self.owner, row))

    def of_all(self, rows: Sequence[int]) -> tuple[Sequence[int], Sequence[int]]:
        """Slots of ``rows``, in their order, and which of its row's each one is."""
        if self.owner == list(range(len(self.owner))):  # one each, the usual case
            own = [row for row in rows if row < len(self.owner)]
            return own, [0] * len(own)
        slots = list(map(self.of, rows))
        return list(chain.from_iterable(slots)), [at for own in slots for at in range(len(own))]

    def take(self, rows: list[int]) -> Slots:
        """The slots of ``rows``, owners renumbered to positions in ``rows``."""
        kept = [(at, slot) for at, row in enumerate(rows) for slot in self.of(row)]
        order = [slot for _, slot in kept]
        taken = Slots(owner=[at for at, _ in kept])
        for column in COLUMNS[1:]:
            source = getattr(self, column)
            setattr(taken, column, [source[slot] for slot in order])
        return taken

    def extend(self, other: Slots, shift: int) -> None:
        """Append ``other``, its owners moved by ``shift`` rows."""
        self.owner.extend([owner + shift for owner in other.owner])
        for column in COLUMNS[1:]:
            getattr(self, column).extend(getattr(other, column))


COLUMNS = tuple(column.name for column in fields(Slots))
