"""What the command line means, and what it must not say; nothing here may touch a database."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpsync.cli.failure import UsageError
from mpsync.cli.parser import given_plugin_arguments, parse
from mpsync.errors import ConfigError
from mpsync.plugin import registry

DEB = ("sync", "deb", "http://mirror.example/debian", "--suite", "bookworm")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        ((), "the following arguments are required: VERB"),
        (("sing",), "invalid choice"),
        (("sync",), "say what to sync first"),
        (("sync", "--json", "deb", "http://mirror.example/"), "say what to sync first"),
        (("sync", "deb"), "URL"),
        ((*DEB, "--mirror", "--additive"), "not allowed with"),
        ((*DEB, "--keyring", __file__, "--no-verify"), "contradict"),
        (("sync", "deb", "http://mirror.example/debian"), "no --suite"),
        ((*DEB, "--policy", "lazy"), "invalid choice"),
        ((*DEB, "--workers", "many"), "invalid int"),
        ((*DEB, "--quiet", "--events"), "not allowed with"),
        ((*DEB, "--client-key", __file__), "--client-key needs --client-cert"),
        ((*DEB, "--ca-file", "/nowhere.pem"), "--ca-file /nowhere.pem is not a file"),
        ((*DEB, "--name", "deb"), "is the name of a plugin"),
        ((*DEB, "--name", "a\nb"), "use letters"),
        ((*DEB, "--no-such-option"), "unrecognized arguments"),
        (("sync", "known", "--no-such-option"), "unrecognized arguments"),
        (("sync", "known", "--keyring"), "expected one argument"),
        (("delete",), "NAME"),
        (("diff", "known", "one", "2"), "invalid int"),
        (("list", "--js"), "unrecognized arguments"),
    ],
)
def test_a_command_line_that_makes_no_sense_is_refused_with_the_reason(argv: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(argv)


def test_a_usage_error_shows_how_it_would_be_right() -> None:
    with pytest.raises(UsageError) as caught:
        parse(("diff", "known"))

    assert caught.value.usage.startswith("usage: mpsync diff")


def test_options_of_the_plugin_and_of_mpsync_stand_in_any_order_behind_the_url() -> None:
    arguments = parse(
        ("sync", "deb", "--arch", "amd64", "--json", "http://mirror.example/", "--suite", "a", "--source")
    )

    assert arguments.url == "http://mirror.example/"
    assert arguments.json
    assert arguments.plugin_arguments["arch"] == ["amd64"]
    assert arguments.plugin_arguments["source"] is True
    assert "json" not in arguments.plugin_arguments


def test_a_known_repository_takes_options_of_its_plugin_later() -> None:
    arguments = parse(("sync", "debian12", "--arch", "arm64", "--policy", "immediate", "--force"))

    assert arguments.name == "debian12"
    assert arguments.policy == "immediate"
    assert arguments.force
    assert arguments.rest == ["--arch", "arm64"]


def test_what_is_given_for_a_known_repository_is_only_what_was_given() -> None:
    deb = registry.load("deb")

    assert given_plugin_arguments(deb, ["--arch", "arm64"], "x") == {"arch": ["arm64"]}
    assert given_plugin_arguments(deb, [], "x") == {}


def test_every_remembered_switch_can_be_taken_back() -> None:
    deb = registry.load("deb")

    found = given_plugin_arguments(deb, ["--no-source", "--verify", "--check-valid-until"], "x")

    assert found == {"source": False, "no_verify": False, "no_check_valid_until": False}


def test_files_that_don_t_exist_are_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"keyring .* is not a file"):
        parse((*DEB, "--keyring", str(tmp_path / "missing.gpg")))
