"""A list of mirrors in place of a URL, and mirrors that die between a sync and the fetch of what it deferred."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from command import Command
from rpmrepo import RpmRepo, metalink
from upstream import Upstream

FILE = "Packages/hello-1.0-1.x86_64.rpm"


@pytest.fixture
def third() -> Iterator[Upstream]:
    """Who hands out lists, and is no mirror."""
    with Upstream() as running:
        yield running


@pytest.fixture
def repo() -> RpmRepo:
    made = RpmRepo()
    made.add("hello")
    return made


def test_a_metalink_does_in_place_of_a_url(
    command: Command, upstream: Upstream, other: Upstream, third: Upstream, repo: RpmRepo
) -> None:
    repo.publish(upstream)
    repo.publish(other, tick=False)
    link = metalink(third, repo.repomd, upstream.url, other.url)

    first = command.ok("sync", "rpm", "--metalink", link, "--name", "linked")
    again = command.ok("sync", "linked")
    shown = command.ok("show", "linked")

    assert first["content"]["rpm.package"]["total"] == 1
    assert again["changed"] is False
    assert shown["url"] == link
    assert {request.path for request in third.requests} == {"metalink"}, "the list is no mirror"


def test_a_mirrorlist_does_too_and_another_one_given_later_takes_its_place(
    command: Command, upstream: Upstream, other: Upstream, third: Upstream, repo: RpmRepo
) -> None:
    repo.publish(upstream)
    repo.publish(other, tick=False)
    first_list = third.serve("first", f"{upstream.url}/\n".encode())
    second_list = third.serve("second", f"{other.url}/\n".encode())
    command.ok("sync", "rpm", "--mirrorlist", first_list, "--name", "relisted")
    upstream.forget()
    third.forget()

    command.ok("sync", "relisted", "--mirrorlist", second_list)

    assert command.ok("show", "relisted")["url"] == second_list
    assert {request.path for request in third.requests} == {"second"}
    assert upstream.count() == 0


def test_without_url_and_list_the_usage_says_what_is_missing(own_command: Command) -> None:
    for arguments in (("rpm",), ("rpm", "--name", "nameless"), ("deb", "--suite", "stable"), ("file",)):
        error = own_command.fails("sync", *arguments, code=2)

        assert error["type"] == "UsageError"
        assert "the following arguments are required: URL" in error["message"]
        assert not own_command.data_dir.exists()


@pytest.mark.parametrize("option", ["--metalink", "--mirrorlist"])
def test_a_fetch_goes_on_with_the_next_mirror_when_the_first_one_died_since_the_sync(
    command: Command, other: Upstream, third: Upstream, repo: RpmRepo, option: str
) -> None:
    name = f"later{option}"
    with Upstream() as dying:
        repo.add(f"only{option}", payload=name.encode())  # what another repository holds would not be asked for
        repo.publish(dying)
        repo.publish(other, tick=False)
        urls = (dying.url, other.url)
        listed = third.serve("list", "\n".join(f"{url}/" for url in urls).encode())
        link = metalink(third, repo.repomd, *urls) if option == "--metalink" else listed
        command.ok("sync", "rpm", option, link, "--name", name)
        asked_first = dying.count()

    found = command.ok("fetch", name)

    assert asked_first, "the one that dies was the first"
    assert found["deferred"]["files"] == 0
    assert other.count(f"Packages/only{option}-1.0-1.x86_64.rpm") == 1
    assert len([note for note in found["notes"] if "can't connect" in note]) == 1, "told once, not for each file"


def test_a_mirror_that_was_left_is_told_once_whatever_it_failed(
    command: Command, upstream: Upstream, other: Upstream, third: Upstream, repo: RpmRepo
) -> None:
    for number in range(8):
        repo.add(f"left{number}")
    repo.publish(upstream)
    repo.publish(other, tick=False)
    listed = third.serve("list", f"{upstream.url}/\n{other.url}/\n".encode())
    for number in range(8):
        upstream.status(f"Packages/left{number}-1.0-1.x86_64.rpm", 500, times=None)

    outcome = command(
        "sync", "rpm", "--mirrorlist", listed, "--name", "left", "--policy", "immediate", "--json", "--events"
    )

    told = [line for line in map(json.loads, outcome.stderr.splitlines()) if "going on with" in line.get("text", "")]
    assert outcome.code == 0
    assert len(told) == 1
    assert "500" in told[0]["text"]
    assert told[0]["text"] in outcome.json["notes"]


def test_a_mirror_that_only_lacks_a_file_is_no_news(
    command: Command, upstream: Upstream, other: Upstream, third: Upstream, repo: RpmRepo
) -> None:
    repo.add("lacking")
    repo.publish(upstream)
    repo.publish(other, tick=False)
    upstream.remove("Packages/lacking-1.0-1.x86_64.rpm")
    listed = third.serve("list", f"{upstream.url}/\n{other.url}/\n".encode())

    found = command.ok("sync", "rpm", "--mirrorlist", listed, "--name", "lacking", "--policy", "immediate")

    assert not [note for note in found["notes"] if "going on with" in note]
