"""rpm's order of versions: rpm's published cases, and the newest N."""

from __future__ import annotations

import itertools

import pytest

from mpsync.plugins.rpm.evr import EVR, compare, epoch_number, evr_key, newest, parse_evr, rpmvercmp

# rpm's own table (tests/rpmvercmp.at): a, b, result.
PUBLISHED = """
1.0 1.0 0
1.0 2.0 -1
2.0 1.0 1
2.0.1 2.0.1 0
2.0 2.0.1 -1
2.0.1 2.0 1
2.0.1a 2.0.1a 0
2.0.1a 2.0.1 1
2.0.1 2.0.1a -1
5.5p1 5.5p1 0
5.5p1 5.5p2 -1
5.5p2 5.5p1 1
5.5p10 5.5p10 0
5.5p1 5.5p10 -1
5.5p10 5.5p1 1
10xyz 10.1xyz -1
10.1xyz 10xyz 1
xyz10 xyz10 0
xyz10 xyz10.1 -1
xyz10.1 xyz10 1
xyz.4 xyz.4 0
xyz.4 8 -1
8 xyz.4 1
xyz.4 2 -1
2 xyz.4 1
5.5p2 5.6p1 -1
5.6p1 5.5p2 1
5.6p1 6.5p1 -1
6.5p1 5.6p1 1
6.0.rc1 6.0 1
6.0 6.0.rc1 -1
10b2 10a1 1
10a2 10b2 -1
1.0aa 1.0aa 0
1.0a 1.0aa -1
1.0aa 1.0a 1
10.0001 10.0001 0
10.0001 10.1 0
10.1 10.0001 0
10.0001 10.0039 -1
10.0039 10.0001 1
4.999.9 5.0 -1
5.0 4.999.9 1
20101121 20101121 0
20101121 20101122 -1
20101122 20101121 1
2_0 2_0 0
2.0 2_0 0
2_0 2.0 0
a a 0
a+ a+ 0
a+ a_ 0
a_ a+ 0
+a +a 0
+a _a 0
_a +a 0
+_ +_ 0
_+ +_ 0
_+ _+ 0
+ _ 0
_ + 0
1.0~rc1 1.0~rc1 0
1.0~rc1 1.0 -1
1.0 1.0~rc1 1
1.0~rc1 1.0~rc2 -1
1.0~rc2 1.0~rc1 1
1.0~rc1~git123 1.0~rc1~git123 0
1.0~rc1~git123 1.0~rc1 -1
1.0~rc1 1.0~rc1~git123 1
1.0^ 1.0^ 0
1.0^ 1.0 1
1.0 1.0^ -1
1.0^git1 1.0^git1 0
1.0^git1 1.0 1
1.0 1.0^git1 -1
1.0^git1 1.0^git2 -1
1.0^git2 1.0^git1 1
1.0^git1 1.01 -1
1.01 1.0^git1 1
1.0^20160101 1.0^20160101 0
1.0^20160101 1.0.1 -1
1.0.1 1.0^20160101 1
1.0^20160101^git1 1.0^20160101^git1 0
1.0^20160102 1.0^20160101^git1 1
1.0^20160101^git1 1.0^20160102 -1
1.0~rc1^git1 1.0~rc1^git1 0
1.0~rc1^git1 1.0~rc1 1
1.0~rc1 1.0~rc1^git1 -1
1.0^git1~pre 1.0^git1~pre 0
1.0^git1 1.0^git1~pre 1
1.0^git1~pre 1.0^git1 -1
1b.fc17 1b.fc17 0
1b.fc17 1.fc17 -1
1.fc17 1b.fc17 1
1g.fc17 1g.fc17 0
1g.fc17 1.fc17 1
1.fc17 1g.fc17 -1
"""


@pytest.mark.parametrize("case", PUBLISHED.strip().splitlines())
def test_versions_are_ordered_as_in_rpms_published_table(case: str) -> None:
    left, right, result = case.split()

    assert rpmvercmp(left, right) == int(result)
    assert rpmvercmp(right, left) == -int(result)


def _by_the_book(one: str, two: str) -> int:
    """rpm's loop over two strings, written out: the second opinion on version_key."""
    i = j = 0

    def at(text: str, where: int) -> str:
        return text[where] if where < len(text) else ""

    def alnum(char: str) -> bool:
        return char.isascii() and char.isalnum()

    while i < len(one) or j < len(two):
        while i < len(one) and not alnum(one[i]) and one[i] not in "~^":
            i += 1
        while j < len(two) and not alnum(two[j]) and two[j] not in "~^":
            j += 1
        left, right = at(one, i), at(two, j)
        if "~" in (left, right):
            if left != right:
                return 1 if left != "~" else -1
            i, j = i + 1, j + 1
            continue
        if "^" in (left, right):
            if not left or not right:
                return -1 if not left else 1
            if left != right:
                return 1 if left != "^" else -1
            i, j = i + 1, j + 1
            continue
        if not left or not right:
            break
        kind = str.isdigit if left.isdigit() else str.isalpha
        k, m = i, j
        while k < len(one) and alnum(one[k]) and kind(one[k]):
            k += 1
        while m < len(two) and alnum(two[m]) and kind(two[m]):
            m += 1
        if m == j:
            return 1 if left.isdigit() else -1
        first, second = one[i:k], two[j:m]
        if left.isdigit():
            first, second = first.lstrip("0"), second.lstrip("0")
            if len(first) != len(second):
                return 1 if len(first) > len(second) else -1
        if first != second:
            return 1 if first > second else -1
        i, j = k, m
    return (i < len(one)) - (j < len(two))


def test_every_short_version_is_ordered_as_by_rpms_loop() -> None:
    texts = ["".join(parts) for size in range(5) for parts in itertools.product("01a~^.", repeat=size)]
    sample = texts[::11]

    wrong = [(a, b) for a in sample for b in sample if rpmvercmp(a, b) != _by_the_book(a, b)]

    assert wrong == []


def test_numbers_of_a_million_digits_are_compared_without_becoming_integers() -> None:
    assert rpmvercmp("1" + "0" * 1_000_000, "9" * 1_000_000) == 1


@pytest.mark.parametrize(
    ("a", "b", "result"),
    [
        (EVR("1", "1.0", "1"), EVR("0", "9.0", "1"), 1),
        (EVR("", "1.0", "1"), EVR("0", "1.0", "1"), 0),
        (EVR("0", "1.0", "2"), EVR("0", "1.0", "10"), -1),
        (EVR("2", "1.0", "1"), EVR("10", "1.0", "1"), -1),
        (EVR("0", "1.0", ""), EVR("0", "1.0", "1"), -1),
        (EVR("0", "1.0", "1.fc41"), EVR("0", "1.0~rc1", "9"), 1),
    ],
)
def test_epoch_then_version_then_release_decide(a: EVR, b: EVR, result: int) -> None:
    assert compare(a, b) == result
    assert compare(b, a) == -result


@pytest.mark.parametrize(
    ("text", "number"),
    [(None, 0), ("", 0), ("0", 0), ("007", 7), ("4294967295", 4294967295)]
    + [(odd, None) for odd in ("4294967296", "-1", "1.0", "one", "١", " 1", "99999999999")],
)
def test_an_epoch_is_a_number_of_32_bits_or_none(text: str | None, number: int | None) -> None:
    assert epoch_number(text) == number


def test_an_epoch_that_is_not_a_number_is_ordered_as_0() -> None:
    assert evr_key("foo", "1", "1") == evr_key("0", "1", "1")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("1:2.3-4.fc41", ("1", "2.3", "4.fc41")),
        ("2.3-4", ("", "2.3", "4")),
        ("2.3", ("", "2.3", "")),
        (":2.3-4", ("", "2.3", "4")),
        ("a:2.3-4", ("", "a:2.3", "4")),
        ("1:2-3-4", ("1", "2-3", "4")),
    ],
)
def test_an_evr_is_taken_apart_as_rpm_does(text: str, parts: tuple[str, str, str]) -> None:
    assert parse_evr(text) == parts


def test_the_newest_two_of_each_name_and_architecture_stay_in_order() -> None:
    rows = [
        ("a", "x86_64", ("0", "1.0", "1")),
        ("a", "x86_64", ("0", "1.10", "1")),
        ("a", "x86_64", ("0", "1.9", "1")),
        ("a", "i686", ("0", "1.0", "1")),
        ("a", "x86_64", ("1", "0.1", "1")),
        ("b", "noarch", ("0", "1.0~rc1", "1")),
    ]

    stay = newest([row[0] for row in rows], [row[1] for row in rows], [row[2] for row in rows], 2)

    assert stay == [1, 3, 4, 5]


def test_two_rebuilds_of_one_version_count_once() -> None:
    evrs = [("0", "2", "1"), ("0", "2", "1"), ("0", "1", "1"), ("0", "0", "1")]

    assert newest(["a"] * 4, ["noarch"] * 4, evrs, 2) == [0, 1, 2]


def test_exempt_packages_stay_and_take_no_place_of_others() -> None:
    evrs = [("0", str(number), "1") for number in range(5)]

    assert newest(["a"] * 5, ["noarch"] * 5, evrs, 1, exempt=[0, 4]) == [0, 3, 4]
