"""The command line: verbs, common options, and the options that a plugin adds to ``sync``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from mpsync import __version__

EPILOG = "exit codes: 0 done, changed or not; 1 failed; 2 usage; 130 interrupted; 143 terminated"


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; ``run`` in it is the verb's function. Exits with 2 on a usage error."""
    parser = _parser()
    if len(argv) >= 2 and argv[0] == "sync" and not argv[1].startswith("-"):
        plugin = _plugin_named(argv[1])
        if plugin is not None:
            return _parse_new_sync(parser, argv, plugin)
        arguments, rest = parser.parse_known_args(argv)
        arguments.rest, arguments.plugin = rest, None
        return arguments
    return parser.parse_args(argv)


def _plugin_named(word: str) -> Any:
    from mpsync.plugin import registry

    return registry.load(word) if word in registry.names() else None


def _parse_new_sync(parser: argparse.ArgumentParser, argv: Sequence[str], plugin: Any) -> argparse.Namespace:
    """``sync PLUGIN URL …``: the plugin's own options are known before anything else."""
    own = argparse.ArgumentParser(
        prog=f"mpsync sync {plugin.name}",
        description=f"Sync a {plugin.name} repository.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    own.add_argument("url", metavar="URL", help="http://, https:// or file:// address of the repository's root")
    own.add_argument("--name", help="name of the repository here (default: made of the URL and the selection)")
    group = own.add_argument_group(f"what of the repository ({plugin.name})")
    plugin.add_arguments(group)
    known = {action.dest for action in group._group_actions}
    _add_sync_options(own)
    _add_common(own)
    arguments = own.parse_args(list(argv[2:]))
    arguments.plugin = plugin
    arguments.plugin_arguments = {name: value for name, value in vars(arguments).items() if name in known}
    arguments.run = _verb("sync_verb")
    arguments.verb = "sync"
    return arguments


def given_plugin_arguments(plugin: Any, rest: Sequence[str], name: str) -> dict[str, Any]:
    """The plugin's options that stand in ``rest``, and only those: they override what is remembered of ``name``."""
    parser = argparse.ArgumentParser(
        prog=f"mpsync sync {name}", argument_default=argparse.SUPPRESS, epilog=EPILOG, allow_abbrev=False
    )
    plugin.add_arguments(parser)
    return vars(parser.parse_args(list(rest)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="mpsync", description="Sync huge Debian and RPM repositories.", epilog=EPILOG, allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"mpsync {__version__}")
    verbs = parser.add_subparsers(metavar="VERB", required=True, dest="verb")

    def verb(name: str, module: str, help_text: str) -> argparse.ArgumentParser:
        made = verbs.add_parser(name, help=help_text, description=help_text, epilog=EPILOG, allow_abbrev=False)
        made.set_defaults(run=_verb(module, name))
        _add_common(made)
        return made

    sync = verb("sync", "sync_verb", "sync PLUGIN URL: a new repository; sync NAME: a known one, everything remembered")
    sync.add_argument("name", metavar="NAME", help="a known repository; or the name of a plugin, then its URL")
    _add_sync_options(sync)
    verb("list", "inspect", "list the repositories")
    for name, help_text in (
        ("show", "show one repository: upstream, options, newest version"),
        ("versions", "list the versions of a repository"),
        ("content", "list the units of a repository"),
        ("diff", "list what differs between two versions"),
    ):
        made = verb(name, "inspect", help_text)
        made.add_argument("name", metavar="NAME")
        if name == "content":
            _add_selection(made)
            made.add_argument("--version", type=int, metavar="N", help="a version (default: the newest)")
        if name == "diff":
            made.add_argument("old", type=int, metavar="OLD")
            made.add_argument("new", type=int, metavar="NEW")
    fetch = verb("fetch", "fetch_verb", "download what on-demand deferred")
    fetch.add_argument("name", metavar="NAME")
    _add_selection(fetch)
    _add_credentials(fetch)
    delete = verb("delete", "delete_verb", "delete a repository and its versions")
    delete.add_argument("name", metavar="NAME")
    delete.add_argument(
        "--artifacts", action="store_true", help="remove its files too, as far as no other repository has them"
    )
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("where and how").add_argument
    add(
        "--data-dir",
        metavar="DIR",
        help="database and artifacts (default: MPSYNC_DATA_DIR, or the platform's data folder)",
    )
    add("--database", metavar="URL", help="a postgresql:// server instead of the embedded one (MPSYNC_DATABASE)")
    add("--workers", type=int, metavar="N", help="child processes; 0: everything in this one (default 1)")
    add("--loop", choices=("uvloop", "asyncio"), help="event loop (default uvloop)")
    add("--json", action="store_true", help="print one JSON document on stdout")
    add("--events", action="store_true", help="write progress as JSON lines to stderr")
    add("--quiet", action="store_true", help="no progress")
    add("--debug", action="store_true", help="tracebacks")


def _add_sync_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how to sync")
    add = group.add_argument
    add(
        "--policy",
        choices=("on_demand", "immediate", "streamed"),
        help="when packages are downloaded (default on_demand)",
    )
    mode = group.add_mutually_exclusive_group()
    mode.add_argument("--mirror", action="store_true", default=None, help="the new version equals upstream (default)")
    mode.add_argument(
        "--additive", dest="mirror", action="store_false", help="the new version keeps what upstream removed"
    )
    add(
        "--skip-failed",
        action="store_true",
        default=None,
        help="leave out and report what is broken, instead of failing",
    )
    add("--force", action="store_true", help="parse everything again, whatever is held")
    add("--wait", action="store_true", help="wait for another sync of the same repository, instead of failing")
    _add_credentials(parser)


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("access; never stored").add_argument
    add("--username", help="for basic authentication; also as USER:PASSWORD@ in the URL")
    add("--password-file", type=Path, metavar="FILE", help="holds the password (or MPSYNC_PASSWORD)")
    add("--ca-file", metavar="FILE", help="PEM; trusted instead of the system's authorities")
    add("--client-cert", metavar="FILE", help="PEM")
    add("--client-key", metavar="FILE", help="PEM")
    add("--proxy", metavar="URL", help="instead of http_proxy and https_proxy")


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", help="e.g. package, or deb.package")
    parser.add_argument("--name", dest="glob", metavar="GLOB", help="names, e.g. 'lib*'")


def _verb(module: str, function: str = "sync") -> Any:
    """A verb's function, imported when it is run."""

    def run(arguments: argparse.Namespace) -> Any:
        return getattr(import_module(f"mpsync.cli.{module}"), f"run_{function}")(arguments)

    return run
