"""A real HTTP/1.1 upstream on loopback for all tests, that can fail in every way a mirror fails.

Runs    in a thread with its own loop, so that tests may be synchronous and mpsync a subprocess; all methods may be
        called from any thread
Knows   keep-alive, HEAD, ETag, Last-Modified, If-None-Match, If-Modified-Since, Range with If-Range, requests in
        absolute form (so it is a plain-HTTP proxy too), and TLS when given a context
Faults  are functions ``(request, response) -> response | None`` on a path (``None`` = all paths), each for so many
        ``times`` (None = always); the first one with times left that doesn't return None applies

    with Upstream() as upstream:
        url = upstream.serve("pool/a.deb", b"bytes")
        upstream.cut("pool/a.deb", at=3)
        ...
        assert upstream.count("pool/a.deb") == 2
"""

from __future__ import annotations

import asyncio
import email.utils
import gzip
import hashlib
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from urllib.parse import quote, unquote, urlsplit

CHUNK_BYTES = 64 << 10


@dataclass(frozen=True, slots=True)
class Request:
    """path is percent-decoded, without the leading slash or the query; target as it came; header names lower-case."""

    method: str
    path: str
    target: str
    headers: dict[str, str]


@dataclass(slots=True)
class Response:
    """What goes out. ``headers`` replace or add to the computed ones; a None value takes a header away.

    cut_at         close the connection after so many body bytes
    stall_at       say nothing more after so many body bytes (-1: not even the headers), until the client leaves
    drip           (bytes, seconds): so many bytes, then a pause
    close          close the connection afterwards; as Connection: close says, unless ``is_silent_close``
    content_length what Content-Length claims, if not the truth
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str | None] = field(default_factory=dict)
    cut_at: int | None = None
    stall_at: int | None = None
    drip: tuple[int, float] | None = None
    close: bool = False
    is_silent_close: bool = False
    content_length: int | None = None


Fault = Callable[[Request, Response], Response | None]


class Upstream:
    """``url`` is ``http://127.0.0.1:<port>`` without a trailing slash; ``requests`` is the log, in order of arrival."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.requests: list[Request] = []
        self.connections = 0
        self.open_now = 0
        self.most_open = 0
        self.latency_s = 0.0
        self._host, self._tls = host, tls
        self._files: dict[str, bytes] = {}
        self._trees: list[tuple[str, Path]] = []
        self._faults: dict[str | None, list[list[object]]] = {}  # path -> [[fault, times left], ...]
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="upstream", daemon=True)
        self._ready = threading.Event()
        self.port = 0

    # ---- life

    def start(self) -> Upstream:
        self._thread.start()
        self._ready.wait()
        return self

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def __enter__(self) -> Upstream:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://{self._host}:{self.port}"

    # ---- what is served

    def serve(self, path: str, body: bytes) -> str:
        """Serve ``body`` at ``path`` from now on; returns its URL, quoted where need be."""
        self._files[path.lstrip("/")] = body
        return f"{self.url}/{quote(path.lstrip('/'), safe='/+~:@,=')}"

    def serve_tree(self, folder: Path, prefix: str = "") -> str:
        """Serve the files below ``folder`` (read at each request) below ``prefix``; returns the URL of it."""
        prefix = prefix.strip("/")
        self._trees.insert(0, (prefix, Path(folder)))
        return f"{self.url}/{prefix}".rstrip("/")

    def remove(self, path: str) -> None:
        """404 from now on (for what ``serve`` put there)."""
        del self._files[path.lstrip("/")]

    # ---- what was asked

    def count(self, path: str | None = None) -> int:
        """How many requests came, for ``path`` or in all."""
        return len(self.of(path))

    def of(self, path: str | None = None) -> list[Request]:
        """The requests for ``path``."""
        path = path.lstrip("/") if path is not None else None
        return [request for request in list(self.requests) if path is None or request.path == path]

    def forget(self) -> None:
        """Empty the log."""
        self.requests.clear()

    # ---- faults

    def on(self, path: str | None, fault: Fault, times: int | None = None) -> None:
        """Apply ``fault`` to requests for ``path`` (None: all), ``times`` times."""
        with self._lock:
            self._faults.setdefault(path.lstrip("/") if path is not None else None, []).append([fault, times])

    def heal(self, path: str | None = None) -> None:
        """Take the faults of ``path`` away; None: all faults."""
        with self._lock:
            if path is None:
                self._faults.clear()
            else:
                self._faults.pop(path.lstrip("/"), None)

    def _set(self, path: str | None, times: int | None, **values: object) -> None:
        def fault(request: Request, response: Response) -> Response:
            for name, value in values.items():
                setattr(response, name, value)
            return response

        self.on(path, fault, times)

    def cut(self, path: str | None, at: int, times: int | None = 1) -> None:
        """Close the connection after ``at`` bytes of the body."""
        self._set(path, times, cut_at=at)

    def stall(self, path: str | None, at: int = 0, times: int | None = None) -> None:
        """Fall silent after ``at`` bytes of the body; -1: before the status line."""
        self._set(path, times, stall_at=at)

    def drip(self, path: str | None, size_bytes: int = 1, every_s: float = 0.05, times: int | None = None) -> None:
        self._set(path, times, drip=(size_bytes, every_s))

    def close_keep_alive(self, path: str | None = None, times: int | None = None, *, silent: bool = False) -> None:
        """Close after each response; ``silent``: without saying so in a header."""
        self._set(path, times, close=True, is_silent_close=silent)

    def lie_length(self, path: str | None, content_length: int, times: int | None = None) -> None:
        """Content-Length says so, the body does not."""
        self._set(path, times, content_length=content_length, close=True, is_silent_close=True)

    def status(
        self,
        path: str | None,
        status: int,
        times: int | None = 1,
        headers: dict[str, str | None] | None = None,
        body: bytes = b"",
    ) -> None:
        """Answer with ``status`` so many times, then as usual."""
        self.on(path, lambda request, response: Response(status, body, dict(headers or {})), times)

    def retry_after(self, path: str | None, value: str | int, status: int = 429, times: int | None = 1) -> None:
        """429 (or 503) with Retry-After: seconds, or a HTTP-date."""
        self.status(path, status, times, {"Retry-After": str(value)})

    def redirect(self, path: str | None, to: str, status: int = 302, times: int | None = None) -> None:
        self.status(path, status, times, {"Location": to})

    def html(
        self, path: str | None, times: int | None = None, page: bytes = b"<!DOCTYPE html><html>please log in</html>"
    ) -> None:
        """A captive portal: 200 with a page."""
        self.status(path, 200, times, {"Content-Type": "text/html"}, page)

    def change(self, path: str, body: bytes, after: int = 1) -> None:
        """Serve ``body`` instead, once ``after`` more requests for ``path`` have been answered as before."""
        left = [after]

        def fault(request: Request, response: Response) -> Response:
            left[0] -= 1
            if left[0] == 0:
                self._files[path.lstrip("/")] = body
            return response

        self.on(path, fault, after)

    def compress(self, path: str | None, times: int | None = None) -> None:
        """A proxy that adds Content-Encoding: gzip whenever the client would accept it."""

        def fault(request: Request, response: Response) -> Response | None:
            if response.status != 200 or "gzip" not in request.headers.get("accept-encoding", "gzip"):
                return None
            response.body = gzip.compress(response.body)
            response.headers["Content-Encoding"] = "gzip"
            return response

        self.on(path, fault, times)

    def ignore_range(self, path: str | None, times: int | None = None) -> None:
        """200 with everything to a Range request."""

        def fault(request: Request, response: Response) -> Response | None:
            body = self._body(request.path)
            return Response(200, body, validators(body)) if body is not None and "range" in request.headers else None

        self.on(path, fault, times)

    def wrong_content_range(self, path: str | None, value: str | None = None, times: int | None = None) -> None:
        """206 whose Content-Range is ``value``, default: one from byte 0."""

        def fault(request: Request, response: Response) -> Response | None:
            if response.status != 206:
                return None
            response.headers["Content-Range"] = value or f"bytes 0-{len(response.body) - 1}/{len(response.body)}"
            return response

        self.on(path, fault, times)

    def without(self, path: str | None, *headers: str, times: int | None = None) -> None:
        """Take headers away, such as ETag and Last-Modified."""
        self.on(path, lambda _, response: _with(response, dict.fromkeys(headers)), times)

    # ---- the server

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._main())
        finally:
            self._loop.close()

    async def _main(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, self._host, 0, ssl=self._tls, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await asyncio.sleep(0)  # connections accepted in this very turn get their task
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            while (request := await self._read(reader)) is not None:
                self.requests.append(request)
                if self.latency_s:
                    await asyncio.sleep(self.latency_s)
                if not await self._answer(request, reader, writer):
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError, ssl.SSLError, TimeoutError):
            pass
        finally:
            self.open_now -= 1
            writer.close()
            with suppress(Exception, asyncio.CancelledError):  # the client may be gone already
                await asyncio.wait_for(writer.wait_closed(), 1)

    async def _read(self, reader: asyncio.StreamReader) -> Request | None:
        head = b""
        with suppress(asyncio.IncompleteReadError):
            head = await reader.readuntil(b"\r\n\r\n")
        if not head:
            return None
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ", 2)
        headers = {
            name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
        }
        path = unquote(urlsplit(target).path if "://" in target else target.partition("?")[0]).lstrip("/")
        return Request(method, path, target, headers)

    def _body(self, path: str) -> bytes | None:
        if path in self._files:
            return self._files[path]
        for prefix, folder in self._trees:
            if not prefix or path.startswith(prefix + "/"):
                file = folder / path[len(prefix) :].lstrip("/")
                if ".." not in path.split("/") and file.is_file():
                    return file.read_bytes()
        return None

    def _usual(self, request: Request) -> Response:
        if request.method not in ("GET", "HEAD"):
            return Response(405, b"only GET and HEAD")
        body = self._body(request.path)
        if body is None:
            return Response(404, b"no such file")
        headers = validators(body)
        asked = request.headers
        if asked.get("if-none-match") == headers["ETag"] or (
            "if-none-match" not in asked and asked.get("if-modified-since") == headers["Last-Modified"]
        ):
            return Response(304, b"", headers)
        if "range" in asked and asked.get("if-range", headers["ETag"]) in (headers["ETag"], headers["Last-Modified"]):
            start, _, end = asked["range"].removeprefix("bytes=").partition("-")
            first, last = int(start), int(end) if end else len(body) - 1
            if first >= len(body):
                return Response(416, b"", {"Content-Range": f"bytes */{len(body)}"})
            last = min(last, len(body) - 1)
            return Response(
                206, body[first : last + 1], {**headers, "Content-Range": f"bytes {first}-{last}/{len(body)}"}
            )
        return Response(200, body, headers)

    def _respond(self, request: Request) -> Response:
        usual = self._usual(request)
        with self._lock:
            for key in (request.path, None):
                for entry in self._faults.get(key, ()):
                    fault, left = entry
                    assert callable(fault)
                    if left is not None and left <= 0:  # type: ignore[operator]  # an int
                        continue
                    changed: Response | None = fault(request, usual)
                    if changed is not None:
                        if left is not None:
                            entry[1] = left - 1  # type: ignore[operator]  # an int
                        return changed
        return usual

    async def _answer(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        response = self._respond(request)
        if response.stall_at == -1:
            await reader.read()
            return False
        body = response.body
        length = response.content_length if response.content_length is not None else len(body)
        headers: dict[str, str | None] = {"Content-Type": "application/octet-stream", "Content-Length": str(length)}
        if response.status == 304:
            del headers["Content-Length"]
        if response.close and not response.is_silent_close:
            headers["Connection"] = "close"
        headers.update(response.headers)
        lines = [f"HTTP/1.1 {response.status} {'OK' if response.status < 300 else 'No'}"]
        lines += [f"{name}: {value}" for name, value in headers.items() if value is not None]
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        if request.method == "HEAD":
            body = b""
        if response.cut_at is not None:
            body = body[: response.cut_at]
        if response.stall_at is not None:
            body = body[: response.stall_at]
        if response.drip is not None:
            writer.write(head)
            await writer.drain()
            size, pause_s = response.drip
            for at in range(0, len(body), size):
                writer.write(body[at : at + size])
                await writer.drain()
                await asyncio.sleep(pause_s)
        elif len(body) <= CHUNK_BYTES:
            writer.write(head + body)
            await writer.drain()
        else:
            writer.write(head)
            for at in range(0, len(body), CHUNK_BYTES):
                writer.write(body[at : at + CHUNK_BYTES])
                await writer.drain()
        if response.stall_at is not None:
            await reader.read()
            return False
        return response.cut_at is None and not response.close and request.headers.get("connection") != "close"


def validators(body: bytes) -> dict[str, str | None]:
    """A strong ETag, and a Last-Modified that differs with the content."""
    digest = hashlib.sha256(body).digest()
    seconds = 1_600_000_000 + int.from_bytes(digest[:3], "big")
    return {"ETag": f'"{digest[:8].hex()}"', "Last-Modified": email.utils.formatdate(seconds, usegmt=True)}


def _with(response: Response, headers: dict[str, str | None]) -> Response:
    response.headers.update(headers)
    return response


def running() -> Iterator[Upstream]:
    """For fixtures: ``yield from running()``."""
    with Upstream() as upstream:
        yield upstream
