"""The main-side part: the option, and the probe of the manifest."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from mpsync.plugin.declare import ConfigError, safe_relative_path
from mpsync.plugin.repository import Held, Plugin, Probed, Upstream
from mpsync.plugins.file.manifest import KIND, MANIFEST


class FilePlugin(Plugin):
    """``mpsync sync file URL``: URL is the folder that holds the manifest."""

    name = "file"
    first_stage = "mpsync.plugins.file.first_stage:FileFirstStage"
    unique_kinds = (KIND,)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--manifest", metavar="PATH", help=f"the manifest, below URL (default {MANIFEST})")

    def options(self, arguments: argparse.Namespace) -> dict[str, Any]:
        return {"manifest": safe_relative_path(arguments.manifest or MANIFEST, "--manifest")}

    async def probe(self, upstream: Upstream, options: Mapping[str, Any], held: Held) -> Probed:
        manifest = await upstream.top_file(options["manifest"])
        if manifest is None:
            raise ConfigError(f"{upstream.url} has no {options['manifest']}; is it a file repository? (see --manifest)")
        found = {"manifest_file": str(manifest.path), "manifest_sha256": manifest.sha256}
        return Probed(held.state.get("manifest_sha256") == manifest.sha256, found)


plugin = FilePlugin()
