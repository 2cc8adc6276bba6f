"""Units that the core has, as a parse step names them: by their places in the file of keys that it was given.

Flow    NewVersion.known_keys() writes keys and keeps ids -> ParseStage.known_rows() -> a batch with places -> put_in() -> ids
Why     a key that is looked up costs PostgreSQL and the core 6 µs, a place nothing (docs/decisions/0014)
"""

from __future__ import annotations

from array import array

from mpsync.bridge.errors import BadFrame
from mpsync.pipeline.batch import Batch


class KnownIds:
    """{listing: content ids, in the order of the keys}. A place leads to a unit of its own listing, or to an error."""

    def __init__(self) -> None:
        self._ids: dict[str, array[int]] = {}

    def keep(self, listing: str, ids: array[int]) -> None:
        self._ids[listing] = ids

    def put_in(self, batch: Batch) -> None:
        """Ids for places: in ``batch.ids`` a place is -1, -2, …"""
        if min(batch.ids, default=0) >= 0:
            return
        known = {name: self._ids.get(name, array("q")) for name in set(batch.listings)}
        pairs = zip(batch.ids, batch.listings, strict=True)
        try:
            batch.ids = [known[name][-1 - place] if place < 0 else place for place, name in pairs]
        except IndexError:
            held = ", ".join(f"{len(ids)} of {name!r:.80}" for name, ids in known.items())
            raise BadFrame(f"place {-min(batch.ids)} among known keys: {held}") from None
