"""Orders as SQL: `ordering.position_of`, and what comes after a row, for rows that are not odd."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct

from holdall.records import values
from holdall.records.backends.sqlite.conditions import Condition, joined
from holdall.records.backends.sqlite.leaves import microseconds, number_of
from holdall.records.backends.sqlite.places import MARKS, ROW, ColumnPlace, JsonPlace, place_of
from holdall.records.encoding import to_plain
from holdall.records.paths import ABSENT
from holdall.records.values import kind_of, place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.backends.sqlite.conditions import Facts
    from holdall.records.backends.sqlite.table import IndexFacts
    from holdall.records.query import Sort

BYTES: Final = "holdall_bytes"

_KINDS = {
    "true": values.BOOL,
    "false": values.BOOL,
    "integer": values.NUMBER,
    "real": values.NUMBER,
    "text": values.TEXT,
    "array": values.LIST,
}


class Unplaced(Exception):
    """SQLite cannot tell what comes after this value."""


class Key(Protocol):
    """One thing to sort by."""

    def index(self, facts: IndexFacts) -> str | None:
        """The name of an index that has this order; None when there is none."""

    def terms(self) -> list[str]:
        """The terms for ORDER BY."""

    def later(self, value: Any) -> Condition:
        """Stands after a value."""

    def same(self, value: Any) -> Condition:
        """Stands where a value stands."""


def keys_of(sorts: Sequence[Sort], facts: Facts) -> list[Key] | None:
    """Answer what to sort by, without the id; None where SQLite has another order."""
    keys: list[Key] = []
    for sort in sorts:
        where = place_of(sort.path)
        if where is None:
            return None
        if isinstance(where, ColumnPlace):
            keys.append(ColumnKey(where, sort.descending))
        elif facts(where) == frozenset():
            keys.append(PlainKey(where, sort.descending, sort.missing_first))
        else:
            keys.append(MixedKey(where, sort.descending, sort.missing_first))
    return keys


def after_conditions(keys: Sequence[Key], after: Sequence[Any]) -> list[Condition]:
    """What comes after the row with these values; inexact where SQLite cannot tell.

    Args:
        keys: What is sorted by.
        after: A value for each key, and the id.

    Returns:
        Conditions; all that meet the first one come before all that meet the next.
    """
    rest = Condition(f"{ROW}.id>?", (after[-1],))
    try:
        for key, value in zip(reversed(keys[1:]), reversed(after[1:-1]), strict=True):
            rest = _chained(key, value, rest)
        if not keys:
            return [rest]
        if isinstance(keys[0], PlainKey):
            return keys[0].phases(after[0], rest)
        return [_chained(keys[0], after[0], rest)]
    except Unplaced:
        return [Condition("1", (), exact=False)]


def _chained(key: Key, value: Any, rest: Condition) -> Condition:
    later, same = key.later(value), key.same(value)
    return Condition(
        f"({later.text} OR ({same.text} AND {rest.text}))",
        (*later.args, *same.args, *rest.args),
    )


class ColumnKey(Struct, frozen=True):
    """The id, or a moment in a column."""

    column: ColumnPlace
    descending: bool

    def index(self, facts: IndexFacts) -> str | None:
        return facts.index_of(self.column)

    def terms(self) -> list[str]:
        return [self.column.value + (" DESC" if self.descending else "")]

    def later(self, value: Any) -> Condition:
        operator = "<" if self.descending else ">"
        return Condition(f"{self.column.value}{operator}?", (self._bound(value),))

    def same(self, value: Any) -> Condition:
        return Condition(f"{self.column.value}=?", (self._bound(value),))

    def _bound(self, value: Any) -> Any:
        if value is ABSENT or kind_of(value) != (
            values.INSTANT if self.column.moment else values.TEXT
        ):
            raise Unplaced
        return microseconds(value) if self.column.moment else value


class PlainKey(Struct, frozen=True):
    """A place that holds only numbers and texts, which SQLite sorts as we do; it has an index."""

    place: JsonPlace
    descending: bool
    missing_first: bool

    def index(self, facts: IndexFacts) -> str | None:
        return facts.index_of(self.place)

    def terms(self) -> list[str]:
        way = "DESC" if self.descending else "ASC"
        return [f"{self.place.value} {way} NULLS {'FIRST' if self.missing_first else 'LAST'}"]

    def later(self, value: Any) -> Condition:
        expression = self.place.value
        if value is ABSENT or value is None:
            return Condition(f"{expression} IS NOT NULL" if self.missing_first else "0")
        operator = "<" if self.descending else ">"
        text = f"{expression}{operator}?"
        if not self.missing_first:
            text = f"({text} OR {expression} IS NULL)"
        return Condition(text, (_bound(value),))

    def same(self, value: Any) -> Condition:
        if value is ABSENT or value is None:
            return Condition(f"{self.place.value} IS NULL")
        return Condition(f"{self.place.value}=?", (_bound(value),))

    def phases(self, value: Any, rest: Condition) -> list[Condition]:
        """What comes after a value, or stands with it and meets `rest`: ranges of the index."""
        expression = self.place.value
        missing = Condition(f"{expression} IS NULL")
        if value is ABSENT or value is None:
            same = joined([missing, rest])
            return [same, Condition(f"{expression} IS NOT NULL")] if self.missing_first else [same]
        operator = "<" if self.descending else ">"
        bound = _bound(value)
        later = Condition(
            f"({expression}{operator}=? AND ({expression}{operator}? OR {rest.text}))",
            (bound, bound, *rest.args),
        )
        return [later] if self.missing_first else [later, missing]


class MixedKey(Struct, frozen=True):
    """A place that may hold anything: sorted by whether it is there, its kind and its value."""

    place: JsonPlace
    descending: bool
    missing_first: bool

    def index(self, facts: IndexFacts) -> str | None:
        return None

    def terms(self) -> list[str]:
        there, kind, value = self._parts()
        way = " DESC" if self.descending else ""
        return [
            there + (" DESC" if self.missing_first else ""),
            f"{kind}{way}",
            f"{value}{way}",
        ]

    def later(self, value: Any) -> Condition:
        there, kind, expression = self._parts()
        missing, *bounds = self._bounds(value)
        first = "<" if self.missing_first else ">"
        second = "<" if self.descending else ">"
        return Condition(
            f"({there}{first}? OR ({there}=? AND ({kind},{expression}){second}(?,?)))",
            (missing, missing, *bounds),
        )

    def same(self, value: Any) -> Condition:
        there, kind, expression = self._parts()
        return Condition(f"({there},{kind},{expression})=(?,?,?)", self._bounds(value))

    def _parts(self) -> tuple[str, str, str]:
        """Whether it is missing, its kind, and its value; none of them is ever NULL."""
        where = self.place
        kinds = "".join(f" WHEN '{name}' THEN {number}" for name, number in _KINDS.items())
        marks = "".join(
            f""" WHEN {where.value} GLOB '{{"{mark}":*' THEN {number}"""
            for mark, number in MARKS.items()
        )
        inside = ",".join(where.marked(mark) for mark in MARKS if mark != "$bytes")
        held = f"coalesce({inside},{BYTES}({where.marked('$bytes')}),0)"
        marked = f"CASE{marks} ELSE {values.DICT} END"
        plain = f"coalesce({where.value},0)"
        return (
            f"(coalesce({where.kind},'null')='null')",
            f"(CASE {where.kind}{kinds} WHEN 'object' THEN {marked} ELSE 0 END)",
            f"(CASE {where.kind} WHEN 'array' THEN 0 WHEN 'object' THEN {held} ELSE {plain} END)",
        )

    def _bounds(self, value: Any) -> tuple[int, int, Any]:
        if value is ABSENT or value is None:
            return (1, 0, 0)
        return (0, kind_of(value), _bound(value))


def _bound(value: Any) -> Any:
    """A value as SQLite sorts it."""
    kind = kind_of(value)
    if kind == values.NUMBER:
        number = number_of(value)
        if number is None:
            raise Unplaced
        return number
    if kind == values.TEXT:
        if type(to_plain(value)) is not str:
            raise Unplaced
        return value
    if kind in MARKS.values() and kind != values.BYTES:
        marker = to_plain(value)
        return marker[next(iter(marker))]
    return place(value)[2]
