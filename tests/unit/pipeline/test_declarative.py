"""What DeclarativeArtifact and DeclarativeContent accept, and what they ask of a remote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mpsync.errors import PluginError
from mpsync.model.content import Artifact, Content
from mpsync.model.digests import Fetched
from mpsync.pipeline.declarative import UPSTREAM, DeclarativeArtifact, DeclarativeContent


class RemoteThatHas:
    """A remote that has one file, and remembers what it was asked."""

    def __init__(self, fetched: Fetched) -> None:
        self.fetched = fetched
        self.asked: list[tuple[list[str], Artifact]] = []

    async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
        self.asked.append((urls, artifact))
        return self.fetched


def made(**changed: Any) -> DeclarativeArtifact:
    return DeclarativeArtifact(
        **{"artifact": Artifact(), "url": "a", "relative_path": "pool/a", "remote": UPSTREAM, **changed}
    )


@pytest.mark.parametrize("urls", [None, []])
def test_an_artifact_without_url_is_refused(urls: list[str] | None) -> None:
    with pytest.raises(ValueError, match="exactly one of 'url' and 'urls'"):
        made(url=None, urls=urls)


def test_an_artifact_with_both_url_and_urls_is_refused() -> None:
    with pytest.raises(ValueError, match="exactly one of 'url' and 'urls'"):
        made(url="a", urls=["b"])


@pytest.mark.parametrize("path", [None, ""])
def test_an_artifact_without_relative_path_is_refused(path: str | None) -> None:
    with pytest.raises(ValueError, match="relative_path"):
        made(relative_path=path)


def test_a_declared_artifact_without_artifact_is_refused() -> None:
    with pytest.raises(ValueError, match="'artifact'"):
        made(artifact=None)


def test_an_artifact_without_remote_is_refused() -> None:
    with pytest.raises(ValueError, match="remote"):
        made(remote=None)


def test_an_artifact_with_a_file_needs_no_remote(tmp_path: Path) -> None:
    declared = made(remote=None, artifact=Artifact(file=tmp_path / "a"))

    assert declared.remote is None


def test_one_url_is_a_list_of_one() -> None:
    assert made(url="a").urls == ["a"]
    assert made(url=None, urls=["a", "b"]).url == "a"


def test_an_artifact_is_downloaded_at_once_and_carries_nothing_unless_told() -> None:
    declared = made()

    assert declared.deferred_download is False
    assert declared.extra_data == {}


async def test_download_hands_all_urls_in_order_and_the_promises_to_the_remote(tmp_path: Path) -> None:
    promised = Artifact(size=3, sha256="ab" * 32)
    remote = RemoteThatHas(
        Fetched(tmp_path / "a", 3, {"sha256": "ab" * 32, "md5": "cd" * 16}, "https://mirror.example/b")
    )
    declared = made(url=None, urls=["a", "b"], artifact=promised, remote=remote)

    fetched = await declared.download()

    assert remote.asked == [(["a", "b"], promised)]
    assert fetched is remote.fetched


async def test_download_leaves_the_artifact_with_its_file_size_and_digests(tmp_path: Path) -> None:
    remote = RemoteThatHas(Fetched(tmp_path / "a", 3, {"sha256": "ab" * 32}, "https://mirror.example/a"))
    declared = made(remote=remote)

    await declared.download()

    assert declared.artifact.file == tmp_path / "a"
    assert declared.artifact.size == 3
    assert declared.artifact.sha256 == "ab" * 32


async def test_a_failed_download_leaves_the_artifact_as_it_was() -> None:
    class Refuses:
        async def download(self, urls: list[str], artifact: Artifact) -> Fetched:
            raise ConnectionRefusedError(urls[0])

    declared = made(remote=Refuses())
    before = declared.artifact

    with pytest.raises(ConnectionRefusedError):
        await declared.download()

    assert declared.artifact is before


async def test_a_first_stage_cannot_download_by_itself() -> None:
    with pytest.raises(PluginError, match="only the core downloads"):
        await made(remote=UPSTREAM).download()


def test_content_is_required() -> None:
    with pytest.raises(ValueError, match="'content'"):
        DeclarativeContent()


def test_extra_data_and_artifacts_travel_with_the_item() -> None:
    unit, declared = Content(b"x", kind="test.unit"), made()

    item = DeclarativeContent(unit, [declared], {"suite": "stable"})

    assert item.content is unit
    assert item.d_artifacts == [declared]
    assert item.extra_data == {"suite": "stable"}


def test_items_share_no_defaults() -> None:
    one, other = (DeclarativeContent(Content(b"x", kind="test.unit")) for _ in range(2))

    one.extra_data["seen"] = True
    one.d_artifacts.append(made())

    assert other.extra_data == {}
    assert other.d_artifacts == []
