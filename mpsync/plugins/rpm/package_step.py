"""The parse step of primary.xml, filelists.xml and other.xml, whole or a byte range of the text, to batches.

Context   role; name, where: upstream's name and words for errors; open_bytes, open_digests, max_bytes: what repomd.xml
          promised of the text; folder: of the repository, "" or with a trailing slash; accepted: checksum algorithms;
          strict, deferred; archs: those wanted, [] for all; sources: whether source packages are wanted;
          retain: newest N by name and architecture, 0 for all; modular: NEVRAs exempt from that
Result    packages: elements read; expected: what the root said; rows: units made; issues; fingerprint: a sum over the
          units' pkgid and NEVRA, the same for each of the three files when they speak of the same packages
"""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, TypeAlias

from mpsync.plugin.declare import Batch, Expected, MetadataError, ParseStage, ParseTask, Slots
from mpsync.plugin.decompress import Digesting, open_chunks
from mpsync.plugin.one_path import OnePath
from mpsync.plugins.rpm import cut, kinds, packages, retention
from mpsync.plugins.rpm.document import FILELISTS, OTHER, PRIMARY
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.parse_files import FileRecords
from mpsync.plugins.rpm.parse_primary import Primary

KINDS = {"primary": kinds.PACKAGE, "filelists": kinds.FILELISTS, "other": kinds.OTHER}
DOCUMENTS = {"primary": PRIMARY, "filelists": FILELISTS, "other": OTHER}
FINGERPRINT_BYTES = 16

Block: TypeAlias = Primary | FileRecords
Reader: TypeAlias = packages.PackageFile[Primary] | packages.PackageFile[FileRecords]


class PackageFile(ParseStage):
    """Rows in file order; a package that is refused ends the sync, unless it was told to skip."""

    can_cut: ClassVar[bool] = True

    def __init__(self, task: ParseTask) -> None:
        super().__init__(task)
        self._known: Mapping[bytes, int] = {}
        self._vouched: Block | None = None
        self._keys: list[bytes] = []

    async def blocks(self) -> AsyncGenerator[Batch, None]:
        context = self.task.context
        tally = Issues()
        fingerprint = rows = 0
        if context["deferred"] or context["role"] != "primary":  # files to be downloaded now are looked at again
            self._known = await asyncio.to_thread(self.known_keys)
        newest = await self._newest() if context["retain"] else None
        reader = self._reader()
        paths = OnePath(self.host, context["where"])
        for block in self._read(reader):
            block.issues.check(context["where"], strict=context["strict"])
            tally.merge(block.issues)
            self._narrow(block)
            nevras = nevras_of(block)
            if newest is not None:
                wanted = [row for row, nevra in enumerate(nevras) if nevra in newest]
                block.keep(wanted)
                nevras = [nevras[row] for row in wanted]
            if len(block):
                fingerprint += fingerprint_of(block.pkgids, nevras)
                rows += len(block)
                batch = self._known_batch(block) if self._vouched is block else self._to_batch(block)
                paths.check(batch.slots)
                yield batch
            await asyncio.sleep(0)  # the child's loop also has messages to read
        paths.finish()
        self.result = {
            "packages": reader.packages,
            "expected": reader.expected,
            "rows": rows,
            "issues": tally.plain(),
            "fingerprint": fingerprint % (1 << 8 * FINGERPRINT_BYTES),
        }
        self.result["fingerprint"] = f"{self.result['fingerprint']:x}"  # JSON numbers end at 64 bits

    async def _newest(self) -> frozenset[str]:
        """NEVRAs to be kept: read once, only for them, before anything is declared or downloaded."""
        context = self.task.context
        chosen = retention.Newest(context["retain"], frozenset(context["modular"]))
        for block in self._read(self._reader()):
            self._narrow(block)
            chosen.add(block)
            await asyncio.sleep(0)
        return chosen.nevras()

    def _reader(self) -> Reader:
        make: dict[str, Callable[..., Reader]]
        make = {"primary": packages.primary, "filelists": packages.filelists, "other": packages.other}
        context = self.task.context
        return make[context["role"]](context["where"], frozenset(context["accepted"]), self._is_known)

    def _is_known(self, block: Block) -> bool:
        """Whether the core has every record of it."""
        if not self._known:
            return False
        self._keys = keys_of(
            KINDS[self.task.context["role"]], self.task.context["folder"], block.raw, block.starts, block.lengths
        )
        self._vouched = block if self._known.keys() >= set(self._keys) else None
        return self._vouched is not None

    def _read(self, reader: Reader) -> Iterator[Block]:
        task = self.task
        if task.start is not None and task.end is not None:
            yield from reader.read_range(task.path, task.start, task.end)
        else:
            yield from reader.read(checked_text(task))

    def _narrow(self, block: Block) -> None:
        """Leave out the architectures that nobody asked for."""
        archs, sources = frozenset(self.task.context["archs"]), self.task.context["sources"]
        if not archs and sources:
            return
        found = set(block.archs)
        wanted = {arch for arch in found if (not archs or arch in archs) and (sources or not kinds.is_source(arch))}
        if wanted != found:
            block.keep([row for row, arch in enumerate(block.archs) if arch in wanted])

    def _to_batch(self, block: Block) -> Batch:
        context = self.task.context
        kind = KINDS[context["role"]]
        batch = Batch(block.raw)
        rows = len(block)
        batch.kinds, batch.listings = [kind] * rows, [self.task.listing] * rows
        batch.names, batch.archs = block.names, block.archs
        batch.versions = list(map(kinds.evr_text, block.epochs, block.versions, block.releases))
        batch.starts, batch.lengths, batch.ids = block.starts, block.lengths, [0] * rows
        batch.keys = keys_of(kind, self.task.context["folder"], block.raw, block.starts, block.lengths)
        if isinstance(block, Primary):
            batch.slots = _slots(block, context["folder"], context["deferred"])
        return batch

    def _known_batch(self, block: Block) -> Batch:
        """Rows that the core has."""
        kind, rows = KINDS[self.task.context["role"]], len(block)
        if rows != len(self._keys):  # narrowed since
            self._keys = keys_of(kind, self.task.context["folder"], block.raw, block.starts, block.lengths)
        return self.known_rows(kind, self._keys, self._known)

    @classmethod
    def decompress(cls, task: ParseTask, into: Path) -> None:
        with into.open("wb") as file:
            for chunk in checked_text(task):
                file.write(chunk)

    @classmethod
    def cut(cls, task: ParseTask, text: Path, parts: int) -> list[tuple[int, int]]:
        if not text.stat().st_size:
            raise MetadataError(task.context["where"], "is empty", "an XML document")
        with text.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            document = DOCUMENTS[task.context["role"]]
            return list(pairwise(cut.cut_points(view, document, task.context["where"], parts)))


def checked_text(task: ParseTask) -> Iterator[bytes]:
    """Chunks of the uncompressed text, never more than promised; its size and digest are checked at the end."""
    context = task.context
    chunks = open_chunks(
        task.path, max_bytes=context["max_bytes"], chunk_bytes=packages.READ_BYTES, name=context["name"]
    )
    if not context["open_digests"] and context["open_bytes"] is None:
        yield from chunks
        return
    text = Digesting(chunks, tuple(context["open_digests"]))
    yield from text
    text.check(Expected(context["open_bytes"], context["open_digests"]), context["where"])


def nevras_of(block: Block) -> list[str]:
    return list(map(kinds.package_key, block.names, block.epochs, block.versions, block.releases, block.archs))


def fingerprint_of(pkgids: Sequence[bytes], nevras: Sequence[str]) -> int:
    """Of a set of packages, whatever their order: a sum of digests, to be compared modulo 2**128."""
    return sum(
        int.from_bytes(sha256(pkgid + nevra.encode()).digest()[:FINGERPRINT_BYTES])
        for pkgid, nevra in zip(pkgids, nevras, strict=True)
    )


def keys_of(kind: str, folder: str, raw: bytes, starts: Iterable[int], lengths: Iterable[int]) -> list[bytes]:
    """content_key() of every record of a run, without copying the records.

    A package of a sub-repository is a unit of its own, though its record may be that of a package of the root: its file
    lies below ``folder``, and stays there when the root's goes.
    """
    begun = sha256((f"{kind} {folder}" if folder else kind).encode() + b"\0")
    view = memoryview(raw)
    keys = []
    for start, length in zip(starts, lengths, strict=True):
        running = begun.copy()
        running.update(view[start : start + length])
        keys.append(running.digest())
    return keys


def _slots(block: Primary, folder: str, deferred: bool) -> Slots:
    rows = len(block)
    paths = [folder + path for path in block.paths] if folder else block.paths
    urls: list[tuple[str, ...] | None] = [None] * rows
    for row, base in block.bases.items():
        urls[row] = (f"{base.rstrip('/')}/{block.paths[row]}",)
    is_sha256 = [kind == "sha256" for kind in block.checksum_types]
    plain = all(is_sha256)
    return Slots(
        owner=list(range(rows)),
        path=paths,
        sha256=list(block.pkgids)
        if plain
        else [pkgid if proven else None for pkgid, proven in zip(block.pkgids, is_sha256, strict=True)],
        size=block.sizes,
        urls=urls,
        digests=[None] * rows
        if plain
        else [
            None if proven else {kind: pkgid.hex()}
            for pkgid, kind, proven in zip(block.pkgids, block.checksum_types, is_sha256, strict=True)
        ],
        deferred=[deferred] * rows,
        ids=[0] * rows,
        fetched=[None] * rows,
    )
