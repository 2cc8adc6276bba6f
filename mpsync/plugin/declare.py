"""The child-safe half of the facade: all that a first stage or a parse step may import.

Loads neither a database driver nor an HTTP library; a child process imports this and the plugin's own parsing.
"""

from __future__ import annotations

from mpsync.errors import MetadataError, MpsyncError, PluginError, TrustError, UnsafePath, UpstreamError
from mpsync.model.content import Artifact, Content, content_key
from mpsync.model.digests import ACCEPTED, STRENGTH, Expected
from mpsync.model.paths import safe_relative_path
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.first_stage import FirstStage, Parsed, ParseStage, ParseTask
from mpsync.pipeline.slots import Slots
from mpsync.pipeline.stage import Stage

__all__ = [
    "ACCEPTED",
    "STRENGTH",
    "UPSTREAM",
    "Artifact",
    "Batch",
    "Content",
    "DeclarativeArtifact",
    "DeclarativeContent",
    "Expected",
    "FirstStage",
    "MetadataError",
    "MpsyncError",
    "ParseStage",
    "ParseTask",
    "Parsed",
    "PluginError",
    "Slots",
    "Stage",
    "TrustError",
    "UnsafePath",
    "UpstreamError",
    "content_key",
    "safe_relative_path",
]
