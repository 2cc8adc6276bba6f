"""A columnar batch: what passes between stages.

A batch holds rows as parallel lists and the raw records as one run of bytes, so that a stage that works on columns never
touches a row. ``items()`` and ``batches()`` make views (DeclarativeContent.view) of the rows; ``Batch.pack`` turns items
back into a batch: rows nobody touched go back as they came, touched ones are read from their objects. There is no other way
through the pipeline.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mpsync.errors import PluginError
from mpsync.model.content import Artifact, Content, Reference
from mpsync.model.digests import Fetched
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.raw import RawRun, Segment, pack_records, pack_run
from mpsync.pipeline.slots import Slots

_LISTS = ("kinds", "keys", "names", "versions", "archs", "listings", "starts", "lengths", "ids")


class Batch:
    """Rows of content in columns.

    kinds, names, versions, archs, listings   text, one per row
    keys      32 bytes per row (model/content.py)
    raw       the run that all raw records lie in; starts, lengths say where
    ids       content id in the database; 0 = not known yet; below 0, until the core has the row: see known_rows()
    slots     the rows' artifacts
    items     {row: item} for rows that were declared as items or viewed as such; identity is kept, for waiters
    refers    {row: the units that it speaks of, by kind, name, version and architecture}; few rows have any
    remote    what DeclarativeArtifacts made from a row download with; set in the core only
    saved_now ids of the units that this run saved itself: nobody else can have written of them yet
    """

    __slots__ = (*_LISTS, "__weakref__", "items", "raw", "refers", "remote", "saved_now", "slots")

    kinds: list[str]
    keys: list[bytes]
    names: list[str]
    versions: list[str]
    archs: list[str]
    listings: list[str]
    starts: list[int]
    lengths: list[int]
    ids: list[int]

    def __init__(self, raw: bytes | RawRun = b"", slots: Slots | None = None, remote: Any = None) -> None:
        for column in _LISTS:
            setattr(self, column, [])
        self.raw = raw if isinstance(raw, RawRun) else RawRun.plain(raw)
        self.remote = remote
        self.slots = Slots() if slots is None else slots
        self.items: dict[int, DeclarativeContent] = {}
        self.refers: dict[int, Sequence[Reference]] = {}
        self.saved_now: set[int] = set()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def does_batch(self) -> bool:
        return all(item.does_batch for item in self.items.values())

    @property
    def size_bytes(self) -> int:
        """Bytes of raw records, uncompressed."""
        return sum(self.lengths)

    def raw_at(self, row: int) -> bytes:
        return self.raw.read(self.starts[row], self.lengths[row])

    def pack_raw(self) -> None:
        """Compress the raw records into frames; what isn't of any row is dropped, but for a little between two rows."""
        if all(segment.is_packed for segment in self.raw.segments):
            return
        if len(self.raw.segments) == 1:  # as parsers leave it
            packed = pack_run(self.raw.segments[0].data, self.starts, self.lengths)
            if packed is not None:
                self.raw, self.starts = RawRun(packed[0]), packed[1]
                return
        frames, sizes, places = pack_records([self.raw_at(row) for row in range(len(self))])
        segments, at = [], 0
        for frame, size in zip(frames, sizes, strict=True):
            segments.append(Segment(at, size, frame, True))
            at += size
        self.raw = RawRun(segments)
        self.starts = [segments[frame].start + offset for frame, offset in places]

    def describe(self, row: int) -> str:
        parts = (self.kinds[row], self.names[row], self.versions[row], self.archs[row])
        return " ".join(part for part in parts if part)

    # --- rows as items ---------------------------------------------------------------------------------------

    def item(self, row: int) -> DeclarativeContent:
        """The row's item: the declared one, or one view of the row, always the same."""
        found = self.items.get(row)
        if found is None:
            found = self.items[row] = DeclarativeContent.view(self, row)
        return found

    def all_items(self) -> list[DeclarativeContent]:
        return [self.item(row) for row in range(len(self))]

    def content_at(self, row: int) -> Content:
        content = Content.restore(
            self.kinds[row],
            self.keys[row],
            self.raw_at(row),
            self.names[row],
            self.versions[row],
            self.archs[row],
            self.ids[row] or None,
        )
        content.refers = self.refers.get(row, ())
        for slot in self.slots.of(row):
            fetched = self.slots.fetched[slot]
            if fetched is not None:
                content.local_paths[self.slots.path[slot]] = fetched.path
        return content

    def d_artifacts_at(self, row: int) -> list[DeclarativeArtifact]:
        slots = self.slots
        made = []
        for slot in slots.of(row):
            digests = dict(slots.digests[slot] or {})
            sha256, fetched = slots.sha256[slot], slots.fetched[slot]
            if sha256 is not None:
                digests["sha256"] = sha256.hex()
            artifact = Artifact(
                size=slots.size[slot] if slots.size[slot] >= 0 else None,
                digests=digests,
                file=fetched.path if fetched else None,
                pk=slots.ids[slot] or None,
            )
            made.append(
                DeclarativeArtifact(
                    artifact,
                    urls=list(slots.urls[slot] or (slots.path[slot],)),
                    relative_path=slots.path[slot],
                    remote=self.remote or UPSTREAM,
                    deferred_download=slots.deferred[slot],
                )
            )
        return made

    # --- what stages find out, written through to items that somebody holds --------------------------------------

    def set_id(self, row: int, content_id: int) -> None:
        self.ids[row] = content_id
        item = self.items.get(row)
        if item is not None and item.is_touched and item.content is not None:
            item.content.pk = content_id

    def keys_without_id(self) -> list[bytes]:
        if not any(self.ids):
            return self.keys
        return [key for key, content_id in zip(self.keys, self.ids, strict=True) if not content_id]

    def set_ids(self, ids: Mapping[int, int]) -> None:
        """{row: content id}."""
        for row, content_id in ids.items():
            self.ids[row] = content_id
        for row in self.items.keys() & ids.keys():
            self.set_id(row, ids[row])

    def set_artifact(self, slot: int, artifact_id: int) -> None:
        self.slots.ids[slot] = artifact_id
        for d_artifact in self._held(slot):
            d_artifact.artifact.pk = artifact_id

    def set_fetched(self, slot: int, fetched: Fetched) -> None:
        """A download ended: sha256 and size are known now."""
        slots = self.slots
        slots.fetched[slot] = fetched
        slots.sha256[slot] = bytes.fromhex(fetched.sha256)
        slots.size[slot] = fetched.size_bytes
        for d_artifact in self._held(slot):
            d_artifact.artifact = Artifact(size=fetched.size_bytes, digests=dict(fetched.digests), file=fetched.path)

    def _held(self, slot: int) -> Iterable[DeclarativeArtifact]:
        item = self.items.get(self.slots.owner[slot]) if self.items else None
        if item is not None and item.is_touched:
            yield item.d_artifacts[slot - self.slots.of(item._row).start]

    # --- cutting and joining --------------------------------------------------------------------------------------

    def take(self, rows: list[int]) -> Batch:
        """A batch of ``rows`` in that order, sharing the raw run; items move along."""
        taken = Batch(self.raw, self.slots.take(rows), self.remote)
        taken.saved_now = self.saved_now
        for column in _LISTS:
            source = getattr(self, column)
            setattr(taken, column, [source[row] for row in rows])
        if self.items or self.refers:
            for at, row in enumerate(rows):
                if row in self.items:
                    taken._own(at, self.items[row])
                if row in self.refers:
                    taken.refers[at] = self.refers[row]
        return taken

    def _own(self, row: int, item: DeclarativeContent) -> None:
        self.items[row] = item
        item._batch, item._row = self, row

    @classmethod
    def concat(cls, batches: Sequence[Batch]) -> Batch:
        """One batch of all rows, in order. One batch comes back as it is."""
        if len(batches) == 1:
            return batches[0]
        whole = Batch(remote=next((batch.remote for batch in batches if batch.remote), None))
        segments: list[Segment] = []
        at = 0
        for batch in batches:
            shift = len(whole)
            whole.slots.extend(batch.slots, shift)
            whole.saved_now |= batch.saved_now
            for column in _LISTS:
                if column != "starts":
                    getattr(whole, column).extend(getattr(batch, column))
            whole.refers.update((shift + row, found) for row, found in batch.refers.items())
            for row, item in batch.items.items():
                whole._own(shift + row, item)
            run, starts = batch.raw, batch.starts
            if batch.size_bytes * 2 < run.size:  # a few rows of a long run: don't carry the rest
                run, starts = batch._compacted()
            segments.extend(run.shifted(at))
            whole.starts.extend([at + start for start in starts])
            at += run.size
        whole.raw = RawRun(segments)
        return whole

    def _compacted(self) -> tuple[RawRun, list[int]]:
        """A plain run of the rows' records only, and where they start in it."""
        starts, at = [], 0
        for length in self.lengths:
            starts.append(at)
            at += length
        return RawRun.plain(b"".join(map(self.raw_at, range(len(self))))), starts

    @classmethod
    def of(cls, items: Iterable[DeclarativeContent]) -> Batch:
        """Columns read from items that are objects: new ones, and touched views."""
        made = Batch()
        runs: list[bytes] = []
        at = 0
        for row, item in enumerate(items):
            content = item.content
            if content is None:
                raise PluginError(f"{item}: a dropped item must not be put")
            made.kinds.append(content.kind)
            made.keys.append(content.key)
            made.names.append(content.name)
            made.versions.append(content.version)
            made.archs.append(content.arch)
            made.listings.append(item.listing)
            made.starts.append(at)
            made.lengths.append(len(content.raw))
            made.ids.append(content.pk or 0)
            runs.append(content.raw)
            at += len(content.raw)
            if content.refers:
                made.refers[row] = content.refers
            for d_artifact in item.d_artifacts:
                _add_slot(made.slots, row, d_artifact)
                if made.remote is None and d_artifact.remote is not UPSTREAM:
                    made.remote = d_artifact.remote
            made._own(row, item)
        made.raw = RawRun.plain(b"".join(runs))
        return made

    @classmethod
    def pack(cls, items: Sequence[DeclarativeContent]) -> Batch:
        """Items, in order, back into one batch; whole untouched batches come back as the same object."""
        runs: list[Batch] = []
        at = 0
        while at < len(items):
            end = at + 1
            source = _source(items[at])
            while end < len(items) and _source(items[end]) is source:
                end += 1
            run = items[at:end]
            if source is None:
                runs.append(cls.of(run))
            else:
                rows = [item._row for item in run]
                runs.append(source if rows == list(range(len(source))) else source.take(rows))
            at = end
        return cls.concat(runs) if runs else cls()

    @classmethod
    def join(cls, elements: Sequence[Batch | DeclarativeContent]) -> Batch:
        """What stages put, batches and items in any mix, as one batch, in order; one batch alone comes back as it is."""
        parts: list[Batch] = []
        loose: list[DeclarativeContent] = []
        for element in elements:
            if isinstance(element, Batch):
                if loose:
                    parts.append(cls.pack(loose))
                    loose = []
                parts.append(element)
            else:
                loose.append(element)
        if loose:
            parts.append(cls.pack(loose))
        return cls.concat(parts)


def _source(item: DeclarativeContent) -> Batch | None:
    return None if item.is_touched else item._batch


def _add_slot(slots: Slots, row: int, d_artifact: DeclarativeArtifact) -> None:
    artifact = d_artifact.artifact
    digests = {name: value for name, value in artifact.digests.items() if name != "sha256"}
    urls = tuple(d_artifact.urls)
    fetched = None
    if artifact.file is not None and artifact.pk is None:
        if artifact.size is None or artifact.sha256 is None:
            raise PluginError(f"{d_artifact.relative_path}: an artifact with a file needs its size and sha256")
        fetched = Fetched(artifact.file, artifact.size, dict(artifact.digests), d_artifact.url)
    slots.add(
        row,
        d_artifact.relative_path,
        bytes.fromhex(artifact.sha256) if artifact.sha256 else None,
        -1 if artifact.size is None else artifact.size,
        None if urls == (d_artifact.relative_path,) else urls,
        digests or None,
        d_artifact.deferred_download,
        artifact.pk or 0,
        fetched,
    )
