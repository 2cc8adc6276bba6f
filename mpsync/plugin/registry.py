"""Plugins by name, from the entry points of group ``mpsync.plugins.v1``. One is loaded only when it is used."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from mpsync.errors import ConfigError, PluginError

if TYPE_CHECKING:
    from mpsync.plugin.repository import Plugin

GROUP = "mpsync.plugins.v1"


def names() -> list[str]:
    return sorted(entry_points(group=GROUP).names)


def load(name: str) -> Plugin:
    """The plugin of this name. Raises ConfigError when there is none, PluginError when it can't be loaded."""
    found = entry_points(group=GROUP, name=name)
    if not found:
        raise ConfigError(f"no plugin {name!r}; installed are {', '.join(names()) or 'none'}")
    try:
        plugin: Plugin = next(iter(found)).load()
    except Exception as exc:
        raise PluginError(f"plugin {name!r} cannot be loaded: {exc}") from exc
    return plugin
