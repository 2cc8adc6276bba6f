"""The merge rules, one test each."""

from __future__ import annotations

import pytest

from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.merge import AdvisoryConflict, merge_advisories, newest_builds
from mpsync.plugins.rpm.updateinfo import Advisory, parse_updateinfo

DATE, LATER = "2024-01-01 00:00:00", "2024-02-01 00:00:00"


def advisory(
    *names: str, updated: str = DATE, version: str = "1", title: str = "t", collection: str = "c", pkglist: bool = True
) -> Advisory:
    """One with packages called ``name`` or ``name=version``."""
    packages = "".join(
        f'<package name="{name.partition("=")[0]}" epoch="0" version="{name.partition("=")[2] or 1}" release="1" '
        f'arch="noarch"><filename>f</filename></package>'
        for name in names
    )
    listed = f'<pkglist><collection short="s"><name>{collection}</name>{packages}</collection></pkglist>'
    text = (
        f'<updates><update type="security" status="final" version="{version}"><id>ID-1</id><title>{title}</title>'
        f'<issued date="{DATE}"/><updated date="{updated}"/>{listed if pkglist else ""}</update></updates>'
    )
    tally = Issues()
    (found,) = parse_updateinfo([text.encode()], "updateinfo.xml", tally)
    assert not tally
    return found


def test_the_same_advisory_twice_is_the_held_one() -> None:
    held = advisory("a")

    assert merge_advisories(held, advisory("a"), "x").advisory is held


def test_same_date_and_version_with_disjoint_packages_become_one_advisory() -> None:
    held, incoming = advisory("a"), advisory("b", title="new")

    merged = merge_advisories(held, incoming, "x")

    assert merged.outcome == "merged"
    assert merged.advisory.title == "new"
    assert merged.advisory.packages == held.packages | incoming.packages
    assert [collection.name for collection in merged.advisory.collections] == ["c", "c_1"]
    assert merged.advisory.raw.count(b"<collection") == 2


def test_collections_with_names_of_their_own_keep_them_when_merged() -> None:
    merged = merge_advisories(advisory("a", collection="one"), advisory("b", collection="two"), "x")

    assert [collection.name for collection in merged.advisory.collections] == ["one", "two"]


def test_a_merged_advisory_merges_again() -> None:
    once = merge_advisories(advisory("a"), advisory("b"), "x").advisory

    twice = merge_advisories(once, advisory("d"), "x").advisory

    assert [collection.name for collection in twice.collections] == ["c", "c_1", "c_2"]
    assert {package[0] for package in twice.packages} == {"a", "b", "d"}


def test_an_incoming_advisory_without_any_package_list_takes_over_the_held_ones() -> None:
    merged = merge_advisories(advisory("a"), advisory(pkglist=False), "x")

    assert merged.outcome == "merged"
    assert {package[0] for package in merged.advisory.packages} == {"a"}


def test_of_a_proper_subset_the_larger_list_stays() -> None:
    small, large = advisory("a"), advisory("a", "b")

    assert merge_advisories(small, large, "x").advisory is large
    assert merge_advisories(large, small, "x").advisory is large


def test_equal_lists_with_other_fields_changed_let_the_incoming_one_win() -> None:
    incoming = advisory("a", title="changed")

    assert merge_advisories(advisory("a"), incoming, "x").advisory is incoming


def test_lists_that_overlap_in_part_are_a_conflict() -> None:
    with pytest.raises(AdvisoryConflict, match="overlap only in part"):
        merge_advisories(advisory("a", "b"), advisory("b", "d"), "x")


def test_a_conflict_that_is_allowed_lets_the_incoming_one_win() -> None:
    incoming = advisory("b", "d")

    assert merge_advisories(advisory("a", "b"), incoming, "x", allow_conflict=True).advisory is incoming


def test_another_date_with_overlapping_lists_lets_the_newer_one_win() -> None:
    old, new = advisory("a"), advisory("a", "b", updated=LATER)

    assert merge_advisories(old, new, "x").advisory is new
    assert merge_advisories(new, old, "x").advisory is new


def test_another_version_with_overlapping_lists_lets_the_newer_one_win() -> None:
    old, new = advisory("a", version="9"), advisory("a", version="10")

    assert merge_advisories(old, new, "x").advisory is new
    assert merge_advisories(new, old, "x").advisory is new


def test_another_date_with_disjoint_lists_but_common_names_lets_the_newer_one_win() -> None:
    old, new = advisory("a=1"), advisory("a=2", updated=LATER)

    assert merge_advisories(old, new, "x").advisory is new
    assert merge_advisories(new, old, "x").advisory is new


def test_another_date_with_nothing_in_common_is_a_conflict() -> None:
    with pytest.raises(AdvisoryConflict, match="no package in common"):
        merge_advisories(advisory("a"), advisory("b", updated=LATER), "x")


def test_a_date_that_is_none_is_older_than_any() -> None:
    dated, undated = advisory("a"), advisory("a", title="undated")
    undated.updated = undated.issued = "soon"

    assert merge_advisories(undated, dated, "x").advisory is dated


def test_the_newest_build_of_a_nevra_stays() -> None:
    stay, go = newest_builds(["a", "b", "a"], [b"1", b"2", b"3"], [10, 10, 11])

    assert (stay, go) == ([1, 2], [(0, 2)])


def test_of_builds_of_the_same_second_the_first_seen_stays() -> None:
    stay, go = newest_builds(["a", "a"], [b"1", b"2"], [10, 10])

    assert (stay, go) == ([0], [(1, 0)])


def test_one_pkgid_at_two_locations_stays_twice() -> None:
    stay, go = newest_builds(["a", "a", "a"], [b"1", b"2", b"1"], [11, 10, 11])

    assert (stay, go) == ([0, 2], [(1, 0)])
