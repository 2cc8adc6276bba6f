"""A path that an index lists with two digests is reported."""

from __future__ import annotations

from mpsync.pipeline.slots import Slots
from mpsync.plugin.one_path import EXAMPLES, OnePath


class Notes:
    """As much of a Host as notes need."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, name: str, text: str) -> None:
        self.texts.append(text)


def slots(*files: tuple[str, bytes | None]) -> Slots:
    made = Slots()
    for row, (path, sha256) in enumerate(files):
        made.add(row, path, sha256, 1, None, None, True)
    return made


def test_a_path_with_two_digests_is_named_with_the_later_one() -> None:
    host = Notes()
    paths = OnePath(host, "stable/main/binary-amd64")  # type: ignore[arg-type]  # notes only

    paths.check(slots(("pool/a.deb", b"1" * 32), ("pool/b.deb", b"1" * 32)))
    paths.check(slots(("pool/a.deb", b"2" * 32)))
    paths.finish()

    assert host.texts == [
        f"stable/main/binary-amd64: pool/a.deb is listed with different files; the later one has sha256 {'32' * 32}"
    ]


def test_the_same_file_twice_and_one_without_a_digest_are_fine() -> None:
    host = Notes()
    paths = OnePath(host, "x")  # type: ignore[arg-type]  # notes only

    paths.check(slots(("a", b"1" * 32), ("a", b"1" * 32), ("a", None)))
    paths.finish()

    assert host.texts == []


def test_many_conflicts_are_counted() -> None:
    host = Notes()
    paths = OnePath(host, "x")  # type: ignore[arg-type]  # notes only

    paths.check(slots(*(("a", bytes([number]) * 32) for number in range(EXAMPLES + 4))))
    paths.finish()

    assert len(host.texts) == EXAMPLES + 1
    assert host.texts[-1] == "x: 3 more paths with different files"
