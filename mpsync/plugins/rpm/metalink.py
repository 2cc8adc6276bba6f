"""Metalinks and mirrorlists: where else the repository is, and what a metalink promises of its repomd.xml.

source  Metalink 3.0 as MirrorManager writes it, with its ``mm0:alternates`` (B18); yum's mirrorlists: one base URL a
line
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from mpsync.plugin.declare import ACCEPTED, Expected, MetadataError
from mpsync.plugins.rpm import columns, issues
from mpsync.plugins.rpm.document import METALINK
from mpsync.plugins.rpm.issues import Issues
from mpsync.plugins.rpm.xmlsafe import Node, read_records
from mpsync.plugins.rpm.xmltext import utf8

MAX_LIST_BYTES = 8 << 20
MAX_MIRRORS = 10_000
SCHEMES = frozenset(("https", "http"))
_REPOMD = "repodata/repomd.xml"
_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://[^/\s\\@]*(?::[0-9]+)?(?:/[^\s\\]*)?")
_VARIABLE = re.compile(r"\$(?:\w+|\{\w+\})")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A base URL, its path with a final slash. preference: 0 to 100, higher is better; location: a country, "" = not said."""

    url: str
    preference: int = 0
    location: str = ""


@dataclass(slots=True)
class Metalink:
    """What a metalink says.

    mirrors   best first
    promises  what repomd.xml may be: the newest first, then the alternates that are still good
    """

    mirrors: list[Mirror]
    promises: list[Expected]
    timestamp: int
    issues: Issues = field(default_factory=Issues)


def is_metalink(data: bytes) -> bool:
    """Whether a file that was asked for as a mirrorlist is a metalink."""
    return b"<metalink" in data[:4096]


def parse_metalink(
    data: bytes,
    where: str,
    accepted: frozenset[str] = ACCEPTED,
    schemes: frozenset[str] = SCHEMES,
) -> Metalink:
    """Read a metalink.

    schemes  of mirrors; others are counted and ignored
    raises   MetadataError: no metalink, no repomd.xml in it, no mirror left, or hashes that are all too weak
    """
    _check_size(data, where)
    file: Node | None = None
    for record in read_records(utf8([data], where), METALINK, where):
        if record.node.name == "files":
            found = (node for node in record.node.all("file") if node.get("name") == "repomd.xml")
            file = file or next(found, None)
    if file is None:
        raise MetadataError(where, "metalink without repomd.xml", 'a <file name="repomd.xml">')
    tally = Issues()
    nodes = [file, *(alternate for group in file.all("alternates") for alternate in group.all("alternate"))]
    promises = [promise for promise in (_promise(node, accepted) for node in nodes) if promise is not None]
    if file.child("verification") is not None and not promises:
        raise MetadataError(where, "no hash that proves repomd.xml", " or ".join(sorted(accepted)))
    mirrors: list[Mirror] = []
    for resources in file.all("resources"):
        for url in resources.all("url"):
            base = _base(url.text.strip(), schemes, tally, where, needs_repomd=True)
            if base is not None:
                mirrors.append(Mirror(base, _preference(url.get("preference")), url.get("location")))
    mirrors.sort(key=lambda mirror: -mirror.preference)  # stable: upstream's order among equals
    _check_mirrors(mirrors, where, tally)
    stamp = file.value("timestamp")
    return Metalink(_unique(mirrors), promises, int(stamp) if _is_number(stamp) else 0, tally)


def parse_mirrorlist(data: bytes, where: str, schemes: frozenset[str] = SCHEMES) -> tuple[list[Mirror], Issues]:
    """Base URLs of a mirrorlist, in its order. Raises MetadataError when none is left."""
    _check_size(data, where)
    tally = Issues()
    mirrors: list[Mirror] = []
    for line in data.decode("utf-8", "replace").splitlines():
        text = line.strip()
        if text and not text.startswith("#"):
            base = _base(text, schemes, tally, where, needs_repomd=False)
            if base is not None:
                mirrors.append(Mirror(base))
    _check_mirrors(mirrors, where, tally)
    return _unique(mirrors), tally


def _promise(node: Node, accepted: frozenset[str]) -> Expected | None:
    digests: dict[str, str] = {}
    for verification in node.all("verification"):
        for item in verification.all("hash"):
            algorithm = columns.ALGORITHMS.get(item.get("type").strip().lower(), "")
            digest = columns.hex_digest(item.text.encode(), algorithm)
            if algorithm in accepted and digest is not None:
                digests[algorithm] = digest.hex()
    size = node.value("size")
    return Expected(int(size) if _is_number(size) else None, digests) if digests else None


def _base(url: str, schemes: frozenset[str], tally: Issues, where: str, *, needs_repomd: bool) -> str | None:
    found = _URL.fullmatch(url)
    scheme = "" if found is None else found[1].lower()
    has_host = url.partition("://")[2][:1] not in ("", "/", "?", "#")
    if scheme not in schemes or has_host == (scheme == "file"):
        tally.add(issues.MIRROR_IGNORED, f"{where}: {url[:200]!r}")
        return None
    if unexpanded(url) is not None:
        tally.add(issues.MIRROR_IGNORED, f"{where}: {url[:200]!r} holds {unexpanded(url)}, and no variable is expanded")
        return None
    path, question, query = url.partition("?")
    if path.endswith("/" + _REPOMD):
        path = path.removesuffix(_REPOMD)
    elif needs_repomd:
        tally.add(issues.MIRROR_IGNORED, f"{where}: {url[:200]!r} is not a repomd.xml")
        return None
    return f"{path}{'' if path.endswith('/') else '/'}{question}{query}"


def unexpanded(url: str) -> str | None:
    """The first of dnf's variables in it, such as $releasever."""
    found = _VARIABLE.search(url)
    return None if found is None else found[0]


def _check_size(data: bytes, where: str) -> None:
    if len(data) > MAX_LIST_BYTES:
        raise MetadataError(where, "list of mirrors too large", f"at most {MAX_LIST_BYTES} bytes", str(len(data)))


def _check_mirrors(mirrors: list[Mirror], where: str, tally: Issues) -> None:
    if not mirrors:
        ignored = tally.count(issues.MIRROR_IGNORED)
        others = "; ".join(issue.examples[0] for issue in tally)
        got = f"{ignored} others" + (f", such as {others}" if others else "")
        raise MetadataError(where, "no usable mirror", "at least one http(s) URL", got)
    if len(mirrors) > MAX_MIRRORS:
        raise MetadataError(where, "too many mirrors", f"at most {MAX_MIRRORS}", str(len(mirrors)))


def _unique(mirrors: Iterable[Mirror]) -> list[Mirror]:
    by_url: dict[str, Mirror] = {}
    for mirror in mirrors:
        by_url.setdefault(mirror.url, mirror)
    return list(by_url.values())


def _preference(text: str) -> int:
    return int(text) if _is_number(text) and int(text) <= 100 else 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= columns.MAX_SIZE_DIGITS
