"""Generated RPM repositories: the same seed gives the same bytes, and createrepo_c reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.upstreams import rpm
from mpsync.plugins.rpm.repomd import PATH, parse_repomd

createrepo_c: Any = pytest.importorskip("createrepo_c")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSYNC_BENCH_OUT", str(tmp_path / "out"))


def made(root: Path, *, compression: str = "gz", change: bool = False) -> Path:
    root.mkdir()
    rpm.make(root, 200, seed=1, compression=compression, change=change)
    return root


@pytest.mark.parametrize("compression", ["gz", "zstd"])
def test_the_same_seed_gives_the_same_repomd(tmp_path: Path, compression: str) -> None:
    first = (made(tmp_path / "a", compression=compression) / PATH).read_bytes()

    assert (made(tmp_path / "b", compression=compression) / PATH).read_bytes() == first


@pytest.mark.parametrize("compression", ["gz", "zstd"])
def test_createrepo_c_reads_every_package_with_its_files(tmp_path: Path, compression: str) -> None:
    root = made(tmp_path / "a", compression=compression)
    found = parse_repomd((root / PATH).read_bytes())
    paths = {f"{role}_path": str(root / found.parsed[role].location) for role in ("primary", "filelists", "other")}

    packages = list(createrepo_c.PackageIterator(**paths))

    assert len(packages) == 200
    assert all(package.files and package.changelogs for package in packages)


def test_the_changed_generation_has_one_new_package_and_the_same_extras(tmp_path: Path) -> None:
    before, after = (
        parse_repomd((made(tmp_path / name, change=change) / PATH).read_bytes())
        for name, change in (("a", False), ("b", True))
    )

    changed = {role for role in before.parsed if before.parsed[role].location != after.parsed[role].location}
    assert {"primary", "filelists", "other"} <= changed
    assert not changed & {"updateinfo", "group", "modules"}
