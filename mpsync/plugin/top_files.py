"""Top files (InRelease, repomd.xml) on their way from a probe into a first stage, and into the version. Child-safe."""

from __future__ import annotations

from pathlib import Path

from mpsync.plugin.declare import Artifact, Content, DeclarativeArtifact, DeclarativeContent, file_record

File = tuple[Path, int, str]
"""(local path, size in bytes, sha256)."""

TopFiles = dict[str, File]
"""{name below the repository's folder: file}."""


def digests_of(top: TopFiles) -> dict[str, str]:
    """{name: sha256}: what the next probe compares with."""
    return {name: sha256 for name, (_, _, sha256) in top.items()}


def top_item(path: str, kind: str, listing: str, file: File) -> DeclarativeContent:
    """A top file that the core has fetched, as content; ``path`` is its place below the repository's root."""
    local_path, size_bytes, sha256 = file
    digests = {"sha256": sha256}
    content = Content(file_record(path, size_bytes, digests), name=path, kind=kind)
    artifact = Artifact(size=size_bytes, digests=digests, file=local_path)
    return DeclarativeContent(content, [DeclarativeArtifact(artifact, url=path, relative_path=path)], listing=listing)
