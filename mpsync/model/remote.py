"""A Remote: where a repository comes from, and with which credentials, certificates and limits.

A plain value: it crosses processes and may be printed, for secrets are not in its repr and never in ``url``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from mpsync.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_SAFE = "-._~!$&'()*+,;=:@/"
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:/")
_ILLEGAL_IN_URL = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Remote:
    """The base URL of an upstream and how to talk to it. Raises ConfigError.

    url           http, https or file; credentials in it move to username and password; a query (such as an access
                  token) is kept behind every path, as libzypp and dnf do
    headers       sent to the base URL's origin only
    ca_file       PEM; trusted instead of the system's authorities
    client_cert, client_key   PEM; shown to the base URL's origin only
    proxy         http:// or https:// URL; None: what ``http_proxy``, ``https_proxy`` and ``no_proxy`` say; "": none
    allowed_hosts hosts (``name`` or ``name:port``) that a redirect or an absolute URL may lead to, wherever they are.
                  Without it: the base URL's host, public addresses, and private or loopback ones if the base is there
    allow_downgrade   follow from https to http
    encode_plus   send ``+`` as %2B, as S3-like servers want
    """

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    tls_verify: bool = True
    proxy: str | None = field(default=None, repr=False)
    allowed_hosts: tuple[str, ...] = ()
    allow_downgrade: bool = False
    encode_plus: bool = False

    def __post_init__(self) -> None:
        if _CONTROLS.search(self.url):
            raise ConfigError("the URL holds control characters")
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise ConfigError(f"the URL is malformed: {error}") from None
        if parts.scheme not in ("http", "https", "file"):
            raise ConfigError(f"{parts.scheme or 'a URL without a scheme'}: use http://, https:// or file://")
        if parts.scheme == "file":
            if parts.netloc not in ("", "localhost"):
                raise ConfigError(f"file://{parts.netloc}/…: use file:///path")
            object.__setattr__(self, "url", "file://" + parts.path)
        else:
            self._split_credentials(parts.netloc)
            object.__setattr__(self, "url", _checked(self.url))
        for name, value in self.headers.items():
            if _CONTROLS.search(name) or _CONTROLS.search(value):
                raise ConfigError(f"header {name!r} holds control characters")

    def _split_credentials(self, netloc: str) -> None:
        userinfo, at, _ = netloc.rpartition("@")
        if at:
            username, _, password = userinfo.partition(":")
            if self.username is None:
                object.__setattr__(self, "username", unquote(username))
                object.__setattr__(self, "password", unquote(password))
            object.__setattr__(self, "url", self.url.replace(userinfo + "@", "", 1))

    @property
    def is_local(self) -> bool:
        """The base URL is a file:// one."""
        return self.url.startswith("file:")

    @property
    def directory(self) -> str:
        """The folder of a file:// base URL; nothing outside of it is read."""
        return unquote(self.url.removeprefix("file://"), errors="surrogateescape") or "/"

    def join(self, relative_path: str) -> str:
        """The URL of ``relative_path``: a checked path as metadata writes it, not percent-encoded.

        ``+``, ``~`` and ``:`` stay as they are; ``%``, ``#``, ``?``, ``^``, space and whatever is not ASCII (as UTF-8,
        undecodable bytes as they were) become %XX.
        """
        path = relative_path
        if not _PLAIN.fullmatch(path):
            path = quote(path, safe=_SAFE, errors="surrogateescape")
        if self.encode_plus:
            path = path.replace("+", "%2B")
        base, question, query = self.url.partition("?")
        return f"{base}{'' if base.endswith('/') else '/'}{path}{question}{query}"

    def absolute(self, urls: Iterable[str]) -> tuple[str, ...]:
        """Each as a URL: a relative path is joined; an absolute URL keeps its escapes, and gets those it lacks."""
        return tuple(
            _ILLEGAL_IN_URL.sub(lambda found: quote(found[0], errors="surrogateescape"), url)
            if _ABSOLUTE.match(url)
            else self.join(url)
            for url in urls
        )


def _checked(url: str) -> str:
    """The URL with an ASCII host, legal characters and without a fragment. Raises ConfigError."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        host = host if host.isascii() else host.encode("idna").decode()
    except (ValueError, UnicodeError):  # its text may quote a part of a password that holds a "/", which ends the host
        raise ConfigError(
            "the URL is malformed: its host or port is none; write special characters of a password as %XX"
        ) from None
    if not host:
        raise ConfigError("the URL names no host")
    netloc = (f"[{host}]" if ":" in host else host) + (f":{port}" if port is not None else "")
    legal = urlunsplit((parts.scheme, netloc, parts.path or "/", parts.query, ""))
    return _ILLEGAL_IN_URL.sub(lambda found: quote(found[0]), legal)
