"""Repositories as other tools make them, and as nobody should: what Release names and what is there differ."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
from collections.abc import Callable
from pathlib import Path

import psycopg
import pysequoia as pgp
import pytest
import zstandard
from command import Command
from debrepo import KEY
from upstream import Request, Response, Upstream

from mpsync.store import records
from mpsync.store.embedded import EmbeddedServer

INDEX = "main/binary-amd64/Packages"
NAMES = {"md5": "MD5Sum", "sha256": "SHA256", "sha512": "SHA512"}


class Suite:
    """A suite made by hand. files: what Release names, as {path: bytes}, whether or not it is served."""

    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.files: dict[str, bytes] = {}
        self.head = {"Date": "Thu, 02 Jan 2025 00:00:00 UTC", "Architectures": "amd64", "Components": "main"}
        self.algorithms = {"sha256": ""}  # algorithm -> prefix of the paths that it covers

    def name(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def serve(self, path: str, data: bytes, *, named: bool = True) -> None:
        if named:
            self.files[path] = data
        self.upstream.serve(f"dists/stable/{path}", data)

    def text(self) -> bytes:
        lines = [f"{name}: {value}" for name, value in self.head.items()]
        for algorithm, prefix in self.algorithms.items():
            lines.append(f"{NAMES[algorithm]}:")
            lines += [
                f" {hashlib.new(algorithm, data).hexdigest()} {len(data)} {path}"
                for path, data in self.files.items()
                if path.startswith(prefix)
            ]
        return "\n".join([*lines, ""]).encode()

    def sign(self) -> None:
        self.upstream.serve("dists/stable/InRelease", pgp.sign(KEY.signer(), self.text(), mode=pgp.SignatureMode.CLEAR))


def stanza(name: str, payload: bytes = b"x", more: str = "") -> bytes:
    return (
        f"Package: {name}\nVersion: 1:2~x+y\nArchitecture: amd64\nFilename: pool/{name}_1%3a2~x+y.deb\n"
        f"Size: {len(payload)}\nSHA256: {hashlib.sha256(payload).hexdigest()}\n{more}"
    ).encode()


@pytest.fixture
def suite(upstream: Upstream) -> Suite:
    return Suite(upstream)


def first(upstream: Upstream, keys: Path, name: str, *more: str) -> list[str | Path]:
    return ["sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name, *more]


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".xz": lzma.compress,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


@pytest.mark.parametrize("suffix", PACK)
def test_an_index_named_plain_only_is_found_compressed(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite, suffix: str
) -> None:
    text = stanza(f"only{suffix[1:]}")
    suite.name(INDEX, text)
    suite.serve(INDEX + suffix, PACK[suffix](text), named=False)
    suite.sign()

    found = mpsync.ok(*first(upstream, keys, f"plain-only{suffix}"))

    assert found["content"]["deb.package"]["total"] == 1
    assert found["content"]["deb.index"]["total"] == 1
    assert not mpsync.ok("sync", f"plain-only{suffix}", "--force")["changed"]


def test_an_unnamed_compression_must_hold_the_named_text(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.name(INDEX, stanza("real"))
    suite.serve(INDEX + ".xz", lzma.compress(stanza("fake")), named=False)
    suite.sign()

    error = mpsync.fails(*first(upstream, keys, "plain-only-lie"))

    assert error["type"] == "CorruptStream"
    assert "Packages.xz" in error["message"]


@pytest.mark.parametrize("suffix", [*PACK, ""])
def test_any_one_compression_will_do(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite, suffix: str
) -> None:
    suite.serve(INDEX + suffix, PACK.get(suffix, bytes)(stanza(f"one{suffix[1:]}")))
    suite.sign()

    assert mpsync.ok(*first(upstream, keys, f"one{suffix}"))["content"]["deb.package"]["total"] == 1


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_an_index_of_no_bytes_is_an_empty_suite(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite, suffix: str
) -> None:
    suite.serve(INDEX + suffix, b"")
    suite.sign()

    assert mpsync.ok(*first(upstream, keys, f"no-bytes{suffix}"))["content"]["deb.index"]["total"] == 1


def test_a_broken_file_is_found_although_its_text_was_parsed_before(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    text = stanza("recompressed")
    suite.name(INDEX, text)
    suite.serve(INDEX + ".xz", lzma.compress(text))
    suite.sign()
    mpsync.ok(*first(upstream, keys, "broken-later"))
    suite.serve(INDEX + ".xz", lzma.compress(text)[:-10])
    suite.sign()

    error = mpsync.fails("sync", "broken-later")

    assert error["type"] == "CorruptStream"
    assert mpsync.ok("show", "broken-later")["version"] == 1


def test_an_index_with_weak_digests_only_is_refused_not_left_out(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.algorithms = {"md5": "", "sha256": "main/i18n"}
    suite.serve("main/i18n/Translation-en.xz", lzma.compress(b"en"))
    suite.serve(INDEX + ".xz", lzma.compress(stanza("weak")))
    suite.sign()

    error = mpsync.fails(*first(upstream, keys, "weak-index"))
    found = mpsync.ok(*first(upstream, keys, "weak-index", "--allow-weak-digests"))

    assert error["type"] == "WeakDigests"
    assert INDEX in error["message"]
    assert found["content"]["deb.package"]["total"] == 1


def test_sha512_alone_is_enough(mpsync: Command, upstream: Upstream, keys: Path, suite: Suite) -> None:
    old, new = hashlib.sha256(b"x").hexdigest(), hashlib.sha512(b"x").hexdigest()
    text = stanza("sha512").replace(f"SHA256: {old}".encode(), f"SHA512: {new}".encode())
    suite.algorithms = {"sha512": ""}
    suite.serve(INDEX + ".xz", lzma.compress(text))
    suite.sign()
    upstream.serve("pool/sha512_1%3a2~x+y.deb", b"x")

    found = mpsync.ok(*first(upstream, keys, "sha512", "--policy", "immediate"))

    assert found["content"]["deb.package"]["total"] == 1
    target = next(request.target for request in upstream.of() if "pool/" in request.path)
    assert target == "/pool/sha512_1%253a2~x+y.deb"
    assert not mpsync.ok("sync", "sha512", "--force")["changed"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["--arch", "all"], "no index of architecture 'all'"),
        (["--arch", "arm64"], "no index of architecture 'arm64'"),
        (["--arch", "source"], "no architecture 'source'"),
        (["--component", "main,contrib"], "no index of component 'contrib'"),
    ],
)
def test_what_was_asked_for_by_name_and_has_no_index_is_an_error(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite, asked: list[str], said: str
) -> None:
    suite.head |= {"Architectures": "amd64 arm64", "Components": "main contrib"}
    suite.serve(INDEX + ".xz", lzma.compress(stanza("asked")))
    suite.serve("main/source/Sources.xz", lzma.compress(b""))
    suite.sign()

    error = mpsync.fails(*first(upstream, keys, "asked", "--source", *asked), code=2)

    assert said in error["message"]


def test_a_suite_whose_indices_vanish_keeps_its_version(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.serve(INDEX + ".xz", lzma.compress(stanza("vanishing")))
    suite.sign()
    mpsync.ok(*first(upstream, keys, "vanishing"))
    suite.files.clear()
    suite.sign()

    error = mpsync.fails("sync", "vanishing")
    shown = mpsync.ok("show", "vanishing")
    suite.serve(INDEX + ".xz", lzma.compress(stanza("vanishing")))
    suite.sign()

    assert "names no Packages index" in error["message"]
    assert shown["version"] == 1
    assert not mpsync.ok("sync", "vanishing")["skipped"]


def test_a_release_that_names_itself_is_no_missing_file(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    for name in ("Release", "Release.gpg", "InRelease"):
        suite.name(name, b"as it was when apt-ftparchive read it")
    suite.serve(INDEX + ".xz", lzma.compress(stanza("itself")))
    suite.sign()

    found = mpsync.ok(*first(upstream, keys, "itself"))

    assert found["skipped"] == []
    assert found["content"]["deb.release_file"]["total"] == 1


def test_a_release_is_read_again_until_its_signature_fits(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.serve(INDEX + ".xz", lzma.compress(stanza("pair")))
    text = suite.text()
    old, new = (
        bytes(pgp.sign(KEY.signer(), signed, mode=pgp.SignatureMode.DETACHED, armor=True))
        for signed in (text + b"Old: yes\n", text)
    )
    upstream.serve("dists/stable/Release", text)
    upstream.serve("dists/stable/Release.gpg", old)
    upstream.change("dists/stable/Release.gpg", new)

    found = mpsync.ok(*first(upstream, keys, "pair"))

    assert found["content"]["deb.package"]["total"] == 1


def test_by_hash_that_is_gone_is_asked_for_once(mpsync: Command, upstream: Upstream, keys: Path, suite: Suite) -> None:
    suite.head["Acquire-By-Hash"] = "yes"
    packed = lzma.compress(stanza("by-hash-first"))
    suite.serve(INDEX + ".xz", packed)
    upstream.serve(f"dists/stable/main/binary-amd64/by-hash/SHA256/{hashlib.sha256(packed).hexdigest()}", packed)
    suite.sign()
    mpsync.ok(*first(upstream, keys, "by-hash-gone"))
    suite.serve(INDEX + ".xz", lzma.compress(stanza("by-hash-second")))
    for code in ("de", "en", "fr"):
        suite.serve(f"main/i18n/Translation-{code}.xz", lzma.compress(code.encode()))
    suite.sign()
    upstream.forget()

    found = mpsync.ok("sync", "by-hash-gone")

    assert found["content"]["deb.metadata"]["added"] == 3
    assert len([request for request in upstream.of() if "/by-hash/" in request.path]) == 1


def test_an_index_of_nothing_but_bad_stanzas_is_an_error_even_where_failures_are_skipped(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.serve(INDEX + ".gz", gzip.compress(b"P: 1\n\n" * 50_000))
    suite.sign()

    error = mpsync.fails(*first(upstream, keys, "all-bad", "--skip-failed"))

    assert "bad stanzas" in error["message"]
    assert "stanza 1" in error["message"]


def test_sources_may_share_files_have_several_origs_and_lie_at_the_root(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    def source(name: str, folder: str, *files: tuple[str, bytes]) -> bytes:
        lines = [f"Package: {name}", "Version: 1-1", f"Directory: {folder}", "Checksums-Sha256:"]
        lines += [f" {hashlib.sha256(data).hexdigest()} {len(data)} {file}" for file, data in files]
        return "\n".join([*lines, ""]).encode()

    orig, part = ("s_1.orig.tar.gz", b"shared orig"), ("s_1.orig-part.tar.gz", b"a second orig")
    texts = [
        source("one", "pool/s", ("one.dsc", b"dsc one"), orig, part),
        source("two", "pool/s/", ("two.dsc", b"dsc two"), orig),
        source("root", ".", ("root.dsc", b"dsc root")),
    ]
    for path, data in [("pool/s/one.dsc", b"dsc one"), ("pool/s/two.dsc", b"dsc two"), ("root.dsc", b"dsc root"),
                       (f"pool/s/{orig[0]}", orig[1]), (f"pool/s/{part[0]}", part[1])]:  # fmt: skip
        upstream.serve(path, data)
    suite.serve(INDEX, b"")
    suite.serve("main/source/Sources.xz", lzma.compress(b"\n".join(texts)))
    suite.sign()

    found = mpsync.ok(*first(upstream, keys, "shared-orig", "--source", "--policy", "immediate"))

    assert found["content"]["deb.source"]["total"] == 3
    upstream.forget()
    assert not mpsync.ok("sync", "shared-orig", "--force")["changed"]
    assert upstream.count(f"pool/s/{orig[0]}") == 0


@pytest.mark.parametrize(("folder", "file"), [("../x", "a"), ("/etc", "a"), ("pool", "../a"), ("pool/..", "a")])
def test_a_source_that_climbs_is_refused(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite, folder: str, file: str
) -> None:
    digest = hashlib.sha256(b"x").hexdigest()
    text = f"Package: evil\nVersion: 1\nDirectory: {folder}\nChecksums-Sha256:\n {digest} 1 {file}\n"
    suite.serve(INDEX, b"")
    suite.serve("main/source/Sources", text.encode())
    suite.sign()

    error = mpsync.fails(*first(upstream, keys, "climbing-source", "--source"))

    assert error["type"] == "UnsafePath"
    assert "evil" in error["message"]


def test_what_a_partial_mirror_lacks_or_forbids_is_reported(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    suite.serve(INDEX + ".xz", lzma.compress(stanza("partial")))
    for path in ("main/binary-all/Packages.xz", "main/i18n/Translation-de.xz", "Contents-amd64.gz"):
        suite.name(path, b"not here")
    suite.sign()

    def forbidden(request: Request, response: Response) -> Response | None:
        return Response(403) if response.status == 404 else None

    upstream.on(None, forbidden)

    found = mpsync.ok(*first(upstream, keys, "partial"))

    assert len(found["skipped"]) == 3
    assert upstream.count("dists/stable/Contents-amd64.gz") == 1


async def test_odd_stanzas_are_in_the_database_byte_for_byte(
    mpsync: Command, upstream: Upstream, keys: Path, suite: Suite
) -> None:
    stanzas = [
        stanza("dos").replace(b"\n", b"\r\n").rstrip(b"\r\n"),
        b"# a comment\n" + stanza("commented").rstrip(b"\n"),
        b"X-Long: " + b"d, " * 350_000 + b"end\n" + stanza("long").rstrip(b"\n"),
        stanza("latin", more="X-Twice: 1\nX-Twice: 2\nMaintainer: caf@\n").replace(b"@", b"\xe9").rstrip(b"\n"),
        stanza("folded", more="md5SUM: " + "A" * 32 + "\nDepends:\ta,\n .\n\tb  "),  # and no final newline
    ]
    text = b"\n\n".join(stanzas)
    suite.name(INDEX, text)
    suite.serve(INDEX + ".gz", gzip.compress(text))
    suite.sign()
    mpsync.ok(*first(upstream, keys, "byte-for-byte"))

    server = EmbeddedServer(mpsync.data_dir)
    async with await psycopg.AsyncConnection.connect(server.start(), autocommit=True) as conn:
        cursor = await conn.execute(
            "select id from core.content where kind = 'deb.package' and name in ('dos','commented','long','latin','folded')"
        )
        found = await records.read(conn, [row[0] for row in await cursor.fetchall()])
    server.stop()

    assert sorted(found.values()) == sorted(stanzas)
