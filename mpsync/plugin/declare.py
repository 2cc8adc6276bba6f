"""The child-safe half of the facade: all that a first stage or a parse step may import.

Loads neither a database driver nor an HTTP library; a child process imports this and the plugin's own parsing.
"""

from __future__ import annotations

from mpsync.errors import (
    ConfigError,
    MetadataError,
    MpsyncError,
    PluginError,
    TrustError,
    UnsafePath,
    UpstreamError,
    leaf,
)
from mpsync.model.content import Artifact, Content, Reference, content_key, file_record
from mpsync.model.digests import ACCEPTED, STRENGTH, Expected, Fetched, strongest
from mpsync.model.paths import MAX_PATH_BYTES, safe_relative_path
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage, Parsed, ParseStage, ParseTask
from mpsync.pipeline.slots import Slots
from mpsync.pipeline.stage import Stage

__all__ = [
    "ACCEPTED",
    "MAX_PATH_BYTES",
    "STRENGTH",
    "UPSTREAM",
    "Artifact",
    "Batch",
    "ConfigError",
    "Content",
    "DeclarativeArtifact",
    "DeclarativeContent",
    "Expected",
    "Fetched",
    "FirstStage",
    "MetadataError",
    "MpsyncError",
    "ParseStage",
    "ParseTask",
    "Parsed",
    "PluginError",
    "Reference",
    "Slots",
    "Stage",
    "TrustError",
    "UnsafePath",
    "UpstreamError",
    "content_key",
    "file_record",
    "leaf",
    "safe_relative_path",
    "strongest",
]
