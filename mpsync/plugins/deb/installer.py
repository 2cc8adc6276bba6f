"""SHA256SUMS and MD5SUMS of the installer's images -> paths and digests. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mpsync.plugin.declare import MetadataError, safe_relative_path

_ALGORITHM = {"SHA512SUMS": "sha512", "SHA256SUMS": "sha256", "SHA1SUMS": "sha1", "MD5SUMS": "md5"}
_HEX_LENGTH = {"sha512": 128, "sha256": 64, "sha1": 40, "md5": 32}
_LINE = re.compile(r"([0-9a-fA-F]+)[ \t]+\*?(\S.*)")


@dataclass(frozen=True, slots=True)
class InstallerFile:
    """path: relative to the repository root. digests: {algorithm: lowercase hex}. The size is unknown."""

    path: str
    digests: dict[str, str]


def parse_sums(text: bytes, folder: str, name: str, where: str) -> list[InstallerFile]:
    """Parse a coreutils-style sums file.

    folder  of the file, relative to the repository root, without a trailing slash: its lines are relative to it
    name    ``SHA256SUMS`` or another that says the algorithm; a path with it at the end will do
    raises  MetadataError, UnsafePath; the same file twice with one digest is one file
    """
    algorithm = _ALGORITHM.get(name.rpartition("/")[2].upper())
    if algorithm is None:
        raise MetadataError(where, "is not a known sums file", ", ".join(_ALGORITHM), name)
    found: dict[str, str] = {}
    for number, line in enumerate(text.decode("utf-8", "surrogateescape").splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None or len(match[1]) != _HEX_LENGTH[algorithm]:
            raise MetadataError(f"{where} line {number}", "bad line", f"'{algorithm}  path'", repr(line[:200]))
        relative = match[2]
        while relative.startswith("./"):
            relative = relative[2:]
        path = f"{folder}/{safe_relative_path(relative, f'{where} line {number}')}"
        digest = match[1].lower()
        if found.setdefault(path, digest) != digest:
            raise MetadataError(f"{where} line {number}", f"{relative} has two digests", found[path], digest)
    return [InstallerFile(path, {algorithm: digest}) for path, digest in found.items()]
