"""``mpsync list``, ``show``, ``versions``, ``content`` and ``diff``: questions that change nothing."""

from __future__ import annotations

import argparse
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, TypeVar

from mpsync.cli.opened import has_store, known, run_with_storage, settings_of, unknown
from mpsync.cli.output import print_json, print_table, printable, size, when

if TYPE_CHECKING:
    from mpsync.core import Storage
    from mpsync.store.queries import Change, Counts, Overview, Unit, Version

T = TypeVar("T")

_IMPORTS = ("mpsync.store.queries", "mpsync.store.repositories")


def run_list(arguments: argparse.Namespace) -> int:
    found: list[Overview] = []
    if has_store(settings_of(arguments)):
        found = run_with_storage(arguments, _overview, _IMPORTS)
    if arguments.json:
        print_json({"repositories": [_overview_json(one) for one in found]})
    elif not found:
        print("no repositories; make one: mpsync sync PLUGIN URL")
    else:
        rows = [
            (one.name, one.plugin, one.latest or "none yet", _total(one.counts), when(one.synced_at), one.url)
            for one in found
        ]
        print_table(("NAME", "TYPE", "VERSION", "UNITS", "MADE", "URL"), rows)
    return 0


async def _overview(storage: Storage) -> list[Overview]:
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        return await queries.overview(conn)


def _overview_json(one: Overview) -> dict[str, Any]:
    return {
        "repository": one.name,
        "plugin": one.plugin,
        "url": one.url,
        "version": one.latest,
        "created_at": one.synced_at,
        "content": {kind: {"total": count["total"]} for kind, count in one.counts.items()},
    }


def run_show(arguments: argparse.Namespace) -> int:
    document = _run_on_known(arguments, lambda storage: _show(storage, arguments.name))
    if arguments.json:
        print_json(document)
        return 0
    rows: list[tuple[str, Any]] = [
        ("name", document["repository"]),
        ("type", document["plugin"]),
        ("url", document["url"]),
        ("options", " ".join(_words(document["arguments"])) or "none"),
        ("policy", document["policy"]),
        ("mode", "mirror" if document["mirror"] else "additive"),
        ("failures", "skipped and reported" if document["on_failure"] == "skip" else "end the sync"),
        ("version", f"{document['version']} of {when(document['created_at'])}" if document["version"] else "none yet"),
    ]
    rows += [(kind, f"{count['total']:,}") for kind, count in document["content"].items()]
    if document["version"]:
        for what in ("held", "deferred"):
            files = document["artifacts"][what]
            rows.append((what, f"{files['files']:,} files, {size(files['bytes'])}"))
    for name, value in rows:
        print(f"{name + ':':<22}{printable(value)}")
    return 0


async def _show(storage: Storage, name: str) -> dict[str, Any]:
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        repository = await known(conn, name)
        found = await queries.versions(conn, repository)
        newest = found[-1] if found else None
        files = None
        if newest is not None and newest.counts:
            files = await queries.files(conn, repository, await queries.select(conn, repository))
    remembered = repository.options
    return {
        "repository": repository.name,
        "plugin": repository.plugin,
        "url": repository.url,
        "arguments": remembered.get("arguments", {}),
        "policy": remembered.get("policy"),
        "mirror": remembered.get("mirror"),
        "on_failure": remembered.get("on_failure"),
        "version": repository.latest,
        "versions": len(found),
        "created_at": newest.created_at if newest else None,
        "content": {kind: {"total": count["total"]} for kind, count in newest.counts.items()} if newest else {},
        "artifacts": {
            "held": {"files": files.held if files else 0, "bytes": files.held_bytes if files else 0},
            "deferred": {"files": files.deferred if files else 0, "bytes": files.deferred_bytes if files else 0},
        },
    }


def _words(arguments: dict[str, Any]) -> list[str]:
    """Remembered options as they stood on the command line, more or less: defaults are left out."""
    words = []
    for name, value in arguments.items():
        option = "--" + name.replace("_", "-")
        if value is True:
            words.append(option)
        elif isinstance(value, list):
            words += [f"{option} {one}" for one in value]
        elif value not in (None, False):
            words.append(f"{option} {value}")
    return words


def run_versions(arguments: argparse.Namespace) -> int:
    name, found = _run_on_known(arguments, lambda storage: _versions(storage, arguments.name))
    if arguments.json:
        rows = [{"version": one.number, "created_at": one.created_at, "content": one.counts} for one in found]
        print_json({"repository": name, "versions": rows})
    elif not found:
        print(f"{name} has no version yet")
    else:
        print_table(
            ("VERSION", "MADE", "UNITS", "CHANGES"),
            [(one.number, when(one.created_at), _total(one.counts), _changes(one)) for one in found],
        )
    return 0


async def _versions(storage: Storage, name: str) -> tuple[str, list[Version]]:
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        repository = await known(conn, name)
        return repository.name, await queries.versions(conn, repository)


def _changes(version: Version) -> str:
    changed = {kind: count for kind, count in version.counts.items() if count["added"] or count["removed"]}
    return ", ".join(f"{kind} +{count['added']:,} -{count['removed']:,}" for kind, count in changed.items())


def run_content(arguments: argparse.Namespace) -> int:
    _run_on_known(arguments, lambda storage: _content(storage, arguments))
    return 0


async def _content(storage: Storage, arguments: argparse.Namespace) -> None:
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        repository = await known(conn, arguments.name)
        selection = await queries.select(
            conn, repository, number=arguments.version, kind=arguments.kind, glob=arguments.glob or "*"
        )
        async with aclosing(queries.content(conn, repository, selection)) as units:
            if arguments.json:
                head = {"repository": repository.name, "version": selection.number}
                await _stream_json(arguments, head, "content", units, _unit_json)
                return
            async for unit in units:
                held = "" if unit.held >= unit.files else f"  ({unit.files - unit.held} deferred)"
                named = f"  (of {', '.join(unit.referred_by)})" if unit.referred_by else ""
                print(
                    printable(
                        f"{unit.kind:<14} {unit.name:<34} {unit.version:<26} {unit.arch:<8}{held}{named}"
                    ).rstrip()
                )


def _unit_json(unit: Unit) -> dict[str, Any]:
    return {
        "kind": unit.kind,
        "name": unit.name,
        "version": unit.version,
        "arch": unit.arch,
        "listings": unit.listings,
        "files": unit.files,
        "held": unit.held,
        **({"refers": unit.refers} if unit.refers else {}),
        **({"referred_by": unit.referred_by} if unit.referred_by else {}),
    }


def run_diff(arguments: argparse.Namespace) -> int:
    _run_on_known(arguments, lambda storage: _diff(storage, arguments))
    return 0


async def _diff(storage: Storage, arguments: argparse.Namespace) -> None:
    from mpsync.store import queries

    async with storage.database.connection() as conn:
        repository = await known(conn, arguments.name)
        for number in (arguments.old, arguments.new):
            await queries.select(conn, repository, number=number)
        async with aclosing(queries.diff(conn, repository, arguments.old, arguments.new)) as changes:
            if arguments.json:
                head = {"repository": repository.name, "old": arguments.old, "new": arguments.new}
                await _stream_json(arguments, head, "changes", changes, _change_json)
                return
            async for change in changes:
                sign = "+" if change.came else "-"
                line = f"{sign} {change.kind:<14} {change.name:<34} {change.version:<26} {change.arch}"
                print(printable(line).rstrip())


def _change_json(change: Change) -> dict[str, Any]:
    return {
        "change": "added" if change.came else "removed",
        "kind": change.kind,
        "name": change.name,
        "version": change.version,
        "arch": change.arch,
    }


async def _stream_json(
    arguments: argparse.Namespace,
    head: dict[str, Any],
    name: str,
    found: AsyncIterator[T],
    as_json: Callable[[T], dict[str, Any]],
) -> None:
    """One document whose last part is as long as it likes, a line for each row."""
    import orjson

    arguments.json = False  # a document that has begun gets no second one behind it, should anything fail now
    write = sys.stdout.write
    write(orjson.dumps(head).decode().removesuffix("}") + f',"{name}":[')
    separator = "\n"
    async for one in found:
        write(separator + orjson.dumps(as_json(one)).decode())
        separator = ",\n"
    write("\n]}\n")
    sys.stdout.flush()


def _run_on_known(arguments: argparse.Namespace, work: Any) -> Any:
    """A question about one repository; where nothing is stored, the answer is known."""
    if not has_store(settings_of(arguments)):
        raise unknown(arguments.name)
    return run_with_storage(arguments, work, _IMPORTS)


def _total(counts: Counts) -> str:
    return f"{sum(count['total'] for count in counts.values()):,}"
