"""Stanzas become columns: the fast way, the careful way and a naive reader in this file must agree on anything."""

from __future__ import annotations

import hashlib
import lzma
import pickle
import random
from pathlib import Path

import pytest

from mpsync.errors import MetadataError, UnsafePath
from mpsync.model.paths import safe_relative_path
from mpsync.plugins.deb import parse
from mpsync.plugins.deb.parse import Packages, key_of, parse_packages, parse_sources
from mpsync.plugins.deb.stanza import blocks

SAMPLE = Path(__file__).parents[2] / "data" / "sample-deb" / "dists" / "sample"
PACKAGES = lzma.decompress((SAMPLE / "main/binary-amd64/Packages.xz").read_bytes())
SOURCES = lzma.decompress((SAMPLE / "contrib/source/Sources.xz").read_bytes())
SHA = "ab" * 32


def stanza(**changes: str | None) -> bytes:
    """A good stanza with fields changed, or removed by None; ``_`` stands for ``-``."""
    values = {
        "Package": "a",
        "Version": "1",
        "Architecture": "all",
        "Filename": "pool/a.deb",
        "Size": "5",
        "SHA256": SHA,
    }
    values.update({name.replace("_", "-"): value for name, value in changes.items()})  # type: ignore[misc]
    return "".join(f"{name}: {value}\n" for name, value in values.items() if value is not None).encode()


def one_problem(block: bytes) -> str:
    found = parse_packages(block, "suite main amd64", strict=False)
    assert (len(found), len(found.problems)) == (0, 1)
    return str(found.problems[0])


def test_a_real_index_gives_every_package_once_with_its_own_values() -> None:
    found = parse_packages(PACKAGES, "sample main amd64")

    assert len(found) == found.stanzas == PACKAGES.count(b"Package: ")
    assert b"\n\n".join(found.raws) + b"\n" == PACKAGES
    row = found.names.index("libstdc++6")
    assert found.paths[row].endswith(f"libstdc++6_{found.versions[row]}_amd64.deb")
    deb = (SAMPLE.parents[1] / found.paths[row]).read_bytes()
    assert (found.sizes[row], found.sha256[row]) == (len(deb), hashlib.sha256(deb).digest())
    assert found.keys[row] == hashlib.sha256(b"deb.package\0" + found.raws[row]).digest()


def test_the_key_depends_on_the_kind_and_on_every_byte() -> None:
    keys = {
        key_of("deb.package", b"a"),
        key_of("deb.udeb", b"a"),
        key_of("deb.package", b"a "),
        key_of("deb.package", b"b"),
    }

    assert len(keys) == 4


def naive(block: bytes) -> list[tuple[str, ...] | None]:
    """One row a stanza, or None for a stanza with a problem. Slow and plain: the yardstick."""
    rows: list[tuple[str, ...] | None] = []
    stanza: list[list[str]] = []

    def end() -> None:
        if any(not line[0].startswith("#") for line in stanza):
            rows.append(row(stanza))
        stanza.clear()

    for line in block.decode("latin-1").split("\n"):
        if line in ("", "\r"):
            end()
        elif line[0] in " \t" and stanza and not stanza[-1][0].startswith("#"):
            stanza[-1].append(line)
        else:
            stanza.append([line])
    end()
    return rows


def row(stanza: list[list[str]]) -> tuple[str, ...] | None:
    fields: dict[str, str] = {}
    for lines in stanza:
        name, colon, value = lines[0].partition(":")
        name, value = name.lower(), "\n".join([value.strip(" \t\r"), *lines[1:]]).strip(" \t\r")
        if colon and fields.setdefault(name, value) != value and name in WANTED:
            return None
    try:
        package, version, arch, path, size, sha = (fields[name] for name in WANTED)
        path = path.encode("latin-1").decode()
        while path.startswith("./"):
            path = path[2:]
        safe_relative_path(path, "")
        bytes.fromhex(sha)
        plain = "+-._~"
        good = (
            (package[:1].isalnum() and package.isascii() and all(c.isalnum() or c in plain for c in package))
            and (arch[:1].isalnum() and arch.isascii() and all(c.isalnum() or c in "-_" for c in arch))
            and (version and all("!" <= c <= "~" and c != "/" for c in version))
            and (size.isascii() and size.isdigit() and len(size) <= 18)
            and (len(sha) == 64 and sha.isalnum())
        )
    except (KeyError, ValueError, MetadataError):
        return None
    return (package, version, arch, path, str(int(size)), sha.lower()) if good else None


WANTED = ("package", "version", "architecture", "filename", "size", "sha256")
SNIPPETS = [
    *(
        b"\n",
        b"\n\n",
        b"\r\n",
        b"\r",
        b"\n\r\n",
        b" ",
        b"\t",
        b"#",
        b"\n#c\n",
        b"\n ",
        b"\n .\n",
        b":",
        b"\0",
        b"\xff",
        b"\xc3\xa9",
    ),
    *(
        b"Package: ",
        b"\nPackage: x\n",
        b"\npackage: x\n",
        b"\nSIZE: 5\n",
        b"\nSize: 7",
        b"\nSha256: ",
        b"\nFilename: ../x\n",
    ),
    *(
        b"\nFilename: ./pool/y.deb\n",
        b"/",
        b"..",
        b"//",
        b"%2e",
        b"\\",
        b"-1",
        b"_",
        b"9" * 30,
        b"\nVersion:\n 2",
        b"\nSHA512: ab\n",
    ),
]


def mutated(chance: random.Random, text: bytes) -> bytes:
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(text) + 1)
        # Aim at line starts and at the fields we read half of the time: a random byte of a description changes nothing.
        if chance.random() < 0.6:
            line = text.rfind(
                b"\n" + chance.choice((b"Size", b"Package", b"Filename", b"SHA256", b"Version", b"")), 0, at
            )
            at = line + chance.choice((0, 1, 5, 10, 12)) if line >= 0 else at
        text = text[:at] + chance.choice(SNIPPETS) + text[at + chance.choice((0, 0, 0, 1, 2, 8)) :]
    return text


def rows_of(found: Packages) -> list[tuple[str, ...]]:
    hexes = [value.hex() if value is not None else "" for value in found.sha256]
    return list(zip(found.names, found.versions, found.archs, found.paths, map(str, found.sizes), hexes, strict=True))


def test_mutated_stanzas_read_the_same_in_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(20260711)
    pieces = [raw + b"\n" for raw in PACKAGES.strip().split(b"\n\n")]
    ways = {"regular": 0, "careful": 0, "problems": 0}

    for _ in range(3000):
        text = mutated(chance, b"\n".join(chance.sample(pieces, 3)))
        is_regular = parse._read_regular(text) is not None
        fast = parse_packages(text, "x", strict=False)
        with monkeypatch.context() as patch:
            patch.setattr(parse, "_read_regular", lambda block: None)
            careful = parse_packages(text, "x", strict=False)
        expected = naive(text)

        assert rows_of(fast) == rows_of(careful) == [found for found in expected if found], text
        assert (fast.raws, fast.keys, fast.digests) == (careful.raws, careful.keys, careful.digests), text
        assert list(map(str, fast.problems)) == list(map(str, careful.problems)), text
        assert fast.stanzas == len(expected), text
        ways["regular" if is_regular else "careful"] += 1
        ways["problems"] += bool(fast.problems)

    assert min(ways.values()) > 300, ways  # each way was really taken


@pytest.mark.parametrize("chunk_bytes", [1, 7, 1000, 1 << 20])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
def test_chunks_of_any_size_give_the_same_packages(chunk_bytes: int, line_end: bytes) -> None:
    text = PACKAGES[:20_000].replace(b"\n", line_end)
    chunks = (text[at : at + chunk_bytes] for at in range(0, len(text), chunk_bytes))
    whole = parse_packages(text, "x", strict=False)

    pieces = [parse_packages(block, "x", strict=False) for block in blocks(chunks, "x", block_bytes=3000)]

    assert [raw for piece in pieces for raw in piece.raws] == whole.raws
    assert [found for piece in pieces for found in rows_of(piece)] == rows_of(whole)
    assert len(pieces) > 2 or chunk_bytes > 1000


def test_line_ends_of_dos_are_kept_in_the_raw_stanza_and_not_in_the_values() -> None:
    block = (stanza() + b"\n" + stanza(Package="b")).replace(b"\n", b"\r\n")

    found = parse_packages(block, "x")

    assert found.names == ["a", "b"]
    assert found.raws[0] == stanza().replace(b"\n", b"\r\n")[:-2]


@pytest.mark.parametrize("end", [b"", b"\n", b"\n\n", b"\n\n\n\n"])
def test_the_end_of_the_file_makes_no_difference(end: bytes) -> None:
    found = parse_packages(stanza()[:-1] + end, "x")

    assert found.raws == [stanza()[:-1]]


def test_folds_comments_tabs_odd_case_and_foreign_bytes_are_kept_byte_for_byte() -> None:
    raw = b"# made by hand\nPACKAGE:\ta\nversion: 1 \nArchitecture:all\nDepends: b,\n c,\n\td\nX-Odd: \xff\xfe\n \n"
    raw += b"filename: pool/a.deb\nSIZE: 5\nSha256: " + SHA.upper().encode() + b"\nDescription: x\n # not a comment\n ."

    found = parse_packages(raw + b"\n", "x")

    assert rows_of(found) == [("a", "1", "all", "pool/a.deb", "5", SHA)]
    assert found.raws == [raw]


def test_a_stanza_of_comments_only_is_no_package() -> None:
    assert parse_packages(b"# generated\n# by us\n\n" + stanza(), "x").names == ["a"]


def test_an_empty_index_has_no_packages() -> None:
    assert len(parse_packages(b"", "x")) == len(parse_packages(b"\n\n", "x")) == 0


def test_a_very_long_field_is_just_a_field() -> None:
    block = stanza(Depends="b, " * 350_000 + "c")

    (found,) = blocks([block[:1000], block[1000:]], "x")

    assert parse_packages(found, "x").raws == [block[:-1]]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Filename": None}, "no Filename"),
        ({"Size": None}, "no Size"),
        ({"Package": None}, "no Package"),
        ({"SHA256": None}, "no digest"),
        ({"SHA256": None, "MD5sum": "ab" * 16, "SHA1": "ab" * 20}, r"no accepted digest \(only sha1, md5\)"),
        ({"SHA256": "ab"}, "sha256 is not a digest"),
        ({"Size": "-5"}, "Size is not a size"),
        ({"Size": "1_000"}, "Size is not a size"),
        ({"Size": "9" * 19}, "Size is not a size"),
        ({"Package": "a/b"}, "Package is not a package name"),
        ({"Package": "../a"}, "Package is not a package name"),
        ({"Version": "1 2"}, "Version is not a version"),
        ({"Architecture": "amd64 i386"}, "Architecture is not an architecture"),
        ({"size": "6"}, "field size stands twice"),
        ({"Filename": "pool/a\n .deb"}, "not a safe relative path"),
    ],
)
def test_a_stanza_that_cannot_be_used_is_named(changes: dict[str, str | None], said: str) -> None:
    import re

    problem = one_problem(stanza(**changes))

    assert re.search(said, problem)
    name = "" if changes.get("Package", "a") is None else f" (Package: {changes.get('Package') or 'a'})"
    assert problem.startswith(f"suite main amd64 stanza 1{name}: ")


@pytest.mark.parametrize(
    "path",
    [
        "../a.deb",
        "/etc/cron.d/x",
        "pool/../../x",
        "http://evil/x",
        "a\\b",
        "a%2fb",
        "a/%2e%2e/b",
        "a//b",
        "pool/",
        "a\0b",
    ],
)
def test_a_filename_that_leaves_the_repository_is_refused(path: str) -> None:
    with pytest.raises(UnsafePath, match="not a safe relative path"):
        parse_packages(stanza(Filename=path), "x")


@pytest.mark.parametrize(
    "path", ["pool/a_1%3a2.deb", "pool/a_1:2~rc^1+b.deb", "pool/ä b.deb", "pool/..a/b.deb", "pool/#?&.deb"]
)
def test_odd_but_harmless_filenames_are_kept(path: str) -> None:
    assert parse_packages(stanza(Filename=path), "x").paths == [path]


def test_a_leading_dot_is_stripped_as_in_flat_repositories() -> None:
    assert parse_packages(stanza(Filename="./a.deb"), "x").paths == ["a.deb"]


def test_a_problem_leaves_the_other_packages_and_counts_stanzas_from_where_it_is_told() -> None:
    block = b"\n".join(
        [stanza(Package="a"), stanza(Package="b", Size="x"), stanza(Package="c", SHA256=None, SHA512="cd" * 64)]
    )

    found = parse_packages(block, "s", first_stanza=100, strict=False)

    assert (found.names, found.stanzas) == (["a", "c"], 3)
    assert (found.sha256, found.digests) == ([bytes.fromhex(SHA), None], {1: {"sha512": "cd" * 64}})
    assert [problem.where for problem in found.problems] == ["s stanza 101 (Package: b)"]
    assert str(pickle.loads(pickle.dumps(found.problems[0]))) == str(found.problems[0])
    with pytest.raises(MetadataError, match="stanza 2"):
        parse_packages(block, "s")


def test_weak_digests_are_taken_only_when_allowed() -> None:
    found = parse_packages(stanza(SHA256=None, MD5sum="ab" * 16), "x", allow_weak=True)

    assert found.digests == {0: {"md5": "ab" * 16}}


def test_every_file_of_a_source_is_listed() -> None:
    found = parse_sources(SOURCES, "sample contrib source")

    assert len(found) == found.stanzas == SOURCES.count(b"Package: ")
    assert len(found.starts) == len(found) + 1
    assert len(found.paths) == len(found.sizes) == len(found.sha256) == found.starts[-1]
    files = found.paths[found.starts[0] : found.starts[1]]
    assert sorted(path.rpartition(".")[2] for path in files) == ["dsc", "gz", "xz"]
    for path, size, digest in zip(found.paths, found.sizes, found.sha256, strict=True):
        data = (SAMPLE.parents[1] / path).read_bytes()
        assert (len(data), hashlib.sha256(data).digest()) == (size, digest)
    assert b"\n\n".join(found.raws) + b"\n" == SOURCES


SOURCE = (
    b"Package: s\nVersion: 1\nDirectory: pool/s\nFiles:\n " + b"ab" * 16 + b" 5 s_1.dsc\n"
    b"Checksums-Sha256:\n " + b"ab" * 32 + b" 5 s_1.dsc\n " + b"cd" * 32 + b" 6 s_1.orig.tar.gz\n"
)


def test_a_file_counts_when_any_list_names_it() -> None:
    assert parse_sources(SOURCE, "x").paths == ["pool/s/s_1.dsc", "pool/s/s_1.orig.tar.gz"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b" 5 s_1.dsc\nCheck", b" 7 s_1.dsc\nCheck", "two sizes"),
        (b" 6 s_1.orig", b" 6 ../s_1.orig", "slash"),
        (b"pool/s\n", b"../s\n", "safe relative path"),
        (b" 6 s_1", b" six s_1", "not a size"),
        (b" 6 s_1", b" s_1", "not 'digest size name'"),
        (b"cd" * 32, b"cd", "not a digest"),
        (b"Version: 1\n", b"", "Version is not a version"),
        (b"Package: s\n", b"", "no Package"),
    ],
)
def test_a_source_that_cannot_be_used_is_left_out_whole(old: bytes, new: bytes, said: str) -> None:
    assert old in SOURCE

    found = parse_sources(SOURCE.replace(old, new) + b"\n" + SOURCE, "x", strict=False)

    assert said in str(found.problems[0])
    assert (found.names, found.starts, len(found.paths)) == (["s"], [0, 2], 2)


def test_a_source_with_only_md5_is_refused_by_default() -> None:
    weak = SOURCE.partition(b"Checksums")[0]

    with pytest.raises(MetadataError, match="no accepted digest"):
        parse_sources(weak, "x")
    assert parse_sources(weak, "x", allow_weak=True).digests == {0: {"md5": "ab" * 16}}


def test_a_source_in_the_root_folder_has_no_directory() -> None:
    assert parse_sources(SOURCE.replace(b"pool/s\n", b".\n"), "x").paths[0] == "s_1.dsc"
