"""What equals what, and what stands before what, when a filter asks.

The functions here take the value that a filter compares with, and answer a function that says of a
value of an entity whether it is meant. The module `meaning` has the rules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final, TypeAlias

from msgspec import Struct

from holdall.haystack.kinds import (
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
)
from holdall.haystack.units import canonical

Test: TypeAlias = Callable[[Any], bool]
"""Says of something that is there whether it is meant."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  # moments are taken apart into clock and offset


class AnyUnit(Struct, frozen=True):
    """A number that is compared with numbers of any unit: what a filter says without a unit.

    Raises:
        TypeError: The value is no int or float.
    """

    val: float | int

    def __post_init__(self) -> None:
        if type(self.val) is not int and type(self.val) is not float:
            raise TypeError(f"{self.val!r} is no int or float")


def equals(wanted: Any) -> Test:
    """Answer a function that says whether a value, or an item of it, equals a wanted one."""
    if type(wanted) is Ref:  # what is asked most
        val = wanted.val

        def test(value: Any) -> bool:
            if type(value) is Ref:
                return bool(value.val == val)
            return type(value) is list and any(type(one) is Ref and one.val == val for one in value)

        return test
    if type(wanted) is list:
        return lambda value: (
            type(value) is list
            and (_equal(value, wanted) or any(_equal(item, wanted) for item in value))
        )
    return any_item(_item_equals(wanted))


def orders(op: str, wanted: Any) -> Test:
    """Answer a function that says whether a value, or an item of it, stands before or after one.

    Args:
        op: `lt`, `le`, `gt` or `ge`, said of the value.
        wanted: What it is compared with.
    """
    return any_item(item_orders(op, wanted))


def one_of(wanted: tuple[Any, ...]) -> Test:
    """Answer a function that says whether a value, or an item of it, equals one of these."""
    if all(type(one) is Ref for one in wanted):
        ids = frozenset(one.val for one in wanted)
        return any_item(lambda value: type(value) is Ref and value.val in ids)
    tests = [equals(one) for one in wanted]
    return lambda value: any(test(value) for test in tests)


def any_item(test: Test) -> Test:
    """Answer a test of a value, for which a list stands when any item of it does."""
    return lambda value: any(map(test, value)) if type(value) is list else test(value)


def _item_equals(wanted: Any) -> Test:
    kind = type(wanted)
    if kind is AnyUnit:
        return _of_any_unit("eq", wanted.val)
    if kind is Number or kind is int or kind is float:
        return _of_unit("eq", wanted)
    if isinstance(wanted, datetime):
        return _of_moment("eq", wanted)
    if kind in _BY_THEMSELVES:
        return lambda value: type(value) is kind and value == wanted
    if _is_time(wanted):
        return lambda value: _is_time(value) and value == wanted
    if isinstance(wanted, Mapping):
        return lambda value: isinstance(value, Mapping) and _equal_dicts(value, wanted)
    if isinstance(wanted, GridKind):
        return lambda value: isinstance(value, GridKind) and value == wanted
    return lambda _: False


def item_orders(op: str, wanted: Any) -> Test:
    """As `orders`, for a value that is no list."""
    kind = type(wanted)
    if kind is AnyUnit:
        return _of_any_unit(op, wanted.val)
    if kind is Number or kind is int or kind is float:
        return _of_unit(op, wanted)
    if isinstance(wanted, datetime):
        return _of_moment(op, wanted)
    compare = _COMPARE[op]
    if kind is str or kind is date or kind is bool:
        return lambda value: type(value) is kind and compare(value, wanted)
    if _is_time(wanted):
        return lambda value: _is_time(value) and compare(value, wanted)
    return lambda _: False


def _is_time(value: Any) -> bool:
    # One with a zone is of no kind, and Python refuses to order it among the others.
    return isinstance(value, time) and value.tzinfo is None


def _of_any_unit(op: str, wanted: float) -> Test:
    compare = _COMPARE[op]

    def test(value: Any) -> bool:
        if type(value) is Number:
            return compare(value.val, wanted)
        return (type(value) is float or type(value) is int) and compare(value, wanted)

    return test


def _of_unit(op: str, wanted: Number | float) -> Test:
    compare = _COMPARE[op]
    if type(wanted) is Number and wanted.unit is not None:
        val, unit = wanted.val, wanted.unit
        known = canonical(unit)
        return lambda value: (
            type(value) is Number
            and compare(value.val, val)
            and (value.unit == unit or canonical(value.unit) == known)
        )
    plain = wanted.val if type(wanted) is Number else wanted

    def test(value: Any) -> bool:
        if type(value) is Number:
            return value.unit is None and compare(value.val, plain)
        return (type(value) is float or type(value) is int) and compare(value, plain)

    return test


def _of_moment(op: str, wanted: datetime) -> Test:
    compare, moment = _COMPARE[op], _instant(wanted)
    if moment is None:
        return lambda _: False

    def test(value: Any) -> bool:
        if not isinstance(value, datetime):
            return False
        instant = _instant(value)
        return instant is not None and compare(instant, moment)

    return test


def _instant(moment: datetime) -> timedelta | None:
    # By hand, because Python compares within one zone by the clock, which shows an hour twice each
    # autumn, and has no UTC for the first and last hours of its calendar.
    offset = moment.utcoffset()
    return None if offset is None else moment.replace(tzinfo=None) - _EPOCH - offset


def _equal_dicts(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(_equal(one[name], other[name]) for name in one)


def _equal(one: Any, other: Any) -> bool:
    if type(other) is list:
        return type(one) is list and len(one) == len(other) and all(map(_equal, one, other))
    if one is None or other is None:
        return one is other
    return _item_equals(other)(one)


_BY_THEMSELVES: Final = frozenset(
    {str, bool, date, Ref, Uri, Symbol, Coord, XStr, Marker, NAType, Remove}
)
_COMPARE: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "eq": lambda one, other: one == other,
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}
