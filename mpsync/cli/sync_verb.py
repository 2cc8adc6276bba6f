"""``mpsync sync``."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mpsync.cli.opened import run_async, server, settings_of
from mpsync.errors import ConfigError
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.model.remote import Remote
    from mpsync.plugin.repository import Plugin
    from mpsync.store.repositories import Repository
    from mpsync.sync import Request, Summary

_IMPORTS = ("psycopg", "mpsync.sync", "mpsync.fetch.session", "mpsync.store.versions")


def run_sync(arguments: argparse.Namespace) -> int:
    began = perf_counter()
    settings = settings_of(arguments)
    from mpsync.measure import PeakMemory
    from mpsync.sync import Summary

    summary = arguments.summary = Summary(getattr(arguments, "name", None) or "")
    if arguments.plugin is not None:  # a usage error must not cost a database first
        arguments.plugin.options(argparse.Namespace(**arguments.plugin_arguments))
    with PeakMemory() as memory:
        try:
            with server(settings, _IMPORTS) as conninfo:
                summary.seconds["start"] = perf_counter() - began
                run_async(settings, lambda: _sync(arguments, settings, conninfo, summary))
        finally:
            summary.seconds["total"] = perf_counter() - began
            summary.peak_pss_bytes = memory.peak_bytes
    from mpsync.cli import output

    if arguments.json:
        output.print_json(summary.as_json())
    else:
        output.print_summary(summary)
    return 0


async def _sync(arguments: argparse.Namespace, settings: Settings, conninfo: str, summary: Summary) -> None:
    from mpsync.cli.progress_view import watching
    from mpsync.core import Storage
    from mpsync.pipeline.progress import Progress
    from mpsync.store import repositories
    from mpsync.sync import sync

    progress = Progress()
    async with Storage.open(settings, conninfo) as storage:
        if arguments.plugin is not None:
            request = _new(arguments, arguments.plugin)
        else:
            async with storage.database.connection() as conn:
                held = await repositories.find(conn, arguments.name)
            if held is None:
                raise ConfigError(
                    f"no repository {arguments.name!r}; a new one: mpsync sync PLUGIN URL (see mpsync list)"
                )
            request = _known(arguments, held)
        with watching(progress, arguments):
            await sync(request, storage, progress, summary)


def _new(arguments: argparse.Namespace, plugin: Plugin) -> Request:
    options = plugin.options(argparse.Namespace(**arguments.plugin_arguments))
    remote = remote_of(arguments, arguments.url)
    return _request(arguments, plugin, arguments.plugin_arguments, arguments.name, remote, options, {})


def _known(arguments: argparse.Namespace, held: Repository) -> Request:
    """What is remembered, overridden by what was given now."""
    from mpsync.cli.parser import given_plugin_arguments
    from mpsync.plugin import registry

    plugin = registry.load(held.plugin)
    given = given_plugin_arguments(plugin, arguments.rest, held.name)
    plugin_arguments = {**held.options.get("arguments", {}), **given}
    options = plugin.options(argparse.Namespace(**plugin_arguments))
    remote = remote_of(arguments, held.url or "")
    return _request(arguments, plugin, plugin_arguments, held.name, remote, options, held.options)


def _request(
    arguments: argparse.Namespace,
    plugin: Plugin,
    plugin_arguments: dict[str, Any],
    name: str | None,
    remote: Remote,
    options: dict[str, Any],
    remembered: dict[str, Any],
) -> Request:
    from mpsync.sync import Request

    mirror = arguments.mirror if arguments.mirror is not None else remembered.get("mirror", True)
    skips = arguments.skip_failed or remembered.get("on_failure") == "skip"
    return Request(
        name=name or plugin.default_name(remote.url, options),
        plugin=plugin,
        remote=remote,
        options=options,
        arguments=plugin_arguments,
        policy=arguments.policy or remembered.get("policy", "on_demand"),
        mirror=mirror,
        on_failure="skip" if skips else "strict",
        is_forced=arguments.force,
        waits=arguments.wait,
    )


def remote_of(arguments: argparse.Namespace, url: str) -> Remote:
    """The upstream with the credentials given now; none of them is stored."""
    from mpsync.model.remote import Remote

    password = os.environ.get("MPSYNC_PASSWORD")
    if arguments.password_file is not None:
        try:
            password = arguments.password_file.read_text().strip()
        except OSError as exc:
            raise ConfigError(f"password file {arguments.password_file}: {exc.strerror}") from exc
    if "://" not in url and Path(url).exists():
        raise ConfigError(f"{url} is a path: write file://{Path(url).absolute()}")
    return Remote(
        url,
        username=arguments.username,
        password=password,
        ca_file=arguments.ca_file,
        client_cert=arguments.client_cert,
        client_key=arguments.client_key,
        proxy=arguments.proxy,
    )
