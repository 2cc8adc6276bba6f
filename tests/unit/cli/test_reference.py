"""The reference names every option, every plugin's too, and every exit code."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest

from mpsync.cli.parser import _parser
from mpsync.plugin import registry

REFERENCE = (Path(__file__).parents[3] / "docs" / "reference" / "commands.md").read_text()


def options() -> set[str]:
    found: set[str] = set()
    parsers: list[argparse.ArgumentParser] = [_parser()]
    for name in registry.names():
        plugin = argparse.ArgumentParser()
        registry.load(name).add_arguments(plugin)
        parsers.append(plugin)
    while parsers:
        for action in parsers.pop()._actions:
            found.update(option for option in action.option_strings if option.startswith("--"))
            if isinstance(action, argparse._SubParsersAction):
                parsers.extend(action.choices.values())
    return found - {"--help"}


@pytest.mark.parametrize("option", sorted(options()))
def test_the_reference_explains_every_option(option: str) -> None:
    assert re.search(rf"`[^`]*{option}\b", REFERENCE)


@pytest.mark.parametrize("code", [0, 1, 2, 129, 130, 141, 143])
def test_the_reference_explains_every_exit_code(code: int) -> None:
    assert f"| {code} |" in REFERENCE
