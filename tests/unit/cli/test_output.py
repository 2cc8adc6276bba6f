"""What people read: harmless on a terminal, in the documented order, with the reasons counted."""

from __future__ import annotations

import argparse
import errno
import json

import pytest

from mpsync.cli.failure import report
from mpsync.cli.output import print_skipped, print_table, printable, size, sync_document
from mpsync.cli.signals import Interrupted
from mpsync.errors import ConfigError, MetadataError, leaf
from mpsync.fetch.errors import DigestMismatch
from mpsync.pipeline.progress import Event
from mpsync.sync import Summary


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [(None, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (13_173_407, "13.2 MB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_read_at_a_glance(size_bytes: int | None, text: str) -> None:
    assert size(size_bytes) == text


def test_upstream_text_cannot_drive_the_terminal() -> None:
    assert printable("lib\x1b[2Jfoo\nbar\u202e\x9b") == "lib?[2Jfoo?bar??"


def test_a_table_is_as_wide_as_its_cells(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("NAME", "N"), [("longer", 1), ("x", None)])

    assert capsys.readouterr().out == "NAME    N\nlonger  1\nx\n"


def test_skipped_files_are_counted_by_reason(capsys: pytest.CaptureFixture[str]) -> None:
    why = [{"what": f"p{n}", "why": f"http://mirror.example/p{n}: not found (404)"} for n in range(5)]

    print_skipped([*why, {"what": "q", "why": "broken"}])

    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "  skipped 5: p0, p1, p2, and 2 more (--json lists them): not found (404)"
    assert lines[1] == "  skipped 1: q: broken"


def test_the_document_lists_kinds_and_phases_in_the_documented_order() -> None:
    summary = Summary("x")
    summary.content = {
        "deb.source": {"removed": 1, "total": 2, "added": 3},
        "deb.package": {"total": 1, "added": 0, "removed": 0},
    }
    summary.seconds = {"start": 0.1, "commit": 0.2, "total": 1.0}

    document = sync_document(summary)

    assert list(document["content"]) == ["deb.package", "deb.source"]
    assert list(document["content"]["deb.source"].items()) == [("total", 2), ("added", 3), ("removed", 1)]
    assert list(document["seconds"]) == ["total", "start", "commit"]


def outcome(
    error: BaseException, capsys: pytest.CaptureFixture[str], **more: object
) -> tuple[int, dict[str, object], str]:
    code = report(error, [], argparse.Namespace(json=True, debug=False, **more))
    found = capsys.readouterr()
    return code, json.loads(found.out), found.err


def test_a_failed_transfer_says_where_what_was_promised_and_what_came(capsys: pytest.CaptureFixture[str]) -> None:
    error = DigestMismatch("http://mirror.example/a.deb", "sha256", "aa", "bb")

    code, document, said = outcome(error, capsys, summary=Summary("x"))

    assert code == 1
    assert document["error"] == {
        "type": "DigestMismatch",
        "message": str(error),
        "url": "http://mirror.example/a.deb",
        "expected": "sha256:aa",
        "got": "sha256:bb",
    }
    assert document["repository"] == "x"
    assert document["changed"] is False
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (ConfigError("no"), 2, "ConfigError"),
        (MetadataError("Packages", "no Filename"), 1, "MetadataError"),
        (Interrupted(2), 130, "Interrupted"),
        (KeyboardInterrupt(), 130, "Interrupted"),
        (Interrupted(15), 143, "Terminated"),
        (Interrupted(1), 129, "Interrupted"),
    ],
)
def test_every_ending_has_its_exit_code(
    error: BaseException, code: int, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found, document, _ = outcome(error, capsys)

    assert found == code
    assert document["error"]["type"] == name  # type: ignore[index]  # a dict


def test_a_bug_shows_its_traceback_and_asks_to_be_reported(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ZeroDivisionError("oops")
    except ZeroDivisionError as error:
        code, document, said = outcome(error, capsys)

    assert code == 1
    assert document["error"] == {"type": "ZeroDivisionError", "message": "oops"}
    assert "Traceback" in said
    assert "please report it" in said


def test_a_hint_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    error = ConfigError("it is busy")
    error.hint = "give --wait"

    _, _, said = outcome(error, capsys)

    assert said.splitlines() == ["mpsync: it is busy", "  give --wait"]


def test_of_a_group_the_deliberate_error_counts() -> None:
    group = BaseExceptionGroup("g", [RuntimeError("accident"), BaseExceptionGroup("h", [ConfigError("cause")])])

    assert isinstance(leaf(group), ConfigError)


def test_an_event_is_a_line_of_plain_values() -> None:
    assert Event("note", "x", text="hello", at_s=1.0).as_json() == {
        "kind": "note",
        "name": "x",
        "done": 0,
        "text": "hello",
        "at_s": 1.0,
    }


def test_of_two_full_disks_only_the_output_s_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    def elsewhere() -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError) as raised:
        elsewhere()

    assert report(raised.value, ["list"], None) == 1
    assert "this is a bug" in capsys.readouterr().err
