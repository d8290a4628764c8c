"""Time zones: the standard's city names, and the zones of the IANA database that they mean.

The name of a zone is the last part of its IANA name: `New_York` for `America/New_York`, `GMT+5`
for `Etc/GMT+5` (which lies five hours *behind* Greenwich, as POSIX has it), `UTC` for itself; the
chapter TimeZones says so. Where the database has a name twice, the rule is:

    1. a continent or ocean, then no region, `Etc`, `US`, `Canada`, and the others by name
    2. continents by name; within one the longer IANA name (`America/Indiana/Indianapolis`)

So `West` is `Australia/West` and `Central` is `US/Central`, everywhere and always. A zone that
comes second and has rules of its own is written whole: `Brazil/West`; that is read, too.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

_REGIONS: Final = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe",
    "Indian", "Pacific", "", "Etc", "US", "Canada",
)  # fmt: skip
_HOUR = timedelta(hours=1)
_SAMPLED: Final = range(1970, 2038)


@cache
def _available() -> frozenset[str]:
    # `localtime` and `posixrules` are other zones on another machine.
    return frozenset(available_timezones() - {"localtime", "posixrules"})


@cache
def _by_city() -> dict[str, str]:
    """The IANA name for each city name."""

    def rank(key: str) -> tuple[int, str, int, str]:
        region = key.partition("/")[0] if "/" in key else ""
        place = _REGIONS.index(region) if region in _REGIONS else len(_REGIONS)
        return place, region, -key.count("/"), key

    cities: dict[str, str] = {}
    for key in sorted(_available(), key=rank):
        cities.setdefault(key.rpartition("/")[2], key)
    return cities


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """The zone that a city name or a whole IANA name means.

    Raises:
        ValueError: There is none of this name.
    """
    if name == "UTC":
        return ZoneInfo("UTC")
    known = _by_city().get(name)
    if known is None and name in _available():
        known = name
    if known is None:
        raise ValueError(
            f"{name!r} is no time zone: it takes a city name of the IANA database, such as "
            "New_York, or UTC"
        )
    return ZoneInfo(known)


def zone_name(moment: datetime) -> str:
    """The name under which the zone of a moment is written.

    A fixed offset of whole hours is `GMT` with the opposite sign, and without one `UTC`.

    Raises:
        ValueError: The moment has no zone, or one without a name: see `named`.
    """
    of, offset = moment.tzinfo, moment.utcoffset()
    if of is None or offset is None:
        raise ValueError("a moment without a time zone has no name of one")
    key = getattr(of, "key", None) or getattr(of, "zone", None)  # the second is that of pytz
    return _short(key) if isinstance(key, str) else _offset_name(offset)


def named(moment: datetime) -> datetime:
    """The same moment in a zone that has a name; a zone without one gives way to UTC.

    Raises:
        ValueError: The moment has no zone.
    """
    try:
        zone_name(moment)
    except ValueError:
        if moment.tzinfo is None:
            raise
        return moment.astimezone(ZoneInfo("UTC"))
    return moment


@lru_cache(maxsize=4096)
def _offset_name(offset: timedelta) -> str:
    if not offset:
        return "UTC"
    hours, rest = divmod(offset, _HOUR)
    if rest or not -14 <= -hours <= 12:
        raise ValueError(f"a fixed offset of {offset} has no name: use a ZoneInfo, or UTC")
    return f"GMT{-hours:+d}"


@cache
def _short(key: str) -> str:
    city = key.rpartition("/")[2]
    first = _by_city().get(city)
    if first is None:
        raise ValueError(f"{key!r} is no zone of the IANA database of this machine")
    if first == key or _same_rules(ZoneInfo(first), ZoneInfo(key)):
        return city
    return key


def _same_rules(one: ZoneInfo, other: ZoneInfo) -> bool:
    return all(
        moment.astimezone(one).utcoffset() == moment.astimezone(other).utcoffset()
        for year in _SAMPLED
        for moment in (datetime(year, month, 1, 12, tzinfo=UTC) for month in range(1, 13))
    )
