"""A batch whose header lies is an error of the bridge, at once: never a strange one of a later stage, never a full memory."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest

from mpsync.bridge.codec import decode, decode_batch, encode_batch
from mpsync.bridge.errors import BadFrame
from mpsync.model.content import Artifact, Content
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent


def body() -> bytes:
    """Three rows with an artifact each, one of them declared."""
    items = []
    for number in range(3):
        path = f"pool/{number}"
        artifact = DeclarativeArtifact(Artifact(size=1, sha256=f"{number}0" * 32), path, None, path, UPSTREAM)
        content = Content(f"raw {number}".encode(), name=f"n{number}", version=f"{number}", arch="amd64", kind="test")
        items.append(DeclarativeContent(content, [artifact], {"a": 1}))
    return encode_batch(Batch.of(items), {1: 5}, [4])


def with_header(changes: dict[str, Any], without: str = "") -> bytes:
    whole = body()
    (size,) = struct.unpack_from("<I", whole, 1)
    header = {**orjson.loads(whole[5 : 5 + size]), **changes}
    header.pop(without, None)
    head = orjson.dumps(header)
    return whole[:1] + struct.pack("<I", len(head)) + head + whole[5 + size :]


def test_the_batch_is_good_to_begin_with() -> None:
    batch, tickets, released = decode_batch(with_header({}))

    assert (len(batch), tickets, released) == (3, {1: 5}, [4])


FIELDS = sorted(orjson.loads(body()[5 : 5 + struct.unpack_from("<I", body(), 1)[0]]))


@pytest.mark.parametrize("field", FIELDS)
def test_a_missing_field_is_an_error(field: str) -> None:
    with pytest.raises(BadFrame):
        decode_batch(with_header({}, without=field))


LIES: list[Any] = [5, "text", {"x": 1}, [{}], [[]], [1, 2], ["a", "b"], [1.5] * 3, [[1]] * 3, -1, {"9": [1, 2, 3]}]


@pytest.mark.parametrize("lie", LIES, ids=repr)
@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_the_wrong_shape_is_an_error_or_changes_nothing_else(field: str, lie: Any) -> None:
    try:
        batch, tickets, released = decode_batch(with_header({field: lie}))
    except BadFrame:
        return
    assert len(batch) == 3
    for row in range(3):  # whatever a stage reads of it is there
        assert isinstance(batch.describe(row), str)
        item = batch.item(row)
        assert item.content is not None
        assert all(isinstance(d_artifact.relative_path, str) for d_artifact in item.d_artifacts)
    assert all(row < 3 and isinstance(ticket, int) for row, ticket in tickets.items())
    assert all(isinstance(ticket, int) for ticket in released)


@pytest.mark.parametrize(
    "changes",
    [
        {"rows": 1 << 40},
        {"slots": 1 << 40},
        {"rows": -1},
        {"segments": [[15, -1, False]]},
        {"starts": [0, 5, 1 << 40]},
        {"lengths": [5, 5, 500]},
        {"starts": [-1, 5, 10]},
        {"owner": [0, 1, 3]},
        {"owner": [1, 0, 2]},
        {"unknown": [3]},
        {"known": [0, 0]},
        {"known": [1, 0, 0]},
        {"items": {"3": [5, None, None]}},
        {"items": {"1": [5, None, "never heard of"]}},
        {"fetched": {"0": ["/x", "one", {}, "u"]}},
    ],
    ids=repr,
)
def test_numbers_beyond_the_batch_are_an_error(changes: dict[str, Any]) -> None:
    with pytest.raises(BadFrame):
        decode_batch(with_header(changes))


@pytest.mark.parametrize("value", [1, None, b"1", {1}], ids=repr)
def test_a_column_that_is_not_text_is_refused_where_it_is_encoded(value: Any) -> None:
    content = Content(b"raw", name="n", version="1", kind="test")
    content.version = value

    with pytest.raises(BadFrame, match="versions"):
        encode_batch(Batch.of([DeclarativeContent(content)]), {}, [])


def test_extra_data_that_looks_like_a_tag_stays_what_it_is() -> None:
    item = DeclarativeContent(Content(b"raw", kind="test"), extra_data={"$": "path", "v": 1})

    batch, _, _ = decode_batch(encode_batch(Batch.of([item]), {0: 1}, []))

    assert batch.items[0].extra_data == {"$": "path", "v": 1}


@pytest.mark.parametrize(
    "frame",
    [b'\1["Await", []]', b'\1["Await", 3]', b'\1[{}, {}]', b'\1["Done", {"request": 1, "error": 3}]', b"\2xx", b"\1null",
     b'\1["Await", {"tickets": {"$": "dict"}}]', b'\1["End", {"result": {"$": "path", "v": 3}}]'],
)  # fmt: skip
def test_a_message_of_the_wrong_shape_is_an_error(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        decode(frame)
