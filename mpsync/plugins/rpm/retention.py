"""--retain N: the newest N of each name and architecture, by rpm's own comparison; modular packages are exempt."""

from __future__ import annotations

from mpsync.plugins.rpm import kinds
from mpsync.plugins.rpm.evr import evr_key
from mpsync.plugins.rpm.parse_files import FileRecords
from mpsync.plugins.rpm.parse_primary import Primary


class Newest:
    """Fed with blocks of primary, it knows which NEVRAs stay.

    count     how many of each name and architecture
    modular   NEVRAs (kinds.package_key) that belong to a module: they stay, and don't count
    """

    def __init__(self, count: int, modular: frozenset[str]) -> None:
        self._count, self._modular = count, modular
        self._exempt: set[str] = set()
        self._kept: dict[tuple[str, str], dict[str, tuple[str, str, str]]] = {}

    def add(self, block: Primary | FileRecords) -> None:
        for row in zip(block.names, block.epochs, block.versions, block.releases, block.archs, strict=True):
            nevra = kinds.package_key(*row)
            if nevra in self._modular:
                self._exempt.add(nevra)
                continue
            name, epoch, version, release, arch = row
            kept = self._kept.setdefault((name, arch), {})
            kept[nevra] = (epoch, version, release)
            if len(kept) > self._count:
                oldest = min((evr_key(*evr), known) for known, evr in kept.items())
                del kept[oldest[1]]

    def nevras(self) -> frozenset[str]:
        """Those that stay."""
        return frozenset(self._exempt.union(*(kept.keys() for kept in self._kept.values())))
