"""What a sync is asked to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mpsync.plugin.repository import Plugin

if TYPE_CHECKING:
    from mpsync.model.remote import Remote

Policy = Literal["on_demand", "immediate", "streamed"]


@dataclass(frozen=True, slots=True)
class Request:
    """What to sync.

    options   the plugin's plain JSON options; arguments: the command line they were made of. Both are remembered
    policy    when packages are downloaded: immediate now, the others when a client asks
    is_forced parse everything again, whatever is held
    waits     wait for another sync of the same repository; else fail at once
    """

    name: str
    plugin: Plugin
    remote: Remote
    options: dict[str, Any] = field(default_factory=dict)
    arguments: dict[str, Any] = field(default_factory=dict)
    policy: Policy = "on_demand"
    mirror: bool = True
    on_failure: Literal["strict", "skip"] = "strict"
    is_forced: bool = False
    waits: bool = False
