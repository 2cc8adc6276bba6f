"""The XML files of an RPM repository: their root, their namespace, the elements they are made of.

A raw record is kept so that it means the same below ``open_tag`` of its kind: publishing is concatenation.
"""

from __future__ import annotations

from dataclasses import dataclass, field

COMMON = "http://linux.duke.edu/metadata/common"
RPM = "http://linux.duke.edu/metadata/rpm"
XML = "http://www.w3.org/XML/1998/namespace"


@dataclass(frozen=True, slots=True)
class Document:
    """One kind of XML file.

    root      local name of the root element
    space     the default namespace of its records; "" = none
    records   local names of the elements directly below the root
    prefixes  {prefix: namespace} that the root declares beside the default
    unread    local names, below a record, of elements that are kept but not read: the many
    """

    name: str
    root: str
    records: frozenset[str]
    space: str = ""
    prefixes: dict[str, str] = field(default_factory=dict)
    unread: frozenset[str] = frozenset()

    @property
    def open_tag(self) -> bytes:
        """The root's start tag, without the count of packages."""
        return b"<" + self.root.encode() + self.declarations + b">"

    @property
    def declarations(self) -> bytes:
        """The namespace declarations of the root, with a leading space."""
        default = f' xmlns="{self.space}"' if self.space else ""
        return (default + "".join(f' xmlns:{prefix}="{uri}"' for prefix, uri in self.prefixes.items())).encode()

    @property
    def close_tag(self) -> bytes:
        return b"</" + self.root.encode() + b">"


PRIMARY = Document(
    "primary",
    "metadata",
    frozenset(("package",)),
    COMMON,
    {"rpm": RPM},
    frozenset(("file", "entry", "summary", "description", "packager", "url")),
)
FILELISTS = Document(
    "filelists",
    "filelists",
    frozenset(("package",)),
    "http://linux.duke.edu/metadata/filelists",
    unread=frozenset(("file",)),
)
OTHER = Document(
    "other",
    "otherdata",
    frozenset(("package",)),
    "http://linux.duke.edu/metadata/other",
    unread=frozenset(("changelog",)),
)
REPOMD = Document(
    "repomd",
    "repomd",
    frozenset(("revision", "tags", "data")),
    "http://linux.duke.edu/metadata/repo",
    {"rpm": RPM},
)
UPDATEINFO = Document("updateinfo", "updates", frozenset(("update",)))
COMPS = Document(
    "comps",
    "comps",
    frozenset(("group", "category", "environment", "langpacks", "blacklist", "whiteout")),
    unread=frozenset(("description", "display_order")),
)
METALINK = Document("metalink", "metalink", frozenset(("files",)), "http://www.metalinker.org/")
