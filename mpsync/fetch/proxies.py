"""Which proxy leads to a URL, and with which credentials."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Any

from mpsync.errors import ConfigError
from mpsync.fetch.reach import Place, Zone, credentials, place, shown, zone
from mpsync.model.remote import Remote


@dataclass(frozen=True, slots=True)
class Proxy:
    """``url`` without credentials; host: ``name:port``; ``authorization`` for the Proxy-Authorization header."""

    url: str
    host: str
    authorization: str | None = field(default=None, repr=False)


def proxy_for(remote: Remote, target: Place) -> Proxy | None:
    """The proxy towards ``target``. Raises ConfigError for SOCKS and malformed ones.

    ``remote.proxy`` decides; without it http_proxy, https_proxy, all_proxy and no_proxy do, but never for this machine
    itself: the proxy's loopback is not ours.
    """
    if remote.proxy is not None:
        return _parse(remote.proxy) if remote.proxy else None
    import urllib.request  # only once HTTP is used: 10 ms

    found = urllib.request.getproxies_environment()
    url = found.get(target.scheme) or found.get("all")
    if not url or _is_this_machine(target.host):
        return None
    # Any: typeshed does not know the function, which reads no_proxy from a given mapping.
    bypass: Any = urllib.request.proxy_bypass_environment  # type: ignore[attr-defined]
    if bypass(target.host, found):
        return None
    return _parse(url)


def basic(username: str, password: str) -> str:
    """The value of an Authorization header. Source RFC 7617."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def _parse(url: str) -> Proxy:
    target = place(url if "://" in url else "http://" + url)
    if target is None:
        scheme, separator, rest = url.rpartition("://")
        address = rest.rpartition("@")[2]  # a "/" in a password would end the host, and "shown" too early
        raise ConfigError(
            f"proxy {shown(scheme + separator + address)}: use http:// or https:// "
            "(SOCKS needs a local HTTP proxy in front of it)"
        )
    authorization = basic(*credentials(target.userinfo)) if target.userinfo else None
    return Proxy(target.origin, target.netloc, authorization)


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or zone(host) is Zone.LOOPBACK
    except ValueError:
        return False
