"""Ids for places among the keys that a parse step was given."""

from __future__ import annotations

from array import array
from pathlib import Path

import pytest

from mpsync.bridge.errors import BadFrame
from mpsync.bridge.known import KnownIds
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.first_stage import ParseStage, ParseTask

KEYS = [bytes([number]) * 32 for number in range(5)]


def step(listing: str, known: Path | None) -> ParseStage:
    return ParseStage(ParseTask("m:Step", Path("/nowhere"), {}, None, listing, known=known))


@pytest.fixture
def kept() -> KnownIds:
    known = KnownIds()
    known.keep("main", array("q", [10, 11, 12, 13, 14]))
    known.keep("other", array("q", [20]))
    return known


def test_known_rows_get_the_ids_of_their_keys(kept: KnownIds, tmp_path: Path) -> None:
    (tmp_path / "known").write_bytes(b"".join(KEYS))
    parsing = step("main", tmp_path / "known")
    known = parsing.known_keys()

    batch = parsing.known_rows("test", [KEYS[4], KEYS[0], KEYS[2]], known)
    kept.put_in(batch)

    assert list(known) == KEYS
    assert batch.ids == [14, 10, 12]
    assert (batch.keys, batch.listings, batch.kinds) == ([KEYS[4], KEYS[0], KEYS[2]], ["main"] * 3, ["test"] * 3)


def test_a_step_that_was_told_nothing_knows_nothing() -> None:
    assert step("main", None).known_keys() == {}


def test_rows_of_several_listings_keep_apart_and_new_ones_stay_new(kept: KnownIds) -> None:
    batch = Batch.concat(
        [
            step("main", None).known_rows("test", KEYS[:2], {KEYS[0]: -1, KEYS[1]: 0}),
            step("other", None).known_rows("test", KEYS[:1], {KEYS[0]: -1}),
        ]
    )

    kept.put_in(batch)

    assert batch.ids == [10, 0, 20]


@pytest.mark.parametrize(("listing", "place"), [("main", -6), ("other", -2), ("never heard of", -1)])
def test_a_place_beyond_the_keys_of_its_listing_is_an_error(kept: KnownIds, listing: str, place: int) -> None:
    batch = step(listing, None).known_rows("test", KEYS[:1], {KEYS[0]: place})

    with pytest.raises(BadFrame, match=f"place {-place}"):
        kept.put_in(batch)
