"""Which proxy the environment names for a URL, as obstore reads it for its own requests."""

from __future__ import annotations

from base64 import b64encode
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import getproxies_environment

from msgspec import Struct

from holdall.core.errors import InvalidConfig


class Proxy(Struct, frozen=True):
    """A proxy.

    Args:
        url: Its address, without who asks.
        login: Name and password with a colon between; None where it wants none.
    """

    url: str
    login: str | None = None

    def __repr__(self) -> str:
        return f"Proxy({self.url!r})"

    def headers(self) -> dict[str, str]:
        """What tells the proxy who asks."""
        if self.login is None:
            return {}
        return {"proxy-authorization": f"Basic {b64encode(self.login.encode()).decode()}"}


def proxy_of(url: str) -> Proxy | None:
    """The proxy for a URL by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; None for none.

    Raises:
        InvalidConfig: It is of a kind that nothing here speaks, or has no address.
    """
    parts = urlsplit(url)
    named = getproxies_environment()
    text = named.get(parts.scheme) or named.get("all")
    if not text or _passed_by(parts.hostname or "", named.get("no", "")):
        return None
    proxy = _address(text if "://" in text else f"http://{text}")
    if proxy is None:
        raise InvalidConfig(
            "the environment names a proxy whose address cannot be read: mend HTTP_PROXY, "
            "HTTPS_PROXY or ALL_PROXY"
        )
    if proxy.scheme not in {"http", "https"}:
        raise InvalidConfig(
            f"the environment names a proxy of {proxy.scheme}://, and only http:// and https:// "
            "work here: mend HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, or name the host in NO_PROXY"
        )
    host = proxy.netloc.rpartition("@")[2]
    login = None
    if proxy.username is not None:
        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    return Proxy(f"{proxy.scheme}://{host}", login)


def _address(text: str) -> SplitResult | None:
    try:
        proxy = urlsplit(text)
        found = bool(proxy.hostname) and proxy.port != 0
    except ValueError:  # which may quote it, and its password
        return None
    return proxy if found else None


def _passed_by(host: str, exceptions: str) -> bool:
    """Whether a host is one of those, or in a domain of those; an address, in a network."""
    entries = [entry.strip().lower().removeprefix(".") for entry in exceptions.split(",")]
    try:
        address = ip_address(host)
    except ValueError:
        return any(entry in {"*", host} or host.endswith(f".{entry}") for entry in entries if entry)
    return any(_within(address, entry) for entry in entries)


def _within(address: IPv4Address | IPv6Address, network: str) -> bool:
    try:
        return address in ip_network(network, strict=False)
    except ValueError:
        return False
