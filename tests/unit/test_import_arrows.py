"""Imports go downward only, each boundary has one door, and a child loads neither the database driver nor HTTP."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "mpsync"

RANKS = {
    "errors": 0,
    "settings": 0,
    "logs": 0,
    "model": 1,
    "pipeline": 2,
    "bridge": 3,
    "fetch": 3,
    "store": 3,
    "stages": 4,
    "publish": 4,
    "plugin": 5,
    "measure": 5,
    "core": 6,
    "declarative_version": 6,
    "request": 6,
    "reading": 7,
    "sync": 8,
    "operations": 8,
    "serve": 8,
    "cli": 9,
}

DOORS = {
    "aiohttp": ("fetch", "serve"),
    "psycopg": ("store",),
    "multiprocessing": ("bridge",),
    "aiomultiprocess": ("bridge",),
    "rich": ("cli",),
    "pysequoia": ("plugin", "publish"),
}


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.parts[-1] not in ("__main__.py",))


def imports(path: Path, with_typing: bool) -> Iterator[tuple[int, str]]:
    """(line, module) of every import; those for type checkers only when asked."""
    tree = ast.parse(path.read_text())
    hidden: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            hidden.update(id(inner) for inner in ast.walk(node))
    for node in ast.walk(tree):
        if id(node) in hidden and not with_typing:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_downward(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    wrong = []
    for line, module in imports(path, with_typing=True):
        if not module.startswith("mpsync."):
            continue
        target = room(module)
        if own == "plugins":
            kind = path.relative_to(ROOT).parts[1]
            if target != "plugin" and not module.startswith(f"mpsync.plugins.{kind}"):
                wrong.append(f"{line}: {module}: a plugin imports mpsync.plugin and itself only")
        elif own == "__init__":
            continue
        elif target == "plugins":
            wrong.append(f"{line}: {module}: plugins are found through their entry points")
        elif RANKS[target] > RANKS[own] or (RANKS[target] == RANKS[own] and target != own and RANKS[own] != 0):
            wrong.append(f"{line}: {module} is not below {own}")

    assert wrong == []


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_each_boundary_has_one_door(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    wrong = [
        f"{line}: {module}"
        for line, module in imports(path, with_typing=False)
        if own not in DOORS.get(module.split(".")[0], (own,))
    ]

    assert wrong == []


@pytest.mark.parametrize(
    "module", ["mpsync.bridge.child", "mpsync.plugins.deb.first_stage", "mpsync.plugins.deb.parse_step"]
)
def test_a_child_loads_no_database_driver_and_no_http(module: str) -> None:
    heavy = "[m for m in sys.modules if m.split('.')[0] in ('psycopg', 'aiohttp') or m.startswith('mpsync.store')]"
    code = f"import sys, {module}; print({heavy})"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
