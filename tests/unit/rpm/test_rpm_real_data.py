"""Real repositories, when they are at hand: nothing is lost, and createrepo_c reads the same fields."""

from __future__ import annotations

import os
from pathlib import Path

import createrepo_c as cr
import pytest

from mpsync.plugin.decompress import open_chunks, read_all
from mpsync.plugins.rpm import comps, modules, packages, repomd, treeinfo, updateinfo
from mpsync.plugins.rpm.issues import Issues

SHARED = Path(os.environ.get("MPSYNC_SHARED_DATA") or Path(__file__).parents[4] / "shared" / "data") / "rpm"
ALL = frozenset(("sha512", "sha256", "sha1", "md5"))
REPOMDS = sorted(SHARED.glob("**/repodata/repomd.xml"))

pytestmark = pytest.mark.skipif(not REPOMDS, reason="no shared data")


def file_of(found: repomd.Repomd, top: Path, role: str) -> Path:
    return top.parent.parent / found.parsed[role].location


@pytest.mark.parametrize("top", REPOMDS, ids=lambda path: str(path.relative_to(SHARED)))
def test_every_package_of_a_real_repository_is_what_createrepo_c_reads(top: Path) -> None:
    found = repomd.parse_repomd(top.read_bytes(), accepted=ALL)
    primary, limit = file_of(found, top, "primary"), found.parsed["primary"].open_limit_bytes
    theirs: list[cr.Package] = []
    cr.xml_parse_primary(str(primary), pkgcb=lambda one: theirs.append(one) or True, do_files=False)

    reader = packages.primary("primary", ALL)
    blocks = list(reader.read(open_chunks(primary, max_bytes=limit)))

    ours = [
        values
        for block in blocks
        for values in zip(
            (pkgid.hex() for pkgid in block.pkgids),
            block.names,
            block.epochs,
            block.versions,
            block.releases,
            block.archs,
            block.paths,
            block.sizes,
            block.build_times,
            block.header_starts,
            block.header_ends,
            strict=True,
        )
    ]
    assert ours == [
        (
            one.pkgId,
            one.name,
            one.epoch,
            one.version,
            one.release,
            one.arch,
            one.location_href,
            one.size_package,
            one.time_build,
            one.rpm_header_start,
            one.rpm_header_end,
        )
        for one in theirs
    ]
    assert reader.count_issue() is None
    assert not any(block.issues for block in blocks)


@pytest.mark.parametrize("top", REPOMDS, ids=lambda path: str(path.relative_to(SHARED)))
def test_raw_elements_of_real_files_are_all_that_stands_between_the_root_tags(top: Path) -> None:
    found = repomd.parse_repomd(top.read_bytes(), accepted=ALL)
    for role in ("primary", "filelists", "other"):
        path, limit = file_of(found, top, role), found.parsed[role].open_limit_bytes

        reader = getattr(packages, role)(role, ALL)
        raws = [
            block.raw_at(row) for block in reader.read(open_chunks(path, max_bytes=limit)) for row in range(len(block))
        ]

        text = read_all(path, max_bytes=limit)
        for raw in raws:
            before, text = text.split(raw, 1)
            assert before.strip() == b"" or before.rstrip().endswith(b'">')
            assert b"</" not in before
        assert text.strip().startswith(b"</") or not raws


def test_real_comps_updateinfo_and_modules_are_read() -> None:
    assets = SHARED / "pulp-fixtures" / "rpm" / "assets"
    tally = Issues()

    units, odd = comps.parse_comps(open_chunks(assets / "comps.xml", max_bytes=1 << 20), "comps")
    advisories = list(
        updateinfo.parse_updateinfo(open_chunks(assets / "updateinfo.xml", max_bytes=1 << 20), "updateinfo", tally)
    )
    streams = list(modules.parse_modules((assets / "modules.yaml").read_bytes(), "modules", tally))

    assert not odd
    assert not tally
    assert [unit.kind for unit in units].count("rpm.group") == 2
    assert [advisory.id for advisory in advisories][:2] == ["RHEA-2012:0055", "RHEA-2012:0056"]
    text = (assets / "modules.yaml").read_bytes()
    assert all(unit.raw.rstrip() in text for unit in streams)
    assert len(streams) == 13


def test_a_real_treeinfo_is_read() -> None:
    path = SHARED / "pulp-fixtures" / "rpm" / "assets-distributiontree" / ".treeinfo"

    tree = treeinfo.parse_treeinfo(path.read_bytes(), ".treeinfo")

    assert tree.sub_repositories == ["addons/dolphin", "addons/whale", "variants/land"]
    assert {file.path for file in tree.files if file.digests} == {
        "LiveOS/squashfs.img",
        "images/pxeboot/initrd.img",
        "images/pxeboot/upgrade.img",
        "images/pxeboot/vmlinuz",
    }
