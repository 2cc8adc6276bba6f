"""Content and Artifact: the two nouns of a repository.

A *content* is a typed unit: a package, a source, an advisory, an index file. Its identity is ``key``, a digest of
its kind and its raw upstream record, never of its name: a hostile repository cannot plant its own record under the
name and version of a package that another repository trusts. An *artifact* is bytes with digests.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

import orjson

from mpsync.errors import PluginError
from mpsync.model.digests import Expected

Reference = tuple[str, str, str, str]
"""Kind, name, version and architecture of a unit, as another unit names it."""


class Content:
    """A unit of content. Plugin authors subclass it, set ``KIND`` and may add properties that read ``raw``.

    raw      the upstream record, byte for byte: a stanza, an XML element, or canonical JSON for a kind without one
    name, version, arch   the few fields people search by
    refers   (kind, name, version, arch) of each other unit that this one speaks of, such as a module's packages
    pk       database id once saved, else None
    """

    KIND: ClassVar[str] = ""
    _classes: ClassVar[dict[str, type[Content]]] = {}
    __slots__ = ("_key", "arch", "kind", "local_paths", "name", "pk", "raw", "refers", "version")

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.KIND:
            Content._classes[cls.KIND] = cls

    def __init__(
        self, raw: bytes = b"", *, name: str = "", version: str = "", arch: str = "", kind: str | None = None
    ) -> None:
        self.kind = kind or type(self).KIND
        if not self.kind:
            raise PluginError(f"{type(self).__name__} has no KIND and was given no kind")
        self.raw, self.name, self.version, self.arch = raw, name, version, arch
        self.refers: Sequence[Reference] = ()
        self.pk: int | None = None
        self._key: bytes | None = None
        self.local_paths: dict[str, Path] = {}

    @classmethod
    def restore(cls, kind: str, key: bytes, raw: bytes, name: str, version: str, arch: str, pk: int | None) -> Content:
        """The unit behind a row; of the class that declared ``kind``, without running its constructor."""
        made = object.__new__(cls._classes.get(kind, Content))
        made.kind, made.raw, made.name, made.version, made.arch = kind, raw, name, version, arch
        made.pk, made._key, made.local_paths, made.refers = pk, key, {}, ()
        return made

    @property
    def key(self) -> bytes:
        """32 bytes: sha256(kind, NUL, raw)."""
        if self._key is None:
            self._key = content_key(self.kind, self.raw)
        return self._key

    @property
    def local_path(self) -> Path:
        """The verified file of this unit's first artifact; only for content that was not deferred."""
        for path in self.local_paths.values():
            return path
        raise PluginError(f"{self}: no local file: its artifact was deferred, or it was not awaited")

    def __repr__(self) -> str:
        return f"<{' '.join(part for part in (self.kind, self.name, self.version, self.arch) if part)}>"


def content_key(kind: str, raw: bytes) -> bytes:
    """The identity of a unit: sha256(kind, NUL, raw)."""
    return sha256(kind.encode() + b"\0" + raw).digest()


def file_record(path: str, size_bytes: int | None, digests: dict[str, str]) -> bytes:
    """The raw record of a file that upstream has no record for: canonical JSON, so that the same file gives the same key.

    path       relative to the repository's root
    size_bytes None when unknown
    digests    {algorithm: lowercase hex}
    """
    record = {"path": path, "size": size_bytes, "digests": digests}
    return orjson.dumps(record, option=orjson.OPT_SORT_KEYS)


class Artifact:
    """Bytes with digests; promised by metadata, or there.

    size     bytes, or None when unknown
    digests  {algorithm: lowercase hex}; may be empty until the download
    file     the verified local file, once there
    pk       database id once saved, else None
    """

    __slots__ = ("digests", "file", "pk", "size")

    def __init__(
        self,
        *,
        size: int | None = None,
        digests: dict[str, str] | None = None,
        file: Path | None = None,
        pk: int | None = None,
        **named: str,
    ) -> None:
        self.size, self.file, self.pk = size, file, pk
        self.digests = {**(digests or {}), **named}  # Artifact(sha256="…") reads better than a dict of one

    @property
    def sha256(self) -> str | None:
        return self.digests.get("sha256")

    @property
    def expected(self) -> Expected:
        return Expected(self.size, dict(self.digests))

    def __repr__(self) -> str:
        return f"<artifact {self.sha256 or self.digests or '?'} {self.size if self.size is not None else '?'} B>"
