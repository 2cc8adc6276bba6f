"""primary.xml, filelists.xml and other.xml, of any size and in any shape, become blocks of columns.

Flow    chunks of uncompressed text -> runs of whole packages -> regular? one regular expression and expat's
well-formedness check
        : odd? expat's events, that run alone; not cut right, or not well-formed? expat's events, in sequence to the
        end
Bounds  a block and the largest package (32 MiB), some four times in memory
Runs    in parse workers; several may share one uncompressed file (``cut.cut_points``, ``read_range``)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Generic, TypeVar

from mpsync.plugin.declare import ACCEPTED, MetadataError
from mpsync.plugins.rpm import cut, issues, parse_files, parse_primary
from mpsync.plugins.rpm.document import FILELISTS, OTHER, PRIMARY, Document
from mpsync.plugins.rpm.parse_files import FileRecords
from mpsync.plugins.rpm.parse_primary import Primary
from mpsync.plugins.rpm.xmlsafe import Record, Records
from mpsync.plugins.rpm.xmltext import encoding_of, utf8

FAST_BLOCK_BYTES = 4 << 20
"""A larger run is one huge package: read by events, which bound the depth. expat alone would keep every open tag of
it in memory."""
CAREFUL_BLOCK_BYTES = 1 << 20
READ_BYTES = 1 << 19

Block = TypeVar("Block", Primary, FileRecords)


class BadCut(MetadataError):
    """A range of a file is not made of whole packages: the file must be read whole, and may then turn out broken."""


class PackageFile(Generic[Block]):
    """One file of packages being read: iterate for its blocks.

    expected   the root's packages attribute, once the first block is there; None: missing or no number
    packages   elements read so far; after the last block ``count_issue`` compares the two
    """

    def __init__(
        self,
        document: Document,
        regular: Callable[[bytes, str, frozenset[str]], Block | None],
        careful: Callable[[Sequence[Record], str, frozenset[str]], Block],
        where: str,
        accepted: frozenset[str],
        is_known: Callable[[Block], bool] | None = None,
    ) -> None:
        self._document, self._where, self._accepted = document, where, accepted
        self._regular: Callable[[bytes, str, frozenset[str]], Block | None] = regular
        self._careful: Callable[[Sequence[Record], str, frozenset[str]], Block] = careful
        self._is_known: Callable[[Block], bool] | None = is_known
        self.expected: int | None = None
        self.packages = 0

    def read(self, chunks: Iterable[bytes]) -> Iterator[Block]:
        """Blocks of a whole file. Raises MetadataError; what was yielded before is right but not all of it."""
        rest = iter(chunks)
        head = b""
        for chunk in rest:
            head += chunk
            if len(head) >= cut.HEAD_BYTES:
                break
        found = cut.outline(head, self._document, self._where)
        self.expected = found.packages
        if found.can_cut:
            return self._runs(chain((head[found.first :],), rest), has_tail=True)
        return self._transcoded(chain((head,), rest), head)

    def read_range(self, path: Path, start: int, end: int) -> Iterator[Block]:
        """Blocks of the bytes from ``start`` to ``end`` of an uncompressed file, as ``cut.cut_points`` cut it.

        raises  BadCut, from any range but the last: drop what all ranges gave, and ``read`` the file; MetadataError
        """
        size = path.stat().st_size
        if (start, end) == (0, size):
            yield from self.read(file_chunks(path))
            return
        with path.open("rb") as source:
            found = cut.outline(source.read(cut.HEAD_BYTES), self._document, self._where)
        self.expected = found.packages
        yield from self._runs(file_chunks(path, max(start, found.first), end), has_tail=end == size)

    def count_issue(self, packages: int | None = None) -> str | None:
        """Text of the issue ``package-count-wrong``, if there is one; ``packages`` of all ranges together."""
        got = self.packages if packages is None else packages
        if self.expected is None or self.expected == got:
            return None
        return f"{self._where}: packages={self.expected}, but there are {got}"

    # --- cut runs ------------------------------------------------------------------------------------------------

    def _runs(self, chunks: Iterable[bytes], *, has_tail: bool) -> Iterator[Block]:
        pieces = cut.blocks(_sliced(chunks), self._where)
        for piece, is_tail in pieces:
            if is_tail:
                if not has_tail:
                    if piece.strip():
                        raise BadCut(self._where, "range does not end with a package")
                elif piece.strip() != self._document.close_tag:
                    yield from self._sequence((self._document.open_tag, piece))
                return
            block = self._run(piece)
            if block is None:
                if not has_tail:
                    raise BadCut(self._where, "not well-formed XML", "whole packages in each range")
                rest = (text for text, _ in pieces)
                yield from self._sequence(chain((self._document.open_tag, piece), rest))
                return
            yield self._counted(block)

    def _run(self, piece: bytes) -> Block | None:
        if not cut.is_plain(piece):
            return None
        if len(piece) <= FAST_BLOCK_BYTES:
            block = self._regular(piece, self._where, self._accepted)
            # What was found well-formed before is so still: expat is a third of the work.
            if block is not None and self._is_known is not None and self._is_known(block):
                return block
            if block is not None and cut.is_well_formed(piece, self._document):
                return block
        reader = Records(self._document, self._where)
        try:
            records = reader.feed(self._document.open_tag)  # apart: a giant is not to be copied
            records += reader.feed(piece) + reader.feed(self._document.close_tag) + reader.close()
        except MetadataError:
            return None  # in sequence: there the error says where
        return self._sorted_out(records)

    # --- in sequence ----------------------------------------------------------------------------------------------

    def _transcoded(self, chunks: Iterable[bytes], head: bytes) -> Iterator[Block]:
        is_utf8 = encoding_of(head, self._where)[0] in ("utf-8", "ascii")
        for block in self._sequence(utf8(chunks, self._where)):
            if not is_utf8:
                block.issues.add(issues.TRANSCODED, self._where)
                is_utf8 = True
            yield block

    def _sequence(self, chunks: Iterable[bytes]) -> Iterator[Block]:
        reader = Records(self._document, self._where)
        held: list[Record] = []
        size = 0
        for chunk in chunks:
            for record in reader.feed(chunk):
                held.append(record)
                size += len(record.raw)
                if size >= CAREFUL_BLOCK_BYTES:
                    yield self._counted(self._sorted_out(held))
                    held, size = [], 0
        held += reader.close()
        if self.expected is None and reader.root is not None:
            self.expected = cut.package_count(reader.root.get("packages"))
        if held:
            yield self._counted(self._sorted_out(held))

    def _sorted_out(self, records: list[Record]) -> Block:
        """Columns of the packages; other elements are strays."""
        known, spaces = self._document.records, ("", self._document.space)
        packages = [record for record in records if record.node.name in known and record.node.space in spaces]
        block = self._careful(packages, self._where, self._accepted)
        if len(packages) < len(records):
            for record in records:
                if record.node.name not in known or record.node.space not in spaces:
                    block.issues.add(issues.STRAY_ELEMENT, f"{self._where}: <{record.node.name}>")
        return block

    def _counted(self, block: Block) -> Block:
        self.packages += block.packages
        return block


def primary(
    where: str, accepted: frozenset[str] = ACCEPTED, is_known: Callable[[Primary], bool] | None = None
) -> PackageFile[Primary]:
    """A reader of primary.xml. ``is_known``: every record of the block was accepted before, byte for byte."""
    return PackageFile(PRIMARY, parse_primary.regular, parse_primary.from_records, where, accepted, is_known)


def filelists(
    where: str, accepted: frozenset[str] = ACCEPTED, is_known: Callable[[FileRecords], bool] | None = None
) -> PackageFile[FileRecords]:
    """A reader of filelists.xml; as ``primary``."""
    return PackageFile(FILELISTS, parse_files.regular, parse_files.from_records, where, accepted, is_known)


def other(
    where: str, accepted: frozenset[str] = ACCEPTED, is_known: Callable[[FileRecords], bool] | None = None
) -> PackageFile[FileRecords]:
    """A reader of other.xml; as ``primary``."""
    return PackageFile(OTHER, parse_files.regular, parse_files.from_records, where, accepted, is_known)


def _sliced(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same text in chunks of at most READ_BYTES: a run larger than FAST_BLOCK_BYTES is read the careful way."""
    for chunk in chunks:
        if len(chunk) <= 2 * READ_BYTES:
            yield chunk
        else:
            for at in range(0, len(chunk), READ_BYTES):
                yield chunk[at : at + READ_BYTES]


def file_chunks(path: Path, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Chunks of an uncompressed file, or of a range of it."""
    if end is None:
        end = path.stat().st_size
    with path.open("rb") as source:
        source.seek(start)
        left = end - start
        while left > 0 and (chunk := source.read(min(READ_BYTES, left))):
            left -= len(chunk)
            yield chunk
