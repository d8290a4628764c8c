"""Who failed too often waits: a name from an address, and not that name from elsewhere.

The first failures cost nothing; from then on each doubles a pause, up to half a minute. A name is
never blocked as such, so that nobody can lock its owner out from another address, and beginning a
handshake is no failure.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from typing import Final

from msgspec import Struct

FREE: Final = 5
"""Failures that cost nothing."""
LONGEST: Final = 30.0
"""Seconds that the longest pause takes."""
_FORGOTTEN: Final = 900.0
_MOST: Final = 10_000


class _Failures(Struct):
    count: int
    last: float


class Throttle:
    """Failures by name and address, those of the last quarter of an hour.

    Where there are too many, those with the fewest go: made-up names must not make a server forget.
    """

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], _Failures] = OrderedDict()

    def pause(self, name: str, address: str) -> float:
        """How many seconds a name at an address has to wait before its next try; 0 for none."""
        known = self._failures.get((name, network(address)))
        if known is None or known.count < FREE:
            return 0.0
        pause = min(LONGEST, 2.0 ** min(known.count - FREE, 10))
        return max(0.0, known.last + pause - time.monotonic())

    def failed(self, name: str, address: str) -> None:
        """Note that a try went wrong."""
        key, now = (name, network(address)), time.monotonic()
        known = self._failures.pop(key, None)
        if known is None or known.last + _FORGOTTEN < now:
            known = _Failures(0, now)
        known.count, known.last = known.count + 1, now
        if len(self._failures) >= _MOST:
            self._make_room(now)
        self._failures[key] = known

    def succeeded(self, name: str, address: str) -> None:
        """Forget what a name at an address did wrong."""
        self._failures.pop((name, network(address)), None)

    def _make_room(self, now: float) -> None:
        gone = next(iter(self._failures))  # that which failed last the longest ago
        if self._failures[gone].last + _FORGOTTEN >= now:
            gone = min(self._failures, key=lambda key: self._failures[key].count)
        del self._failures[gone]


def network(address: str) -> str:
    """What counts as one address: for IPv6 its network of 64 bits, which one customer has."""
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if ip.version == 6:
        mapped = ip.ipv4_mapped
        return str(mapped) if mapped else str(ipaddress.ip_network((int(ip), 64), strict=False))
    return address
