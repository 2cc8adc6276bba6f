"""primary, filelists and other are joined by pkgid; what doesn't fit has a name."""

from __future__ import annotations

import rpm_samples as samples

from mpsync.plugins.rpm import issues, packages
from mpsync.plugins.rpm.crosscheck import Crosscheck
from mpsync.plugins.rpm.issues import Issues


def outcome(records: list[bytes]) -> tuple[list[int], dict[str, int]]:
    """(rows that belong, {code: count}) of a filelists.xml of these records, to five packages of primary."""
    check, tally = Crosscheck(), Issues()
    primary = samples.document("primary", [samples.dump("primary", one) for one in samples.packages(5)])
    for block in packages.primary("primary").read([primary]):
        check.add(block)
    rows: list[int] = []
    for found in packages.filelists("filelists").read([samples.document("filelists", records)]):
        rows += check.check(found, "filelists", tally)
    check.finish("filelists", tally)
    return rows, {issue.code: issue.count for issue in tally}


FILES = [samples.dump("filelists", one) for one in samples.packages(5)]


def test_the_same_packages_in_any_order_fit() -> None:
    assert outcome(FILES) == ([0, 1, 2, 3, 4], {})
    assert outcome(FILES[::-1]) == ([0, 1, 2, 3, 4], {})


def test_a_package_that_is_not_listed_is_said() -> None:
    assert outcome(FILES[1:]) == ([0, 1, 2, 3], {issues.PACKAGE_NOT_LISTED: 1})


def test_a_package_that_primary_does_not_have_is_left_out() -> None:
    stranger = samples.dump("filelists", samples.package(1, seed=2))

    assert outcome([stranger, *FILES]) == ([1, 2, 3, 4, 5], {issues.NOT_IN_PRIMARY: 1})


def test_a_package_that_comes_twice_is_taken_once() -> None:
    assert outcome([*FILES, FILES[2]]) == ([0, 1, 2, 3, 4], {issues.DUPLICATE_RECORD: 1})


def test_a_pkgid_with_another_name_or_version_is_said() -> None:
    renamed = FILES[0].replace(b' name="', b' name="other')

    assert outcome([renamed, *FILES[1:]]) == ([0, 1, 2, 3, 4], {issues.NEVRA_DIFFERS: 1})
