"""What people and programs read at the end: a summary, tables, one JSON document."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime

    from mpsync.sync import Summary


PHASES = ("total", "start", "probe", "sync", "commit")


def print_json(document: Any) -> None:
    """One document on stdout, keys in the order they were given."""
    import orjson

    sys.stdout.write(orjson.dumps(document, option=orjson.OPT_INDENT_2, default=str).decode() + "\n")
    sys.stdout.flush()


def printable(text: object) -> str:
    """Text from upstream, harmless on a terminal: control characters and escapes become ``?``."""
    text = str(text)
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)


def sync_document(summary: Summary) -> dict[str, Any]:
    """The contract of ``sync --json`` (docs/reference/json.md), its parts in the documented order."""
    from mpsync.store.queries import ordered

    document = summary.as_json()
    seconds = document["seconds"]
    document["seconds"] = {name: seconds[name] for name in (*PHASES, *seconds) if name in seconds}
    document["content"] = ordered(document["content"])
    return document


def print_summary(summary: Summary) -> None:
    """A few lines on stdout: the version, what changed by kind, traffic, time, memory, and what was left out."""
    say = print
    state = f"version {summary.version}" if summary.changed else f"unchanged, version {summary.version}"
    say(f"{summary.repository}: {state}")
    for kind, count in sorted(summary.content.items()):
        unchanged = count["total"] - count["added"]
        say(f"  {kind:<22}{count['total']:>9,}   +{count['added']:,} -{count['removed']:,} ={unchanged:,}")
    seconds = ", ".join(f"{name} {value:.2f}" for name, value in summary.seconds.items() if name != "total")
    say(f"  {summary.requests:,} requests, {summary.files:,} files, {size(summary.bytes)} downloaded")
    memory = f"; peak memory {size(summary.peak_pss_bytes)}" if summary.peak_pss_bytes else ""
    say(f"  {summary.seconds.get('total', 0):.2f} s ({seconds}){memory}")
    for note in summary.notes:
        say(f"  note: {printable(note)}")
    print_skipped(summary.skipped)


def print_skipped(skipped: Sequence[dict[str, str]]) -> None:
    """A partial mirror lacks a hundred optional files: a line for each reason, a few names, the rest in --json."""
    reasons = Counter(_reason(found["why"]) for found in skipped)
    for reason, count in reasons.most_common():
        names = [found["what"] for found in skipped if _reason(found["why"]) == reason][:3]
        more = f", and {count - len(names)} more (--json lists them)" if count > len(names) else ""
        print(printable(f"  skipped {count:,}: {', '.join(names)}{more}: {reason}"))


def _reason(why: str) -> str:
    """Errors start with the URL they are about: without it, the same reason is the same text."""
    head, separator, rest = why.partition(": ")
    return rest if separator and "://" in head else why


def print_table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Columns as wide as they need to be; for tables that fit in memory."""
    cells = [list(header), *([("" if value is None else printable(value)) for value in row] for row in rows)]
    widths = [max(len(row[at]) for row in cells) for at in range(len(header))]
    for row in cells:
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())


def when(at: datetime | None) -> str:
    """``2026-01-31 12:00 UTC``; nothing for None."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M} UTC"


def size(size_bytes: int | None) -> str:
    """``13.2 MB``."""
    value = float(size_bytes or 0)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
