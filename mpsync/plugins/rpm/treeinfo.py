""".treeinfo and treeinfo: a distribution tree: its installer files, and its variants and addons as sub-repositories.

source  productmd's treeinfo format 1.x, and the older files that have only [general], [images-*], [checksums] and
[stage2]
"""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field

from mpsync.plugin.declare import ACCEPTED, MetadataError, UnsafePath, safe_relative_path
from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.issues import Issues

MAX_TREEINFO_BYTES = 4 << 20
MAX_FILES = 10_000
MAX_VARIANTS = 256
"""Each is a repository that is asked for."""


@dataclass(frozen=True, slots=True)
class TreeFile:
    """An installer file. digests: {algorithm: lowercase hex}; empty when the tree promises none. roles:
    ``x86_64/kernel``, …"""

    path: str
    digests: dict[str, str]
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Variant:
    """A variant or addon.

    repository, packages   relative to the tree's root, "" = the root itself, None = outside it, or not said
    """

    uid: str
    id: str
    name: str
    type: str
    repository: str | None
    packages: str | None
    parent: str = ""
    addons: tuple[str, ...] = ()


@dataclass(slots=True)
class Treeinfo:
    """A distribution tree.

    files     checksummed, image and stage2 files, each once; repomd.xml files of sub-repositories are not among them:
              they change by themselves and are synced as repositories
    raw       the file, byte for byte
    """

    name: str
    family: str
    version: str
    arch: str
    variant: str
    timestamp: int
    raw: bytes
    files: list[TreeFile] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    issues: Issues = field(default_factory=Issues)

    @property
    def sub_repositories(self) -> list[str]:
        """Paths below the root that are repositories of their own, each once; the root is not among them."""
        found = [variant.repository for variant in self.variants if variant.repository]
        return list(dict.fromkeys(found))


def parse_treeinfo(data: bytes, where: str, accepted: frozenset[str] = ACCEPTED) -> Treeinfo:
    """Read a treeinfo.

    accepted  algorithms that prove a file; a file with weaker ones only is left out and counted
    raises    MetadataError: not a treeinfo
    """
    if len(data) > MAX_TREEINFO_BYTES:
        raise MetadataError(where, "treeinfo too large", f"at most {MAX_TREEINFO_BYTES} bytes", str(len(data)))
    reader = configparser.RawConfigParser(
        strict=False, delimiters=("=",), comment_prefixes=("#", ";"), allow_no_value=True, default_section="\0none"
    )
    reader.optionxform = str  # type: ignore[assignment,method-assign]  # paths are keys: their case matters
    try:
        reader.read_string(data.decode("utf-8-sig"))
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise MetadataError(where, f"not a treeinfo: {' '.join(str(exc).split())[:200]}") from exc
    if not (reader.has_section("general") or reader.has_section("tree") or reader.has_section("release")):
        raise MetadataError(where, "not a treeinfo", "a [general], [tree] or [release] section")
    sections = {name: {key: value or "" for key, value in reader.items(name)} for name in reader.sections()}
    general, tree, release = (sections.get(name, {}) for name in ("general", "tree", "release"))
    stamp = tree.get("build_timestamp") or general.get("timestamp") or "0"
    whole, _, _ = stamp.partition(".")
    made = Treeinfo(
        name=general.get("name") or release.get("name", ""),
        family=general.get("family") or release.get("name", ""),
        version=general.get("version") or release.get("version", ""),
        arch=tree.get("arch") or general.get("arch", ""),
        variant=general.get("variant", ""),
        timestamp=int(whole) if whole.isascii() and whole.isdigit() and len(whole) <= 18 else 0,
        raw=data,
    )
    made.variants = _variants(sections, made.issues, where)
    if len(made.variants) > MAX_VARIANTS:
        raise MetadataError(
            where, "too many variants in a treeinfo", f"at most {MAX_VARIANTS}", str(len(made.variants))
        )
    made.files = _files(sections, made.issues, where, accepted)
    return made


def _files(sections: dict[str, dict[str, str]], tally: Issues, where: str, accepted: frozenset[str]) -> list[TreeFile]:
    promised = {_slashes(path): value for path, value in sections.get("checksums", {}).items()}
    roles: dict[str, list[str]] = {path: [] for path in promised}
    for section, entries in sections.items():
        if section == "stage2" or section.startswith("images-"):
            platform = section.removeprefix("images-")
            for role, path in entries.items():
                if path:
                    roles.setdefault(_slashes(path), []).append(f"{platform}/{role}")
    if len(roles) > MAX_FILES:
        raise MetadataError(where, "too many files in a treeinfo", f"at most {MAX_FILES}", str(len(roles)))
    found: list[TreeFile] = []
    for path, parts in roles.items():
        if path == "repodata/repomd.xml" or path.endswith("/repodata/repomd.xml"):
            continue
        try:
            safe_relative_path(path, where)
        except UnsafePath:
            tally.add(issues.LOCATION_UNSAFE, f"{where}: {path[:200]!r}")
            continue
        kind, _, text = promised.get(path, "").partition(":")
        if not kind:
            found.append(TreeFile(path, {}, tuple(parts)))
            continue
        algorithm = columns.ALGORITHMS.get(kind.strip().lower(), "")
        digest = columns.hex_digest(text.encode(), algorithm)
        if digest is None:
            tally.add(issues.CHECKSUM_ODD, f"{where}: {path}: {promised[path][:140]!r}")
        elif algorithm not in accepted:
            tally.add(issues.CHECKSUM_WEAK, f"{where}: {path}: {algorithm}")
        else:
            found.append(TreeFile(path, {algorithm: digest.hex()}, tuple(parts)))
    return found


def _variants(sections: dict[str, dict[str, str]], tally: Issues, where: str) -> list[Variant]:
    found: list[Variant] = []
    for section, entries in sections.items():
        if not section.startswith(("variant-", "addon-")):
            continue
        uid = entries.get("uid") or section.partition("-")[2]

        def below(key: str, uid: str = uid, entries: dict[str, str] = entries) -> str | None:
            value = entries.get(key)
            if not value:
                return None
            path = _slashes(value).rstrip("/")
            if path in ("", "."):
                return ""
            try:
                return safe_relative_path(path, where)
            except UnsafePath:
                tally.add(issues.VARIANT_OUTSIDE, f"{where}: {uid}: {key} {value[:200]!r}")
                return None

        found.append(
            Variant(
                uid=uid,
                id=entries.get("id", uid),
                name=entries.get("name", uid),
                type=entries.get("type") or section.partition("-")[0],
                repository=below("repository"),
                packages=below("packages"),
                parent=entries.get("parent", ""),
                addons=tuple(part.strip() for part in entries.get("addons", "").split(",") if part.strip()),
            )
        )
    return found


def _slashes(path: str) -> str:
    stripped = path.strip()
    while stripped.startswith("./"):
        stripped = stripped[2:]
    return stripped
