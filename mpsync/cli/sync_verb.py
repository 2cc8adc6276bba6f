"""``mpsync sync``."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mpsync.cli.headers import headers_of
from mpsync.cli.opened import (
    HTTP,
    InThread,
    has_store,
    import_all,
    import_for,
    known,
    run_async,
    settings_of,
    starting,
    unknown,
)
from mpsync.errors import ConfigError
from mpsync.settings import Settings

if TYPE_CHECKING:
    from mpsync.bridge.process import ChildProcess
    from mpsync.core import Storage
    from mpsync.model.remote import Remote
    from mpsync.plugin.repository import Plugin
    from mpsync.request import Request
    from mpsync.store.repositories import Repository
    from mpsync.sync import Summary

_CHILD_IMPORTS = ("mpsync.bridge.spare", "aiomultiprocess.core")
_READ_IMPORTS = ("mpsync.reading", "mpsync.fetch.session", "mpsync.store.blobs")
_SAVE_IMPORTS = ("psycopg", "mpsync.store.versions")


def run_sync(arguments: argparse.Namespace) -> int:
    began = perf_counter()
    settings = settings_of(arguments)
    from mpsync.measure import PeakMemory
    from mpsync.sync import Summary

    summary = arguments.summary = Summary(getattr(arguments, "name", None) or "")
    # Whatever is wrong with the command line is said before a server is started.
    make = _new(arguments) if arguments.plugin is not None else _again(arguments, settings)
    memory = PeakMemory()
    is_first = arguments.plugin is not None and not has_store(settings)
    # Where it is certain that something will be parsed, a child can come up while the database does.
    needs_child = settings.workers != 0 and (is_first or (arguments.plugin is not None and arguments.force))
    imports = _CHILD_IMPORTS if needs_child else _read_imports(arguments) + _SAVE_IMPORTS
    try:
        with memory, starting(settings, imports) as server:
            run_async(settings, lambda: _sync(arguments, settings, server, make, is_first, needs_child, began))
    finally:
        summary.seconds["total"] = perf_counter() - began
        summary.peak_pss_bytes = memory.peak_bytes
    from mpsync.cli import output

    if arguments.json:
        output.print_json(output.sync_document(summary))
    else:
        output.print_summary(summary)
    return 0


def _read_imports(arguments: argparse.Namespace) -> tuple[str, ...]:
    """What reading will need, as far as the command line tells: of ``sync NAME`` only the store knows the URL."""
    from mpsync.cli import progress_view

    has_http = arguments.plugin is not None and arguments.url.startswith("http")
    return (*_READ_IMPORTS, *((HTTP,) if has_http else ()), *progress_view.imports(arguments))


MakeRequest = Callable[["Repository | None"], "Request"]
"""The request, once it is known what the store remembers of the repository."""


async def _sync(
    arguments: argparse.Namespace,
    settings: Settings,
    server: str | InThread,
    make: MakeRequest,
    is_first: bool,
    needs_child: bool,
    began_s: float,
) -> None:
    summary: Summary = arguments.summary
    from mpsync.sync import heartbeat

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(heartbeat(summary))
        spares: list[ChildProcess] = []
        if needs_child:
            from mpsync.bridge.spare import spare_child

            spares = await stack.enter_async_context(spare_child(settings, arguments.plugin.first_stage))
            await asyncio.to_thread(import_all, _read_imports(arguments))
        from mpsync.cli.progress_view import watching
        from mpsync.core import Storage, opened_blobs
        from mpsync.pipeline.progress import Progress
        from mpsync.reading import Reading
        from mpsync.sync import sync

        progress = Progress()
        stack.enter_context(watching(progress, arguments))
        blobs, reading = None, None
        if is_first:
            blobs = await stack.enter_async_context(opened_blobs(settings))
            opened = Reading.open(make(None), settings, blobs, progress, spares)
            reading = await stack.enter_async_context(opened)
            reading.begin()
        if needs_child:
            await asyncio.to_thread(import_all, _SAVE_IMPORTS)
        conninfo = server if isinstance(server, str) else await server.ended()
        summary.seconds["start"] = perf_counter() - began_s
        storage = await stack.enter_async_context(Storage.open(settings, conninfo, blobs))
        request = make(await _held(arguments, storage))
        await import_for(request.remote.url)
        if reading is None:
            opened = Reading.open(request, settings, storage.blobs, progress, spares)
            reading = await stack.enter_async_context(opened)
        await sync(request, storage, progress, summary, reading)


async def _held(arguments: argparse.Namespace, storage: Storage) -> Repository | None:
    from mpsync.store import repositories

    async with storage.database.connection() as conn:
        if arguments.plugin is None:
            return await known(conn, arguments.name)
        return await repositories.find(conn, arguments.summary.repository)


def _new(arguments: argparse.Namespace) -> MakeRequest:
    """``sync PLUGIN URL``: everything is on the command line; an existing repository of that name gets it."""
    plugin: Plugin = arguments.plugin
    options = plugin.options(argparse.Namespace(**arguments.plugin_arguments))
    remote = remote_of(arguments, arguments.url)
    _require_folder(remote)
    name = arguments.name or _default_name(plugin, remote, options)
    arguments.summary.repository = name

    def make(held: Repository | None) -> Request:
        # A first sync that failed, of a mistyped URL, holds no name.
        if held is not None and held.latest and arguments.name is None and held.url != remote.url:
            from mpsync.fetch.reach import shown

            raise ConfigError(
                f"repository {name} exists, and comes from {shown(held.url or '')}: give --name, another one for another "
                f"repository, or --name {name} if it has moved"
            )
        return _request(arguments, plugin, arguments.plugin_arguments, name, remote, options, {})

    return make


def _again(arguments: argparse.Namespace, settings: Settings) -> MakeRequest:
    """``sync NAME``: what is remembered, overridden by what is given now."""
    if not has_store(settings):
        raise unknown(arguments.name)
    password = _password(arguments)

    def make(held: Repository | None) -> Request:
        from mpsync.cli.parser import given_plugin_arguments
        from mpsync.plugin import registry

        assert held is not None
        plugin = registry.load(held.plugin)
        given = given_plugin_arguments(plugin, arguments.rest, held.name)
        plugin_arguments = {**_still(held.options.get("arguments", {}), given, plugin.opposites), **given}
        options = plugin.options(_with_defaults(plugin, plugin_arguments))
        remote = remote_of(arguments, _url_again(plugin, held, options), password)
        _require_folder(remote)
        return _request(arguments, plugin, plugin_arguments, held.name, remote, options, held.options)

    return make


def _url_again(plugin: Plugin, held: Repository, options: dict[str, Any]) -> str:
    """Where it is remembered to be; where its options named that, what they name now."""
    from mpsync.model.remote import Remote

    before = plugin.url_of(held.options["plugin"]) if held.options.get("plugin") else None
    is_of_options = before is not None and Remote(before).url == held.url
    return (plugin.url_of(options) if is_of_options else None) or held.url or ""


def _still(remembered: dict[str, Any], given: dict[str, Any], opposites: tuple[tuple[str, str], ...]) -> dict[str, Any]:
    """What is remembered, but for what an opposite that is given now takes back: --no-verify a --keyring."""
    gone = {other for pair in opposites for one, other in (pair, pair[::-1]) if given.get(one)}
    return {name: value for name, value in remembered.items() if name not in gone}


def _with_defaults(plugin: Plugin, plugin_arguments: dict[str, Any]) -> argparse.Namespace:
    """Options that the plugin has got since the repository was made have their defaults."""
    parser = argparse.ArgumentParser(add_help=False)
    plugin.add_arguments(parser)
    return argparse.Namespace(**{**vars(parser.parse_args([])), **plugin_arguments})


def _request(
    arguments: argparse.Namespace,
    plugin: Plugin,
    plugin_arguments: dict[str, Any],
    name: str,
    remote: Remote,
    options: dict[str, Any],
    remembered: dict[str, Any],
) -> Request:
    from mpsync.request import Request

    mirror = arguments.mirror if arguments.mirror is not None else remembered.get("mirror", True)
    plugin.check(options, mirror=mirror)
    skips = arguments.skip_failed if arguments.skip_failed is not None else remembered.get("on_failure") == "skip"
    return Request(
        name=name,
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


def _default_name(plugin: Plugin, remote: Remote, options: dict[str, Any]) -> str:
    """What the plugin suggests, as a word; a query may hold an access token, and is no part of a name."""
    made = plugin.default_name(remote.url.partition("?")[0], options)
    return re.sub(r"[^A-Za-z0-9._+~:@-]+", "-", made).strip("-") or plugin.name


def remote_of(arguments: argparse.Namespace, url: str, password: str | None = None) -> Remote:
    """The upstream with the credentials given now; none of them is stored. Raises ConfigError."""
    from mpsync.model.remote import Remote

    if "://" not in url and Path(url).exists():
        raise ConfigError(f"{url} is a path: write file://{Path(url).absolute()}")
    in_url = Remote(url)
    username = arguments.username or in_url.username or os.environ.get("MPSYNC_USERNAME")
    if password is None:
        password = _password(arguments)
    if username is not None and username == in_url.username and in_url.password:
        password = in_url.password
    if username is None and arguments.password_file is not None:
        raise ConfigError("--password-file needs --username")
    return Remote(
        in_url.url,
        username=username,
        password=password,
        ca_file=arguments.ca_file,
        client_cert=arguments.client_cert,
        client_key=arguments.client_key,
        proxy=arguments.proxy,
        headers=headers_of(arguments.header or ()),
    )


def _require_folder(remote: Remote) -> None:
    """A file:// upstream that isn't there: not mounted, mostly. Raises NotFound."""
    if remote.is_local and not Path(remote.directory).exists():
        from mpsync.fetch.errors import NotFound

        raise NotFound(remote.url, "no such file or directory")


def _password(arguments: argparse.Namespace) -> str | None:
    if arguments.password_file is None:
        return os.environ.get("MPSYNC_PASSWORD")
    try:
        return str(arguments.password_file.read_text()).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"--password-file {arguments.password_file}: {exc}") from exc
