"""The default pipeline is Pulp's, in Pulp's order, and is changed by inserting."""

from __future__ import annotations

import pytest

from mpsync import (
    ArtifactDownloader,
    ArtifactSaver,
    ContentAssociation,
    ContentSaver,
    ContentUnassociation,
    EndStage,
    QueryExistingArtifacts,
    QueryExistingContents,
    RemoteArtifactSaver,
    ResolveContentFutures,
    Stage,
    default_stages,
)
from mpsync.errors import PluginError

ORDER = [
    QueryExistingArtifacts,
    ArtifactDownloader,
    ArtifactSaver,
    QueryExistingContents,
    ContentSaver,
    RemoteArtifactSaver,
    ResolveContentFutures,
    ContentAssociation,
]


class Mine(Stage):
    """A plugin's."""


@pytest.mark.parametrize(("mirror", "last"), [(False, []), (True, [ContentUnassociation])])
def test_the_default_stages_stand_in_pulps_order(mirror: bool, last: list[type[Stage]]) -> None:
    assert [type(stage) for stage in default_stages(mirror)] == [*ORDER, *last, EndStage]


def test_a_stage_is_inserted_by_the_name_of_its_neighbour() -> None:
    mine, recipe = Mine(), default_stages()
    at = ORDER.index(ArtifactDownloader)

    assert list(recipe.after(ArtifactDownloader, mine)).index(mine) == at + 1
    assert list(recipe.before(ArtifactDownloader, mine)).index(mine) == at
    assert next(iter(recipe.first(mine))) is mine
    assert [type(stage) for stage in recipe.replace(ArtifactDownloader, mine)].count(ArtifactDownloader) == 0
    assert len(recipe) == len(ORDER) + 1, "a change makes another recipe"


def test_a_subclass_is_found_by_the_stage_that_it_stands_for() -> None:
    class Saver(ContentSaver):
        pass

    recipe = default_stages().replace(ContentSaver, Saver())

    assert type(list(recipe.after(ContentSaver, Mine()))[ORDER.index(ContentSaver) + 1]) is Mine


def test_a_neighbour_that_is_not_there_is_an_error_that_names_what_is() -> None:
    with pytest.raises(PluginError, match=r"no ContentUnassociation.*QueryExistingArtifacts"):
        default_stages().after(ContentUnassociation, Mine())
