"""The first stage: every line of the manifest is a unit with one artifact. Runs in a child."""

from __future__ import annotations

from pathlib import Path

from mpsync.plugin.declare import UPSTREAM, DeclarativeArtifact, DeclarativeContent, FirstStage, MetadataError
from mpsync.plugins.file.manifest import parse


class FileFirstStage(FirstStage):
    """Options: manifest (its path upstream), manifest_file (the local copy that the probe fetched), and the core's."""

    async def run(self) -> None:
        where = self.options["manifest"]
        for entry in parse(Path(self.options["manifest_file"]).read_bytes(), where):
            if isinstance(entry, MetadataError):
                if self.options["strict"]:
                    raise entry
                self.skip(entry.where, entry.problem)
                continue
            artifact = DeclarativeArtifact(
                entry.artifact(),
                url=entry.path,
                relative_path=entry.path,
                remote=UPSTREAM,
                deferred_download=self.options["deferred"],
            )
            await self.put(DeclarativeContent(entry.content(), [artifact]))
        self.result["manifest_sha256"] = self.options["manifest_sha256"]
