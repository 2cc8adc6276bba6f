"""Arguments that plugins have in common."""

from __future__ import annotations

from pathlib import Path


def absolute(file: str) -> str:
    """A file as it will be found from any folder: what is remembered is used from elsewhere."""
    return str(Path(file).absolute())


def in_commas(values: list[str] | None) -> list[str]:
    """``--arch amd64,arm64 --arch all`` -> three, in order, once each."""
    return list(dict.fromkeys(part.strip() for value in values or () for part in value.split(",") if part.strip()))
