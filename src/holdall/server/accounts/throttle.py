"""Who failed too often waits: a name from an address, and not that name from elsewhere.

The first failures cost nothing; from then on each doubles a pause, up to half a minute. A name is
never blocked as such, so that nobody can lock its owner out from another address, and beginning a
handshake is no failure.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from typing import Final, TypeAlias

from msgspec import Struct

FREE: Final = 5
"""Failures that cost nothing."""
LONGEST: Final = 30.0
"""Seconds that the longest pause takes."""
_FORGOTTEN: Final = 900.0
_MOST: Final = 10_000
_Key: TypeAlias = tuple[str, str]


class _Failures(Struct):
    count: int
    last: float


class Throttle:
    """Failures by name and address, those of the last quarter of an hour.

    Where there are too many, those with the fewest go: made-up names must not make a server forget.
    """

    def __init__(self) -> None:
        self._failures: dict[_Key, _Failures] = {}
        # Those who failed once, twice and so on, and so often that they wait; the oldest first.
        self._ranks: tuple[OrderedDict[_Key, None], ...] = tuple(OrderedDict() for _ in range(FREE))

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
        known = self._take(key)
        if known is None or known.last + _FORGOTTEN < now:
            known = _Failures(0, now)
        known.count, known.last = known.count + 1, now
        if len(self._failures) >= _MOST:
            self._make_room(now)
        self._failures[key] = known
        self._rank(known)[key] = None

    def succeeded(self, name: str, address: str) -> None:
        """Forget what a name at an address did wrong."""
        self._take((name, network(address)))

    def _rank(self, known: _Failures) -> OrderedDict[_Key, None]:
        return self._ranks[min(known.count, FREE) - 1]

    def _take(self, key: _Key) -> _Failures | None:
        known = self._failures.pop(key, None)
        if known is not None:
            del self._rank(known)[key]
        return known

    def _make_room(self, now: float) -> None:
        first = [next(iter(keys)) for keys in self._ranks if keys]
        oldest = min(first, key=lambda key: self._failures[key].last)
        over = self._failures[oldest].last + _FORGOTTEN < now
        self._take(oldest if over else first[0])


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
