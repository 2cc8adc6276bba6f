"""Every deliberate error, in families that say who must act.

UpstreamError  the mirror is broken, lying or away: retry, or blame the mirror
StoreError     our database or disk: the operator
BridgeError    a child process died or misbehaved
PluginError    a plugin broke its contract: its author
ConfigError    the command line or configuration: the user

Arguments are passed to ``super().__init__`` whole and positional, so that an error survives pickling and crosses
the process boundary by type and arguments. ``details()`` is what the JSON summary prints.
"""

from __future__ import annotations


class MpsyncError(Exception):
    """Base of all deliberate errors; anything else that escapes is a bug of ours."""

    url: str | None = None
    expected: str | None = None
    got: str | None = None
    hint: str | None = None
    """What to do about it, for people; not part of the JSON contract. Mostly the same for a whole class."""

    def details(self) -> dict[str, str]:
        """``{type, message, url?, expected?, got?}``: the contract of the JSON summary (docs/reference/json.md)."""
        found = {"type": type(self).__name__, "message": str(self)}
        for name in ("url", "expected", "got"):
            value = getattr(self, name)
            if value is not None:
                found[name] = str(value)
        return found


class UpstreamError(MpsyncError):
    """The upstream is away, broken or lying."""


class StoreError(MpsyncError):
    """The database or the artifact store cannot be used."""


class BridgeError(MpsyncError):
    """A child process died or broke the protocol."""


class PluginError(MpsyncError):
    """A plugin broke its contract."""


class ConfigError(MpsyncError):
    """The command line, an option or a setting is wrong."""


class MetadataError(UpstreamError):
    """Upstream metadata says something we can't accept: ``where`` it stands, what was ``expected``, what we ``got``."""

    hint = "a mirror in the middle of an update heals: run it again; else upstream has to mend its metadata"

    def __init__(self, where: str, problem: str, expected: str | None = None, got: str | None = None) -> None:
        super().__init__(where, problem, expected, got)
        self.where, self.problem, self.expected, self.got = where, problem, expected, got

    def __str__(self) -> str:
        said = f"{self.where}: {self.problem}"
        if self.expected is not None:
            said += f"; expected {self.expected}"
        if self.got is not None:
            said += f", got {self.got}"
        return said


class UnsafePath(MetadataError):
    """A path from upstream climbs, is absolute, is an URL, or holds NUL or a backslash."""

    hint = "nothing was read or written there; upstream has to mend its metadata"


class TrustError(UpstreamError):
    """A signature, a key or a date does not hold: never retried, never worked around."""

    def __init__(self, where: str, problem: str) -> None:
        super().__init__(where, problem)
        self.where, self.problem = where, problem

    def __str__(self) -> str:
        return f"{self.where}: {self.problem}"


def leaf(error: BaseException) -> BaseException:
    """The error that matters of a group: a deliberate one before the accidents it caused.

    Raise it from ``except BaseExceptionGroup``, not from ``except*``: some 3.11 put what is raised there into a group again.
    """
    flat, queue = [], [error]
    while queue:
        found = queue.pop(0)
        if isinstance(found, BaseExceptionGroup):
            queue.extend(found.exceptions)
        else:
            flat.append(found)
    return next((found for found in flat if isinstance(found, MpsyncError)), flat[0])
