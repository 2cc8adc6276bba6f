"""``mpsync fetch``: download what on-demand deferred."""

from __future__ import annotations

import argparse
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from mpsync.cli.opened import has_store, import_for, known, run_async, server, settings_of, unknown
from mpsync.cli.output import print_json, print_skipped, size

if TYPE_CHECKING:
    from mpsync.operations import FetchResult
    from mpsync.settings import Settings
    from mpsync.sync import Summary

_IMPORTS = ("psycopg", "mpsync.operations", "mpsync.sync", "mpsync.fetch.session")


def run_fetch(arguments: argparse.Namespace) -> int:
    from mpsync.cli.parser import check

    began = perf_counter()
    check(arguments)
    settings = settings_of(arguments)
    if not has_store(settings):
        raise unknown(arguments.name)
    from mpsync.cli import progress_view
    from mpsync.measure import PeakMemory
    from mpsync.sync import Summary

    summary = arguments.summary = Summary(arguments.name)
    memory = PeakMemory()
    try:
        with memory, server(settings, (*_IMPORTS, *progress_view.imports(arguments))) as conninfo:
            summary.seconds["start"] = perf_counter() - began
            result = run_async(settings, lambda: _fetch(arguments, settings, conninfo, summary))
    finally:
        summary.seconds["total"] = perf_counter() - began
        summary.peak_pss_bytes = memory.peak_bytes
    if arguments.json:
        print_json(_document(summary, result))
    else:
        _print(summary, result)
    return 0


async def _fetch(arguments: argparse.Namespace, settings: Settings, conninfo: str, summary: Summary) -> FetchResult:
    from mpsync.cli.progress_view import watching
    from mpsync.cli.sync_verb import remote_of
    from mpsync.core import Storage
    from mpsync.fetch.session import Fetcher
    from mpsync.operations import FetchRequest, fetch
    from mpsync.pipeline.progress import Progress
    from mpsync.plugin import registry
    from mpsync.reading import left_hosts
    from mpsync.store import queries
    from mpsync.sync import heartbeat, timed

    progress = Progress()
    progress.subscribe(lambda event: summary.notes.append(event.text) if event.kind in ("note", "warning") else None)
    async with heartbeat(summary), Storage.open(settings, conninfo) as storage:
        async with storage.database.connection() as conn:
            repository = await known(conn, arguments.name)
            selection = await queries.select(conn, repository, kind=arguments.kind, glob=arguments.glob or "*")
        summary.version = selection.number
        remote = remote_of(arguments, repository.url or "")
        await import_for(remote.url)
        plugin = registry.load(repository.plugin) if repository.plugin in registry.names() else None
        on_failure: Literal["strict", "skip"] = "skip" if arguments.skip_failed else "strict"
        request = FetchRequest(repository, selection, remote, on_failure, plugin)
        temp_dir = storage.blobs.temp_dir
        async with Fetcher(settings, remote, temp_dir=temp_dir, on_event=left_hosts(progress)) as fetcher:
            try:
                with watching(progress, arguments), timed(summary, "fetch"):
                    return await fetch(request, storage, fetcher, progress)
            finally:
                summary.skipped.extend(progress.skipped)
                summary.requests, summary.files, summary.bytes = (
                    fetcher.stats.requests,
                    fetcher.stats.files,
                    fetcher.stats.bytes,
                )


def _document(summary: Summary, result: FetchResult) -> dict[str, Any]:
    found = summary.as_json()
    return {
        "repository": found["repository"],
        "version": found["version"],
        "changed": result.after != result.before,
        "downloaded": found["downloaded"],
        "held": {"files": result.after.held, "bytes": result.after.held_bytes},
        "deferred": {"files": result.after.deferred, "bytes": result.after.deferred_bytes},
        "requests": found["requests"],
        "seconds": {name: found["seconds"][name] for name in ("total", "start", "fetch")},
        "stages": result.stages,
        "peak_pss_bytes": found["peak_pss_bytes"],
        "loop_lag_ms": found["loop_lag_ms"],
        "skipped": found["skipped"],
        "notes": found["notes"],
    }


def _print(summary: Summary, result: FetchResult) -> None:
    before, after = result.before, result.after
    if not before.deferred:
        print(f"{summary.repository}: all {before.held:,} files are here ({size(before.held_bytes)})")
        return
    print(
        f"{summary.repository}: {summary.files:,} files fetched, {size(summary.bytes)}, {summary.requests:,} requests"
    )
    left = f"; {after.deferred:,} still deferred ({size(after.deferred_bytes)})" if after.deferred else ""
    print(f"  {after.held:,} files are here ({size(after.held_bytes)}){left}")
    memory = f"; peak memory {size(summary.peak_pss_bytes)}" if summary.peak_pss_bytes else ""
    print(f"  {summary.seconds['total']:.2f} s{memory}")
    print_skipped(summary.skipped)
