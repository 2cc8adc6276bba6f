"""Turn upstream URLs into verified bytes on disk.

Flow    URLs + Expected -> (slot, request, stream, hash, verify; wait, resume, next mirror) -> temp file + digests
Runs    in the main process only: children have no network; must not import store
Rules   one place for retries, mirrors, credentials, rate limits and digests: nobody above retries anything
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Literal

from mpsync.errors import UpstreamError
from mpsync.fetch.bases import Bases
from mpsync.fetch.errors import AskedToWait, ForbiddenUrl, NotFound, TooBusy, Unauthorized
from mpsync.fetch.hops import Hops
from mpsync.fetch.hosts import Host
from mpsync.fetch.local import LocalFiles
from mpsync.fetch.reach import Reach, place, shown
from mpsync.fetch.retry import back_off_s, is_worth_retrying, is_wrong_content
from mpsync.fetch.sink import SMALL_BYTES, Sink, Stats
from mpsync.model.digests import Expected, Fetched
from mpsync.model.remote import Remote
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.fetch.http import HttpClient, Origin

PROGRESS_BYTES = 1 << 20
"""A try that brought a resumable transfer this much further does not count as a failure in a row."""

MOST_HOSTS = 20
"""So many hosts are asked for one file; who failed lately is not among them as long as there are others."""

ELSEWHERE_RETRIES = 1
"""Tries after the first of a URL, when another host may have the file."""

ELSEWHERE_WAIT_S = 5.0
"""So long a host may keep us waiting then."""

BELIEVED_MISSING = 8
"""A file that so many hosts don't have is not there."""

_NO_CACHE = {"Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class FetchEvent:
    """Something that a transfer survived, or not.

    kind    retry (again, after ``wait_s``), resume (again from where it was cut), wait (the host asked for it),
            failed (this URL is given up; another one may follow)
    url     without credentials
    is_missing   failed: the server answered, and doesn't have it
    """

    kind: Literal["retry", "resume", "wait", "failed"]
    url: str
    text: str
    wait_s: float = 0.0
    is_missing: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """A small file in memory. ``is_unchanged``: the server said 304, and ``body`` is empty."""

    body: bytes
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    is_unchanged: bool = False

    @property
    def etag(self) -> str | None:
        return self.headers.get("ETag")

    @property
    def last_modified(self) -> str | None:
        return self.headers.get("Last-Modified")


class Fetcher:
    """All transfers of one process from one remote. ``async with`` it.

    temp_dir  where files are made; default ``settings.temp_dir``; made if need be
    on_event  called on the loop with each FetchEvent; must be quick and must not raise
    bases     the remote's base URL and its mirrors
    stats     requests, files, bytes: counters that only grow (a file:// read counts as a request)
    hosts     the same by host, with ``score``
    """

    def __init__(
        self,
        settings: Settings,
        remote: Remote,
        *,
        temp_dir: Path | None = None,
        on_event: Callable[[FetchEvent], None] | None = None,
    ) -> None:
        self._settings, self._remote, self._on_event = settings, remote, on_event
        self._temp_dir = Path(temp_dir or settings.temp_dir)
        self._temp_prefix = f"{self._temp_dir}/fetch-{os.getpid()}-{secrets.token_hex(4)}-"
        self._made = 0
        self._http: HttpClient | None = None
        self._reach = Reach(remote)
        self._hops = Hops()
        self._local = {remote.url: LocalFiles(remote.directory, self._hops)} if remote.is_local else {}
        self.bases = Bases(remote)
        self.stats = Stats()
        self.hosts: dict[str, Host] = {}

    async def __aenter__(self) -> Fetcher:
        self._temp_dir.mkdir(parents=True, exist_ok=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        http, self._http = self._http, None
        if http is not None:
            await http.close()

    def name_url(self, url: str) -> None:
        """The user named this URL beside the base URL: it may be fetched, wherever it is. No credentials go there."""
        if url.startswith("file:"):
            self._local.setdefault(url, LocalFiles(Remote(url).directory, self._hops))
        else:
            self._reach.name_url(url)

    def use_mirrors(self, urls: Sequence[str], *, listed_by: str, has_base: bool) -> list[str]:
        """Ask these too, as ``Bases.use`` says; a list on this machine is the user's own word. Returns the refused."""
        taken, refused = self.bases.use(urls, listed_by=listed_by, has_base=has_base)
        for url in taken:
            if url.startswith("file:"):
                self.name_url(url)
            else:
                self._reach.add_mirror(url, is_named=listed_by.startswith("file:"))
        return refused

    async def fetch(
        self,
        urls: Sequence[str],
        want: Expected,
        *,
        others: Sequence[Expected] = (),
        into: Path | None = None,
        fresh: bool = False,
        retries: int | None = None,
        believed_missing: int = BELIEVED_MISSING,
    ) -> Fetched:
        """The first of ``urls`` that delivers what ``want`` promises, as a file.

        urls     absolute and percent-encoded (``Remote.join``, ``Remote.absolute``); in order, but a host that failed
                 lately comes last. Walked no further than need be
        others   promises that are as good as ``want``
        into     where the file is to be; default: a new file in the temp folder
        fresh    ask caches to ask the origin (Cache-Control: no-cache)
        retries  tries of each URL after the first; default ``settings.retries``
        believed_missing   the file is NotFound once so many hosts say so, whatever others may have
        returns  Fetched; every algorithm in ``want`` and sha256
        raises   an UpstreamError leaf of fetch/errors.py: NotFound only if every URL said so, else the last other
                 failure, wrong bytes before silence; TempFileFailed when the disk fails
        leaves   no file unless it returns
        """
        self._made += 1
        path = f"{self._temp_prefix}{self._made}" if into is None else f"{into}.{secrets.token_hex(4)}.part"
        sink = Sink(want, path, others)
        try:
            digests, url, _ = await self._deliver(urls, sink, _NO_CACHE if fresh else None, retries, believed_missing)
            if sink.size_bytes < SMALL_BYTES:
                sink.save()  # a buffered write of 20 µs: a hop costs more, and 20,000 of them a third of the rate
            elif not sink.is_saved:
                await self._hops.run(sink.save)
            if into is not None:
                os.replace(path, into)
        except BaseException:
            sink.discard()
            raise
        return Fetched(Path(path) if into is None else into, sink.size_bytes, digests or {}, url)

    async def read(
        self,
        url: str | Sequence[str],
        *,
        limit_bytes: int,
        want: Expected | None = None,
        etag: str | None = None,
        last_modified: str | None = None,
        fresh: bool = False,
        retries: int | None = None,
    ) -> Page:
        """A small file (InRelease, repomd.xml) into memory; like ``fetch`` otherwise.

        limit_bytes          more is TooLarge
        etag, last_modified  validators of what we hold: the answer may be ``Page.is_unchanged``
        """
        want = want or Expected()
        sink = Sink(Expected(want.size_bytes, want.digests, limit_bytes), None)
        asked = dict(_NO_CACHE) if fresh else {}
        if etag is not None:
            asked["If-None-Match"] = etag
        if last_modified is not None:
            asked["If-Modified-Since"] = last_modified
        digests, served, headers = await self._deliver(
            (url,) if isinstance(url, str) else url, sink, asked or None, retries
        )
        return Page(sink.body(), served, headers, is_unchanged=digests is None)

    # ---- one URL after the other

    async def _deliver(
        self,
        urls: Sequence[str],
        sink: Sink,
        asked: Mapping[str, str] | None,
        retries: int | None,
        believed_missing: int = BELIEVED_MISSING,
    ) -> tuple[dict[str, str] | None, str, Mapping[str, str]]:
        """(digests or None for unchanged, URL as shown, response headers). Raises as ``fetch`` says."""
        if not urls:
            raise ValueError("no URL to fetch from")
        if retries is None:
            retries = self._settings.retries
        if len(urls) == 1:
            return await self._from_url(urls[0], sink, asked, retries)
        failure: UpstreamError | None = None
        hosts: set[str] = set()
        lacking: dict[str, NotFound] = {}
        turns = self._in_turn(urls)
        following = next(turns, None)
        while following is not None:
            (key, url), following = following, next(turns, None)
            if key not in hosts:
                if len(lacking) >= believed_missing:
                    raise next(iter(lacking.values()))
                if len(hosts) >= MOST_HOSTS:
                    break
                hosts.add(key)
            has_other_host = following is not None and following[0] != key
            try:
                found = await self._from_url(url, sink, asked, retries, has_other_host=has_other_host)
            except UpstreamError as error:
                sink.restart()
                if isinstance(error, NotFound):
                    lacking.setdefault(key, error)
                if failure is None or _says(error) >= _says(failure):
                    failure = error
                if following is not None:
                    self._tell("failed", shown(url), str(error), is_missing=isinstance(error, NotFound))
            else:
                for other in lacking.keys() - {key}:
                    self._host(other).lacked()
                return found
        assert failure is not None
        raise failure

    def _in_turn(self, urls: Iterable[str]) -> Iterator[tuple[str, str]]:
        """(host, URL): those of good hosts first, then the others; who turns bad on the way is found out too late."""
        later: list[tuple[str, str]] = []
        for url in urls:
            spot = place(url)
            key = "file" if spot is None else spot.netloc
            host = self.hosts.get(key)
            if host is not None and (host.is_bad or host.refused is not None):
                later.append((key, url))
            else:
                yield key, url
        yield from later

    async def _from_url(
        self,
        url: str,
        sink: Sink,
        asked: Mapping[str, str] | None,
        retries: int,
        *,
        has_other_host: bool = False,
    ) -> tuple[dict[str, str] | None, str, Mapping[str, str]]:
        origin, url, name, host = self._locate(url)
        stats, budget_s = self.stats, self._settings.retry_budget_s
        if has_other_host:
            retries, budget_s = min(retries, ELSEWHERE_RETRIES), min(budget_s, ELSEWHERE_WAIT_S)
        failures = 0
        waits = 0
        waited_s = 0.0
        while True:
            if host.refused is not None:
                raise Unauthorized(*host.refused.args)
            pause_s = 0.0
            if host.blocked_until and (pause_s := host.blocked_until - monotonic()) > 0:
                if waited_s + pause_s > budget_s:
                    raise TooBusy(name, 429, pause_s, budget_s)
                waited_s += pause_s
                await asyncio.sleep(pause_s + random.uniform(0, min(0.5, pause_s / 4)))  # not all at once
                continue
            await host.slots.acquire()
            had_bytes, had_received = sink.size_bytes, sink.received_bytes
            try:
                if host.blocked_until > monotonic():
                    continue  # it asked for quiet while we stood in the queue
                host.requests += 1
                stats.requests += 1
                if origin is None:
                    await self._local_files(url).copy(url, sink)
                    headers: Mapping[str, str] | None = {}
                else:
                    assert self._http is not None
                    headers = await self._http.attempt(origin, url, name, sink, asked)
                digests = sink.verify(name) if headers is not None else None
            except UpstreamError as error:
                failure = error
            else:
                host.served()
                if digests is not None:
                    host.files += 1
                    stats.files += 1
                return digests, name, headers or {}
            finally:
                came_bytes = sink.received_bytes - had_received
                host.bytes += came_bytes
                stats.bytes += came_bytes
                host.slots.release()

            # The slot is free again: nobody waits behind our waiting.
            if isinstance(failure, AskedToWait):
                waits += 1
                wait_s = max(failure.seconds, back_off_s(waits))
                if max(host.ask_later(wait_s), waited_s + wait_s) > budget_s:
                    raise TooBusy(name, failure.status, wait_s, budget_s) from failure
                self._tell("wait", name, f"the host answered {failure.status}", wait_s)
                continue
            host.failed(failure)
            if isinstance(failure, Unauthorized) and failure.url == name:
                host.refused = failure
            if not is_worth_retrying(failure):
                raise failure
            if sink.size_bytes - had_bytes >= PROGRESS_BYTES and sink.validator is not None:
                failures = 0
            failures += 1
            if failures > retries or (has_other_host and host.is_bad):
                raise failure
            if is_wrong_content(failure):
                sink.restart()
                asked = {**(asked or {}), **_NO_CACHE}
            elif sink.validator is None:
                sink.restart()
            wait_s = back_off_s(failures)
            self._tell("resume" if sink.size_bytes else "retry", name, str(failure), wait_s)
            await asyncio.sleep(wait_s)

    def _locate(self, url: str) -> tuple[Origin | None, str, str, Host]:
        """(origin, or None for a local file; URL without credentials; URL as shown; its host)."""
        if url.startswith("file:"):
            if not self._local:
                raise ForbiddenUrl(shown(url), "a remote over HTTP leads to no local file")
            return None, url, url, self._host("file")
        if self._http is None:
            from mpsync.fetch.http import HttpClient  # aiohttp costs 0.1 s: a file:// sync never pays

            self._http = HttpClient(self._settings, self._remote, self._reach, self._hops)
        origin, clean = self._http.origin(url)
        name = clean if "?" not in clean and clean.isprintable() else shown(clean)
        return origin, clean, name, self._host(origin.key)

    def _local_files(self, url: str) -> LocalFiles:
        """The folder that holds it; any folder refuses what it does not hold."""
        return next(
            (files for base, files in self._local.items() if url.startswith(base)), next(iter(self._local.values()))
        )

    def _host(self, key: str) -> Host:
        host = self.hosts.get(key)
        if host is None:
            host = self.hosts[key] = Host(key, self._settings.host_connections)
        return host

    def _tell(
        self,
        kind: Literal["retry", "resume", "wait", "failed"],
        url: str,
        text: str,
        wait_s: float = 0.0,
        is_missing: bool = False,
    ) -> None:
        if self._on_event is not None:
            self._on_event(FetchEvent(kind, url, text, wait_s, is_missing))


def _says(error: UpstreamError) -> int:
    """Of several failures, which one to raise: the higher."""
    return 0 if isinstance(error, NotFound) else 2 if is_wrong_content(error) else 1
