"""``mpsync delete``: what goes, what stays, and who is in the way."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import Command, finish
from debrepo import DebRepo, keyring
from upstream import Upstream

from mpsync.store.db import Database
from mpsync.store.embedded import EmbeddedServer


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    return keyring(tmp_path)


def synced(command: Command, upstream: Upstream, keys: Path, name: str, *packages: str, suite: str = "stable") -> None:
    """An immediate repository with these packages."""
    repo = DebRepo(suite=suite)
    for package in packages:
        repo.add(package)
    repo.publish(upstream)
    command.ok(
        "sync", "deb", upstream.url, "--suite", suite, "--keyring", keys, "--name", name, "--policy", "immediate"
    )  # fmt: skip


def stored(command: Command) -> int:
    return len(list((command.data_dir / "artifacts" / "sha256").rglob("*/*")))


def test_a_repository_goes_and_its_files_stay_until_a_clean_up(
    own_command: Command, upstream: Upstream, keys: Path
) -> None:
    synced(own_command, upstream, keys, "goes", "a", "b")
    before = stored(own_command)

    said = own_command("delete", "goes").stdout

    assert said.splitlines()[0] == "goes: deleted, with 1 version"
    assert f"its {before} files" in said
    assert "kept until a clean-up" in said
    assert stored(own_command) == before
    assert own_command.ok("list") == {"repositories": []}
    assert own_command("show", "goes").code == 2


def test_a_deleted_repository_can_be_made_again_without_downloading_its_packages(
    own_command: Command, upstream: Upstream, keys: Path
) -> None:
    synced(own_command, upstream, keys, "comes", "a", "b")
    own_command.ok("delete", "comes")
    upstream.forget()

    synced(own_command, upstream, keys, "comes", "a", "b")

    assert not [request for request in upstream.requests if request.path.startswith("pool/")]
    assert own_command.ok("show", "comes")["version"] == 1


def test_files_that_nobody_else_has_go_with_artifacts(own_command: Command, upstream: Upstream, keys: Path) -> None:
    synced(own_command, upstream, keys, "one", "shared", "only-one")
    synced(own_command, upstream, keys, "two", "shared", "only-two", suite="other")
    before = stored(own_command)

    found = own_command.ok("delete", "one", "--artifacts")

    assert found["deleted"] is True
    assert found["versions"] == 1
    assert found["artifacts"]["kept"]["files"] >= 1, "the other repository has it"
    assert stored(own_command) == before - found["artifacts"]["removed"]["files"]
    assert found["artifacts"]["removed"]["files"] >= 3, "a package, an index, a release file"
    left = own_command.ok("content", "two", "--kind", "package")["content"]
    assert [(unit["name"], unit["held"]) for unit in left] == [("only-two", 1), ("shared", 1)]


def test_what_was_removed_is_downloaded_again_when_it_is_wanted_again(
    own_command: Command, upstream: Upstream, keys: Path
) -> None:
    synced(own_command, upstream, keys, "again", "a", "b")
    own_command.ok("delete", "again", "--artifacts")
    assert stored(own_command) == 0
    upstream.forget()

    synced(own_command, upstream, keys, "again", "a", "b")

    assert len([request for request in upstream.requests if request.path.startswith("pool/")]) == 2
    assert all(unit["held"] == unit["files"] for unit in own_command.ok("content", "again")["content"])


def test_files_of_older_versions_go_too(own_command: Command, upstream: Upstream, keys: Path) -> None:
    synced(own_command, upstream, keys, "old", "a", "b")
    synced(own_command, upstream, keys, "old", "b", "c")

    found = own_command.ok("delete", "old", "--artifacts")

    assert found["versions"] == 2
    assert stored(own_command) == 0


def test_a_sync_that_runs_is_in_the_way(own_command: Command, upstream: Upstream, keys: Path) -> None:
    synced(own_command, upstream, keys, "busy", "a")
    synced(own_command, upstream, keys, "idle", "b", suite="other")
    upstream.stall("dists/stable/InRelease", at=5)
    upstream.forget()
    running = own_command.start("sync", "busy")
    while not upstream.count():
        assert running.poll() is None

    own = own_command("delete", "busy", "--json")
    other = own_command("delete", "idle", "--artifacts", "--json")
    without = own_command("delete", "idle", "--json")
    waiting = own_command.start("delete", "busy", "--wait", "--artifacts", "--json")
    running.terminate()
    stopped, waited = finish(running), finish(waiting)

    assert (own.code, own.error["type"]) == (1, "RepositoryBusy")
    assert (other.code, other.error["type"]) == (1, "ArtifactsBusy")
    assert "without --artifacts" in other.stderr
    assert without.code == 0
    assert stopped.code == 143
    assert waited.code == 0, waited.stderr
    assert own_command.ok("list") == {"repositories": []}


async def test_no_row_of_a_deleted_repository_is_left(own_command: Command, upstream: Upstream, keys: Path) -> None:
    synced(own_command, upstream, keys, "rows", "a", "b")
    own_command.ok("delete", "rows", "--artifacts")
    server = EmbeddedServer(own_command.data_dir)
    conninfo = server.start()
    left = {}
    try:
        async with Database.open(conninfo) as database, database.connection() as conn:
            for table in ("repository", "version", "listing", "membership", "artifact", "content_artifact"):
                cursor = await conn.execute(f"SELECT count(*) FROM core.{table}")  # type: ignore[arg-type]  # literals
                row = await cursor.fetchone()
                assert row is not None
                left[table] = row[0]
    finally:
        server.stop(wait_s=10)

    assert set(left.values()) == {0}, left
