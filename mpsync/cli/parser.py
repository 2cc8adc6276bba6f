"""The command line: verbs, common options, and the options that a plugin adds to ``sync``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from mpsync import __version__
from mpsync.errors import ConfigError

EPILOG = "exit codes: 0 done, changed or not; 1 failed; 2 usage; 130 interrupted; 143 terminated"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~:/@-]*")


class Parser(argparse.ArgumentParser):
    """argparse that raises UsageError in place of exiting, so that --json gets its document."""

    def error(self, message: str) -> NoReturn:
        from mpsync.cli.failure import UsageError
        from mpsync.fetch.reach import shown

        # argparse quotes what it doesn't understand, and a URL may hold a password.
        raise UsageError(re.sub(r"\w+://\S+", lambda url: shown(url[0]), message), self.format_usage())


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """The command line as a namespace; ``run`` in it is the verb's function. Raises ConfigError."""
    parser = _parser()
    if not argv or argv[0] != "sync":
        return parser.parse_args(argv)
    if len(argv) > 1 and argv[1] in ("-h", "--help"):
        return parser.parse_args(argv)
    if len(argv) < 2 or argv[1].startswith("-"):  # else the value of a plugin's option would pass for the name
        parser.error("say what to sync first: mpsync sync NAME [options], or mpsync sync PLUGIN URL [options]")
    plugin = _plugin_named(argv[1])
    if plugin is not None:
        return _parse_new_sync(argv, plugin)
    arguments, rest = parser.parse_known_args(argv)
    if rest:
        _check_some_plugin_takes(rest, arguments.name)
    arguments.rest, arguments.plugin = rest, None
    check(arguments)
    return arguments


def _check_some_plugin_takes(rest: Sequence[str], name: str) -> None:
    """Which plugin it is, only the database knows; options that none has are told before one is started."""
    from mpsync.cli.failure import UsageError
    from mpsync.plugin import registry

    errors = []
    for plugin in registry.names():
        try:
            given_plugin_arguments(registry.load(plugin), rest, name)
            return
        except UsageError as error:
            errors.append(error)
    if errors:
        raise errors[0]


def check(arguments: argparse.Namespace) -> None:
    """Contradictions and impossible values that argparse can't see. Raises ConfigError, before anything is started."""
    if arguments.client_key and not arguments.client_cert:
        raise ConfigError("--client-key needs --client-cert")
    for name in ("ca_file", "client_cert", "client_key"):
        file = getattr(arguments, name)
        if file is not None and not Path(file).is_file():
            raise ConfigError(f"--{name.replace('_', '-')} {file} is not a file")


def _plugin_named(word: str) -> Any:
    from mpsync.plugin import registry

    return registry.load(word) if word in registry.names() else None


def _parse_new_sync(argv: Sequence[str], plugin: Any) -> argparse.Namespace:
    """``sync PLUGIN URL …``: the plugin's own options are known before anything else."""
    from mpsync.plugin.repository import Plugin

    own = Parser(
        prog=f"mpsync sync {plugin.name}",
        description=f"Sync a {plugin.name} repository.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    help_text = "http://, https:// or file:// address of the repository's root"
    needs_url = type(plugin).url_of is Plugin.url_of
    own.add_argument("url", metavar="URL", nargs=None if needs_url else "?", help=help_text)
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
    check(arguments)
    _check_name(arguments.name)
    options = plugin.options(argparse.Namespace(**arguments.plugin_arguments))
    plugin.check(options, mirror=arguments.mirror is not False)
    arguments.url = arguments.url or plugin.url_of(options)
    if arguments.url is None:
        own.error("the following arguments are required: URL")
    return arguments


def _check_name(name: str | None) -> None:
    from mpsync.plugin import registry

    if name is None:
        return
    if name in registry.names():
        raise ConfigError(f"--name {name}: is the name of a plugin, which is what sync {name} would mean")
    if not _NAME.fullmatch(name):
        raise ConfigError(f"--name {name!r}: use letters, digits and ._+~:/@-, and begin with a letter or digit")


def given_plugin_arguments(plugin: Any, rest: Sequence[str], name: str) -> dict[str, Any]:
    """The plugin's options that stand in ``rest``, and only those: they override what is remembered of ``name``.

    What is remembered can be taken back: every switch has an opposite here, ``--no-source`` or ``--verify``.
    """
    parser = Parser(prog=f"mpsync sync {name}", argument_default=argparse.SUPPRESS, epilog=EPILOG, allow_abbrev=False)
    plugin.add_arguments(parser)
    for action in list(parser._actions):
        if action.nargs == 0 and action.const is True:
            word = action.option_strings[-1].removeprefix("--")
            opposite = word.removeprefix("no-") if word.startswith("no-") else f"no-{word}"
            parser.add_argument(f"--{opposite}", dest=action.dest, action="store_false", default=argparse.SUPPRESS)
    return vars(parser.parse_args(list(rest)))


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
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
    fetch.add_argument("--skip-failed", action="store_true", help="report files that can't be had, instead of failing")
    _add_credentials(fetch)
    delete = verb("delete", "delete_verb", "delete a repository and its versions")
    delete.add_argument("name", metavar="NAME")
    delete.add_argument(
        "--artifacts", action="store_true", help="remove its files too, as far as no other repository has them"
    )
    delete.add_argument("--wait", action="store_true", help="wait for a sync that is running, instead of failing")
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("where and how").add_argument
    add(
        "--data-dir",
        metavar="DIR",
        help="database and artifacts (default: MPSYNC_DATA_DIR, or the platform's data folder)",
    )
    add("--database", metavar="URL", help="a postgresql:// server instead of the embedded one (MPSYNC_DATABASE)")
    add(
        "--workers",
        type=int,
        metavar="N",
        help="child processes; 0: everything in this one (default: as work asks for them, at most one a core)",
    )
    add("--loop", choices=("uvloop", "asyncio"), help="event loop (default uvloop)")
    add("--json", action="store_true", help="print one JSON document on stdout")
    progress = parser._action_groups[-1].add_mutually_exclusive_group()
    progress.add_argument("--events", action="store_true", help="write progress as JSON lines to stderr")
    progress.add_argument("--quiet", action="store_true", help="no progress")
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
        action=argparse.BooleanOptionalAction,
        default=None,
        help="leave out and report what is broken, instead of failing",
    )
    add("--force", action="store_true", help="parse everything again, whatever is held")
    add("--wait", action="store_true", help="wait for another sync of the same repository, instead of failing")
    _add_credentials(parser)


def _add_credentials(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group("access; never stored").add_argument
    add("--username", help="for basic authentication (or MPSYNC_USERNAME, or USER:PASSWORD@ in the URL)")
    add("--password-file", type=Path, metavar="FILE", help="holds the password (or MPSYNC_PASSWORD)")
    add("--ca-file", metavar="FILE", help="PEM; trusted instead of the system's authorities")
    add("--client-cert", metavar="FILE", help="PEM")
    add("--client-key", metavar="FILE", help="PEM")
    add("--proxy", metavar="URL", help="instead of http_proxy and https_proxy")
    add(
        "--header",
        action="append",
        metavar="NAME:VALUE",
        help="sent to the URL's own host; @FILE reads them from a file, one a line, so that no process list shows them",
    )


def _add_selection(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kind", help="e.g. package, or deb.package")
    parser.add_argument("--name", dest="glob", metavar="GLOB", help="names, e.g. 'lib*'")


def _verb(module: str, function: str = "sync") -> Any:
    """A verb's function, imported when it is run."""

    def run(arguments: argparse.Namespace) -> Any:
        return getattr(import_module(f"mpsync.cli.{module}"), f"run_{function}")(arguments)

    return run
