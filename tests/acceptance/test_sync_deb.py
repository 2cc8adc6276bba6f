"""A Debian suite from a URL into a version, and again, and when it changes."""

from __future__ import annotations

from pathlib import Path

from command import Command
from debrepo import DebRepo
from upstream import Upstream

SAMPLE = Path(__file__).parents[1] / "data" / "sample-deb"


def suite(upstream: Upstream, keys: Path, name: str, *more: str) -> list[str]:
    return ["sync", "deb", upstream.url, "--suite", "stable", "--keyring", str(keys), "--name", name, *more]


def test_the_sample_repository_is_synced_whole(mpsync: Command, upstream: Upstream) -> None:
    upstream.serve_tree(SAMPLE)
    keyring = ["--keyring", str(SAMPLE / "keyring.gpg")]

    found = mpsync.ok(
        "sync",
        "deb",
        upstream.url,
        "--suite",
        "sample",
        *keyring,
        "--source",
        "--udeb",
        "--installer",
        "--name",
        "sample",
    )

    assert found["changed"]
    assert found["version"] == 1
    totals = {kind: count["total"] for kind, count in found["content"].items()}
    assert totals["deb.package"] == 100
    assert totals["deb.source"] == 8
    assert totals["deb.udeb"] == 6
    assert totals["deb.installer_file"] == 3
    assert totals["deb.metadata"] > 5
    assert not [request for request in upstream.of() if request.path.startswith("pool/")], (
        "on demand downloads no package"
    )


def test_an_unchanged_suite_costs_one_request_and_no_version(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    repo.add("hello")
    repo.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "unchanged"))
    upstream.forget()

    found = mpsync.ok("sync", "unchanged")

    assert not found["changed"]
    assert found["version"] == 1
    assert [request.path for request in upstream.of()] == ["dists/stable/InRelease"]
    assert found["content"]["deb.package"] == {"total": 1, "added": 0, "removed": 0}


def test_a_mirror_follows_upstream_and_an_additive_repository_keeps_what_went(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo()
    repo.add("stays")
    repo.add("goes")
    repo.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "mirror"))
    mpsync.ok(*suite(upstream, keys, "additive", "--additive"))
    del repo.packages["goes"]
    repo.add("comes")
    repo.publish(upstream)

    mirror, additive = mpsync.ok("sync", "mirror"), mpsync.ok("sync", "additive")

    assert mirror["content"]["deb.package"] == {"total": 2, "added": 1, "removed": 1}
    assert additive["content"]["deb.package"] == {"total": 3, "added": 1, "removed": 0}


def test_an_immediate_sync_stores_every_file_once(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    paths = [repo.add(f"package{number}") for number in range(300)]
    repo.publish(upstream)

    first = mpsync.ok(*suite(upstream, keys, "immediate", "--policy", "immediate"))
    counts = [upstream.count(path) for path in paths]
    again = mpsync.ok("sync", "immediate", "--force")

    assert first["downloaded"]["files"] >= 300
    assert counts == [1] * 300
    assert [upstream.count(path) for path in paths] == counts, "a forced parse downloads nothing that is stored"
    assert not again["changed"]


def test_on_demand_becomes_immediate_when_asked(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    path = repo.add("later")
    repo.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "becomes"))
    assert upstream.count(path) == 0

    mpsync.ok("sync", "becomes", "--policy", "immediate")

    assert upstream.count(path) == 1


def test_a_forced_sync_parses_everything_and_changes_nothing(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    repo = DebRepo()
    for number in range(50):
        repo.add(f"p{number}")
    repo.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "forced"))

    found = mpsync.ok("sync", "forced", "--force")

    assert not found["changed"]
    assert next(row for row in found["stages"] if row["name"] == "ContentSaver")["items"] >= 50


def test_an_index_that_was_parsed_for_another_repository_is_not_parsed_again(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo()
    for number in range(40):
        repo.add(f"shared{number}")
    repo.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "parsed-first"))

    found = mpsync.ok(*suite(upstream, keys, "parsed-second"))

    assert found["content"]["deb.package"]["total"] == 40
    assert next(row for row in found["stages"] if row["name"] == "ContentSaver")["items"] < 10


def test_only_the_index_that_changed_is_parsed(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    stable, other = DebRepo(), DebRepo(suite="other")
    for number in range(30):
        stable.add(f"s{number}")
        other.add(f"o{number}")
    stable.publish(upstream)
    other.publish(upstream)
    mpsync.ok(*suite(upstream, keys, "two-suites", "--suite", "other"))
    other.add("new")
    other.publish(upstream)

    found = mpsync.ok("sync", "two-suites")

    assert found["content"]["deb.package"] == {"total": 61, "added": 1, "removed": 0}
    items = next(row for row in found["stages"] if row["name"] == "ContentSaver")["items"]
    assert 31 <= items < 45


def test_the_same_package_in_two_suites_is_one_unit(mpsync: Command, upstream: Upstream, keys: Path) -> None:
    stable, other = DebRepo(), DebRepo(suite="other")
    stable.add("both")
    other.add("both")
    stable.publish(upstream)
    other.publish(upstream)

    found = mpsync.ok(*suite(upstream, keys, "both", "--suite", "other"))
    del other.packages["both"]
    other.publish(upstream)
    after = mpsync.ok("sync", "both")

    assert found["content"]["deb.package"]["total"] == 1
    assert after["content"]["deb.package"] == {"total": 1, "added": 0, "removed": 0}, "stable still lists it"


def test_every_worker_count_and_both_loops_give_the_same_version(
    mpsync: Command, upstream: Upstream, keys: Path
) -> None:
    repo = DebRepo()
    for number in range(500):
        repo.add(f"w{number}", more=f"Tag: {'x' * 200}\n")
    repo.publish(upstream)

    ways = [("0", "uvloop"), ("1", "uvloop"), ("3", "uvloop"), ("0", "asyncio"), ("2", "asyncio")]
    found = [
        mpsync.ok(*suite(upstream, keys, f"ways-{workers}-{loop}", "--workers", workers, "--loop", loop))["content"]
        for workers, loop in ways
    ]

    assert found[0]["deb.package"]["total"] == 500
    assert all(content == found[0] for content in found)


def test_a_file_url_is_an_upstream(mpsync: Command) -> None:
    found = mpsync.ok(
        "sync", "deb", f"file://{SAMPLE}", "--suite", "sample", "--keyring", SAMPLE / "keyring.gpg",
        "--name", "by-file", "--policy", "immediate",
    )  # fmt: skip

    assert found["content"]["deb.package"]["total"] == 100


def test_a_flat_repository_is_synced(mpsync: Command, upstream: Upstream, tmp_path: Path) -> None:
    repo = DebRepo()
    repo.add("flat")
    stanza = repo.packages["flat"][0]
    upstream.serve("Packages", stanza)
    upstream.serve("pool/flat_1.0_amd64.deb", b"flat 1.0 payload")
    import hashlib

    release = (
        f"Date: Thu, 02 Jan 2025 00:00:00 UTC\nSHA256:\n {hashlib.sha256(stanza).hexdigest()} {len(stanza)} Packages\n"
    )
    upstream.serve("Release", release.encode())

    found = mpsync.ok(
        "sync", "deb", upstream.url, "--suite", "./", "--no-verify", "--name", "flat", "--policy", "immediate"
    )

    assert found["content"]["deb.package"]["total"] == 1
    assert any("NOT verified" in note for note in found["notes"])
