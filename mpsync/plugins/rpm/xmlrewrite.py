"""A record whose names hang on upstream's own prefixes, written anew with the usual ones.

``<c:package xmlns:c="…/common">`` below a root that declares ``c`` means nothing below another root. Comments and
processing instructions are not carried over.
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from mpsync.plugins.rpm.document import XML, Document


class Rewriter:
    """Collects one record's events; ``finish`` gives its new bytes, or None when the old ones can stay.

    is_bare  the root has no namespace at all: its records are taken for what their names say
    """

    def __init__(self, document: Document, *, is_bare: bool) -> None:
        self._usual = {document.space: "", "": "", XML: "xml:"}
        self._usual.update({uri: f"{prefix}:" for prefix, uri in document.prefixes.items()})
        self._prefixes = {document.space: "", **{uri: prefix for prefix, uri in document.prefixes.items()}}
        self._is_foreign_bare = bool(document.space) and not is_bare
        if is_bare:
            self._prefixes[""] = ""
        self._reset()

    def _reset(self) -> None:
        self._out: list[str] = []
        self._open: list[str] = []
        self._is_needed = False

    def start(
        self, name: str, space: str, prefix: str, attributes: dict[str, str], declared: list[tuple[str, str]]
    ) -> None:
        """An element's start; ``declared`` are the prefixes that it declares itself."""
        extra = ""
        usual = self._usual.get(space)
        if usual is None:  # a foreign namespace: declared on the spot
            usual = f"{prefix}:" if prefix and prefix not in ("xml", *self._prefixes.values()) else ""
            extra = f" xmlns{':' + usual[:-1] if usual else ''}={quoteattr(space)}"
        elif space == "" and self._is_foreign_bare:
            extra = ' xmlns=""'
        if self._prefixes.get(space) != prefix or declared:
            self._is_needed = True
        if any(":" in key and not key.startswith("xml:") for key in attributes):
            self._is_needed = True
        tag = usual + name
        # An attribute of a foreign namespace loses its prefix: what it meant is not of this format.
        values = {key if key.startswith("xml:") else key.rpartition(":")[2]: value for key, value in attributes.items()}
        self._out.append(f"<{tag}{extra}{''.join(f' {key}={quoteattr(value)}' for key, value in values.items())}>")
        self._open.append(tag)

    def text(self, text: str) -> None:
        self._out.append(escape(text, {"\r": "&#13;"}))

    def end(self) -> None:
        self._out.append(f"</{self._open.pop()}>")

    def finish(self) -> bytes | None:
        """The record's new bytes, or None when it used no prefix of the root that is not the usual one."""
        made = "".join(self._out).encode() if self._is_needed else None
        self._reset()
        return made
