"""Every field of every package, read back from the database after a real sync, is what createrepo_c reads upstream."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import createrepo_c as cr
import pytest
from command import Command
from stored import stored

from bench.upstreams import rpm

SHARED = Path(os.environ.get("MPSYNC_SHARED_DATA") or Path(__file__).parents[3] / "shared" / "data") / "rpm"
REAL = sorted(path.parents[1] for path in SHARED.glob("**/repodata/repomd.xml"))
FIELDS = [
    name for name in dir(cr.Package)
    if not name.startswith("_") and name not in ("copy", "nevra", "nvra", "nvra_checksum", "files_checksum_type")
]  # fmt: skip


def fields(package: cr.Package) -> dict[str, Any]:
    found = {name: getattr(package, name) for name in FIELDS}
    # A binding that finds no <file> leaves out what another has as "": nothing that a record can say.
    return {name: value or None if isinstance(value, str) else value for name, value in found.items()}


def theirs(root: Path) -> list[dict[str, Any]]:
    """As PackageIterator reads the files that upstream has."""
    repomd = cr.Repomd(str(root / "repodata" / "repomd.xml"))
    paths = {record.type: str(root / record.location_href) for record in repomd.records}
    found = cr.PackageIterator(
        primary_path=paths["primary"], filelists_path=paths.get("filelists"), other_path=paths.get("other")
    )
    made = sorted(map(fields, found), key=_order)
    return [one for at, one in enumerate(made) if one not in made[:at]]  # a package listed twice is one unit


def is_whole(root: Path) -> bool:
    """createrepo_c's repo_01 names a size that its primary does not have."""
    records = cr.Repomd(str(root / "repodata" / "repomd.xml")).records
    return all((root / record.location_href).stat().st_size == record.size for record in records)


def ours(kept: dict[str, list[bytes]]) -> list[dict[str, Any]]:
    """The stored records, each read by itself, joined by pkgid."""
    packages: list[cr.Package] = []
    for raw in kept.get("rpm.package", ()):
        cr.xml_parse_primary_snippet(raw.decode(), None, lambda made: packages.append(made) or True, do_files=False)
    by_pkgid: dict[str, list[cr.Package]] = {}
    for package in packages:
        by_pkgid.setdefault(package.pkgId, []).append(package)
    for parse, kind in (
        (cr.xml_parse_filelists_snippet, "rpm.filelists"),
        (cr.xml_parse_other_snippet, "rpm.other"),
    ):
        for raw in kept.get(kind, ()):
            pkgid = raw.partition(b'pkgid="')[2].partition(b'"')[0].decode()
            for package in by_pkgid[pkgid]:
                parse(raw.decode(), lambda *_, package=package: package)
    return sorted(map(fields, packages), key=_order)


def _order(found: dict[str, Any]) -> tuple[str, str]:
    return found["pkgId"], found["location_href"]


def check(command: Command, root: Path, *arguments: str) -> None:
    found = command.ok("sync", "rpm", f"file://{root}", "--name", "same", "--allow-weak-digests", *arguments)

    expected = theirs(root)
    assert len(FIELDS) > 30
    assert ours(stored(command, "same")) == expected
    assert found["content"].get("rpm.package", {"total": 0})["total"] == len(expected)


@pytest.mark.parametrize("compression", ["gz", "zstd"])
def test_generated_packages_have_the_fields_that_createrepo_c_reads(
    own_command: Command, tmp_path: Path, compression: str
) -> None:
    root = tmp_path / "repo"
    root.mkdir()
    rpm.make(root, 300, seed=7, compression=compression, change=False)

    check(own_command, root, "--workers", "3")


if REAL:

    @pytest.mark.parametrize("root", REAL, ids=lambda root: str(root.relative_to(SHARED)))
    def test_packages_of_real_repositories_have_the_fields_that_createrepo_c_reads(
        own_command: Command, root: Path
    ) -> None:
        if is_whole(root):
            check(own_command, root)
        else:
            arguments = ("sync", "rpm", f"file://{root}", "--name", "same", "--allow-weak-digests")
            assert own_command.fails(*arguments)["type"] == "SizeMismatch"
