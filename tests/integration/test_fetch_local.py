"""file:// upstreams keep the same promises."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fetching import BODY, SMALL, opened, promise

from mpsync.fetch.errors import DigestMismatch, ForbiddenUrl, NotFound, SizeMismatch, TooLarge
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    """A folder that is an upstream."""
    folder = tmp_path / "my mirror"
    folder.mkdir()
    return folder


def remote_of(folder: Path) -> Remote:
    return Remote(folder.as_uri())


@pytest.mark.parametrize("body", [b"", SMALL, BODY], ids=["empty", "small", "large"])
async def test_a_file_is_copied_and_hashed(mirror: Path, tmp_path: Path, body: bytes) -> None:
    (mirror / "g++ 1%2~ü.deb").write_bytes(body)
    remote = remote_of(mirror)

    async with opened(tmp_path, remote) as it:
        fetched = await it.fetch([remote.join("g++ 1%2~ü.deb")], promise(body))

        assert fetched.path.read_bytes() == body
        assert fetched.sha256 == promise(body).digests["sha256"]
        assert fetched.path.stat().st_ino != (mirror / "g++ 1%2~ü.deb").stat().st_ino
        assert (it.fetcher.stats.files, it.fetcher.stats.bytes) == (1, len(body))
        assert (await it.read(remote.join("g++ 1%2~ü.deb"), limit_bytes=1 << 20)).body == body


async def test_the_errors_are_the_same(mirror: Path, tmp_path: Path) -> None:
    (mirror / "a").write_bytes(BODY)
    (mirror / "folder").mkdir()
    os.mkfifo(mirror / "fifo")
    remote = remote_of(mirror)

    async with opened(tmp_path, remote, retries=0) as it:
        with pytest.raises(NotFound, match="No such file"):
            await it.fetch([remote.join("b")], promise(SMALL))
        with pytest.raises(NotFound):
            await it.fetch([remote.join("a/b")], promise(SMALL))
        for path in ("folder", "fifo"):
            with pytest.raises(NotFound, match="not a regular file"):
                await it.fetch([remote.join(path)], promise(SMALL))
        with pytest.raises(SizeMismatch):
            await it.fetch([remote.join("a")], promise(SMALL))
        with pytest.raises(SizeMismatch):
            await it.fetch([remote.join("a")], promise(BODY + b"more"))
        with pytest.raises(DigestMismatch):
            await it.fetch([remote.join("a")], promise(BODY[::-1]))
        with pytest.raises(TooLarge):
            await it.read(remote.join("a"), limit_bytes=10)
        assert it.files == []


async def test_nothing_outside_of_the_folder_is_read(mirror: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(SMALL)
    (tmp_path / "my mirror-evil").mkdir()
    (tmp_path / "my mirror-evil" / "a").write_bytes(SMALL)
    (mirror / "link").symlink_to(tmp_path / "secret")
    (mirror / "folder-link").symlink_to(tmp_path)
    base = mirror.as_uri()

    async with opened(tmp_path, Remote(base)) as it:
        for url in (
            f"{base}/../secret",
            f"{base}/%2e%2e/secret",
            f"{base}/..%2fsecret",
            f"{base}/link",
            f"{base}/folder-link/secret",
            f"{base}-evil/a",
            "file:///etc/passwd",
        ):
            with pytest.raises(ForbiddenUrl):
                await it.fetch([url], promise(SMALL))


async def test_links_that_stay_inside_are_followed(mirror: Path, tmp_path: Path) -> None:
    (mirror / "trixie").mkdir()
    (mirror / "trixie" / "Release").write_bytes(SMALL)
    (mirror / "stable").symlink_to("trixie")
    alias = tmp_path / "alias"
    alias.symlink_to(mirror)
    remote = remote_of(alias)

    async with opened(tmp_path, remote) as it:
        assert (await it.fetch([remote.join("stable/Release")], promise(SMALL))).size_bytes == len(SMALL)


async def test_a_cancelled_copy_leaves_no_file(mirror: Path, tmp_path: Path) -> None:
    with (mirror / "big").open("wb") as big:
        big.truncate(4 << 30)  # sparse: hashing it takes seconds
    remote = remote_of(mirror)

    async with opened(tmp_path, remote) as it:
        task = asyncio.ensure_future(it.fetch([remote.join("big")], Expected()))
        while not it.files:  # noqa: ASYNC110  # a file in a folder sets no event
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert it.files == []


def test_a_local_sync_never_loads_the_http_library(mirror: Path, tmp_path: Path) -> None:
    (mirror / "a").write_bytes(SMALL)
    code = f"""
import asyncio, sys
from pathlib import Path
from mpsync.fetch.session import Fetcher
from mpsync.model.digests import Expected
from mpsync.model.remote import Remote
from mpsync.settings import Settings
async def main():
    remote = Remote({mirror.as_uri()!r})
    async with Fetcher(Settings(data_dir=Path({str(tmp_path)!r})), remote) as fetcher:
        await fetcher.fetch([remote.join("a")], Expected())
asyncio.run(main())
print("aiohttp" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
