"""The main-side half of the facade: what a plugin tells the core about its kind of repository.

A plugin is one object, named by an entry point of group ``mpsync.plugins.v1``. It lives in the main process; its first
stage and parse steps are named by strings and run in children.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Protocol

from mpsync.model.content import Content
from mpsync.model.digests import Expected, Fetched
from mpsync.stages.recipe import Recipe


class Upstream(Protocol):
    """What a probe may ask of the upstream: small top files, with the core's retries, limits and credentials."""

    url: str
    """The base URL as it may be printed: without the query, which may hold an access token."""

    async def top_file(self, path: str) -> Fetched | None:
        """A small file below the base URL, read now; None when upstream answers that it doesn't have it.

        Where there are mirrors: from the first one that answers at all.
        """
        ...

    async def first_file(self, path: str, promises: Sequence[Expected] = ()) -> Fetched | None:
        """The top file that a repository can't lack: of the first mirror whose file keeps one of the promises.

        That mirror is asked first from now on, and ``top_file`` of this path asks for the promises too. None when no
        mirror has it; raises an UpstreamError, DigestMismatch or SizeMismatch if no mirror's file keeps a promise.
        """
        ...

    async def named_file(self, url: str) -> Fetched:
        """A small file that the user named by its own URL, such as a list of mirrors. Credentials stay at the base URL's
        origin. Raises an UpstreamError, or ConfigError for what is no URL."""
        ...

    def is_own(self, url: str) -> bool:
        """Whether the base URL is this one: a list of mirrors, and no folder of files."""
        ...

    def use_mirrors(self, urls: Sequence[str], *, listed_by: str) -> list[str]:
        """Ask these base URLs too, in this order and behind the base URL, for every path of this run.

        listed_by  the URL of the list that named them; when it is the base URL, that one is not asked
        returns    why each URL that is not used is not
        """
        ...


class Draft(Protocol):
    """A version before its commit: what store/draft.py says of it."""

    @property
    def has_skipped(self) -> bool: ...

    async def rows(
        self, sql: tuple[str, str, str], values: Mapping[str, Any] | None = None
    ) -> list[tuple[Any, ...]]: ...

    async def raw(self, content_ids: Sequence[int]) -> dict[int, bytes]: ...

    async def withdraw(self, members: Sequence[tuple[int, int]]) -> None: ...

    async def add(self, content: Content, listing: str) -> None: ...

    def skip(self, what: str, why: str) -> None: ...

    def note(self, name: str, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Held:
    """What the repository holds: the plugin's state after its last successful sync, and the time now.

    state         empty before the first
    same_options  the last sync had the same options; else upstream may be unchanged and still not what is wanted
    is_forced     the user asked for a full parse
    """

    state: Mapping[str, Any]
    now: datetime
    same_options: bool = True
    is_forced: bool = False


@dataclass(frozen=True, slots=True)
class Probed:
    """What a probe found.

    is_unchanged  upstream is what we hold, and still valid: the sync is over and no child is started
    options       plain JSON for the first stage: what it needs to know, beside the repository's options
    """

    is_unchanged: bool
    options: dict[str, Any] = field(default_factory=dict)


class Plugin:
    """Base of a plugin's main-side part."""

    name: ClassVar[str]
    """Its word on the command line: ``mpsync sync NAME URL``."""

    first_stage: ClassVar[str]
    """``package.module:Class`` of the FirstStage; imported in a child."""

    once: ClassVar[tuple[str, ...]] = ()
    """Options that hold for one run and are not remembered, such as leave to accept an older state."""

    opposites: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Pairs of arguments of which one takes back what is remembered of the other."""

    unique_kinds: ClassVar[tuple[str, ...]] = ()
    """Kinds of which one version may hold only one file per name, version and architecture."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Options of ``mpsync sync NAME``, with the field's words."""

    def options(self, arguments: argparse.Namespace) -> dict[str, Any]:
        """Plain JSON options, remembered with the repository. Raises ConfigError for contradictions."""
        return {}

    def default_name(self, url: str, options: Mapping[str, Any]) -> str:
        """Name of a repository that was given none; the same for the same upstream and selection."""
        path = url.partition("://")[2].rstrip("/") or url
        return f"{self.name}-{Path(path).name or 'repository'}"

    def url_of(self, options: Mapping[str, Any]) -> str | None:
        """The upstream where none is given: what the options themselves name, such as a list of mirrors."""
        return None

    async def locate(self, upstream: Upstream, options: Mapping[str, Any]) -> list[str]:
        """Before deferred files are fetched: hand the repository's mirrors to ``upstream``. Returns notes for people."""
        return []

    async def probe(self, upstream: Upstream, options: Mapping[str, Any], held: Held) -> Probed:
        """Fetch the top file and compare it with what is held."""
        return Probed(is_unchanged=False)

    def check(self, options: Mapping[str, Any], *, mirror: bool) -> None:
        """Raise ConfigError where ``options`` contradict --mirror or --additive."""

    async def reconcile(self, draft: Draft, options: Mapping[str, Any], result: Mapping[str, Any]) -> None:
        """A last word on all that the new version will hold, before it is committed; ``result`` is the first stage's."""

    def next_state(self, held: Held, result: Mapping[str, Any]) -> dict[str, Any]:
        """What the next probe will compare with, from the first stage's ``result``."""
        return dict(result)

    def stages(self, recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
        """The pipeline behind the first stage; a plugin may insert its own.

        options  the plugin's and the run's, as the first stage gets them: ``policy``, ``mirror``, ``strict`` among them
        """
        return recipe
