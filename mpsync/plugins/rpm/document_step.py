"""The parse step of updateinfo.xml, comps.xml and modules.yaml: small files, read whole, one unit a record.

Context   as package_step.py's; allow_conflict: of two advisories that no rule reconciles, the later one wins
Result    issues; modular: NEVRAs that modules claim
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mpsync.plugin.declare import Batch, MetadataError, ParseStage, Reference, content_key
from mpsync.plugins.rpm import issues, kinds
from mpsync.plugins.rpm.comps import parse_comps
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.merge import merge_advisories
from mpsync.plugins.rpm.modules import parse_modules
from mpsync.plugins.rpm.package_step import checked_text
from mpsync.plugins.rpm.updateinfo import Advisory, parse_updateinfo

BATCH_BYTES = 1 << 20
MAX_MODULES_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Record:
    """A unit of a small file, as columns want it."""

    kind: str
    name: str
    version: str
    arch: str
    raw: bytes
    refers: Sequence[Reference] = ()


class SmallFile(ParseStage):
    """One of the files that are no packages."""

    async def blocks(self) -> AsyncGenerator[Batch, None]:
        tally = Issues()
        read = {"updateinfo": self._advisories, "group": self._comps, "modules": self._modules}
        held: list[Record] = []
        size = 0
        for record in read[self.task.context["role"]](tally):
            held.append(record)
            size += len(record.raw)
            if size >= BATCH_BYTES:
                yield to_batch(held, self.task.listing)
                held, size = [], 0
        tally.check(self.task.context["where"], strict=self.task.context["strict"])
        if held:
            yield to_batch(held, self.task.listing)
        self.result["issues"] = tally.plain()

    def _advisories(self, tally: Issues) -> Iterator[Record]:
        where = self.task.context["where"]
        by_id: dict[str, Advisory] = {}
        for advisory in parse_updateinfo(checked_text(self.task), where, tally):
            known = by_id.get(advisory.id)
            if known is not None:
                merged = merge_advisories(known, advisory, where, allow_conflict=self.task.context["allow_conflict"])
                code = issues.ADVISORY_MERGED if merged.outcome == "merged" else issues.ADVISORY_REPLACED
                tally.add(code, f"{where}: {advisory.id}: {merged.why}")
                advisory = merged.advisory
            by_id[advisory.id] = advisory
        return (advisory_record(advisory) for advisory in by_id.values())

    def _comps(self, tally: Issues) -> Iterator[Record]:
        units, found = parse_comps(checked_text(self.task), self.task.context["where"])
        tally.merge(found)
        return (Record(unit.kind, unit.id, "", "", unit.raw) for unit in units)

    def _modules(self, tally: Issues) -> Iterator[Record]:
        where = self.task.context["where"]
        text = b"".join(checked_text(self.task))
        if len(text) > MAX_MODULES_BYTES:
            raise MetadataError(where, "modules.yaml too large", f"at most {MAX_MODULES_BYTES} bytes", str(len(text)))
        modular: list[str] = []
        self.result["modular"] = modular
        for unit in parse_modules(text, where, tally):
            modular.extend(unit.artifacts)
            yield Record(unit.kind, unit.name, unit.shown_version, unit.arch, unit.raw, unit.packages)


def advisory_record(advisory: Advisory) -> Record:
    return Record(kinds.ADVISORY, advisory.id, "", "", advisory.raw)


def to_batch(records: Iterable[Record], listing: str) -> Batch:
    found = list(records)
    batch = Batch(b"".join(record.raw for record in found))
    batch.kinds, batch.listings = [record.kind for record in found], [listing] * len(found)
    batch.keys = [content_key(record.kind, record.raw) for record in found]
    batch.names, batch.versions = [record.name for record in found], [record.version for record in found]
    batch.archs = [record.arch for record in found]
    batch.lengths = [len(record.raw) for record in found]
    at = 0
    for length in batch.lengths:
        batch.starts.append(at)
        at += length
    batch.ids = [0] * len(found)
    batch.refers = {row: record.refers for row, record in enumerate(found) if record.refers}
    return batch
