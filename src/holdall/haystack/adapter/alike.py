"""Items that are all alike, checked and taken a column at a time.

Nearly always they are: dicts, or the rows of a grid, with moments of one zone, and numbers of one
unit, or bools, or texts. Each check is then one pass over all of them, which takes a fifth of the
time. Items that are otherwise are declined here, also where something is wrong with one: whoever
goes through them one by one says which.
"""

from __future__ import annotations

from array import array
from datetime import UTC, datetime
from itertools import islice, repeat
from operator import attrgetter, is_, lt, sub
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from holdall.haystack.kinds import Number
from holdall.haystack.stores.histories import Samples, is_double
from holdall.haystack.units import canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.haystack.adapter.samples import Point

T = TypeVar("T")

_DAY: Final = 86_400_000_000
_SECOND: Final = 1_000_000
_MAPPINGS: Final = frozenset({dict, MappingProxyType})
_zone_of = attrgetter("tzinfo")
_val_of = attrgetter("val")
_unit_of = attrgetter("unit")


def columns_alike(point: Point, items: object) -> Samples | None:
    """Answer items as columns, sorted; of two at one moment the later one counts.

    Args:
        point: What they are of.
        items: Anything.

    Returns:
        What going through them one by one would come to; None where they are not all alike.
    """
    if (type(items) is not list and type(items) is not tuple) or not items:
        return None
    if not set(map(type, items)) <= _MAPPINGS:
        return None
    try:
        moments = [item["ts"] for item in items]
        values = [item["val"] for item in items]
    except (KeyError, TypeError, IndexError):  # behind a proxy there may be anything
        return None
    found = _numbers(point, values)
    if found is None and not _are_of_kind(point, values):
        return None
    micros = _micros(point, moments)
    if micros is None:
        return None
    if found is None:
        micros, kinds = _in_order(micros, values)
        return Samples(array("q", micros), kinds) if point.reaches(micros) else None
    micros, numbers = _in_order(micros, found[0])
    if not point.reaches(micros):
        return None
    # What is not a number has no unit.
    unit = found[1] if any(number == number for number in numbers) else None  # noqa: PLR0124
    return Samples(array("q", micros), array("d", numbers), unit)


def _all_are(kind: type, things: Iterable[Any]) -> bool:
    return set(map(type, things)) == {kind}


def _are_of_kind(point: Point, values: Sequence[Any]) -> bool:
    """Whether all are bools, or all are texts, as the point has them."""
    if point.kind is None:
        return _all_are(bool, values) or _all_are(str, values)
    return point.kind != "Number" and _all_are(bool if point.kind == "Bool" else str, values)


def _numbers(point: Point, values: Sequence[Any]) -> tuple[Sequence[float], str | None] | None:
    """Numbers of one unit that doubles hold exactly, as those, and the unit."""
    if point.kind is not None and point.kind != "Number":
        return None
    kinds = set(map(type, values))
    units: set[str | None] = {None}
    if kinds == {Number}:
        units = set(map(_unit_of, values))
        values = list(map(_val_of, values))
        kinds = set(map(type, values))
    if not kinds <= {float, int}:
        return None
    ints = [value for value in values if type(value) is int] if int in kinds else [0]
    if not (is_double(Number(min(ints))) and is_double(Number(max(ints)))):
        return None
    if point.unit is None:
        return (values, units.pop()) if len(units) == 1 else None
    here = canonical(point.unit)
    if any(unit is not None and canonical(unit) != here for unit in units):
        return None
    try:
        Number(0, point.unit)
    except ValueError:
        return None
    return values, point.unit


def _micros(point: Point, moments: Sequence[Any]) -> list[int] | None:
    """Moments of one zone, which is the point's or UTC, in microseconds since 1970."""
    if not _all_are(datetime, moments):
        return None
    zone = moments[0].tzinfo
    if zone is not UTC and not (type(zone) is ZoneInfo and zone.key):
        return None
    if not all(map(is_, map(_zone_of, moments), repeat(zone))):
        return None
    if zone is not UTC and zone is not point.zone and not point.is_here(moments[0]):
        return None
    # Python takes datetimes of one zone from one another by the clock on the wall.
    since = map(sub, moments, repeat(datetime(1970, 1, 1, tzinfo=zone)))
    if zone is not UTC:
        since = map(sub, since, map(zone.utcoffset, moments))
    return [one.days * _DAY + one.seconds * _SECOND + one.microseconds for one in since]


def _in_order(moments: list[int], values: Sequence[T]) -> tuple[list[int], Sequence[T]]:
    if all(map(lt, moments, islice(moments, 1, None))):
        return moments, values
    by_moment = dict(zip(moments, values, strict=True))
    moments = sorted(by_moment)
    return moments, list(map(by_moment.__getitem__, moments))
