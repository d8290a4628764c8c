"""The order of records, and where a page ends."""

from __future__ import annotations

from heapq import nsmallest
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

    __hash__ = None  # type: ignore[assignment]


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


def after_row(sorts: Sequence[Sort], values: Sequence[Any]) -> Position:
    """Where the row stands of which these are the values of `sorts`, and the id."""
    pairs = zip(values, sorts, strict=False)
    return (*(_part(value, sort) for value, sort in pairs), values[-1])
