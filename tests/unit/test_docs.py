"""What the documentation shows is what the tree holds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mpsync.plugins.rpm import issues, kinds

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("name", ["manifest.py", "first_stage.py", "main.py"])
def test_the_how_to_shows_the_shipped_file_plugin(name: str) -> None:
    shipped = (ROOT / "mpsync" / "plugins" / "file" / name).read_text()

    assert shipped in (DOCS / "howto" / "write-a-plugin.md").read_text()


def test_every_outcome_of_an_rpm_sync_is_explained() -> None:
    codes = {value for name, value in vars(issues).items() if name.isupper() and isinstance(value, str)}
    table = (DOCS / "reference" / "rpm.md").read_text().partition("## Named outcomes")[2]

    assert set(re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)) == codes


@pytest.mark.parametrize("kind", kinds.ALL)
def test_every_kind_of_rpm_content_is_explained(kind: str) -> None:
    assert f"`{kind}`" in (DOCS / "reference" / "json.md").read_text()


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text())

    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_modules_that_pages_name_exist(page: Path) -> None:
    named = re.findall(r"`((?:mpsync|tests|bench)/[\w/-]+\.(?:py|sql|md))`", page.read_text())

    assert [name for name in named if not (ROOT / name).exists()] == []
