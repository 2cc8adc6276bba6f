"""Generated Debian repositories: the same seed gives the same bytes, and real tools accept them."""

from __future__ import annotations

import hashlib
import lzma
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.upstreams import deb, deb_real, deb_stanzas
from bench.upstreams.deb import Shape
from mpsync.plugins.deb.parse import parse_packages, parse_sources

SIGNED = {"InRelease", "Release.gpg", "keyring.gpg"}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPSYNC_BENCH_OUT", str(tmp_path / "out"))


WHOLE = Shape(components=("main", "contrib"), archs=("amd64", "arm64"), sources=True, extras=True)


def made(root: Path, packages: int = 40, *, seed: int = 1, change: float = 0.0, shape: Shape = WHOLE) -> Path:
    root.mkdir()
    deb.make(root, packages, seed=seed, payload=True, change=change, shape=shape)
    return root


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in root.rglob("*")
        if path.is_file() and path.name not in SIGNED
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(tmp_path: Path) -> None:
    first = digests(made(tmp_path / "a"))

    assert digests(made(tmp_path / "b")) == first
    assert digests(made(tmp_path / "c", seed=2)).keys() != first.keys()


def test_a_package_is_the_same_in_a_larger_repository() -> None:
    small = [package.stanza for package in deb_stanzas.packages(1, 20)]

    assert [package.stanza for package in deb_stanzas.packages(1, 50)][:20] == small


def test_stanzas_are_as_long_as_real_ones_and_names_are_unique() -> None:
    found = list(deb_stanzas.packages(1, 2000))

    assert 700 < sum(len(package.stanza) for package in found) / len(found) < 900
    assert len({package.name for package in found}) == len(found)


def test_every_stanza_is_parsed_and_names_the_bytes_of_its_file(tmp_path: Path) -> None:
    root = made(tmp_path / "a")
    index = root / "dists/bench/main/binary-amd64/Packages.xz"

    found = parse_packages(lzma.decompress(index.read_bytes()), "test")

    assert len(found) == 40
    for path, size, sha256 in zip(found.paths, found.sizes, found.sha256, strict=True):
        body = (root / path).read_bytes()
        assert (len(body), hashlib.sha256(body).digest()) == (size, sha256)
        assert 1900 < size < 90_000


def test_each_component_and_architecture_has_its_index_and_shares_what_is_for_all(tmp_path: Path) -> None:
    dist = made(tmp_path / "a") / "dists/bench"
    index = {
        (component, arch): parse_packages(
            lzma.decompress((dist / component / f"binary-{arch}" / "Packages.xz").read_bytes()), "test"
        )
        for component in WHOLE.components
        for arch in WHOLE.archs
    }

    assert {place: len(found) for place, found in index.items()} == {
        ("main", "amd64"): 40,
        ("main", "arm64"): 40,
        ("contrib", "amd64"): 2,
        ("contrib", "arm64"): 2,
    }
    assert not set(index["main", "amd64"].names) & set(index["contrib", "amd64"].names)
    amd64, arm64 = index["main", "amd64"], index["main", "arm64"]
    shared = {path for path, arch in zip(amd64.paths, amd64.archs, strict=True) if arch == "all"}
    assert shared
    assert set(amd64.paths) & set(arm64.paths) == shared
    assert set(arm64.archs) == {"all", "arm64"}


def test_every_source_names_the_bytes_of_its_files_and_is_every_binary_s(tmp_path: Path) -> None:
    root = made(tmp_path / "a")
    text = lzma.decompress((root / "dists/bench/main/source/Sources.xz").read_bytes())
    sums = re.findall(rb"^ ([0-9a-f]{64}) (\d+) (\S+)$", text, re.MULTILINE)

    found = parse_sources(text, "test")

    binaries = [package.source for package in deb_stanzas.packages(1, 40)]
    assert sorted(found.names) == sorted(set(binaries))
    assert len(sums) == 3 * len(found)
    files = {path.name: path for path in root.glob("pool/main/*/*/*")}
    for sha256, size, name in sums:
        body = files[name.decode()].read_bytes()
        assert (hashlib.sha256(body).hexdigest().encode(), len(body)) == (sha256, int(size))


def test_without_by_hash_nothing_is_stored_or_promised_there(tmp_path: Path) -> None:
    root = made(tmp_path / "a", shape=Shape(by_hash=False))

    assert not list(root.rglob("by-hash"))
    assert "Acquire-By-Hash: no\n" in (root / "dists/bench/Release").read_text()


@pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="dpkg-deb is not installed")
def test_dpkg_deb_reads_and_unpacks_a_generated_package(tmp_path: Path) -> None:
    package = deb_stanzas.package(1, 7, payload=True)
    path = tmp_path / "package.deb"
    path.write_bytes(package.body)

    name = subprocess.run(["dpkg-deb", "-f", str(path), "Package"], check=True, capture_output=True, text=True).stdout
    subprocess.run(["dpkg-deb", "-x", str(path), str(tmp_path / "tree")], check=True)

    assert name.strip() == package.name
    assert (tmp_path / "tree/usr/lib" / package.name / "data.bin").stat().st_size > 0


def test_the_changed_generation_replaces_its_part_and_keeps_the_rest(tmp_path: Path) -> None:
    before = {package.name: package for package in deb_stanzas.packages(1, 200, payload=True)}
    after = {package.name: package for package in deb_stanzas.packages(1, 200, payload=True, change=0.02)}

    changed = [name for name in before if before[name].stanza != after[name].stanza]
    assert before.keys() == after.keys()
    assert len(changed) == 4
    assert all(before[name].path != after[name].path and before[name].body != after[name].body for name in changed)


def real(tmp_path: Path) -> Path:
    folder = tmp_path / "real/dists/bookworm/main/binary-amd64"
    folder.mkdir(parents=True)
    stanzas = [package.stanza for package in deb_stanzas.packages(5, 30)]
    (folder / "Packages.xz").write_bytes(lzma.compress(b"\n".join(stanzas) + b"\n"))
    return tmp_path / "real"


def names_and_paths(root: Path) -> tuple[list[str], list[str], list[bytes | None]]:
    index = root / "dists/bookworm/main/binary-amd64/Packages.xz"
    found = parse_packages(lzma.decompress(index.read_bytes()), "test")
    return found.names, found.paths, found.sha256


def test_a_scaled_copy_of_a_real_suite_has_other_packages_not_the_same_ones_again(tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()

    deb_real.make(tmp_path / "made", real(tmp_path), scale=3)

    names, paths, sha256 = names_and_paths(tmp_path / "made")
    assert len(names) == len(set(names)) == len(set(paths)) == len(set(sha256)) == 90


def test_a_changed_copy_of_a_real_suite_has_new_versions_at_new_paths(tmp_path: Path) -> None:
    for name, change in (("same", 0.0), ("changed", 0.1)):
        (tmp_path / name).mkdir()
        deb_real.make(tmp_path / name, real(tmp_path) if name == "same" else tmp_path / "real", change=change)

    before, after = names_and_paths(tmp_path / "same"), names_and_paths(tmp_path / "changed")
    assert before[0] == after[0]
    assert len(set(before[1]) - set(after[1])) == len(set(before[2]) - set(after[2])) == 3
