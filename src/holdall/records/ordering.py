"""The order of records, and where a page ends."""

from __future__ import annotations

from heapq import nsmallest
from operator import attrgetter
from typing import TYPE_CHECKING, Any, TypeAlias

from holdall.records.paths import ABSENT
from holdall.records.values import place

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from holdall.records.paths import Path
    from holdall.records.query import Sort
    from holdall.records.stored import Stored

Position: TypeAlias = tuple[Any, ...]
"""Where a record stands: a place for each field that is sorted by, and the id."""


class _Last:
    """A place in a descending sort: compares the other way round."""

    __slots__ = ("place",)

    def __init__(self, place: Any) -> None:
        self.place = place

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Last) and self.place == other.place

    def __lt__(self, other: _Last) -> bool:
        return bool(other.place < self.place)

    def __hash__(self) -> int:
        return hash((_Last, self.place))


def position_of(
    sorts: Sequence[Sort], reader: Callable[[Path], Callable[[Stored], Any]]
) -> Callable[[Stored], Position]:
    """Answer a function that says where a record stands.

    Args:
        sorts: What is sorted by; what is equal in all of it stands by its id.
        reader: Answers, for a path, what reads it.
    """
    parts = [(reader(sort.path), sort) for sort in sorts]
    if not parts:
        return lambda row: (row.id,)

    def position(row: Stored) -> Position:
        return (*(_part(get(row), sort) for get, sort in parts), row.id)

    return position


def _part(value: Any, sort: Sort) -> Any:
    if value is ABSENT or value is None:
        return (0 if sort.missing_first else 2, 0)
    where = place(value)
    return (1, _Last(where) if sort.descending else where)


def in_order(
    rows: Iterable[Stored],
    position: Callable[[Stored], Position],
    wanted: int | None,
) -> list[Stored]:
    """Sort records; only the first `wanted` ones where that is a number."""
    if wanted is None:
        return sorted(rows, key=position)
    return nsmallest(wanted, rows, key=position)


def sort_rows(
    rows: Iterable[Stored],
    sorts: Sequence[Sort],
    reader: Callable[[Path], Callable[[Stored], Any]],
) -> list[Stored]:
    """Sort records as `in_order` does, field by field, which is faster for all of them."""
    done = sorted(rows, key=attrgetter("id"))
    for sort in reversed(sorts):
        values = list(map(reader(sort.path), done))
        keys = values if set(map(type, values)) in _ALIKE else _keys(values, sort)
        at = sorted(range(len(done)), key=keys.__getitem__, reverse=sort.descending)
        done = [done[one] for one in at]
    return done


# Where all values are of one of these types, they are in order as they are.
_ALIKE: tuple[set[type], ...] = ({str}, {int}, {bool}, {bytes})


def _keys(values: Sequence[Any], sort: Sort) -> list[Any]:
    missing = (0, 0) if sort.missing_first != sort.descending else (2, 0)
    return [missing if value is ABSENT or value is None else (1, place(value)) for value in values]


def after_row(sorts: Sequence[Sort], values: Sequence[Any]) -> Position:
    """Where the row stands of which these are the values of `sorts`, and the id."""
    pairs = zip(values, sorts, strict=False)
    return (*(_part(value, sort) for value, sort in pairs), values[-1])
