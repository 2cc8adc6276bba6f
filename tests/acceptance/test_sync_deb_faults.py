"""Upstream changes, lies or breaks in mid-sync: whole and consistent, or an error that says so and the old version intact."""

from __future__ import annotations

import hashlib
import lzma
from pathlib import Path

import pytest
from command import Command
from debrepo import DebRepo
from upstream import Request, Response, Upstream


def first(upstream: Upstream, keys: Path, name: str, *more: str) -> list[str | Path]:
    return ["sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", name, *more]


def test_a_generation_that_changes_under_us_is_read_again(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo(by_hash=False)
    repo.add("old")
    repo.publish(upstream)
    index = "dists/stable/main/binary-amd64/Packages.xz"

    def next_generation(request: Request, response: Response) -> Response:
        repo.add("new")
        repo.publish(upstream)
        return Response(body=repo.files()["main/binary-amd64/Packages.xz"])

    upstream.on(index, next_generation, times=1)

    found = mpsync.ok(*first(upstream, keys, "swap"))

    assert found["content"]["deb.package"]["total"] == 2
    assert any("changed while it was read" in note for note in found["notes"])


def test_the_old_index_is_still_had_by_its_hash(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.add("old")
    repo.publish(upstream)
    inrelease = "dists/stable/InRelease"

    def next_generation(request: Request, response: Response) -> Response:
        repo.add("new")
        repo.publish(upstream)
        return response

    upstream.on(inrelease, next_generation, times=1)

    found = mpsync.ok(*first(upstream, keys, "by-hash"))

    assert found["content"]["deb.package"]["total"] == 1, "the generation that InRelease named, whole"
    assert not found["notes"]


def test_a_mirror_without_by_hash_is_asked_for_it_once(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo(
        extra={f"main/i18n/Translation-{code}.xz": lzma.compress(code.encode()) for code in ("de", "fr", "es")}
    )
    repo.add("hello")
    repo.publish(upstream)
    upstream.on(None, lambda request, _: Response(404) if "/by-hash/" in request.path else None)

    found = mpsync.ok(*first(upstream, keys, "no-by-hash"))

    assert found["content"]["deb.metadata"]["total"] >= 4
    assert len([request.path for request in upstream.of() if "/by-hash/" in request.path]) == 1, [
        r.target for r in upstream.of()
    ]


def test_an_index_that_stays_wrong_is_an_error_and_changes_nothing(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo(by_hash=False)
    repo.add("good")
    repo.publish(upstream)
    mpsync.ok(*first(upstream, keys, "stays-wrong"))
    repo.add("more")
    repo.publish(upstream)
    for suffix in repo.suffixes:
        upstream.serve(f"dists/stable/main/binary-amd64/Packages{suffix}", b"not what Release says")

    error = mpsync.fails("sync", "stays-wrong")

    assert "Packages" in error["url"]
    assert mpsync.ok("show", "stays-wrong")["version"] == 1


def test_no_package_is_saved_before_every_index_is_there(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    good, bad = DebRepo(), DebRepo(suite="bad", by_hash=False)
    good.add("never-seen-before")
    bad.add("other")
    good.publish(upstream)
    bad.publish(upstream)
    for suffix in bad.suffixes:
        upstream.remove(f"dists/bad/main/binary-amd64/Packages{suffix}")

    mpsync.fails(*first(upstream, keys, "all-or-none", "--suite", "bad"))
    found = mpsync.ok(*first(upstream, keys, "all-or-none-2"))

    assert found["content"]["deb.package"]["added"] == 1
    assert next(row for row in found["stages"] if row["name"] == "ContentSaver")["items"] >= 1


@pytest.mark.parametrize(
    ("stanza", "problem"),
    [
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: ../../etc/x\nSize: 1\nSHA256: %s\n", "path"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: /etc/x\nSize: 1\nSHA256: %s\n", "path"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: a\\b\nSize: 1\nSHA256: %s\n", "path"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: http://evil/x\nSize: 1\nSHA256: %s\n", "path"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nSize: 1\nSHA256: %s\n", "no Filename"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: pool/x.deb\nSHA256: %s\n", "no Size"),
        (b"Package: x\nVersion: 1\nArchitecture: amd64\nFilename: pool/x.deb\nSize: 1\nMD5sum: abc\n", "digest"),
    ],
)
def test_a_bad_stanza_is_refused_by_name_or_skipped_and_reported(
    mpsync: Command, upstream: Upstream, keys: Path, stanza: bytes, problem: str
) -> None:
    repo = DebRepo()
    repo.add("good")
    repo.stanza("bad", stanza % b"0".zfill(64) if b"%s" in stanza else stanza)
    repo.publish(upstream)
    name = f"stanza-{hashlib.sha256(stanza).hexdigest()[:8]}"

    error = mpsync.fails(*first(upstream, keys, name))
    found = mpsync.ok(*first(upstream, keys, name, "--skip-failed"))

    assert problem in error["message"]
    assert "stable main amd64 stanza 2" in error["message"]
    assert found["content"]["deb.package"]["total"] == 1
    assert any(problem in skipped["why"] for skipped in found["skipped"])


def test_one_version_of_a_package_with_two_files_is_refused(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.add("twice", payload=b"one")
    stanza, path, _ = repo.packages["twice"]
    digest = hashlib.sha256(b"two").hexdigest().encode()
    other = stanza.replace(hashlib.sha256(b"one").hexdigest().encode(), digest).replace(
        path.encode(), b"pool/other.deb"
    )
    repo.stanza("twice-again", other)
    repo.publish(upstream)

    error = mpsync.fails(*first(upstream, keys, "ambiguous"))

    assert error["type"] == "AmbiguousUnit"
    assert "pool/other.deb" in error["message"]


def test_new_bytes_at_an_old_path_are_fetched_again(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    path = repo.add("resigned", payload=b"AAAA")
    repo.publish(upstream)
    mpsync.ok(*first(upstream, keys, "resigned", "--policy", "immediate"))
    repo.add("resigned", payload=b"BBBB")
    repo.publish(upstream)

    found = mpsync.ok("sync", "resigned")

    assert found["content"]["deb.package"] == {"total": 1, "added": 1, "removed": 1}
    assert upstream.count(path) == 2


def test_a_missing_package_fails_an_immediate_sync_or_is_skipped(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo()
    path = repo.add("missing")
    repo.add("there")
    repo.publish(upstream)
    upstream.remove(path)

    error = mpsync.fails(*first(upstream, keys, "missing", "--policy", "immediate"))
    found = mpsync.ok(*first(upstream, keys, "missing", "--policy", "immediate", "--skip-failed"))

    assert error["type"] == "NotFound"
    assert error["url"].endswith(path)
    assert found["content"]["deb.package"]["total"] == 1
    assert any("missing" in skipped["what"] for skipped in found["skipped"])


def test_a_tampered_package_is_refused(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    path = repo.add("tampered")
    repo.publish(upstream)
    upstream.serve(path, b"x" * len(repo.packages["tampered"][2]))

    error = mpsync.fails(*first(upstream, keys, "tampered-package", "--policy", "immediate"))

    assert error["type"] == "DigestMismatch"
    assert error["expected"] == "sha256:" + hashlib.sha256(repo.packages["tampered"][2]).hexdigest()


def test_an_index_that_unpacks_to_more_than_promised_is_stopped(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo(by_hash=False, suffixes=(".xz",))
    repo.add("small")
    repo.publish(upstream)
    bomb = lzma.compress(b"Package: x\n" * 3_000_000)
    good = repo.files()["main/binary-amd64/Packages.xz"]
    text = repo.release.replace(
        f"{hashlib.sha256(good).hexdigest()} {len(good)}".encode(),
        f"{hashlib.sha256(bomb).hexdigest()} {len(bomb)}".encode(),
    )
    repo.release = text
    upstream.serve("dists/stable/main/binary-amd64/Packages.xz", bomb)
    from debrepo import KEY

    repo.sign(upstream, KEY)

    error = mpsync.fails(*first(upstream, keys, "bomb"))

    assert error["type"] == "DecompressionBomb"


def test_odd_stanzas_are_kept_byte_for_byte(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.add("odd", more="X-Odd: caf\u00e9\nDepends: a,\n b,\n\tc\nx-odd: lower\n# a comment\n")
    stanza = repo.packages["odd"][0].replace("caf\u00e9".encode(), b"caf\xe9")
    repo.packages["odd"] = (stanza, *repo.packages["odd"][1:])
    repo.publish(upstream)

    found = mpsync.ok(*first(upstream, keys, "odd"))

    assert found["content"]["deb.package"]["total"] == 1


def test_a_component_that_is_not_offered_names_what_is(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.add("hello")
    repo.publish(upstream)

    error = mpsync.fails(*first(upstream, keys, "not-offered", "--component", "nonsense"), code=2)

    assert "nonsense" in error["message"]
    assert "main" in error["message"]


def test_a_suite_that_is_not_there_is_said(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    error = mpsync.fails("sync", "deb", upstream.url, "--suite", "nowhere", "--keyring", keys, "--name", "nowhere")

    assert "nowhere" in error["message"]


def test_an_empty_suite_is_published(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.publish(upstream)

    found = mpsync.ok(*first(upstream, keys, "empty"))

    assert found["changed"]
    assert found["content"].get("deb.package", {"total": 0})["total"] == 0
