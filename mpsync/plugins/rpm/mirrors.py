"""Where else the repository is: ``--mirrorlist`` and ``--metalink``, read by the probe before anything else.

Flow    the list's URL -> its mirrors, handed to the upstream -> every path of the run is asked for at the base URL, then
        at each of them
Runs    in the main process
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mpsync.plugin.declare import ConfigError, Expected, Fetched, MetadataError, UpstreamError
from mpsync.plugin.repository import Upstream
from mpsync.plugins.rpm.metalink import SCHEMES, is_metalink, parse_metalink, parse_mirrorlist, unexpanded
from mpsync.plugins.rpm.repomd import PATH


@dataclass(slots=True)
class Mirrors:
    """What a list says.

    listed_by  the list's URL; "" = no list was asked for
    urls       base URLs, best first
    promises   what repomd.xml may be, the newest first; empty = anything
    notes      what is worth telling: mirrors left out, a list that could not be read
    """

    listed_by: str = ""
    urls: list[str] = field(default_factory=list)
    promises: list[Expected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_url(url: str, what: str = "URL") -> str:
    """The URL, for options and the command line. Raises ConfigError for variables, credentials and other schemes."""
    variable = unexpanded(url)
    if variable is not None:
        raise ConfigError(
            f"{what} {url}: {variable} is one of dnf's variables; write its value, nothing expands it here"
        )
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.lower() not in (*SCHEMES, "file"):
        raise ConfigError(f"{what} {url}: use http://, https:// or file://")
    if "@" in rest.partition("/")[0]:
        raise ConfigError(f"{what}: it would be remembered, and it holds credentials; give them by --username")
    return url


def list_options(mirrorlist: str | None, metalink: str | None) -> dict[str, str]:
    """The two as plain options, checked. Raises ConfigError."""
    if mirrorlist and metalink:
        raise ConfigError("--mirrorlist and --metalink contradict each other: give one")
    given = {"mirrorlist": mirrorlist or "", "metalink": metalink or ""}
    return {name: check_url(url, f"--{name}") if url else "" for name, url in given.items()}


async def mirrors_of(upstream: Upstream, options: Mapping[str, Any]) -> Mirrors:
    """Read the list that ``options["mirrorlist"]`` or ``options["metalink"]`` names, and hand its mirrors to ``upstream``.

    A mirrorlist that can't be read or names nobody is a note as long as there is a base URL; a metalink never is, since
    without it nothing says what repomd.xml has to be.

    raises  an UpstreamError: the list, and there is no going on without it; ConfigError: a list over http for a
            repository over https
    """
    if unexpanded(upstream.url):
        check_url(upstream.url)
    listed_by = options.get("metalink") or options.get("mirrorlist") or ""
    if not listed_by:
        return Mirrors()
    if upstream.url.startswith("https:") and listed_by.startswith("http:"):
        raise ConfigError(f"{listed_by}: a list over http can't say where a repository over https is; use https")
    try:
        found = await _read(upstream, listed_by, is_metalink_wanted=bool(options.get("metalink")))
    except UpstreamError as error:
        if options.get("metalink") or upstream.is_own(listed_by):
            raise
        return Mirrors(listed_by, notes=[f"{error}; going on with {upstream.url} alone"])
    found.notes += upstream.use_mirrors(found.urls, listed_by=listed_by)
    return found


async def fetch_repomd(upstream: Upstream, mirrors: Mirrors, path: str = PATH) -> Fetched | None:
    """repomd.xml of the first mirror whose file is one that the metalink promises; without a metalink, the first one.

    returns  None: nobody has one
    raises   DigestMismatch or SizeMismatch when mirrors have one, but none that is promised; other UpstreamErrors
    """
    return await upstream.first_file(path, mirrors.promises)


async def _read(upstream: Upstream, listed_by: str, *, is_metalink_wanted: bool) -> Mirrors:
    file = await upstream.named_file(listed_by)
    try:
        data = file.path.read_bytes()
    finally:
        file.path.unlink()
    is_local = upstream.url.startswith("file:") and listed_by.startswith("file:")
    schemes = SCHEMES | {"file"} if is_local else SCHEMES
    if not is_metalink(data):
        if is_metalink_wanted:
            raise MetadataError(file.url, "not a metalink", "<metalink>", _start(data))
        listed, tally = parse_mirrorlist(data, file.url, schemes)
        promises: list[Expected] = []
    else:
        metalink = parse_metalink(data, file.url, schemes=schemes)
        listed, promises, tally = metalink.mirrors, metalink.promises, metalink.issues
    notes = [str(issue) for issue in tally]
    if is_metalink_wanted and not promises:
        notes.append(f"{file.url}: it promises nothing of {PATH}")
    return Mirrors(listed_by, [mirror.url for mirror in listed], promises, notes)


def _start(data: bytes) -> str:
    return repr(data[:60].decode("utf-8", "replace"))
