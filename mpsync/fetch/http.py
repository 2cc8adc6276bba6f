"""One try at one HTTP URL: request, redirects by hand, the body into a sink.

Runs    in the main process; the only importer of aiohttp's client, and itself imported only once HTTP is used (0.1 s)
Errors  leave as leaves of fetch/errors.py; aiohttp's own never do
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

import aiohttp
from aiohttp import hdrs
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from mpsync import __version__
from mpsync.fetch.errors import (
    AskedToWait,
    BadRedirect,
    BadResponse,
    ConnectFailed,
    CutShort,
    FetchError,
    ForbiddenUrl,
    HttpStatus,
    NotFound,
    SizeMismatch,
    Stalled,
    TlsFailed,
    Unauthorized,
    looks_like_page,
)
from mpsync.fetch.hops import Hops
from mpsync.fetch.proxies import Proxy, basic, proxy_for
from mpsync.fetch.reach import Place, Reach, credentials, is_clean, place, shown
from mpsync.fetch.retry import retry_after_s
from mpsync.fetch.sink import SMALL_BYTES, Sink
from mpsync.fetch.tls import context_for, tls_reason
from mpsync.model.remote import Remote
from mpsync.settings import Settings

_REDIRECTS = frozenset((301, 302, 303, 307, 308))
_NOT_FOUND = frozenset((403, 404, 410))
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_GZIP_NAME = re.compile(r"\.(?:gz|tgz|Z|bz2|xz|zst)$")


class Origin:
    """What all requests to one ``scheme://[credentials@]host:port`` have in common.

    key     "host:port", for the host's slots and score
    headers of every request;  options: further arguments of the request: TLS context and proxy
    """

    __slots__ = ("headers", "key", "options", "proxy", "spot")

    def __init__(self, spot: Place, headers: dict[str, str], options: dict[str, Any], proxy: Proxy | None) -> None:
        self.spot, self.headers, self.options, self.proxy = spot, headers, options, proxy
        self.key = spot.netloc


HOP_BYTES = 1 << 20
"""Bodies from this size on are hashed and written in threads. Not below: a hop costs as much as a run of 256 KB, and if
the connection is cut meanwhile, aiohttp gives up what it had buffered, some 100 KB that come again."""


class HttpClient:
    """A session with one remote, open from ``open`` to ``close``; all tries share its connections."""

    def __init__(self, settings: Settings, remote: Remote, reach: Reach, hops: Hops) -> None:
        self._settings, self._remote, self._reach, self._hops = settings, remote, reach, hops
        self._origins: dict[str, Origin] = {}
        self._stall_s = settings.stall_timeout_s
        timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=settings.connect_timeout_s, sock_read=settings.stall_timeout_s
        )
        self._session = aiohttp.ClientSession(
            # The slots of each host bound the connections, so the wait for one has no time-out.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, resolver=_GuardedResolver(self._reach)),
            timeout=timeout,
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=SMALL_BYTES,
            headers={
                hdrs.ACCEPT: "*/*",
                hdrs.ACCEPT_ENCODING: "identity",
                hdrs.USER_AGENT: f"mpsync/{__version__}",
            },
        )

    async def close(self) -> None:
        await self._session.close()

    # ---- where to

    def origin(self, url: str) -> tuple[Origin, str]:
        """The origin of a URL from metadata or configuration, and the URL without credentials. Raises ForbiddenUrl."""
        end = url.find("/", 8)
        origin = self._origins.get(url[:end]) if end > 0 else None
        if origin is None:
            spot = place(url)
            if spot is None:
                raise ForbiddenUrl(shown(url), "not a well-formed http or https URL")
            self._reach.check(spot)
            origin = self._new_origin(spot)
            if end > 0:
                self._origins[url[:end]] = origin
        elif not is_clean(url):
            raise ForbiddenUrl(shown(url), "it holds characters that no URL may hold")
        if origin.spot.userinfo is not None:
            url = url.replace(origin.spot.userinfo + "@", "", 1)
        return origin, url

    def _redirected_origin(self, spot: Place) -> Origin:
        origin = self._origins.get(spot.origin)
        if origin is None:
            origin = self._origins[spot.origin] = self._new_origin(spot)
        return origin

    def _new_origin(self, spot: Place) -> Origin:
        remote, headers = self._remote, dict[str, str]()
        options: dict[str, Any] = {"allow_redirects": False}
        is_base = self._reach.is_base(spot)
        if is_base:
            headers.update(remote.headers)
            if remote.username is not None:
                headers[hdrs.AUTHORIZATION] = basic(remote.username, remote.password or "")
        if spot.userinfo:
            headers[hdrs.AUTHORIZATION] = basic(*credentials(spot.userinfo))
        if spot.scheme == "https":
            options["ssl"] = context_for(remote, with_client_cert=is_base)
        proxy = proxy_for(remote, spot)
        if proxy is not None:
            self._reach.name(proxy.host)
            options["proxy"] = proxy.url
            if proxy.authorization is not None:
                if spot.scheme == "https":
                    options["proxy_headers"] = {hdrs.PROXY_AUTHORIZATION: proxy.authorization}
                else:
                    headers[hdrs.PROXY_AUTHORIZATION] = proxy.authorization
        return Origin(spot, headers, options, proxy)

    # ---- one try

    async def attempt(
        self, origin: Origin, url: str, name: str, sink: Sink, asked: Mapping[str, str] | None
    ) -> Mapping[str, str] | None:
        """Put the body into ``sink``: from byte 0, or from ``sink.size_bytes`` on if the server agrees.

        name     the URL as errors show it
        asked    further request headers: Cache-Control, If-None-Match …
        returns  the response's headers; None for 304
        leaves   ``sink.validator`` set if the next try may resume
        """
        headers = origin.headers
        if asked or sink.size_bytes:
            headers = {**headers, **(asked or {})}
            if sink.size_bytes and sink.validator is not None:
                headers[hdrs.RANGE] = f"bytes={sink.size_bytes}-"
                headers[hdrs.IF_RANGE] = sink.validator
        response: aiohttp.ClientResponse | None = None
        began = monotonic()
        try:
            response = await self._session.get(URL(url, encoded=True), headers=headers, **origin.options)
            if response.status in _REDIRECTS:
                response = await self._follow(response, origin, url, headers)
            if response.status == 200:
                if sink.size_bytes:
                    sink.restart()  # it changed, or the server knows no ranges
            elif not (has_body := self._unusual(response, name, sink, headers)):
                return None if has_body is None else response.headers
            await self._receive(response, name, sink)
            return response.headers
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if response is not None:
                sink.validator = _validator(response, sink)
            raise self._translated(error, name, sink, monotonic() - began, is_answered=response is not None) from error
        except Stalled:
            assert response is not None
            sink.validator = _validator(response, sink)
            raise
        finally:
            if response is not None:
                response.release()  # a no-op once the body was read; closes the connection otherwise

    async def _follow(
        self, response: aiohttp.ClientResponse, origin: Origin, url: str, headers: Mapping[str, str]
    ) -> aiohttp.ClientResponse:
        """Follow redirects: the last response, not a redirect. Raises BadRedirect."""
        here = place(url)
        assert here is not None
        seen = {url}
        # What is ours to say about the request goes along; what belongs to the origin does not.
        ours = {key: value for key, value in headers.items() if key not in origin.headers}
        while response.status in _REDIRECTS:
            response.release()
            there = self._reach.redirected(here, response.headers.get(hdrs.LOCATION))
            if there.url in seen:
                raise BadRedirect(shown(here.url), shown(there.url), "a loop")
            if len(seen) > self._settings.max_redirects:
                raise BadRedirect(shown(here.url), shown(there.url), f"more than {len(seen) - 1} redirects")
            seen.add(there.url)
            here, origin = there, self._redirected_origin(there)
            response = await self._session.get(
                URL(there.url, encoded=True), headers={**origin.headers, **ours}, **origin.options
            )
        return response

    def _unusual(self, response: aiohttp.ClientResponse, name: str, sink: Sink, sent: Mapping[str, str]) -> bool | None:
        """Any status but 200: True to read the body, False when we have it all, None when unchanged, or raises."""
        status, got = response.status, response.headers
        if status == 206 or status == 416:
            if hdrs.RANGE not in sent:
                raise BadResponse(name, f"{status} to a request without a range")
            if status == 206:
                self._check_range(got.get(hdrs.CONTENT_RANGE, ""), got.get(hdrs.ETAG), name, sink)
                return True
            if got.get(hdrs.CONTENT_RANGE) == f"bytes */{sink.size_bytes}":
                return False  # we had it all: only the end was cut
            raise BadResponse(name, f"416 to a range from byte {sink.size_bytes}")
        if status == 304:
            if hdrs.IF_NONE_MATCH in sent or hdrs.IF_MODIFIED_SINCE in sent:
                return None
            raise BadResponse(name, "304 to a request without a condition")
        if status in _NOT_FOUND:
            raise NotFound(name, f"{status} {response.reason or ''}".rstrip())
        if status == 401:
            had = hdrs.AUTHORIZATION in sent
            asked = shown(str(response.url))  # not ``name`` after a redirect: then it is another host's refusal
            raise Unauthorized(asked, 401, "the credentials were refused" if had else "credentials are required")
        if status == 407:
            raise Unauthorized(name, 407, "the proxy wants credentials, or refused them")
        if status in (429, 503):
            wait_s = retry_after_s(got.get(hdrs.RETRY_AFTER))
            if wait_s is not None:
                raise AskedToWait(name, status, wait_s)
        raise HttpStatus(name, status, response.reason or "")

    @staticmethod
    def _check_range(content_range: str, etag: str | None, name: str, sink: Sink) -> None:
        found = _CONTENT_RANGE.fullmatch(content_range)
        sizes = sink.sizes
        is_right = found is not None and int(found[1]) == sink.size_bytes <= int(found[2])
        if is_right and found is not None and found[3] != "*":
            is_right = int(found[2]) + 1 == int(found[3]) and (sizes is None or int(found[3]) in sizes)
        if not is_right:
            raise BadResponse(name, f"asked for bytes from {sink.size_bytes}, got {content_range!r}")
        if (
            etag is not None
            and sink.validator is not None
            and sink.validator.startswith('"')
            and etag != sink.validator
        ):
            raise BadResponse(name, f"a range of another file: ETag {etag}, not {sink.validator}")

    async def _receive(self, response: aiohttp.ClientResponse, name: str, sink: Sink) -> None:
        """The body into the sink. Raises SizeMismatch or TooLarge as soon as it is clear, Stalled when it drips."""
        want = sink.want
        length = response.content_length
        if length is not None:
            size = sink.size_bytes + length
            if want.size_bytes is not None and sink.sizes is not None and size not in sink.sizes:
                raise SizeMismatch(name, want.size_bytes, size, await _peek(response))
            if sink.cap is not None and size > sink.cap:
                raise sink.too_many(name, size)
        if not want.digests:
            encoding = response.headers.get(hdrs.CONTENT_ENCODING, "identity")
            if encoding != "identity" and not _GZIP_NAME.search(response.url.raw_path):
                raise BadResponse(name, f"Content-Encoding is {encoding}, which we did not accept")
        has_hops = length is None or length >= HOP_BYTES
        read = response.content.readany
        stall_s, window_ends, window_began_at = self._stall_s, monotonic() + self._stall_s, sink.size_bytes
        while chunk := await read():
            if sink.write(chunk, name):
                if has_hops:
                    await self._hops.run(sink.drain)
                else:
                    sink.drain()
            now = monotonic()
            if now >= window_ends:
                got = sink.size_bytes - window_began_at
                seconds = now - window_ends + stall_s
                if got < self._settings.min_bytes_per_s * seconds:
                    raise Stalled(name, got, seconds, self._settings.min_bytes_per_s)
                window_ends, window_began_at = now + stall_s, sink.size_bytes

    def _translated(
        self, error: BaseException, name: str, sink: Sink, seconds: float, *, is_answered: bool
    ) -> FetchError:
        """aiohttp's error as ours."""
        if isinstance(error, aiohttp.ClientHttpProxyError):
            if error.status == 407:
                return Unauthorized(name, 407, "the proxy wants credentials, or refused them")
            return ConnectFailed(name, f"the proxy answered {error.status} {error.message}")
        if (reason := tls_reason(error)) is not None:
            return TlsFailed(name, reason)
        if isinstance(error, aiohttp.InvalidURL):  # such as 127.1: a name to us, an address to some resolvers
            return ForbiddenUrl(name, _words(error))
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return ConnectFailed(name, f"no connection in {self._settings.connect_timeout_s:g} s")
        if isinstance(error, aiohttp.ClientConnectorError):
            if isinstance(error.os_error, _Refused):
                return ForbiddenUrl(name, str(error.os_error))
            return ConnectFailed(name, _connecting(error.os_error))
        if isinstance(error, TimeoutError):  # aiohttp's time-outs are
            return Stalled(name, sink.size_bytes, self._stall_s, self._settings.min_bytes_per_s)
        if is_answered or isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError):
            return CutShort(name, sink.size_bytes, _words(error))
        return BadResponse(name, _words(error))


def _connecting(error: OSError) -> str:
    """The system's words: asyncio says "Connect call failed ('127.0.0.1', 9)" in their place."""
    said = error.strerror or str(error)
    if error.errno is not None and error.errno > 0 and "call failed" in said:
        return f"{os.strerror(error.errno).lower()} {said.partition('failed')[2].strip()}"
    return said


class _Refused(OSError):
    """A name that resolved only to addresses that this remote may not reach."""


class _GuardedResolver(AbstractResolver):
    """The system's resolver, minus addresses that a redirect or href must not lead to (DNS rebinding included)."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._inner = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        base_host = self._reach.base_host
        if base_host is not None and not self._reach.knows_base:
            with suppress(OSError):  # unknown: then only public addresses are right
                base = found if base_host == host else await self._inner.resolve(base_host, port, family)
                for result in base:
                    self._reach.note_base_address(result["host"])
        if self._reach.is_own(host, port):
            for result in found:
                self._reach.note_list_address(result["host"])
        allowed = [result for result in found if self._reach.allows_address(host, port, result["host"])]
        if not allowed:
            raise _Refused(f"{host} is {', '.join(result['host'] for result in found)}: not a public address")
        return allowed

    async def close(self) -> None:
        await self._inner.close()


def _validator(response: aiohttp.ClientResponse, sink: Sink) -> str | None:
    """What If-Range may hold: a strong ETag, or Last-Modified if a digest proves the whole (it may lie by a second)."""
    if not sink.size_bytes:
        return None
    etag = response.headers.get(hdrs.ETAG)
    if etag is not None and etag.startswith('"'):
        return etag
    return response.headers.get(hdrs.LAST_MODIFIED) if sink.want.digests else None


async def _peek(response: aiohttp.ClientResponse) -> str | None:
    """The first bytes of a body that we won't read, if it is a web page."""
    if "html" not in response.headers.get(hdrs.CONTENT_TYPE, "") and not response.content.total_bytes:
        return None
    try:
        async with asyncio.timeout(1):
            return looks_like_page(await response.content.readany())
    except (aiohttp.ClientError, OSError, TimeoutError):
        return None


def _words(error: BaseException) -> str:
    """The first line of it: aiohttp quotes whole bodies in its messages."""
    text = str(error).partition("\n")[0][:200]
    return "".join(char for char in text if char.isprintable()) or type(error).__name__
