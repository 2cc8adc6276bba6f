"""An error leaves a group as itself, on every Python that we run on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import mpsync
from mpsync.errors import MetadataError, leaf

FILES = sorted(Path(mpsync.__file__).parent.rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(FILES[0].parent)) for file in FILES])
def test_nothing_is_raised_in_except_star(file: Path) -> None:
    """Python 3.11.2, which Debian 12 has, puts it into a group again."""
    stars = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.TryStar)]

    raised = [
        node.lineno
        for star in stars
        for handler in star.handlers
        for node in ast.walk(handler)
        if isinstance(node, ast.Raise)
    ]

    assert raised == []


def test_a_leaf_that_is_deliberate_comes_before_accidents() -> None:
    deliberate = MetadataError("x", "broken")

    found = leaf(ExceptionGroup("outer", [KeyError("accident"), ExceptionGroup("inner", [deliberate])]))

    assert found is deliberate
