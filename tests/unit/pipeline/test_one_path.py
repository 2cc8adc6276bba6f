"""One path: whatever is put, and however stages between read it, the same rows arrive in the same order."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from pipeline_rows import Collects, Does, Puts, batch, item, rows_of

from mpsync.pipeline.batch import Batch
from mpsync.pipeline.declarative import DeclarativeContent
from mpsync.pipeline.runner import create_pipeline
from mpsync.pipeline.stage import Stage

ROWS = 300


def mixed(chance: random.Random, count: int = ROWS) -> list[DeclarativeContent | Batch]:
    """Units 0..count, some as items, some in batches of items, some in batches of columns, plain and packed."""
    elements: list[DeclarativeContent | Batch] = []
    at = 0
    while at < count:
        numbers = range(at, min(count, at + chance.choice([1, 1, 2, 7, 40])))
        how = chance.randrange(4)
        if how == 0:
            elements.extend(map(item, numbers))
        elif how == 1:
            elements.append(Batch.of(map(item, numbers)))
        else:
            elements.append(batch(numbers))
            if how == 3:
                elements[-1].pack_raw()
        at = numbers.stop
    return elements


def by_items(touches: Callable[[], bool]) -> Stage:
    async def run(stage: Stage) -> None:
        async for thing in stage.items():
            if touches():
                assert thing.content is not None
            if touches():
                assert thing.d_artifacts is not None
            await stage.put(thing)

    return Does(run)


def by_batches(touches: Callable[[], bool], minsize: int) -> Stage:
    async def run(stage: Stage) -> None:
        async for things in stage.batches(minsize):
            for thing in things:
                if touches():
                    assert thing.content is not None
                await stage.put(thing)

    return Does(run)


def by_columns(minsize: int) -> Stage:
    async def run(stage: Stage) -> None:
        async for found in stage.columns(minsize):
            await stage.put(found)

    return Does(run)


def by_parts(chance: random.Random) -> Stage:
    """Puts every batch in two parts, as a stage does that lets some rows pass at once."""

    async def run(stage: Stage) -> None:
        async for found in stage.columns(1):
            cut = chance.randrange(len(found) + 1)
            for part in (range(cut), range(cut, len(found))):
                if part:
                    await stage.put(found.take(list(part)))

    return Does(run)


def some_stages(chance: random.Random) -> list[Stage]:
    def touches() -> bool:
        return chance.random() < 0.2

    def never() -> bool:
        return False

    makers: list[Callable[[], Stage]] = [
        lambda: by_items(chance.choice([touches, never])),
        lambda: by_batches(chance.choice([touches, never]), chance.choice([1, 50, 500])),
        lambda: by_columns(chance.choice([1, 50, 500])),
        lambda: by_parts(chance),
    ]
    return [chance.choice(makers)() for _ in range(chance.randrange(1, 6))]


@pytest.mark.parametrize("seed", range(60))
async def test_the_same_rows_arrive_whatever_is_put_and_however_it_is_read(seed: int) -> None:
    chance = random.Random(seed)
    collects = Collects()

    await create_pipeline([Puts(mixed(chance)), *some_stages(chance), collects], maxsize=chance.choice([1, 30, 1000]))

    assert collects.rows == rows_of(range(ROWS))


@pytest.mark.parametrize("seed", range(10))
async def test_declared_items_arrive_as_the_same_objects(seed: int) -> None:
    chance = random.Random(seed)
    elements = mixed(chance)
    declared = [
        thing
        for element in elements
        for thing in ([element] if isinstance(element, DeclarativeContent) else element.items.values())
    ]
    collects = Collects()

    await create_pipeline([Puts(elements), *some_stages(chance), collects], maxsize=chance.choice([1, 30, 1000]))

    arrived: list[Any] = []
    for element in collects.elements:
        arrived.extend([element] if isinstance(element, DeclarativeContent) else element.all_items())
    by_name = {thing.content.name: thing for thing in arrived if thing.content is not None}
    assert len(declared) > 20
    assert all(thing.content is not None and by_name[thing.content.name] is thing for thing in declared)


async def test_a_batch_that_nobody_touches_passes_an_items_stage_as_the_same_object() -> None:
    whole, collects = batch(range(50)), Collects()

    async def counts(stage: Stage) -> None:
        async for thing in stage.items():
            await stage.put(thing)

    await create_pipeline([Puts([whole]), Does(counts), by_columns(500), collects], maxsize=1000)

    assert len(collects.elements) == 1
    assert collects.elements[0] is whole


async def test_what_an_items_stage_changes_is_in_the_columns_behind_it() -> None:
    async def renames(stage: Stage) -> None:
        async for thing in stage.items():
            if thing.content is not None and thing.content.name == "n3":
                thing.content.name = "renamed"
            await stage.put(thing)

    collects = Collects()

    await create_pipeline([Puts([batch(range(6))]), Does(renames), by_columns(500), collects], maxsize=100)

    names = [name for element in collects.elements for name in element.names]
    assert names == ["n0", "n1", "n2", "renamed", "n4", "n5"]


async def test_what_a_columns_stage_changes_in_items_is_in_the_columns_once_it_packs_them() -> None:
    async def renames(stage: Stage) -> None:
        async for found in stage.columns():
            thing = found.item(3)
            assert thing.content is not None
            thing.content.name = "renamed"
            await stage.put(Batch.pack(found.all_items()))

    collects = Collects()

    await create_pipeline([Puts([batch(range(6))]), Does(renames), by_columns(500), collects], maxsize=100)

    names = [name for element in collects.elements for name in element.names]
    assert names == ["n0", "n1", "n2", "renamed", "n4", "n5"]


async def test_what_an_items_stage_leaves_out_does_not_arrive() -> None:
    async def drops_odd_listings(stage: Stage) -> None:
        async for thing in stage.items():
            if thing.listing == "list 0":
                await stage.put(thing)
            else:
                thing.content = None
                thing.resolve()

    collects = Collects()

    await create_pipeline([Puts([batch(range(6))]), Does(drops_odd_listings), collects], maxsize=100)

    assert collects.rows == rows_of([0, 2, 4])
