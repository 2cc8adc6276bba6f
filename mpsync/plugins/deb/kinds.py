"""Kinds of Debian content, and how the raw record of a unit without a stanza is made."""

from __future__ import annotations

import orjson

PACKAGE = "deb.package"  # a stanza of a binary Packages index
UDEB = "deb.udeb"  # a stanza of a debian-installer Packages index
SOURCE = "deb.source"  # a stanza of a Sources index
INSTALLER_FILE = "deb.installer_file"  # a line of SHA256SUMS or MD5SUMS below installer-*/…/images
RELEASE_FILE = "deb.release_file"  # InRelease, Release, Release.gpg
INDEX = "deb.index"  # a Packages, Sources or *SUMS file itself
METADATA = "deb.metadata"  # every other file that Release names: Contents, Translation, DEP-11, cnf, per-arch Release

ALL = (PACKAGE, UDEB, SOURCE, INSTALLER_FILE, RELEASE_FILE, INDEX, METADATA)


def file_record(path: str, size_bytes: int | None, digests: dict[str, str]) -> bytes:
    """The raw record of a file that has no stanza: canonical JSON, so that the same file gives the same key.

    path       relative to the repository root, suite included
    size_bytes None when unknown (InRelease before its download)
    digests    {algorithm: lowercase hex}
    """
    record = {"path": path, "size": size_bytes, "digests": digests}
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)
