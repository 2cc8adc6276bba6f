"""One file over HTTP, whole, broken and lied about (mirror-failures B1-B6, B9, B11, B15, B16, H5)."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
from pathlib import Path

import pytest
from fetching import BODY, SMALL, opened, promise
from upstream import Request, Response, Upstream

from mpsync.errors import MetadataError
from mpsync.fetch.errors import (
    BadResponse,
    CutShort,
    DigestMismatch,
    SizeMismatch,
    Stalled,
    TempFileFailed,
    TooLarge,
)
from mpsync.model.digests import Expected


@pytest.mark.parametrize("body", [b"", b"x", SMALL, BODY], ids=["empty", "one", "small", "large"])
async def test_a_file_arrives_whole_and_hashed(upstream: Upstream, tmp_path: Path, body: bytes) -> None:
    url = upstream.serve("pool/g++ 1~2.deb", body)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([url], promise(body, md5=hashlib.md5(body).hexdigest()))

        assert fetched.path.read_bytes() == body
        assert fetched.size_bytes == len(body)
        assert fetched.digests == {
            "sha256": hashlib.sha256(body).hexdigest(),
            "md5": hashlib.md5(body).hexdigest(),
        }
        assert fetched.url == url
        assert it.files == [fetched.path]
        stats = it.fetcher.stats
        assert (stats.requests, stats.files, stats.bytes) == (1, 1, len(body))
    assert upstream.requests[0].headers["accept-encoding"] == "identity"


async def test_a_file_goes_where_it_is_told(upstream: Upstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([upstream.serve("a", BODY)], promise(BODY), into=tmp_path / "a.deb")

        assert fetched.path == tmp_path / "a.deb"
        assert fetched.path.read_bytes() == BODY
        assert sorted(tmp_path.iterdir()) == [tmp_path / "a.deb", tmp_path / "data"]
        assert it.files == []


@pytest.mark.parametrize("body", [SMALL, BODY], ids=["small", "large"])
async def test_wrong_bytes_are_tried_again_from_byte_0_past_the_caches_and_leave_no_file(
    upstream: Upstream, tmp_path: Path, body: bytes
) -> None:
    url = upstream.serve("a", body)
    want = Expected.sha256("0" * 64, len(body))

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(DigestMismatch, match="metadata promised sha256:0000") as failure:
            await it.fetch([url], want)

        assert it.files == []
    assert failure.value.url == url
    asked = [(r.headers.get("cache-control"), r.headers.get("range")) for r in upstream.requests]
    assert asked == [(None, None), ("no-cache", None), ("no-cache", None)]


async def test_a_stale_cache_is_passed_by_the_retry(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.on("a", lambda request, _: Response(200, SMALL[::-1]) if "cache-control" not in request.headers else None)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([url], promise(SMALL))

        assert fetched.path.read_bytes() == SMALL
        assert it.kinds == ["retry"]


async def test_fresh_passes_the_caches_at_once(upstream: Upstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream.url) as it:
        await it.fetch([upstream.serve("a", SMALL)], promise(SMALL), fresh=True)

    assert upstream.requests[0].headers["cache-control"] == "no-cache"


@pytest.mark.parametrize("at", [1, 1000, 300_000, 399_999])
async def test_a_cut_is_resumed_where_it_was(upstream: Upstream, tmp_path: Path, at: int) -> None:
    url = upstream.serve("a", BODY)
    upstream.cut("a", at=at)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([url], promise(BODY))

        assert fetched.path.read_bytes() == BODY
        assert it.kinds == ["resume"]
        assert it.fetcher.stats.bytes == len(BODY)
    again = upstream.requests[1].headers
    assert again["range"] == f"bytes={at}-"
    assert again["if-range"].startswith('"')


async def test_a_file_cut_many_times_arrives_as_long_as_it_gets_on(upstream: Upstream, tmp_path: Path) -> None:
    body = hashlib.shake_128(b"big").digest(9_000_000)
    url = upstream.serve("a", body)
    upstream.cut("a", at=2_000_000, times=4)  # of what is left, each time

    async with opened(tmp_path, upstream.url, retries=1) as it:
        fetched = await it.fetch([url], promise(body))

        assert fetched.sha256 == hashlib.sha256(body).hexdigest()
        assert it.fetcher.stats.bytes == len(body)


async def test_without_a_validator_a_cut_starts_again_at_byte_0(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)

    def cut(request: Request, response: Response) -> Response:
        response.headers.update({"ETag": None, "Last-Modified": None})
        response.cut_at = 1000
        return response

    upstream.on("a", cut, times=1)

    async with opened(tmp_path, upstream.url) as it:
        fetched = await it.fetch([url], promise(BODY))

        assert fetched.path.read_bytes() == BODY
    assert "range" not in upstream.requests[1].headers


async def test_a_weak_etag_is_no_validator_but_last_modified_is(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)

    def cut(request: Request, response: Response) -> Response:
        response.headers["ETag"] = 'W/"weak"'
        response.cut_at = 1000
        return response

    upstream.on("a", cut, times=1)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(BODY))).path.read_bytes() == BODY
    assert upstream.requests[1].headers["if-range"].endswith("GMT")


async def test_a_file_that_changed_between_cut_and_resume_is_taken_anew(upstream: Upstream, tmp_path: Path) -> None:
    new = BODY[::-1]
    url = upstream.serve("a", BODY)

    def cut_and_change(request: Request, response: Response) -> Response:
        upstream.serve("a", new)
        response.cut_at = 300_000
        return response

    upstream.on("a", cut_and_change, times=1)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(new))).path.read_bytes() == new
    assert [request.headers.get("range") for request in upstream.requests] == [None, "bytes=300000-"]


async def test_a_server_that_knows_no_ranges_is_not_appended_to(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)
    upstream.cut("a", at=300_000)
    upstream.ignore_range("a")

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(BODY))).path.read_bytes() == BODY
    assert upstream.count() == 2


@pytest.mark.parametrize(
    "content_range", ["bytes 0-399999/400000", "bytes 1000-399999/500000", "bytes 1000-5000/400000", "1000-", ""]
)
async def test_a_wrong_content_range_restarts_the_file(upstream: Upstream, tmp_path: Path, content_range: str) -> None:
    url = upstream.serve("a", BODY)
    upstream.cut("a", at=1000)
    upstream.wrong_content_range("a", content_range)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(BODY))).path.read_bytes() == BODY
    assert [request.headers.get("range") for request in upstream.requests] == [None, "bytes=1000-", None]


async def test_a_partial_answer_to_a_whole_question_is_refused(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)
    upstream.on("a", lambda *_: Response(206, BODY[:10], {"Content-Range": "bytes 0-9/10"}))

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(BadResponse, match="206"):
            await it.fetch([url], Expected())
        assert it.files == []


async def test_416_after_the_last_byte_means_the_file_is_complete(upstream: Upstream, tmp_path: Path) -> None:
    """The body came whole, the chunked coding's end did not."""
    url = upstream.serve("a", SMALL)

    def without_end(request: Request, response: Response) -> Response:
        response.headers.update({"Transfer-Encoding": "chunked", "Content-Length": None})
        response.body = b"%x\r\n" % len(SMALL) + SMALL + b"\r\n"
        response.close = True
        return response

    upstream.on("a", without_end, times=1)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL
    assert upstream.requests[1].headers["range"] == "bytes=5000-"


async def test_416_to_a_file_that_shrank_starts_again(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.cut("a", at=3000)
    upstream.status("a", 416, headers={"Content-Range": "bytes */100"})

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL
    assert upstream.count() == 3


@pytest.mark.parametrize("length", [len(SMALL) + 1, len(SMALL) - 1, 10**12])
async def test_a_content_length_that_is_not_the_promised_size_ends_it_early(
    upstream: Upstream, tmp_path: Path, length: int
) -> None:
    url = upstream.serve("a", SMALL[:length])
    upstream.lie_length("a", length)

    async with opened(tmp_path, upstream.url, retries=1) as it:
        with pytest.raises(SizeMismatch, match=f"size is {length} B, metadata promised 5000 B"):
            await it.fetch([url], promise(SMALL))

        assert it.files == []
        assert it.fetcher.stats.bytes == 0


async def test_more_bytes_than_promised_end_it_early(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)
    upstream.on(
        "a",
        lambda *_: Response(
            200,
            b"10000\r\n" + b"x" * 65536 + b"\r\n",
            {"Transfer-Encoding": "chunked", "Content-Length": None},
            stall_at=70_000,
        ),
    )

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(SizeMismatch):
            await it.fetch([url], Expected(1000, {}))
        assert it.files == []


async def test_fewer_bytes_than_promised_without_a_length_are_a_size_mismatch(
    upstream: Upstream, tmp_path: Path
) -> None:
    url = upstream.serve("a", SMALL)
    upstream.on("a", lambda *_: Response(200, SMALL[:100], {"Content-Length": None}, close=True))

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(SizeMismatch, match="100 B"):
            await it.fetch([url], promise(SMALL))


async def test_a_body_of_unknown_size_has_a_limit(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(TooLarge, match="limit is 1000 B"):
            await it.fetch([url], Expected(limit_bytes=1000))
        upstream.on("a", lambda *_: Response(200, BODY, {"Content-Length": None}, close=True))
        with pytest.raises(TooLarge):
            await it.read(url, limit_bytes=1000)

        assert it.files == []
    assert upstream.count() == 2  # no point in trying again


async def test_a_captive_portals_page_is_shown(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.html("a", page=b"<html>\x1b[2J please log in" + b" " * 5000)

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(SizeMismatch, match=r"web page: <html> .2J please log in"):
            await it.fetch([url], promise(SMALL))
        upstream.heal()
        upstream.html("a", page=(b"<html>please log in" + b" " * 5000)[:5000])
        with pytest.raises(DigestMismatch, match="web page: <html>please log in"):
            await it.fetch([url], promise(SMALL))


async def test_a_proxy_that_compresses_regardless_is_found_out(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("Release", SMALL)
    upstream.on("Release", lambda *_: Response(200, gzip.compress(SMALL), {"Content-Encoding": "gzip"}))

    async with opened(tmp_path, upstream.url, retries=0) as it:
        with pytest.raises(BadResponse, match="Content-Encoding is gzip"):
            await it.read(url, limit_bytes=10_000)
        with pytest.raises(SizeMismatch):
            await it.fetch([url], promise(SMALL))


async def test_a_gz_file_labelled_as_encoded_is_taken_as_its_raw_bytes(upstream: Upstream, tmp_path: Path) -> None:
    packed = gzip.compress(SMALL)
    url = upstream.serve("Packages.gz", packed)
    upstream.on("Packages.gz", lambda _, response: Response(200, packed, {"Content-Encoding": "x-gzip"}))

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(packed))).path.read_bytes() == packed
        assert (await it.read(url, limit_bytes=10_000)).body == packed


@pytest.mark.parametrize("at", [-1, 0, 2000])
async def test_a_silent_server_is_left_and_asked_again(upstream: Upstream, tmp_path: Path, at: int) -> None:
    url = upstream.serve("a", SMALL)
    upstream.stall("a", at=at, times=1)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL
        assert it.kinds == ["resume" if at > 0 else "retry"]


async def test_a_server_that_drips_is_left(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.drip("a", size_bytes=1, every_s=0.01)

    async with opened(tmp_path, upstream.url, retries=0, stall_timeout_s=0.2) as it:
        with pytest.raises(Stalled, match="less than 1000 B/s"):
            await it.fetch([url], promise(SMALL))
        assert it.files == []


async def test_a_slow_but_steady_server_is_not_left(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.drip("a", size_bytes=250, every_s=0.03)  # 0.6 s in all, several stall time-outs

    async with opened(tmp_path, upstream.url, retries=0, stall_timeout_s=0.2) as it:
        assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL


@pytest.mark.parametrize("silent", [False, True])
async def test_a_server_that_closes_after_each_answer_is_no_trouble(
    upstream: Upstream, tmp_path: Path, silent: bool
) -> None:
    urls = [upstream.serve(f"f{number}", SMALL) for number in range(10)]
    upstream.close_keep_alive(silent=silent)

    async with opened(tmp_path, upstream.url) as it:
        for url in urls:
            assert (await it.fetch([url], promise(SMALL))).size_bytes == len(SMALL)
        assert it.fetcher.stats.files == 10


async def test_connections_are_kept_and_reused(upstream: Upstream, tmp_path: Path) -> None:
    urls = [upstream.serve(f"f{number}", SMALL) for number in range(10)]

    async with opened(tmp_path, upstream.url) as it:
        for url in urls:
            await it.fetch([url], promise(SMALL))
    assert upstream.connections == 1


async def test_an_unasked_304_is_no_answer(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)
    upstream.status("a", 304)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.fetch([url], promise(SMALL))).path.read_bytes() == SMALL
    assert upstream.requests[1].headers["cache-control"] == "no-cache"


async def test_a_top_file_is_read_with_and_without_conditions(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("InRelease", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        first = await it.read(url, limit_bytes=10_000)
        by_etag = await it.read(url, limit_bytes=10_000, etag=first.etag)
        by_date = await it.read(url, limit_bytes=10_000, last_modified=first.last_modified)
        upstream.serve("InRelease", BODY[:100])
        changed = await it.read(url, limit_bytes=10_000, etag=first.etag)

        assert (first.body, first.is_unchanged) == (SMALL, False)
        assert (by_etag.body, by_etag.is_unchanged) == (b"", True)
        assert by_date.is_unchanged
        assert (changed.body, changed.is_unchanged) == (BODY[:100], False)
        assert it.files == []


async def test_a_top_file_without_digest_is_resumed_by_a_strong_etag_only(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("InRelease", SMALL)
    upstream.cut("InRelease", at=1000)

    async with opened(tmp_path, upstream.url) as it:
        assert (await it.read(url, limit_bytes=10_000)).body == SMALL
        upstream.without("InRelease", "ETag")
        upstream.heal()

        def cut(request: Request, response: Response) -> Response:
            response.headers["ETag"] = None
            response.cut_at = 1000
            return response

        upstream.on("InRelease", cut, times=1)
        assert (await it.read(url, limit_bytes=10_000)).body == SMALL
    assert [request.headers.get("range") for request in upstream.requests] == [None, "bytes=1000-", None, None]


async def test_a_server_that_only_cuts_is_given_up(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)
    upstream.cut("a", at=0, times=None)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(CutShort, match="after 0 B"):
            await it.fetch([url], promise(BODY))
        assert it.files == []
    assert upstream.count() == 3


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 abc\r\n\r\n", b""])
async def test_a_server_that_speaks_no_http_is_an_upstream_error(tmp_path: Path, answer: bytes) -> None:
    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, opened(tmp_path, f"http://127.0.0.1:{port}/", retries=0) as it:
        with pytest.raises((BadResponse, CutShort)):
            await it.fetch([f"http://127.0.0.1:{port}/a"], promise(SMALL))


async def test_a_cancelled_transfer_leaves_no_file(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", BODY)
    upstream.stall("a", at=350_000)

    async with opened(tmp_path, upstream.url, stall_timeout_s=30) as it:
        task = asyncio.ensure_future(it.fetch([url], promise(BODY)))
        while not it.files:  # noqa: ASYNC110  # a file in a folder sets no event
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert it.files == []


async def test_a_full_disk_is_the_operators_matter_and_not_retried(upstream: Upstream, tmp_path: Path) -> None:
    url = upstream.serve("a", SMALL)

    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(TempFileFailed, match="No such file or directory"):
            await it.fetch([url], promise(SMALL), into=tmp_path / "missing" / "a")
    assert upstream.count() == 1


async def test_an_unknown_digest_algorithm_is_named(upstream: Upstream, tmp_path: Path) -> None:
    async with opened(tmp_path, upstream.url) as it:
        with pytest.raises(MetadataError, match="crc32"):
            await it.fetch([upstream.serve("a", SMALL)], Expected(None, {"crc32": "00"}))
