"""The process room: first stages and parse steps in children, their content streamed home, futures resolved back.

messages     what crosses          codec    as bytes          channel   a pair of queues
process      a child, seen by us   child    seen by itself    uplink    a child's output queue
step_host    what a parse step may ask
remote_stage the pipeline's first stage, for children; local_stage: the same in-process
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mpsync.bridge.local_stage import LocalStage
from mpsync.bridge.spec import Services, StageSpec

__all__ = ["LocalStage", "Services", "StageSpec", "first_stage"]

if TYPE_CHECKING:
    from mpsync.bridge.remote_stage import RemoteStage


def first_stage(spec: StageSpec, services: Services) -> LocalStage | RemoteStage:
    """The first stage of a sync's pipeline: in children, or in-process when there are to be none."""
    if services.settings.workers == 0:
        return LocalStage(spec, services)
    from mpsync.bridge.remote_stage import RemoteStage

    return RemoteStage(spec, services)
