"""Values of a user taken in as kinds, and compared in all that can be written."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from holdall.haystack.kinds import (
    MAX_DEPTH,
    Coord,
    GridKind,
    Marker,
    NAType,
    Number,
    Ref,
    Remove,
    Symbol,
    Uri,
    XStr,
    checked_name,
    is_nan,
)

_SCALARS: Final = frozenset(
    {type(None), Marker, NAType, Remove, bool, Number, str, Uri, Ref, Symbol, date, Coord, XStr}
)


def adopt(value: Any, place: str = "the value", depth: int = 0) -> Any:
    """Answer a value as one of the kinds, copied where it could change.

    Plain numbers become `Number`, tuples lists, mappings dicts.

    Args:
        value: What a user handed in.
        place: What an error calls it.
        depth: How deep it lies already.

    Raises:
        TypeError: It is of no kind; a datetime without a zone is none, because the standard
            wants a zone.
        ValueError: It is of a kind, and breaks a rule of it: a name, a depth.
    """
    if type(value) in _SCALARS:
        return value
    if isinstance(value, (int, float)):
        return Number(int(value) if isinstance(value, int) else float(value))
    if isinstance(value, datetime):
        return _moment(value, place)
    if isinstance(value, time):
        if value.tzinfo is not None:
            raise TypeError(f"{place}: {value!r} has a zone, and a time of day has none")
        return value if type(value) is time else _plain_time(value)
    if isinstance(value, date):
        return date(value.year, value.month, value.day)
    if depth >= MAX_DEPTH:
        raise ValueError(f"{place} lies more than {MAX_DEPTH} lists and dicts deep")
    if isinstance(value, (list, tuple)):
        return [adopt(item, f"{place}[{at}]", depth + 1) for at, item in enumerate(value)]
    if isinstance(value, Mapping):
        return {
            checked_name(name): adopt(item, f"{place}.{name}", depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, GridKind):  # it checked what it holds when it was made
        return value
    if isinstance(value, str):
        return str.__str__(value)  # without what a subclass, such as an enum, shows for itself
    raise TypeError(f"{place}: {value!r} is of no kind (type {type(value).__name__})")


def _moment(value: datetime, place: str) -> datetime:
    if value.tzinfo is None:
        raise TypeError(
            f"{place}: {value!r} has no zone: give it one, as in "
            'datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("Europe/Berlin"))'
        )
    if (value.utcoffset() or timedelta()) % timedelta(minutes=1):
        raise ValueError(f"{place}: {value!r} lies at an offset of seconds, which has no text form")
    if type(value) is datetime:
        return value
    if getattr(value, "nanosecond", 0):  # those of pandas are datetimes
        raise ValueError(f"{place}: {value!r} is finer than a microsecond: round it")
    return datetime.combine(value.date(), _plain_time(value.time()), value.tzinfo)


def _plain_time(value: time) -> time:
    """A time of day of a subclass as one of Python's own."""
    return time(value.hour, value.minute, value.second, value.microsecond, fold=value.fold)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same in all that can be written.

    Stricter than `==`: the display name of a Ref, the text of a unit, the zone and fold of a
    datetime and the type of a number count; NaN is the same as NaN.
    """
    if type(one) is not type(other):
        plain = isinstance(one, Mapping) and isinstance(other, Mapping)
        return plain and _same_dicts(one, other)
    if isinstance(one, Number):
        return one.unit == other.unit and same(one.val, other.val)
    if isinstance(one, Ref):
        return bool(one.val == other.val and one.dis == other.dis)
    if isinstance(one, datetime):
        return (one.replace(tzinfo=None), str(one.tzinfo), one.utcoffset()) == (
            other.replace(tzinfo=None),
            str(other.tzinfo),
            other.utcoffset(),
        )
    if isinstance(one, float):
        return one == other or (is_nan(one) and is_nan(other))
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, Mapping):
        return _same_dicts(one, other)
    if isinstance(one, GridKind):
        return one.same_as(other)
    return bool(one == other)


def _same_dicts(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
