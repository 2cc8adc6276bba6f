"""Batch: cutting, joining, and the way from items to columns and back."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from pipeline_rows import KIND, batch, content, d_artifacts, item, rows, rows_of

from mpsync.errors import PluginError
from mpsync.model.content import Artifact, Content, content_key
from mpsync.model.digests import Fetched
from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent
from mpsync.pipeline.raw import RawRun

FETCHED = Fetched(Path("/store/tmp/1"), 5, {"sha256": "ab" * 32, "md5": f"{1:032x}"}, "https://mirror.example/pool/1")


# --- take and concat -------------------------------------------------------------------------------------------------


def test_take_keeps_the_asked_rows_in_the_asked_order() -> None:
    taken = batch(range(10)).take([7, 2, 5])

    assert rows(taken) == rows_of([7, 2, 5])


def test_take_shares_the_raw_records() -> None:
    whole = batch(range(10))

    assert whole.take([3]).raw is whole.raw


def test_take_of_nothing_is_an_empty_batch() -> None:
    taken = batch(range(3)).take([])

    assert len(taken) == 0
    assert len(taken.slots) == 0


def test_concat_of_one_batch_is_that_batch() -> None:
    whole = batch(range(3))

    assert Batch.concat([whole]) is whole


def test_concat_keeps_all_rows_in_order() -> None:
    whole = Batch.concat([batch([4, 5]), batch([]), batch([0]), batch([9, 2])])

    assert rows(whole) == rows_of([4, 5, 0, 9, 2])


def test_concat_does_not_carry_raw_records_of_rows_that_were_left_out() -> None:
    few = batch(range(1, 100)).take([5, 6])

    joined = Batch.concat([few, batch([1])])

    assert joined.raw.size == joined.size_bytes
    assert rows(joined) == rows_of([6, 7, 1])


def test_concat_keeps_the_remote_and_what_this_run_saved() -> None:
    one, other = batch([1]), batch([2])
    one.saved_now, other.saved_now, other.remote = {1}, {2}, "remote"

    joined = Batch.concat([one, other])

    assert joined.saved_now == {1, 2}
    assert joined.remote == "remote"


@pytest.mark.parametrize("seed", range(30))
def test_however_a_batch_is_cut_joined_and_packed_its_rows_stay_the_same(seed: int) -> None:
    chance = random.Random(seed)
    numbers = list(range(chance.randrange(1, 200)))
    parts, expected = [], []
    whole = batch(numbers)
    for _ in range(chance.randrange(1, 6)):
        picked = [chance.choice(numbers) for _ in range(chance.randrange(60))]
        part = whole.take(picked)
        if chance.random() < 0.3:
            part.pack_raw()
        if chance.random() < 0.3:
            part = part.take(list(range(len(part))))
        parts.append(part)
        expected += picked
    if chance.random() < 0.5:
        parts = [Batch.concat(parts[:2]), *parts[2:]]

    joined = Batch.concat(parts)

    by_number = dict(zip(numbers, rows(whole), strict=True))
    assert rows(joined) == [by_number[number] for number in expected]


# --- raw records -----------------------------------------------------------------------------------------------------


def test_packed_raw_records_read_as_before_and_take_less_memory() -> None:
    whole = batch(range(500))

    whole.pack_raw()

    assert rows(whole) == rows_of(range(500))
    assert whole.raw.held_bytes < whole.size_bytes / 2


def test_packing_drops_what_belongs_to_no_row() -> None:
    few = batch(range(1, 100)).take([5, 90, 6])

    few.pack_raw()

    assert few.raw.size == few.size_bytes
    assert rows(few) == rows_of([6, 91, 7])


def test_packing_drops_what_stands_before_the_first_row() -> None:
    last = batch(range(1, 100)).take([4, 5])

    last.pack_raw()

    assert last.raw.size == last.size_bytes
    assert rows(last) == rows_of([5, 6])


def test_a_record_larger_than_a_frame_is_packed_and_read() -> None:
    large = Batch.of(
        [DeclarativeContent(Content(bytes([byte]) * (300 << 10), name="large", kind=KIND)) for byte in (65, 66)]
    )

    large.pack_raw()

    assert [segment.size for segment in large.raw.segments] == [300 << 10] * 2
    assert [large.raw_at(row)[:1] for row in range(2)] == [b"A", b"B"]


def test_records_in_a_row_are_packed_into_the_frames_of_records_apart() -> None:
    in_a_row = batch(range(300))
    apart = in_a_row.take([*range(299), 299])
    apart.starts = list(apart.starts)
    apart.raw = RawRun((*apart.raw.segments, *RawRun.plain(b"more").shifted(apart.raw.size)))

    in_a_row.pack_raw()
    apart.pack_raw()

    assert apart.raw.segments == in_a_row.raw.segments
    assert apart.starts == in_a_row.starts


def test_packing_twice_changes_nothing() -> None:
    whole = batch(range(100))
    whole.pack_raw()
    packed = whole.raw

    whole.pack_raw()

    assert whole.raw is packed


# --- views -----------------------------------------------------------------------------------------------------------


def test_the_item_of_a_row_is_always_the_same() -> None:
    whole = batch(range(3))

    assert whole.item(1) is whole.item(1)
    assert whole.all_items()[1] is whole.item(1)


def test_a_view_shows_the_row_as_content_and_artifacts() -> None:
    whole = batch([5])

    view = whole.item(0)

    expected = item(5)
    assert view.content is not None
    assert expected.content is not None
    assert view.content.raw == expected.content.raw
    assert view.content.key == expected.content.key
    assert (view.content.name, view.content.version, view.content.arch, view.listing) == ("n5", "1.5", "all", "list 1")
    assert [
        (d.urls, d.relative_path, d.deferred_download, d.artifact.size, d.artifact.digests) for d in view.d_artifacts
    ] == [
        (d.urls, d.relative_path, d.deferred_download, d.artifact.size, d.artifact.digests)
        for d in expected.d_artifacts
    ]


def test_a_view_is_of_the_class_that_declared_its_kind() -> None:
    class Special(Content):
        KIND = "test.special"

    whole = Batch.of([DeclarativeContent(Special(b"x"))])

    assert type(whole.content_at(0)) is Special


def test_a_view_is_untouched_until_its_content_or_artifacts_are_read() -> None:
    listing_read, content_read, artifacts_read, unread = batch(range(4)).all_items()

    assert listing_read.listing == "list 0"
    assert content_read.content is not None
    assert len(artifacts_read.d_artifacts) == 2

    assert [view.is_touched for view in (listing_read, content_read, artifacts_read, unread)] == [
        False,
        True,
        True,
        False,
    ]


def test_naming_a_view_in_a_message_does_not_touch_it() -> None:
    view = batch([5]).item(0)

    assert "n5" in repr(view)

    assert not view.is_touched


def test_what_stages_find_out_reaches_an_item_that_somebody_holds() -> None:
    whole = batch([2])
    view = whole.item(0)
    held, (_, second) = view.content, view.d_artifacts

    whole.set_id(0, 7)
    whole.set_artifact(1, 8)

    assert held is not None
    assert held.pk == 7
    assert second.artifact.pk == 8
    assert rows(Batch.pack([view])) == rows(whole)


def test_what_stages_find_out_is_in_a_view_made_later() -> None:
    whole = batch([2])
    whole.set_id(0, 7)
    whole.set_artifact(0, 8)
    whole.set_fetched(1, FETCHED)

    view = whole.item(0)

    assert view.content is not None
    assert view.content.pk == 7
    assert view.content.local_paths == {"pool/2.1": FETCHED.path}
    assert [d.artifact.pk for d in view.d_artifacts] == [8, None]
    assert view.d_artifacts[1].artifact.file == FETCHED.path


def test_a_downloaded_file_stays_known_when_the_row_is_touched_afterwards() -> None:
    whole = batch([2])
    whole.set_fetched(1, FETCHED)
    view = whole.item(0)
    assert len(view.d_artifacts) == 2

    packed = Batch.pack([view])

    found = packed.slots.fetched[1]
    assert found is not None
    assert (found.path, found.size_bytes, found.digests) == (FETCHED.path, FETCHED.size_bytes, FETCHED.digests)
    assert packed.slots.fetched[0] is None


def test_missing_are_the_artifacts_that_are_wanted_now_and_neither_stored_nor_there() -> None:
    whole = batch([2, 4, 5, 8])  # 2 and 8: two artifacts, 4: one, 5: two deferred ones
    whole.set_artifact(0, 11)
    whole.set_fetched(2, FETCHED)

    assert whole.slots.missing() == [1, 5, 6]


# --- pack ------------------------------------------------------------------------------------------------------------


def test_untouched_items_of_a_whole_batch_pack_into_the_same_object() -> None:
    whole = batch(range(5))

    assert Batch.pack(whole.all_items()) is whole


def test_some_untouched_items_of_a_batch_pack_into_their_rows() -> None:
    whole = batch(range(5))

    packed = Batch.pack([whole.item(3), whole.item(1)])

    assert rows(packed) == rows_of([3, 1])
    assert packed.raw is whole.raw


def test_touched_rows_are_read_again() -> None:
    whole = batch([1, 2, 3])
    changed = whole.item(1)
    assert changed.content is not None
    changed.content.name = "renamed"
    changed.d_artifacts = d_artifacts(5)
    changed.listing = "elsewhere"

    packed = Batch.pack(whole.all_items())

    assert packed.names == ["n1", "renamed", "n3"]
    assert packed.listings == ["list 1", "elsewhere", "list 1"]
    assert [rows(packed)[row] for row in (0, 2)] == rows_of([1, 3])
    assert rows(packed)[1][-1] == rows_of([5])[0][-1]


def test_a_unit_in_place_of_another_is_read_again() -> None:
    whole = batch([1, 2])
    whole.item(0).content = content(6)

    packed = Batch.pack(whole.all_items())

    assert packed.keys == [content_key(KIND, content(6).raw), content_key(KIND, content(2).raw)]
    assert packed.raw_at(0) == content(6).raw


def test_items_of_several_batches_and_new_ones_pack_in_their_order() -> None:
    one, other, new = batch([0, 1, 2]), batch([3, 4]), item(7)

    packed = Batch.pack([one.item(2), other.item(0), other.item(1), new, one.item(0)])

    assert rows(packed) == rows_of([2, 3, 4, 7, 0])


def test_packing_nothing_is_an_empty_batch() -> None:
    assert len(Batch.pack([])) == 0


def test_items_declared_as_items_have_the_columns_that_a_parser_would_make() -> None:
    numbers = range(20)

    assert rows(Batch.of(map(item, numbers))) == rows_of(numbers)


def test_a_dropped_item_cannot_be_packed() -> None:
    dropped = item(1)
    dropped.content = None

    with pytest.raises(PluginError, match="dropped"):
        Batch.of([dropped])


def test_a_file_of_a_first_stage_needs_its_size_and_digest(tmp_path: Path) -> None:
    given = DeclarativeArtifact(Artifact(file=tmp_path / "a"), url="a", relative_path="pool/a")

    with pytest.raises(PluginError, match="size and sha256"):
        Batch.of([DeclarativeContent(content(1), [given])])


def test_a_remote_of_an_artifacts_own_is_the_remote_of_its_batch() -> None:
    own = object()
    named = DeclarativeArtifact(Artifact(), url="a", relative_path="a", remote=own)

    packed = Batch.of([item(2), DeclarativeContent(content(1), [named])])

    assert packed.remote is own
    assert packed.item(1).d_artifacts[0].remote is own
    assert packed.item(0).d_artifacts[0].remote is UPSTREAM


# --- items that somebody waits for keep their identity ----------------------------------------------------------------


def test_items_keep_their_identity_through_take_and_concat() -> None:
    declared = [item(number) for number in range(4)]
    whole = Batch.of(declared)

    joined = Batch.concat([batch([8]), whole.take([3, 1]), whole.take([0])])

    assert [joined.item(row) for row in (1, 2, 3)] == [declared[3], declared[1], declared[0]]
    assert rows(joined) == rows_of([8, 3, 1, 0])


def test_views_follow_their_row_through_take_and_concat() -> None:
    whole = batch(range(4))
    view = whole.item(2)

    joined = Batch.concat([batch([8, 9]), whole.take([1, 2])])

    assert joined.item(3) is view
    assert view.content is not None
    assert view.content.name == "n2"


def test_what_stages_find_out_of_taken_rows_stays_when_their_views_are_packed() -> None:
    whole = batch(range(4))
    view = whole.item(2)
    taken = whole.take([1, 2])

    taken.set_id(1, 7)

    assert Batch.pack([view]).ids == [7]


def test_what_stages_find_out_later_reaches_items_that_moved() -> None:
    declared = item(5)
    joined = Batch.concat([batch([2, 8]), Batch.of([item(1), declared]).take([1])])

    joined.set_id(2, 9)
    joined.set_artifact(5, 10)
    joined.set_fetched(4, FETCHED)

    assert declared.content is not None
    assert declared.content.pk == 9
    assert declared.d_artifacts[1].artifact.pk == 10
    assert declared.d_artifacts[0].artifact.file == FETCHED.path
