"""Which files of a suite a sync reads and keeps: paths only, chosen from what Release names. Pure.

Flow    Release + Wanted -> Layout(indices to parse, metadata to keep, what was left out and why)
Paths   of IndexFile are relative to the suite's folder (``suite_folder``); Filename in stanzas to the repository
        root, for
        flat repositories too (apt's rule: base URL + Filename, whatever folder the Packages file lies in)
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mpsync.plugin.declare import ACCEPTED, ConfigError, MetadataError, safe_relative_path
from mpsync.plugin.decompress import PLAIN, SUFFIXES, compression_of
from mpsync.plugins.deb import kinds
from mpsync.plugins.deb.release import IndexFile, Release, WeakDigests

PREFERENCE = ("xz", "zst", "gz", "bz2", PLAIN)
_UNPACK_RATIO = 256  # a cap for an index whose unpacked size Release doesn't name; real ones stay below 40

_OWN_NAMES = frozenset(("Release", "InRelease", "Release.gpg"))  # a Release made in place may name itself

_INDEX_FOLDER = re.compile(r"(?:^|/)(?:debian-installer/)?binary-([^/]+)/Packages$")
_ARCH_IN_PATH = re.compile(
    r"(?:^|/)(?:binary|installer|Contents-udeb|Contents|Components|Commands)-([A-Za-z0-9][A-Za-z0-9_-]*?)(?=[./]|$)"
)
_COMPONENT_IN_PATH = re.compile(r"^(.+?)/(?:binary-[^/]+|source|debian-installer)/")
_INSTALLER_SUMS = re.compile(r"(?:^|/)installer-([^/]+)/current/(?:legacy-)?images/(SHA256SUMS|MD5SUMS)$")


class NotOffered(ConfigError):
    """A component or architecture was asked for that Release doesn't offer, or names no index of."""

    hint = "choose of what is offered by --component and --arch; without them, all of it is taken"

    def __init__(self, where: str, what: str, asked: str, offered: tuple[str, ...]) -> None:
        super().__init__(where, what, asked, offered)
        self.where, self.what, self.asked, self.offered = where, what, asked, offered

    def __str__(self) -> str:
        return f"{self.where}: no {self.what} {self.asked!r}; offered are {', '.join(self.offered) or 'none'}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the user asked for. Empty components or architectures: all that Release offers."""

    suite: str
    components: tuple[str, ...] = ()
    architectures: tuple[str, ...] = ()
    sources: bool = False
    udebs: bool = False
    installer: bool = False
    allow_weak: bool = False
    ignore_missing: bool = False

    @property
    def is_flat(self) -> bool:
        return self.suite.endswith("/")


@dataclass(frozen=True, slots=True)
class Index:
    """An index to parse.

    kind         of the content it lists: deb.package, deb.udeb, deb.source, deb.installer_file
    component    as Release names it; None in a flat repository
    architecture ``source`` for Sources; None in a flat repository
    path         its uncompressed name, relative to the suite's folder: one index, whatever its compression
    variants     the same text in every compression that Release names and we read, best first
    plain        what Release promises of the uncompressed text; None when it doesn't
    optional     a mirror without it is still complete (binary-all beside the architectures)
    """

    kind: str
    component: str | None
    architecture: str | None
    path: str
    variants: tuple[IndexFile, ...]
    plain: IndexFile | None
    optional: bool = False

    @property
    def max_unpacked_bytes(self) -> int:
        """Never unpack more: what Release promises, else a generous multiple of the largest compressed variant."""
        if self.plain is not None:
            return self.plain.size_bytes
        return (1 << 20) + _UNPACK_RATIO * max(variant.size_bytes for variant in self.variants)

    def where(self, suite: str) -> str:
        """For errors: "suite component architecture"."""
        return " ".join(filter(None, (suite, self.component, self.architecture)))


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """A file that a verbatim mirror keeps but nobody parses.

    text_path   its name without compression: files that share it hold the same text
    is_likely   False for the plain form of a text that Release names compressed too: mirrors seldom have it
    """

    file: IndexFile
    component: str | None
    architecture: str | None
    text_path: str
    is_likely: bool


@dataclass(frozen=True, slots=True)
class Layout:
    """indices to parse; metadata to keep, among it the other compressions of each index; skipped (what, why)."""

    indices: tuple[Index, ...]
    metadata: tuple[MetadataFile, ...]
    skipped: tuple[tuple[str, str], ...]


def suite_folder(suite: str) -> str:
    """The folder of a suite's Release below the repository root, ``""`` or ending in ``/``. Raises UnsafePath.

    ``bookworm`` -> ``dists/bookworm/``; flat: ``/`` and ``./`` -> ``""``, ``stable/`` and ``./stable/`` -> ``stable/``
    """
    is_flat = suite.endswith("/")
    name = suite.strip("/")
    name = "" if name == "." else name.removeprefix("./")
    if not name:
        return ""
    safe_relative_path(name, f"suite {suite}")
    return f"{name}/" if is_flat else f"dists/{name}/"


def choose(release: Release, wanted: Wanted) -> Layout:
    """Choose indices and metadata.

    raises  NotOffered; WeakDigests for an index with weak digests only; MetadataError when Release names no index at
            all: an empty mirror would follow
    """
    by_text = _by_text(release)
    if wanted.is_flat:
        return _flat(release, wanted, by_text)
    folders = _components(release, wanted)
    architectures = _architectures(release, wanted)
    indices, skipped = _indices(release, wanted, by_text, folders, architectures)
    _check_named(release, wanted, folders, indices)
    taken = {index.variants[0].path for index in indices}
    metadata = []
    for path in (*release.files, *release.weak):
        text_path = _text_path(path)
        if path in taken or text_path in _OWN_NAMES:
            continue
        component = next((name for name, folder in folders.items() if path.startswith(folder + "/")), None)
        architecture = _architecture_of(text_path)
        if component is None and _component_of(path, release) is not None:
            continue  # of a component that was not asked for
        why = _unwanted(text_path, architecture, wanted, architectures)
        if why:
            skipped.append((path, why)) if why.startswith("patches") else None
            continue
        file = release.files.get(path)
        if file is None:
            if text_path not in by_text:  # else another compression of it has good digests
                skipped.append((path, "Release gives it no accepted digest"))
            continue
        is_likely = compression_of(path) != PLAIN or len(by_text[text_path]) == 1
        metadata.append(MetadataFile(file, component, architecture, text_path, is_likely))
    return Layout(tuple(indices), tuple(metadata), tuple(skipped))


def _check_named(release: Release, wanted: Wanted, folders: dict[str, str], indices: list[Index]) -> None:
    """Refuse a Release that names no index of what was asked for by name, or none at all: it would empty the mirror."""
    if wanted.ignore_missing:
        return
    if not indices:
        raise _no_index(release)
    with_index = tuple(dict.fromkeys(index.component for index in indices if index.component is not None))
    for component in folders if wanted.components else ():
        if component not in with_index:
            raise NotOffered(release.where, "index of component", component, with_index)
    listed = tuple(dict.fromkeys(i.architecture for i in indices if i.kind == kinds.PACKAGE and i.architecture))
    for architecture in wanted.architectures:
        # Beside another architecture, all may be listed in that one's index.
        if architecture not in listed and (architecture != "all" or len(wanted.architectures) == 1):
            raise NotOffered(release.where, "index of architecture", architecture, listed)


def _no_index(release: Release) -> MetadataError:
    return MetadataError(release.where, "names no Packages index", "at least one", f"{len(release.files)} other files")


def _by_text(release: Release) -> dict[str, dict[str, IndexFile]]:
    """{uncompressed name: {compression: file}}."""
    found: dict[str, dict[str, IndexFile]] = {}
    for file in release.files.values():
        found.setdefault(_text_path(file.path), {})[compression_of(file.path)] = file
    return found


def _text_path(path: str) -> str:
    stem, dot, suffix = path.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in SUFFIXES else path


def _components(release: Release, wanted: Wanted) -> dict[str, str]:
    """{component as Release names it: folder of its indices}, for the ones asked for.

    ``main`` asks for ``updates/main`` too, and its folder is either: security suites say one and use the other (C7).
    """
    named = dict.fromkeys((*release.components, *_found_components(release)))
    folders: dict[str, str] = {}
    for name in named:
        candidates = (name, name.rpartition("/")[2])
        folder = next((f for f in candidates if any(path.startswith(f + "/") for path in release.files)), name)
        if folder not in folders.values():
            folders[name] = folder
    if not wanted.components:
        return folders
    chosen: dict[str, str] = {}
    for asked in wanted.components:
        base = asked.rpartition("/")[2]
        exact = [name for name in folders if asked in (name, folders[name])]
        matching = exact or [name for name in folders if name.rpartition("/")[2] == base]
        if not matching:
            raise NotOffered(release.where, "component", asked, tuple(folders))
        chosen.update((name, folders[name]) for name in matching)
    return chosen


def _found_components(release: Release) -> Iterable[str]:
    if release.components:
        return ()
    return dict.fromkeys(match[1] for path in release.files if (match := _COMPONENT_IN_PATH.match(path)))


def _component_of(path: str, release: Release) -> str | None:
    names = release.components or tuple(_found_components(release))
    for name in names:
        if path.startswith((f"{name}/", f"{name.rpartition('/')[2]}/")):
            return name
    return None


def _architectures(release: Release, wanted: Wanted) -> tuple[str, ...]:
    """The architectures to sync, without ``all`` unless it was asked for by name."""
    found = (match[1] for path in release.files if (match := _INDEX_FOLDER.search(_text_path(path))))
    offered = tuple(name for name in dict.fromkeys((*release.architectures, *found)) if name != "source")
    if not wanted.architectures:
        return tuple(name for name in offered if name != "all") or offered
    for asked in wanted.architectures:
        if asked not in offered and asked != "all":
            raise NotOffered(release.where, "architecture", asked, offered)
    return tuple(dict.fromkeys(wanted.architectures))


def _indices(
    release: Release,
    wanted: Wanted,
    by_text: dict[str, dict[str, IndexFile]],
    folders: dict[str, str],
    architectures: tuple[str, ...],
) -> tuple[list[Index], list[tuple[str, str]]]:
    indices: list[Index] = []
    skipped: list[tuple[str, str]] = []
    asked = [(name, False) for name in architectures]
    # Where each architecture lists the arch:all packages too, binary-all adds no package: it is kept, not parsed.
    is_repeated = release.all_is_in_each_architecture and architectures != ("all",)
    if is_repeated:
        asked = [(name, optional) for name, optional in asked if name != "all"]
    elif "all" not in architectures:
        asked.append(("all", True))
    for component, folder in folders.items():
        for architecture, optional in asked:
            places = [(kinds.PACKAGE, f"{folder}/binary-{architecture}/Packages", optional)]
            if wanted.udebs:
                places.append((kinds.UDEB, f"{folder}/debian-installer/binary-{architecture}/Packages", True))
            for kind, path, is_optional in places:
                _add(
                    indices, skipped, release, by_text,
                    Index(kind, component, architecture, path, (), None, is_optional),
                )  # fmt: skip
        if wanted.sources:
            path = f"{folder}/source/Sources"
            _add(indices, skipped, release, by_text, Index(kinds.SOURCE, component, "source", path, (), None))
        if wanted.installer:
            indices += _installer(wanted, by_text, component, folder, architectures)
    return indices, skipped


def _add(
    indices: list[Index],
    skipped: list[tuple[str, str]],
    release: Release,
    by_text: dict[str, dict[str, IndexFile]],
    index: Index,
) -> None:
    """Add ``index`` with the variants that Release names, or say that it names none. Raises WeakDigests."""
    named = by_text.get(index.path, {})
    variants = tuple(named[kind] for kind in PREFERENCE if kind in named)
    if not variants and any(_text_path(path) == index.path for path in release.weak):
        raise WeakDigests(release.where, f"{index.path} has no accepted digests", " or ".join(sorted(ACCEPTED)))
    if variants:
        plain = named.get(PLAIN)
        indices.append(
            Index(index.kind, index.component, index.architecture, index.path, variants, plain, index.optional)
        )
    elif not index.optional:
        skipped.append((index.path, "Release does not name it"))


def _installer(
    wanted: Wanted,
    by_text: dict[str, dict[str, IndexFile]],
    component: str,
    folder: str,
    architectures: tuple[str, ...],
) -> list[Index]:
    """SHA256SUMS of each images folder; MD5SUMS only where weak digests are allowed and nothing else is there."""
    chosen: dict[str, Index] = {}
    for path, named in by_text.items():
        match = _INSTALLER_SUMS.search(path)
        if not match or not path.startswith(folder + "/") or match[1] not in architectures or PLAIN not in named:
            continue
        images = path.rpartition("/")[0]
        if match[2] == "SHA256SUMS" or (wanted.allow_weak and images not in chosen):
            plain = named[PLAIN]
            chosen[images] = Index(kinds.INSTALLER_FILE, component, match[1], path, (plain,), plain, True)
    return list(chosen.values())


def _architecture_of(text_path: str) -> str | None:
    match = _ARCH_IN_PATH.search(text_path)
    if match:
        return match[1]
    return "source" if re.search(r"(?:^|/)source/", text_path) else None


def _unwanted(text_path: str, architecture: str | None, wanted: Wanted, architectures: tuple[str, ...]) -> str | None:
    """Why a file of a selected component is not kept; None when it is."""
    if ".diff/" in text_path:
        return "patches are not mirrored; clients fall back to the whole index"
    if not wanted.udebs and ("debian-installer/" in text_path or "Contents-udeb-" in text_path):
        return "udebs not asked for"
    if not wanted.installer and "/installer-" in text_path:
        return "installer not asked for"
    if architecture == "source":
        return None if wanted.sources else "sources not asked for"
    if architecture is not None and architecture != "all" and architecture not in architectures:
        return "architecture not asked for"
    return None


def _flat(release: Release, wanted: Wanted, by_text: dict[str, dict[str, IndexFile]]) -> Layout:
    """A flat repository has one Packages and perhaps one Sources beside its Release; stanzas say their architecture."""
    if wanted.components:
        raise NotOffered(release.where, "component", wanted.components[0], ())
    indices: list[Index] = []
    skipped: list[tuple[str, str]] = []
    _add(indices, skipped, release, by_text, Index(kinds.PACKAGE, None, None, "Packages", (), None))
    if wanted.sources:
        _add(indices, skipped, release, by_text, Index(kinds.SOURCE, None, "source", "Sources", (), None))
    if not indices and not wanted.ignore_missing:
        raise _no_index(release)
    taken = {index.variants[0].path for index in indices}
    metadata = []
    for file in release.files.values():
        text_path = _text_path(file.path)
        if (
            file.path in taken
            or text_path in _OWN_NAMES
            or ".diff/" in text_path
            or (text_path == "Sources" and not wanted.sources)
        ):
            continue
        is_likely = compression_of(file.path) != PLAIN or len(by_text[text_path]) == 1
        metadata.append(MetadataFile(file, None, None, text_path, is_likely))
    return Layout(tuple(indices), tuple(metadata), tuple(skipped))
