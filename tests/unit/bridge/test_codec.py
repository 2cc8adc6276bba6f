"""Messages and batches survive the way through bytes; what can't is refused where it is encoded."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from mpsync.bridge.codec import decode, decode_batch, decode_error, encode, encode_batch, encode_error, plain, unplain
from mpsync.bridge.errors import BadFrame, ChildDied, ChildFailed
from mpsync.bridge.messages import (
    Answer,
    Await,
    Cancel,
    Credit,
    Done,
    End,
    Error,
    Finish,
    Message,
    Report,
    Rows,
    Settled,
    Work,
)
from mpsync.errors import MetadataError, PluginError
from mpsync.model.content import Artifact, Content
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent

MESSAGES = [
    Rows(b"\0\1\2" * 100),
    Await([1, 2, 3]),
    Done(4, {"rows": 5}),
    Done(4, error=Error("m:K", ["a", 1], "text", "trace")),
    Report("progress", "index", by=3, total=None),
    End({"parsed": [["listing", "v1", "ab"]], "at": datetime(2024, 1, 2, tzinfo=UTC), "é": (1, b"\xff", Path("/x"))}),
    Settled(7, 12, {"Release": Path("/store/ab")}),
    Work(1, "parse", {"path": Path("/x"), "memory": ("v", "ab"), "context": {}}),
    Answer(1, (3, True)),
    Credit(1 << 40),
    Finish(),
    Cancel(),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_a_message_comes_out_as_it_went_in(message: Message) -> None:
    assert decode(encode(message)) == message


@pytest.mark.parametrize("value", [{1, 2}, object(), len, 1j, {"deep": [{"er": {3}}]}], ids=repr)
def test_a_value_that_is_not_plain_is_refused_by_name(value: Any) -> None:
    with pytest.raises(BadFrame, match="cannot cross to another process"):
        plain(value)


def test_a_dict_that_looks_like_a_tag_is_not_taken_for_one() -> None:
    value = {"$": "path", "v": "not a path", "inner": {"$": 1}}

    assert unplain(plain(value)) == value


def test_keys_that_json_would_change_are_refused() -> None:
    with pytest.raises(BadFrame, match="keys"):
        plain({"inner": {1: 2}})


def test_arguments_of_an_error_keep_their_types_through_a_frame() -> None:
    error = MetadataError("where", "problem", (1, {"$": "path", "v": "x"}), Path("/x"))  # type: ignore[arg-type]

    answer = decode(encode(Answer(1, error=encode_error(error))))

    assert isinstance(answer, Answer)
    assert answer.error is not None
    assert decode_error(answer.error).args == error.args


@pytest.mark.parametrize("frame", [b"", b"\1", b"\1{}", b'\1["Nope", {}]', b'\1["Await", {"x": 1}]', b"\1[1, 2, 3]"])
def test_a_frame_that_is_no_message_is_an_error(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(frame)


# --- errors --------------------------------------------------------------------------------------------------


def test_an_error_of_ours_is_rebuilt_with_its_arguments() -> None:
    error = MetadataError("where", "problem", None, "got")

    rebuilt = decode_error(encode_error(error))

    assert type(rebuilt) is MetadataError
    assert rebuilt.args == error.args
    assert rebuilt.details() == error.details()


class Unpicklable(PluginError):
    """An argument of it cannot cross."""

    def __init__(self, what: object) -> None:
        super().__init__(what)


@pytest.mark.parametrize("error", [ValueError("v"), Unpicklable(object()), OSError(2, "No such file", "x")])
def test_any_other_error_becomes_child_failed_with_its_name_and_text(error: Exception) -> None:
    rebuilt = decode_error(encode_error(error))

    assert isinstance(rebuilt, ChildFailed)
    assert type(error).__name__ in str(rebuilt)
    assert str(error) in str(rebuilt)


def test_an_error_class_that_is_not_an_exception_of_ours_is_never_called() -> None:
    rebuilt = decode_error(Error("os:system", ["true"], "text", "trace"))

    assert isinstance(rebuilt, ChildFailed)


def test_an_error_that_came_from_a_child_can_go_to_another() -> None:
    once = decode_error(encode_error(LookupError("x")))

    twice = decode_error(encode_error(once))

    assert isinstance(twice, ChildFailed)
    assert twice.args == once.args


@pytest.mark.parametrize(
    ("exitcode", "says"),
    [
        (-15, "was killed by SIGTERM;"),
        (-99, "was killed by signal 99;"),
        (3, "exited with code 3;"),
        (None, "its pipe"),
    ],
)
def test_the_error_of_a_dead_child_says_how_it_ended(exitcode: int | None, says: str) -> None:
    assert says in str(ChildDied(12, exitcode, "Stage", "frame 3 (Rows)"))


# --- batches -------------------------------------------------------------------------------------------------


def make_item(name: str, *artifacts: DeclarativeArtifact, **extra: Any) -> DeclarativeContent:
    content = Content(f"raw of {name}".encode(), name=name, version="1", arch="amd64", kind="test")
    return DeclarativeContent(content, list(artifacts), extra, listing="main")


def make_artifact(path: str, *, url: str | None = None, deferred: bool = True, **artifact: Any) -> DeclarativeArtifact:
    return DeclarativeArtifact(
        Artifact(**artifact), url=url or path, relative_path=path, remote=UPSTREAM, deferred_download=deferred
    )


def full_batch() -> Batch:
    """Every column has something unusual."""
    return Batch.of(
        [
            make_item("none"),
            make_item(
                "two", make_artifact("a", size=3, sha256="11" * 32), make_artifact("b", url="http://x/b", size=4)
            ),
            make_item("weak", make_artifact("c", deferred=False, size=5, md5="22" * 16)),
            make_item("there", make_artifact("d", size=6, sha256="33" * 32, file=Path("/tmp/d"))),
        ]
    )


def columns(batch: Batch) -> dict[str, Any]:
    names = ("kinds", "keys", "names", "versions", "archs", "listings", "lengths", "ids", "slots")
    return {**{name: getattr(batch, name) for name in names}, "raws": [batch.raw_at(row) for row in range(len(batch))]}


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_batch_comes_out_as_it_went_in(is_packed: bool) -> None:
    batch = full_batch()
    if is_packed:
        batch.pack_raw()

    decoded, tickets, released = decode_batch(encode_batch(batch, {}, [4, 5]))

    assert columns(decoded) == columns(batch)
    assert decoded.slots.fetched[3] == Fetched(Path("/tmp/d"), 6, {"sha256": "33" * 32}, "d")
    assert (tickets, released) == ({}, [4, 5])


def test_declared_rows_have_items_with_what_was_said_of_them() -> None:
    batch = Batch.of([make_item("a"), make_item("b", note=(1, Path("/x")), when=datetime(2024, 1, 1, tzinfo=UTC))])
    batch.items[1].on_failure = "deliver"

    decoded, tickets, _ = decode_batch(encode_batch(batch, {1: 77}, []))

    assert tickets == {1: 77}
    assert list(decoded.items) == [1]
    item = decoded.items[1]
    assert (item.ticket, item.on_failure, item.listing) == (77, "deliver", "main")
    assert item.extra_data == {"note": (1, Path("/x")), "when": datetime(2024, 1, 1, tzinfo=UTC)}
    assert not item.is_touched


def test_places_among_known_keys_cross() -> None:
    batch = Batch.of([make_item("a"), make_item("b"), make_item("c")])
    batch.items.clear()
    batch.ids = [0, -1, -300]

    decoded, _, _ = decode_batch(encode_batch(batch, {}, []))

    assert decoded.ids == [0, -1, -300]


def test_an_empty_batch_crosses() -> None:
    decoded, _, _ = decode_batch(encode_batch(Batch(), {}, []))

    assert len(decoded) == 0


def test_every_truncation_of_a_batch_is_an_error() -> None:
    body = encode_batch(full_batch(), {}, [])

    for length in range(len(body)):
        with pytest.raises(BadFrame):
            decode_batch(body[:length])


def test_a_batch_with_a_short_key_is_refused_where_it_is_encoded() -> None:
    batch = full_batch()
    batch.keys[0] = b"short"

    with pytest.raises(BadFrame, match="32 bytes"):
        encode_batch(batch, {}, [])
