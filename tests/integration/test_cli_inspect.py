"""list, show, versions, content and diff, as a process, on a repository with three versions."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from command import Command
from debrepo import DebRepo, keyring
from upstream import Upstream


@pytest.fixture(scope="module")
def url(command: Command, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Repository "seen": version 1 has alpha, beta, under_score and percent; 2 has gamma too; 3 lost beta, changed alpha."""
    keys = keyring(tmp_path_factory.mktemp("keys"))
    with Upstream() as upstream:
        repo = DebRepo()
        for name in ("alpha", "beta", "under_score", "under-score", "percent"):
            repo.add(name)
        repo.publish(upstream)
        command.ok("sync", "deb", upstream.url, "--suite", "stable", "--keyring", keys, "--name", "seen")
        repo.add("gamma")
        repo.publish(upstream)
        command.ok("sync", "seen")
        del repo.packages["beta"]
        repo.add("alpha", "2.0")
        repo.publish(upstream)
        command.ok("sync", "seen", "--additive")
        command.ok("sync", "seen", "--mirror")
        return upstream.url


def names(found: dict[str, object]) -> list[str]:
    return [unit["name"] for unit in found["content"]]  # type: ignore[index,attr-defined]  # a list of dicts


def test_list_shows_every_repository_with_its_newest_version(command: Command, url: str) -> None:
    found = command.ok("list")
    text = command("list").stdout

    mine = next(one for one in found["repositories"] if one["repository"] == "seen")
    assert mine["plugin"] == "deb"
    assert mine["url"].rstrip("/") == url
    assert mine["version"] >= 3
    assert mine["content"]["deb.package"] == {"total": 5}
    assert mine["created_at"].endswith("+00:00")
    assert text.splitlines()[0].split() == ["NAME", "TYPE", "VERSION", "UNITS", "MADE", "URL"]
    assert any(line.startswith("seen") and url in line for line in text.splitlines())


def test_where_nothing_is_stored_questions_are_answered_without_a_server(own_command: Command) -> None:
    assert own_command.ok("list") == {"repositories": []}
    assert own_command("show", "x", "--json").code == 2
    assert not own_command.data_dir.exists()


def test_show_says_what_is_remembered_and_what_is_here(command: Command, url: str) -> None:
    found = command.ok("show", "seen")
    text = command("show", "seen").stdout

    assert found["arguments"]["suite"] == ["stable"]
    assert (found["policy"], found["mirror"], found["on_failure"]) == ("on_demand", True, "strict")
    assert found["artifacts"]["deferred"]["files"] == 5
    assert found["artifacts"]["held"]["files"] >= 2
    assert "--suite stable" in text
    assert "5 files" in text


def test_versions_say_what_each_of_them_changed(command: Command, url: str) -> None:
    found = command.ok("versions", "seen")["versions"]
    text = command("versions", "seen").stdout

    assert [one["version"] for one in found] == list(range(1, len(found) + 1))
    assert found[0]["content"]["deb.package"] == {"total": 5, "added": 5, "removed": 0}
    assert found[1]["content"]["deb.package"] == {"total": 6, "added": 1, "removed": 0}
    assert list(found[0]["content"]) == sorted(found[0]["content"])
    assert "deb.package +5 -0" in text


def test_content_lists_the_newest_version_by_kind_and_name(command: Command, url: str) -> None:
    found = command.ok("content", "seen", "--kind", "package")

    assert names(found) == ["alpha", "gamma", "percent", "under-score", "under_score"]
    assert found["content"][0] == {
        "kind": "deb.package",
        "name": "alpha",
        "version": "2.0",
        "arch": "amd64",
        "listings": ["dists/stable/main/binary-amd64/Packages"],
        "files": 1,
        "held": 0,
    }


def test_content_lists_an_older_version_as_it_was(command: Command, url: str) -> None:
    found = command.ok("content", "seen", "--kind", "deb.package", "--version", "1")

    assert names(found) == ["alpha", "beta", "percent", "under-score", "under_score"]
    assert found["content"][0]["version"] == "1.0"


@pytest.mark.parametrize(
    ("glob", "expected"),
    [
        ("al*", ["alpha"]),
        ("*a", ["alpha", "gamma"]),
        ("under_score", ["under_score"]),
        ("under?score", ["under-score", "under_score"]),
        ("per%*", []),
        ("%", []),
        ("ALPHA", []),
        ("a\\lpha", []),
    ],
)
def test_a_glob_means_stars_and_question_marks_and_nothing_else(
    command: Command, url: str, glob: str, expected: list[str]
) -> None:
    assert names(command.ok("content", "seen", "--kind", "package", "--name", glob)) == expected


def test_content_for_people_says_what_is_deferred(command: Command, url: str) -> None:
    lines = command("content", "seen", "--kind", "package").stdout.splitlines()

    assert lines[0].split() == ["deb.package", "alpha", "2.0", "amd64", "(1", "deferred)"]
    assert len(lines) == 5


def test_diff_lists_what_came_and_went(command: Command, url: str) -> None:
    newest = command.ok("show", "seen")["version"]
    found = command.ok("diff", "seen", 1, newest)
    back = command.ok("diff", "seen", newest, 1)
    lines = command("diff", "seen", 1, newest).stdout.splitlines()

    def packages(document: dict[str, list[dict[str, str]]]) -> list[tuple[str, str, str]]:
        changes = [one for one in document["changes"] if one["kind"] == "deb.package"]
        return [(one["change"], one["name"], one["version"]) for one in changes]

    assert packages(found) == [
        ("removed", "alpha", "1.0"),
        ("added", "alpha", "2.0"),
        ("removed", "beta", "1.0"),
        ("added", "gamma", "1.0"),
    ]
    assert [name for _, name, _ in packages(back)] == ["alpha", "alpha", "beta", "gamma"]
    assert "- deb.package    beta                               1.0                        amd64" in lines
    assert command.ok("diff", "seen", 2, 2)["changes"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "sein"), "no repository 'sein'; there is seen"),
        (("content", "seen", "--version", "99"), "seen has no version 99; there is 1 to "),
        (("content", "seen", "--kind", "rpm"), "no units of kind 'rpm'; it has deb."),
        (("content", "seen", "--name", "[ab]*"), r"\[...\] is not supported"),
        (("diff", "seen", "1", "0"), "seen has no version 0"),
        (("fetch", "nothing"), "no repository 'nothing'"),
        (("delete", "nothing"), "no repository 'nothing'"),
        (("sync", "nothing"), "no repository 'nothing'"),
    ],
)
def test_a_question_about_what_is_not_there_says_what_is(
    command: Command, url: str, arguments: tuple[str, ...], said: str
) -> None:
    outcome = command(*arguments, "--json")

    assert outcome.code == 2
    assert outcome.error["type"] == "ConfigError"
    assert re.search(said, outcome.error["message"])


def test_a_reader_that_leaves_ends_the_listing_quietly(command: Command, url: str, tmp_path: Path) -> None:
    process = command.start("content", "seen")
    assert process.stdout is not None
    process.stdout.close()

    process.wait(30)

    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.returncode == 141


def test_the_streamed_document_is_one_json_document(command: Command, url: str) -> None:
    text = command("content", "seen", "--json").stdout

    document = json.loads(text)

    assert text.count("\n") == len(document["content"]) + 2
    assert document["repository"] == "seen"
