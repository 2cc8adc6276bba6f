"""extra_files.json: what else belongs to a distribution tree (EULA, GPL, keys), as pulp and productmd know it.

source  productmd, "extra_files.json": {"header": …, "data": [{"file": path, "size": bytes, "checksums": {algorithm: hex}}]}
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from mpsync.plugin.declare import ACCEPTED, MetadataError, safe_relative_path
from mpsync.plugins.rpm.columns import ALGORITHMS, hex_digest

EXTRA_FILES = "extra_files.json"
MAX_FILES = 10_000


@dataclass(frozen=True, slots=True)
class ExtraFile:
    path: str
    size_bytes: int | None
    digests: dict[str, str]


def parse_extra_files(data: bytes, where: str, accepted: frozenset[str] = ACCEPTED) -> list[ExtraFile]:
    """Its files. Raises MetadataError for anything that is not such a document; UnsafePath."""
    try:
        entries = orjson.loads(data)["data"]
        if len(entries) > MAX_FILES:
            raise MetadataError(where, "too many files", f"at most {MAX_FILES}", str(len(entries)))
        return [_file(entry, where, accepted) for entry in entries]
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise MetadataError(where, f"not an extra_files.json: {exc!r:.200}") from exc


def _file(entry: dict[str, object], where: str, accepted: frozenset[str]) -> ExtraFile:
    path = safe_relative_path(str(entry["file"]), where)
    size, checksums = entry.get("size"), entry.get("checksums")
    digests: dict[str, str] = {}
    for name, value in (checksums if isinstance(checksums, dict) else {}).items():
        algorithm = ALGORITHMS.get(str(name).lower(), "")
        digest = hex_digest(str(value).encode(), algorithm) if algorithm in accepted else None
        if digest is not None:
            digests[algorithm] = digest.hex()
    if not digests:
        raise MetadataError(where, f"{path}: no checksum that proves the file", " or ".join(sorted(accepted)))
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size < 1 << 63:  # JSON's true is no size
        size = None
    return ExtraFile(path, size, digests)
