"""Do filelists.xml and other.xml speak of the packages of primary.xml? Joined by pkgid, whatever their order.

Memory  about 150 bytes a package. A caller that has the columns in a database asks it instead.
"""

from __future__ import annotations

from mpsync.plugins.rpm import issues, kinds
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.parse_files import FileRecords
from mpsync.plugins.rpm.parse_primary import Primary


def nevras(block: Primary | FileRecords) -> list[str]:
    """The NEVRA of each row."""
    columns = (block.names, block.epochs, block.versions, block.releases, block.archs)
    return [kinds.package_key(*row) for row in zip(*columns, strict=True)]


class Crosscheck:
    """Fed with every block of primary, then asked of every block of another file, then ``finish()``ed, file by file."""

    def __init__(self) -> None:
        self._hashes: dict[bytes, int] = {}
        self._seen: set[bytes] = set()

    def add(self, block: Primary) -> None:
        for pkgid, nevra in zip(block.pkgids, nevras(block), strict=True):
            self._hashes[pkgid] = hash(nevra)

    def check(self, block: FileRecords, where: str, tally: Issues) -> list[int]:
        """Rows that belong to a package of primary, the first of each; the others are counted in ``tally``."""
        found: list[int] = []
        for row, (pkgid, nevra) in enumerate(zip(block.pkgids, nevras(block), strict=True)):
            known = self._hashes.get(pkgid)
            if known is None:
                tally.add(issues.NOT_IN_PRIMARY, f"{where}: {nevra} {pkgid.hex()}")
            elif pkgid in self._seen:
                tally.add(issues.DUPLICATE_RECORD, f"{where}: {nevra} {pkgid.hex()}")
            else:
                self._seen.add(pkgid)
                found.append(row)
                if known != hash(nevra):
                    tally.add(issues.NEVRA_DIFFERS, f"{where}: {pkgid.hex()} is called {nevra}")
        return found

    def finish(self, where: str, tally: Issues) -> None:
        """Count the packages that the file didn't speak of, and start anew for another file."""
        for pkgid in self._hashes.keys() - self._seen:
            tally.add(issues.PACKAGE_NOT_LISTED, f"{where}: {pkgid.hex()}")
        self._seen = set()
