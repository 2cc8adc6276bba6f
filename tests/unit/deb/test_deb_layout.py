"""Which files a sync reads and keeps, chosen from what Release names."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mpsync.errors import UnsafePath
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.layout import Layout, NotOffered, Wanted, choose, suite_folder
from mpsync.plugins.deb.release import Release, parse_release

SAMPLE = Path(__file__).parents[2] / "data" / "sample-deb" / "dists" / "sample"
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "debian" / "dists" / "bookworm" / "Release"


def sample() -> Release:
    return parse_release((SAMPLE / "Release").read_bytes(), "sample")


def release(*paths: str, **values: str) -> Release:
    head = "".join(f"{name.replace('_', '-')}: {value}\n" for name, value in values.items())
    files = "".join(f" {'ab' * 32} {5 + len(path)} {path}\n" for path in paths)
    return parse_release(f"{head}SHA256:\n{files}".encode(), "test")


def indices(layout: Layout) -> list[tuple[str, str]]:
    return [(index.kind, index.path) for index in layout.indices]


def metadata(layout: Layout) -> set[str]:
    return {kept.file.path for kept in layout.metadata}


def test_the_best_compression_is_parsed_and_the_others_are_kept() -> None:
    names = [f"main/binary-amd64/Packages{suffix}" for suffix in (".bz2", "", ".gz", ".zst", ".xz", ".lzma")]

    layout = choose(release(*names, Components="main", Architectures="amd64"), Wanted("s"))

    (index,) = layout.indices
    order = [variant.path.rpartition("Packages")[2] for variant in index.variants]
    assert order == [".xz", ".zst", ".gz", ".bz2", ""]
    assert index.plain is not None
    assert index.max_unpacked_bytes == index.plain.size_bytes
    assert metadata(layout) == set(names) - {index.variants[0].path}
    assert {kept.file.path for kept in layout.metadata if not kept.is_likely} == {"main/binary-amd64/Packages"}


def test_without_a_promised_size_unpacking_is_still_bounded() -> None:
    (index,) = choose(release("main/binary-amd64/Packages.gz"), Wanted("s")).indices

    assert index.plain is None
    assert 1 << 20 < index.max_unpacked_bytes < 1 << 21


def test_everything_a_component_and_architecture_has_is_chosen() -> None:
    wanted = Wanted("sample", ("main", "contrib"), ("amd64",), sources=True, udebs=True, installer=True)

    layout = choose(sample(), wanted)

    assert indices(layout) == [
        (kinds.PACKAGE, "main/binary-amd64/Packages"),
        (kinds.UDEB, "main/debian-installer/binary-amd64/Packages"),
        (kinds.INSTALLER_FILE, "main/installer-amd64/current/images/SHA256SUMS"),
        (kinds.PACKAGE, "contrib/binary-amd64/Packages"),
        (kinds.SOURCE, "contrib/source/Sources"),
    ]
    taken = {index.variants[0].path for index in layout.indices}
    assert metadata(layout) | taken == set(sample().files)
    assert ("main/source/Sources", "Release does not name it") in layout.skipped


def test_what_was_not_asked_for_is_left_out() -> None:
    kept = metadata(choose(sample(), Wanted("sample", ("main",), ("amd64",))))

    assert "main/Contents-amd64.gz" in kept
    assert "main/i18n/Translation-en.xz" in kept
    assert "main/dep11/Components-amd64.yml.gz" in kept
    assert "main/binary-amd64/Release" in kept
    assert "main/binary-all/Packages.xz" in kept
    assert not [path for path in kept if path.startswith("contrib/") or "installer" in path or "source" in path]


def test_other_architectures_are_left_out_whatever_the_file() -> None:
    arm = [
        "main/binary-arm64/Packages.xz",
        "main/Contents-arm64.gz",
        "main/Contents-udeb-arm64.gz",
        "Contents-arm64.gz",
    ]
    arm += ["main/dep11/Components-arm64.yml.gz", "main/cnf/Commands-arm64.xz", "main/binary-arm64/Release"]
    both = [*arm, *(path.replace("arm64", "amd64") for path in arm)]

    layout = choose(
        release(*both, Components="main", Architectures="amd64 arm64"), Wanted("s", (), ("amd64",), udebs=True)
    )

    assert not [path for path in metadata(layout) if "arm64" in path]
    assert len(layout.metadata) + len(layout.indices) == len(arm)


ALL = ("main/binary-amd64/Packages.xz", "main/binary-all/Packages.xz")


def test_binary_all_is_parsed_beside_the_architectures_and_may_be_missing() -> None:
    layout = choose(release(*ALL, Architectures="amd64 all"), Wanted("s"))

    assert [(index.architecture, index.optional) for index in layout.indices] == [("amd64", False), ("all", True)]


def test_binary_all_is_kept_but_not_parsed_where_each_architecture_repeats_it() -> None:
    layout = choose(release(*ALL, No_Support_for_Architecture_all="Packages"), Wanted("s"))

    assert indices(layout) == [(kinds.PACKAGE, "main/binary-amd64/Packages")]
    assert metadata(layout) == {"main/binary-all/Packages.xz"}


def test_binary_all_alone_is_parsed_when_asked_for_by_name() -> None:
    layout = choose(release(*ALL, No_Support_for_Architecture_all="Packages"), Wanted("s", (), ("all",)))

    assert [(index.architecture, index.optional) for index in layout.indices] == [("all", False)]


@pytest.mark.parametrize("asked", ["main", "updates/main"])
@pytest.mark.parametrize("folder", ["main", "updates/main"])
def test_a_component_with_a_prefix_is_found_by_its_base_name(asked: str, folder: str) -> None:
    made = release(
        f"{folder}/binary-amd64/Packages.xz", Components="updates/main updates/contrib", Architectures="amd64"
    )

    layout = choose(made, Wanted("s", (asked,)))

    assert [(index.component, index.path) for index in layout.indices] == [
        ("updates/main", f"{folder}/binary-amd64/Packages")
    ]


def test_components_and_architectures_are_found_in_the_paths_when_release_names_none() -> None:
    layout = choose(release("x/y/binary-arm64/Packages.gz", "z/binary-amd64/Packages.gz"), Wanted("s"))

    assert {(index.component, index.architecture) for index in layout.indices} == {("x/y", "arm64"), ("z", "amd64")}


def test_what_release_does_not_offer_is_an_error_that_says_what_it_offers() -> None:
    with pytest.raises(NotOffered, match="no component 'universe'; offered are main, contrib") as caught:
        choose(sample(), Wanted("sample", ("universe",)))
    with pytest.raises(NotOffered, match="no architecture 'riscv64'; offered are all, amd64"):
        choose(sample(), Wanted("sample", (), ("riscv64",)))

    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_patches_are_reported_as_not_mirrored() -> None:
    layout = choose(release("main/binary-amd64/Packages.xz", "main/binary-amd64/Packages.diff/Index"), Wanted("s"))

    assert [path for path, _ in layout.skipped] == ["main/binary-amd64/Packages.diff/Index"]
    assert not layout.metadata


def test_a_flat_repository_has_its_indices_beside_its_release() -> None:
    made = release("Packages", "./Packages.gz", "Sources.gz", "Release", "Contents.gz")

    layout = choose(made, Wanted("stable/", sources=True))

    assert indices(layout) == [(kinds.PACKAGE, "Packages"), (kinds.SOURCE, "Sources")]
    assert metadata(layout) == {"Packages", "Contents.gz"}
    assert layout.indices[0].where("stable/") == "stable/"
    with pytest.raises(NotOffered):
        choose(made, Wanted("stable/", ("main",)))


@pytest.mark.parametrize(
    ("suite", "folder"),
    [
        *(("bookworm", "dists/bookworm/"), ("buster/updates", "dists/buster/updates/"), ("/", ""), ("./", "")),
        *(("stable/", "stable/"), ("./a/b/", "a/b/")),
    ],
)
def test_the_folder_of_a_suite(suite: str, folder: str) -> None:
    assert suite_folder(suite) == folder


@pytest.mark.parametrize("suite", ["../x", "a/../../b", "x//y", "../"])
def test_a_suite_that_climbs_is_refused(suite: str) -> None:
    with pytest.raises(UnsafePath):
        suite_folder(suite)


@pytest.mark.skipif(not REAL.exists(), reason="needs ../shared/data")
def test_the_real_bookworm_gives_one_index_and_all_of_its_companions() -> None:
    layout = choose(parse_release(REAL.read_bytes(), "bookworm"), Wanted("bookworm", ("main",), ("amd64",)))

    (index,) = layout.indices
    assert index.variants[0].path == "main/binary-amd64/Packages.xz"
    assert index.max_unpacked_bytes == 50_060_337
    assert {"main/i18n/Translation-de.bz2", "main/Contents-all.gz", "main/binary-amd64/Packages.gz"} <= metadata(layout)
