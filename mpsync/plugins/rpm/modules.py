"""modules.yaml: a stream of YAML documents, each a raw record with the few fields that we need.

YAML from upstream is read by libyaml's events alone: no tag is obeyed, no object is constructed, an alias is a
reference and never expanded, every scalar stays the text it was written as (a stream ``1.10`` is no number). Bounds:
the bytes of a document, its depth, its aliases (H8).

source  libmodulemd's yaml_specs: modulemd v1 and v2, modulemd-defaults v1, modulemd-obsoletes v1
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from mpsync.plugin.declare import MetadataError, Reference
from mpsync.plugins.rpm import columns, issues, kinds
from mpsync.plugins.rpm.issues import Issues

MAX_DOCUMENT_BYTES = 8 << 20
MAX_DEPTH = 32
MAX_ALIASES = 64

_DOCUMENT = re.compile(rb"^---(?=[ \t\r\n]|\Z)", re.MULTILINE)
_END = re.compile(rb"^\.\.\.[ \t]*\r?$", re.MULTILINE)
_DIRECTIVES = re.compile(rb"^[%#].*$", re.MULTILINE)
"""``%YAML 1.2`` and comments between documents; a document that needs a ``%TAG`` is refused for its tags."""
_NEVRA = re.compile(
    r"(?P<name>.+)-(?:(?P<epoch>[0-9]+):)?(?P<version>[^-:]+)-(?P<release>[^-]+)\.(?P<arch>[^.-]+)", re.DOTALL
)
_INTEGER = re.compile(r"[0-9]{1,20}")

Tree: TypeAlias = "str | list[Tree] | dict[str, Tree]"


class YamlRefused(MetadataError):
    """A YAML document with a tag, too many aliases, too deep, too large, or not YAML."""


@dataclass(slots=True)
class ModuleUnit:
    """One document of modules.yaml.

    kind      MODULEMD, MODULEMD_DEFAULTS or MODULEMD_OBSOLETES
    name      of the module
    stream    "" for defaults without a default stream
    version   0 for defaults and obsoletes
    context, arch   "" when not said
    artifacts NEVRAs of a modulemd's packages, as written: ``name-epoch:version-release.arch``
    modified  of an obsoletes document, as written
    raw       from ``---`` to the last line, byte for byte, without the ``...`` and with a final line end
    """

    kind: str
    name: str
    stream: str
    version: int
    context: str
    arch: str
    raw: bytes
    artifacts: list[str] = field(default_factory=list)
    modified: str = ""

    @property
    def key(self) -> str:
        """The natural key (kinds.py)."""
        if self.kind == kinds.MODULEMD:
            return kinds.module_key(self.name, self.stream, self.version, self.context, self.arch)
        if self.kind == kinds.MODULEMD_OBSOLETES:
            return kinds.obsoletes_key(self.name, self.stream, self.context, self.modified)
        return self.name

    @property
    def packages(self) -> list[Reference]:
        """The packages that it names, as units of the repository are called; what isn't a NEVRA is none."""
        found = (_NEVRA.fullmatch(artifact) for artifact in self.artifacts)
        return [
            (
                kinds.PACKAGE,
                one["name"],
                kinds.evr_text(one["epoch"] or "0", one["version"], one["release"]),
                one["arch"],
            )
            for one in found
            if one is not None
        ]

    @property
    def shown_version(self) -> str:
        """What tells units of one name and architecture apart: ``stream:version:context`` of a modulemd."""
        parts = {
            kinds.MODULEMD: (self.stream, str(self.version), self.context),
            kinds.MODULEMD_OBSOLETES: (self.stream, self.context, self.modified),
        }.get(self.kind, ())
        return ":".join(part for part in parts if part)


def parse_modules(text: bytes, where: str, tally: Issues) -> Iterator[ModuleUnit]:
    """Units of a modules.yaml in file order; a document that is refused or unknown is counted in ``tally`` and left
    out."""
    for number, raw in enumerate(split_documents(text), 1):
        here = f"{where}: document {number}"
        try:
            tree = read_yaml(raw, here)
        except YamlRefused as exc:
            tally.add(issues.YAML_REFUSED, str(exc))
            continue
        if tree == "":
            continue
        unit = _unit(tree, raw, here, tally)
        if unit is not None:
            yield unit


def split_documents(text: bytes) -> list[bytes]:
    """The documents of a YAML stream. ``---`` at the start of a line is a marker wherever it stands: YAML 1.1,
    c-forbidden."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    points = [found.start() for found in _DOCUMENT.finditer(text)]
    found: list[bytes] = []
    for start, end in zip([0, *points], [*points, len(text)], strict=True):
        for part in _END.split(text[start:end]):
            document = part.rstrip() if part.startswith(b"---") else _DIRECTIVES.sub(b"", part).strip()
            if document.removeprefix(b"---").strip():
                found.append(document + b"\n")
    return found


def read_yaml(document: bytes, where: str) -> Tree:
    """One document as strings, lists and dicts; the first of duplicate keys wins. Raises YamlRefused."""
    if len(document) > MAX_DOCUMENT_BYTES:
        raise YamlRefused(where, "YAML document too large", f"at most {MAX_DOCUMENT_BYTES} bytes", str(len(document)))
    import yaml  # lazily: an unchanged sync reads no modules

    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # a PyYAML built without libyaml is only slower
        events = yaml.parse(document.decode("utf-8"), Loader=loader)  # type: ignore[no-untyped-call]  # PyYAML has no types
        return _Builder(where).build(events)
    except (yaml.YAMLError, UnicodeDecodeError) as exc:
        raise YamlRefused(where, f"not YAML: {' '.join(str(exc).split())[:200]}") from exc


class _Builder:
    """Events -> tree, without a stack frame per level."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._anchors: dict[str, Tree] = {}
        self._aliases = 0

    def build(self, events: Iterator[Any]) -> Tree:
        stack: list[list[Tree] | dict[str, Tree]] = []
        keys: list[str | None] = []
        root: Tree = ""
        for event in events:
            name = type(event).__name__
            if name == "ScalarEvent":
                node: Tree = event.value
            elif name == "AliasEvent":
                node = self._alias(event.anchor)
            elif name == "MappingStartEvent":
                node = {}
            elif name == "SequenceStartEvent":
                node = []
            elif name in ("MappingEndEvent", "SequenceEndEvent"):
                stack.pop()
                keys.pop()
                continue
            else:
                continue
            if name != "AliasEvent":
                self._check(event, node)
            if not stack:
                root = node
            elif isinstance(stack[-1], list):
                stack[-1].append(node)
            elif keys[-1] is None:
                if not isinstance(node, str):
                    raise YamlRefused(self._where, "a mapping's key is no scalar")
                keys[-1] = node
            else:
                stack[-1].setdefault(keys[-1], node)
                keys[-1] = None
            if name in ("MappingStartEvent", "SequenceStartEvent"):
                if len(stack) >= MAX_DEPTH:
                    raise YamlRefused(self._where, "YAML nested too deep", f"at most {MAX_DEPTH} levels")
                assert not isinstance(node, str)
                stack.append(node)
                keys.append(None)
        return root

    def _check(self, event: Any, node: Tree) -> None:
        if event.tag is not None and event.tag != "!":
            raise YamlRefused(self._where, "a YAML tag", "no tags", repr(event.tag[:100]))
        if event.anchor is not None:
            if len(self._anchors) >= MAX_ALIASES:
                raise YamlRefused(self._where, "too many anchors", f"at most {MAX_ALIASES}")
            self._anchors[event.anchor] = node

    def _alias(self, anchor: str) -> Tree:
        self._aliases += 1
        if self._aliases > MAX_ALIASES:
            raise YamlRefused(self._where, "too many aliases", f"at most {MAX_ALIASES}")
        if anchor not in self._anchors:
            raise YamlRefused(self._where, "an alias without its anchor", repr(anchor[:60]))
        return self._anchors[anchor]


def _unit(tree: Tree, raw: bytes, where: str, tally: Issues) -> ModuleUnit | None:
    document, data = _text(tree, "document"), _get(tree, "data")
    kind = {
        "modulemd": kinds.MODULEMD,
        "modulemd-defaults": kinds.MODULEMD_DEFAULTS,
        "modulemd-obsoletes": kinds.MODULEMD_OBSOLETES,
    }.get(document)
    format_version = _text(tree, "version")
    if kind is None or format_version not in (("1", "2") if kind == kinds.MODULEMD else ("1",)):
        tally.add(issues.DOCUMENT_UNKNOWN, f"{where}: {document or 'no document type'} version {format_version or '?'}")
        return None
    name = _text(data, "name" if kind == kinds.MODULEMD else "module")
    stream, context, arch = _text(data, "stream"), _text(data, "context"), _text(data, "arch")
    version = _text(data, "version")
    wanted = {"name": name}
    if kind == kinds.MODULEMD:
        wanted |= {"stream": stream, "version": version if _INTEGER.fullmatch(version) else ""}
    elif kind == kinds.MODULEMD_OBSOLETES:
        wanted |= {"stream": stream, "modified": _text(data, "modified")}
    missing = [what for what, value in wanted.items() if not value]
    if missing:
        tally.add(issues.INCOMPLETE, f"{where}: {document} {name or '?'}: no usable {', '.join(missing)}")
        return None
    for value in (name, stream, context, arch, _text(data, "modified")):
        if value and not columns.is_label(value):
            tally.add(issues.WORD_ODD, f"{where}: {document} {name[:100]!r}: {value[:100]!r}")
            return None
    rpms = _get(_get(data, "artifacts"), "rpms")
    return ModuleUnit(
        kind,
        name,
        stream,
        int(version) if kind == kinds.MODULEMD else 0,
        context,
        arch,
        raw,
        [rpm for rpm in rpms if isinstance(rpm, str)] if kind == kinds.MODULEMD and isinstance(rpms, list) else [],
        _text(data, "modified"),
    )


def _get(tree: Tree, key: str) -> Tree:
    return tree.get(key, "") if isinstance(tree, dict) else ""


def _text(tree: Tree, key: str) -> str:
    found = _get(tree, key)
    return found if isinstance(found, str) else ""
