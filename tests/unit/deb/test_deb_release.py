"""Release files: what they promise, and when they may no longer be believed."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mpsync.errors import MetadataError, UnsafePath
from mpsync.plugins.deb.release import (
    Expired,
    FutureDate,
    Rollback,
    WeakDigests,
    check_dates,
    parse_date,
    parse_release,
)

SAMPLE = Path(__file__).parents[2] / "data" / "sample-deb" / "dists" / "sample"
A, B = "ab" * 32, "cd" * 32
NOW = datetime(2026, 7, 12, 12, tzinfo=UTC)


def test_a_real_release_is_read_whole() -> None:
    release = parse_release((SAMPLE / "Release").read_bytes(), "sample")

    assert (release.suite, release.codename, release.version) == ("sample", "sampleworm", "1.0")
    assert release.components == ("main", "contrib")
    assert release.architectures == ("all", "amd64")
    assert release.acquire_by_hash
    assert release.all_is_in_each_architecture
    assert release.date == datetime(2025, 1, 2, tzinfo=UTC)
    index = release.files["main/binary-amd64/Packages.xz"]
    assert index.size_bytes == (SAMPLE / index.path).stat().st_size
    assert (SAMPLE / index.by_hash_path).read_bytes() == (SAMPLE / index.path).read_bytes()
    assert set(index.digests) == {"md5", "sha256"}
    assert index.expected.digests == {"sha256": index.digests["sha256"]}


def test_every_field_may_be_missing() -> None:
    release = parse_release(f"SHA256:\n {A} 5 Packages\n".encode(), "x")

    assert (release.suite, release.codename, release.date, release.components) == (None, None, None, ())
    assert not release.acquire_by_hash


def test_sections_in_any_case_count_and_the_strongest_digest_wins() -> None:
    text = f"Sha256:\n {A} 5 ./main/x\nSHA512:\n {A * 2} 5 main/x\nmd5sum:\n {A[:32]} 5 main/x\n"

    file = parse_release(text.encode(), "x").files["main/x"]

    assert file.strongest == ("sha512", A * 2)
    assert file.by_hash_path == f"main/by-hash/SHA512/{A * 2}"


def test_digests_of_md5_only_are_refused_by_name_unless_allowed() -> None:
    text = f"Suite: s\nMD5Sum:\n {A[:32]} 5 main/x\n".encode()

    with pytest.raises(WeakDigests, match="no accepted digests"):
        parse_release(text, "x")
    assert parse_release(text, "x", allow_weak=True).files["main/x"].strongest == ("md5", A[:32])


def test_a_file_with_weak_digests_beside_good_ones_is_listed_apart() -> None:
    release = parse_release(f"SHA256:\n {A} 5 a\nSHA1:\n {A[:40]} 5 a\n {A[:40]} 5 b\n".encode(), "x")

    assert (list(release.files), release.weak) == (["a"], ("b",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"SHA256:\n {A} 5 a\n {B} 5 a\n", "two sha256 digests"),
        (f"SHA256:\n {A} 5 a\n {A} 6 a\n", "two sizes"),
        (f"SHA256:\n {A} 5 a\nMD5Sum:\n {A[:32]} 6 a\n", "two sizes"),
        (f"SHA256:\n {A} five a\n", "bad line"),
        (f"SHA256:\n {A[:-1]} 5 a\n", "bad line"),
        (f"SHA256:\n {A} 5\n", "bad line"),
        ("<html><body>not here</body></html>", "is not a Release file"),
        ("", "is not a Release file"),
        (f"Date: soon\nSHA256:\n {A} 5 a\n", "is not a date"),
        (f"Valid-Until: never\nSHA256:\n {A} 5 a\n", "is not a date"),
    ],
)
def test_a_release_that_contradicts_itself_is_refused(text: str, said: str) -> None:
    with pytest.raises(MetadataError, match=said):
        parse_release(text.encode(), "x")


def test_the_same_line_twice_is_harmless() -> None:
    assert len(parse_release(f"SHA256:\n {A} 5 a\n {A.upper()} 5 a\n".encode(), "x").files) == 1


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "main/../../x", "http://evil/x"])
def test_paths_that_climb_are_refused(path: str) -> None:
    with pytest.raises(UnsafePath):
        parse_release(f"SHA256:\n {A} 5 {path}\n".encode(), "x")


def test_text_behind_an_empty_line_is_not_read() -> None:
    assert parse_release(f"Suite: a\nSHA256:\n {A} 5 a\n\nSuite: b\nCodename: evil\n".encode(), "x").codename is None


@pytest.mark.parametrize(
    "text",
    [
        *(
            "Sat, 11 Jul 2026 10:16:37 UTC",
            "Sat, 11 Jul 2026 10:16:37 GMT",
            "11 Jul 2026 10:16:37",
            "Sat, 11 Jul 2026 10:16:37 Z",
        ),
        *(
            "Sat, 11 Jul 2026 12:16:37 +0200",
            "Sat, 11 July 2026 05:46:37 -0430",
            "2026-07-11T10:16:37Z",
            "2026-07-11 10:16:37",
        ),
    ],
)
def test_dates_are_read_tolerantly_as_utc(text: str) -> None:
    assert parse_date(text) == datetime(2026, 7, 11, 10, 16, 37, tzinfo=UTC)


@pytest.mark.parametrize("text", ["", "soon", "Sat, 31 Feb 2026 10:16:37 UTC", "11 Foo 2026 10:16:37 UTC"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


def dated(date: str | None = None, valid_until: str | None = None) -> bytes:
    lines = [f"Date: {date}\n" if date else "", f"Valid-Until: {valid_until}\n" if valid_until else ""]
    return ("".join(lines) + f"SHA256:\n {A} 5 a\n").encode()


def test_a_release_past_its_valid_until_is_refused_unless_told_otherwise() -> None:
    release = parse_release(dated("Wed, 01 Jul 2026 00:00:00 UTC", "Sun, 12 Jul 2026 11:59:59 UTC"), "x")

    with pytest.raises(Expired, match="2026-07-12"):
        check_dates(release, NOW)
    check_dates(release, NOW - timedelta(minutes=1))
    check_dates(release, NOW, check_valid_until=False)


def test_a_date_more_than_a_day_ahead_is_refused() -> None:
    with pytest.raises(FutureDate):
        check_dates(parse_release(dated("Mon, 13 Jul 2026 12:00:01 UTC"), "x"), NOW)
    check_dates(parse_release(dated("Mon, 13 Jul 2026 11:59:00 UTC"), "x"), NOW)


def test_a_release_older_than_the_one_held_is_a_rollback() -> None:
    release = parse_release(dated("Sat, 11 Jul 2026 00:00:00 UTC"), "x")

    check_dates(release, NOW, held=release.date)
    with pytest.raises(Rollback, match="older than the state we hold"):
        check_dates(release, NOW, held=NOW)
    with pytest.raises(Rollback, match="has no Date"):
        check_dates(parse_release(dated(), "x"), NOW, held=NOW)


def test_the_errors_survive_pickling() -> None:
    for error in (
        Expired("w", NOW),
        FutureDate("w", NOW, NOW),
        Rollback("w", None, NOW),
        WeakDigests("w", "p", "e", "g"),
    ):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))
