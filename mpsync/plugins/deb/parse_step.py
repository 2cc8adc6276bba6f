"""The parse step of a Debian sync: one Packages or Sources index, or a byte range of its text, to batches."""

from __future__ import annotations

import asyncio
import mmap
from collections.abc import AsyncGenerator, Iterator
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from mpsync.plugin.declare import Batch, Expected, ParseStage, ParseTask, Slots
from mpsync.plugin.decompress import Digesting, open_chunks
from mpsync.plugin.one_path import OnePath
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.parse import Packages, Sources, parse_packages, parse_sources
from mpsync.plugins.deb.stanza import BLOCK_BYTES, blocks, cut_points


class DebIndex(ParseStage):
    """Context: see first_stage.py. The text's size and digest are checked when its end is reached."""

    can_cut: ClassVar[bool] = True

    async def blocks(self) -> AsyncGenerator[Batch, None]:
        context = self.task.context
        stanzas = 0
        paths = OnePath(self.host, context["where"])
        for block in self._text_blocks():
            parse = parse_sources if context["kind"] == kinds.SOURCE else parse_packages
            found: Packages | Sources = parse(
                block,
                context["where"],
                kind=context["kind"],
                first_stanza=stanzas + 1,
                strict=context["strict"],
                allow_weak=context["allow_weak"],
            )
            stanzas += found.stanzas
            for problem in found.problems:
                self.host.skip(problem.where, problem.problem)
            if len(found):
                batch = to_batch(found, self.task.listing, context["deferred"])
                paths.check(batch.slots)
                yield batch
            await asyncio.sleep(0)  # the child's loop also has messages to read
        paths.finish()

    def _text_blocks(self) -> Iterator[bytes]:
        task, where = self.task, self.task.context["where"]
        if task.start is not None and task.end is not None:
            return blocks(_range(task.path, task.start, task.end), where)
        return blocks(_checked_text(task), where)

    @classmethod
    def decompress(cls, task: ParseTask, into: Path) -> None:
        with into.open("wb") as file:
            for chunk in _checked_text(task):
                file.write(chunk)

    @classmethod
    def cut(cls, task: ParseTask, text: Path, parts: int) -> list[tuple[int, int]]:
        if not text.stat().st_size:
            return []
        with text.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            points = cut_points(view, parts)
        return list(pairwise(points))


def _checked_text(task: ParseTask) -> Iterator[bytes]:
    """Chunks of the uncompressed text, never more than promised; its digest is checked at the end."""
    context = task.context
    chunks = open_chunks(task.path, max_bytes=context["max_bytes"], name=context["name"])
    if not context["plain_digests"]:
        yield from chunks
        return
    text = Digesting(chunks, tuple(context["plain_digests"]))
    yield from text
    text.check(Expected(context["plain_bytes"], context["plain_digests"]), f"{context['where']} {context['name']}")


def _range(path: Path, start: int, end: int) -> Iterator[bytes]:
    with path.open("rb") as file:
        file.seek(start)
        while start < end:
            chunk = file.read(min(BLOCK_BYTES, end - start))
            if not chunk:
                return
            start += len(chunk)
            yield chunk


def to_batch(found: Packages | Sources, listing: str, deferred: bool) -> Batch:
    """Parsed columns as a batch; a package has one artifact, a source as many as it has files."""
    rows = len(found)
    batch = Batch(b"".join(found.raws))
    batch.kinds, batch.listings = [found.kind] * rows, [listing] * rows
    batch.keys, batch.names, batch.versions = found.keys, found.names, found.versions
    batch.lengths = list(map(len, found.raws))
    starts, at = [], 0
    for length in batch.lengths:
        starts.append(at)
        at += length
    batch.starts, batch.ids = starts, [0] * rows
    if isinstance(found, Packages):
        batch.archs = found.archs
        owner = list(range(rows))
    else:
        batch.archs = ["source"] * rows
        owner = [row for row in range(rows) for _ in range(found.starts[row], found.starts[row + 1])]
    files = len(owner)
    batch.slots = Slots(
        owner=owner,
        path=found.paths,
        sha256=found.sha256,
        size=found.sizes,
        urls=[None] * files,
        digests=[found.digests.get(file) for file in range(files)] if found.digests else [None] * files,
        deferred=[deferred] * files,
        ids=[0] * files,
        fetched=[None] * files,
    )
    return batch
