"""Which URLs a remote may lead to: the guard against redirects and absolute hrefs into somebody's inner network.

Pure: no I/O. Names are judged by the addresses they resolve to, at the moment of connecting (session's resolver), for a
name proves nothing.
Source  CVE-2019-3462 (redirects), mirror-failures B10, H11, H14
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from enum import IntEnum
from urllib.parse import quote, unquote, urljoin

from mpsync.fetch.errors import BadRedirect, ForbiddenUrl
from mpsync.model.remote import Remote

# Strict on purpose: what this accepts, every URL parser reads in the same way.
_URL = re.compile(
    r"(?P<scheme>https?)://(?:(?P<userinfo>[^/?#]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._~\-]+)(?::(?P<port>[0-9]{1,5}))?(?P<rest>(?:[/?#].*)?)",
    re.ASCII,
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f\\]|%0[aAdD]|%00")
_ILLEGAL = re.compile(r"[^\x21-\x7e]|[\"<>^`{|}]")
_PLAIN = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]*")  # most URLs, in one look
_PORTS = {"http": 80, "https": 443}


class Zone(IntEnum):
    """Where an address is."""

    PUBLIC = 0
    PRIVATE = 1
    LOOPBACK = 2
    LINK_LOCAL = 3  # 169.254.169.254 and its like hand out a cloud machine's credentials


@dataclass(frozen=True, slots=True)
class Place:
    """An http(s) URL taken apart: ``url`` is without credentials; origin is ``scheme://host:port``."""

    url: str
    scheme: str
    host: str
    port: int
    userinfo: str | None

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.netloc}"

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def place(url: str) -> Place | None:
    """Take an http(s) URL apart; None when it is not a well-formed one."""
    found = _URL.fullmatch(url)
    if found is None or not is_clean(url):
        return None
    scheme, host = found["scheme"], found["host"].lower().strip("[]")
    port = int(found["port"]) if found["port"] else _PORTS[scheme]
    if port > 65535:
        return None
    netloc = found["host"] + (f":{found['port']}" if found["port"] else "")
    rest = found["rest"].partition("#")[0]
    clean = f"{scheme}://{netloc}{rest if rest.startswith('/') else '/' + rest}"
    return Place(clean, scheme, host, port, found["userinfo"])


def is_clean(url: str) -> bool:
    """Whether every character of it may stand in a URL."""
    return bool(_PLAIN.fullmatch(url)) or not (_CONTROLS.search(url) or _ILLEGAL.search(url))


def shown(url: str) -> str:
    """The URL as it may be printed: no credentials, and no query, since many of them are access tokens."""
    bare, question, _ = url.partition("?")
    scheme, separator, rest = bare.partition("://")
    netloc, slash, path = rest.partition("/")
    clean = f"{scheme}{separator}{netloc.rpartition('@')[2]}{slash}{path}" + ("?…" if question else "")
    return "".join(char if char.isprintable() else "�" for char in clean[:2000])


def zone(address: str) -> Zone:
    """Where an IP address is. Raises ValueError for what is none."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in _NAT64:
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return zone(str(inner))
    if ip.is_link_local or ip in _METADATA:
        return Zone.LINK_LOCAL
    if ip.is_loopback or ip.is_unspecified:
        return Zone.LOOPBACK
    return Zone.PUBLIC if ip.is_global and not ip.is_multicast else Zone.PRIVATE


_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_METADATA = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "168.63.129.16", "100.100.100.200")))


class Reach:
    """The places one remote may lead to."""

    def __init__(self, remote: Remote) -> None:
        self._base = place(remote.url)
        self._named = {host.lower() for host in remote.allowed_hosts}
        self._own: set[str] = set()
        self._listed: set[str] = set()
        self._allow_downgrade = remote.allow_downgrade
        self._base_zones: set[Zone] = set()
        self._list_zones: set[Zone] = set()
        if self._base is not None and (there := _literal(self._base.host)) is not None:
            self._base_zones.add(there)

    def is_base(self, target: Place) -> bool:
        """Whether credentials, headers and the client certificate go there: the base URL's own origin.

        Its upgrade to https on the same name and the usual ports counts as the same.
        """
        base = self._base
        if base is None or base.host != target.host:
            return False
        return base.origin == target.origin or (base.port, target.port, target.scheme) == (80, 443, "https")

    @property
    def base_host(self) -> str | None:
        """The base URL's host name."""
        return self._base.host if self._base is not None else None

    @property
    def knows_base(self) -> bool:
        """Whether it is known where the base URL is, or there is nothing to know."""
        return self._base is None or bool(self._base_zones)

    def name(self, host: str) -> None:
        """The user named this host elsewhere: it is the proxy."""
        self._named.add(host.lower())

    def name_url(self, url: str) -> None:
        """The user named this URL beside the base URL: a list of mirrors. Where it is, its mirrors may be too."""
        spot = place(url)
        if spot is not None:
            self._own.add(spot.netloc)
            self._listed.add(spot.origin)
            if (there := _literal(spot.host)) is not None:
                self._list_zones.add(there)

    def add_mirror(self, url: str, *, is_named: bool = False) -> None:
        """A list of the user's names this mirror: it may lack TLS, for what is proved elsewhere.

        is_named  by the user himself, in a file on this machine: then it may be anywhere
        """
        spot = place(url)
        if spot is not None:
            self._listed.add(spot.origin)
            if is_named:
                self.name(f"[{spot.host}]:{spot.port}" if ":" in spot.host else f"{spot.host}:{spot.port}")

    def is_own(self, host: str, port: int) -> bool:
        """Whether a URL that the user named beside the base URL is there."""
        return Place("", "", host.lower(), port, None).netloc in self._own

    def is_named(self, target: Place) -> bool:
        """The user named this host."""
        host = f"[{target.host}]" if ":" in target.host else target.host
        return (
            (self._base is not None and self._base.host == target.host)
            or target.netloc in self._own
            or host in self._named
            or f"{host}:{target.port}" in self._named
        )

    def check(self, target: Place) -> None:
        """Raises ForbiddenUrl for a downgrade, or an address literal of a place we must not go to."""
        is_downgrade = target.scheme == "http" and self._base is not None and self._base.scheme == "https"
        if is_downgrade and not self._allow_downgrade and target.origin not in self._listed:
            raise ForbiddenUrl(shown(target.url), "from https to http is not allowed (allow_downgrade)")
        there = None if self.is_named(target) else _literal(target.host)
        if there is not None and not self._allows(there, target.netloc):
            raise ForbiddenUrl(shown(target.url), f"{target.host} is a {_words(there)} address (allowed_hosts)")

    def note_base_address(self, address: str) -> None:
        """The base URL's name resolved to this address."""
        self._base_zones.add(zone(address))

    def note_list_address(self, address: str) -> None:
        """The name of a list of mirrors resolved to this address."""
        self._list_zones.add(zone(address))

    def allows_address(self, host: str, port: int, address: str) -> bool:
        """Whether ``host``, which resolved to ``address``, may be connected to."""
        target = Place("", "", host.lower(), port, None)
        return self.is_named(target) or self._allows(zone(address), target.netloc)

    def _allows(self, there: Zone, netloc: str) -> bool:
        if there is Zone.PUBLIC:
            return True
        if there is Zone.LINK_LOCAL:
            return False
        # From a private network one may stay in it; only a base on this very machine leads to this machine.
        is_listed = not self._listed.isdisjoint((f"http://{netloc}", f"https://{netloc}"))
        zones = self._base_zones | self._list_zones if is_listed else self._base_zones
        return any(there <= base < Zone.LINK_LOCAL for base in zones)

    def redirected(self, source: Place, location: str | None) -> Place:
        """Where a redirect leads. Raises BadRedirect."""
        if not location:
            raise BadRedirect(shown(source.url), "nowhere", "no Location")
        if _CONTROLS.search(location):
            raise BadRedirect(shown(source.url), shown(location), "it holds control characters or a backslash")
        location = _ILLEGAL.sub(lambda found: quote(found[0], errors="surrogateescape"), location)
        try:
            target = place(urljoin(source.url, location))
        except ValueError:  # unbalanced brackets
            target = None
        if target is None:
            raise BadRedirect(shown(source.url), shown(location), "not an http or https URL")
        if target.userinfo is not None:
            raise BadRedirect(shown(source.url), shown(location), "it holds credentials")
        if source.scheme == "https" and target.scheme == "http" and not self._allow_downgrade:
            raise BadRedirect(shown(source.url), shown(location), "from https to http (allow_downgrade)")
        try:
            self.check(target)
        except ForbiddenUrl as error:
            raise BadRedirect(shown(source.url), shown(location), error.problem) from None
        return target


def credentials(userinfo: str) -> tuple[str, str]:
    """``user:password``, percent-decoded."""
    username, _, password = userinfo.partition(":")
    return unquote(username), unquote(password)


def _literal(host: str) -> Zone | None:
    try:
        return zone(host)
    except ValueError:
        return None


def _words(there: Zone) -> str:
    return there.name.lower().replace("_", "-")
