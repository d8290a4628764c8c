"""Orders as SQL: `ordering.position_of`, and what comes after a row."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

from msgspec import Struct

from holdall.records import values
from holdall.records.backends.delta.asking import DOUBT, fits, marker_text, number_of
from holdall.records.backends.delta.conditions import NUMBERS
from holdall.records.backends.delta.layout import micros
from holdall.records.backends.delta.places import MARKS, Place, place_of
from holdall.records.paths import ABSENT
from holdall.records.query import Sort
from holdall.records.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.backends.delta.asking import Parameters
    from holdall.records.backends.delta.layout import Layout
    from holdall.records.backends.delta.places import Json, Typed


@final
class Key(Struct, frozen=True):
    """One thing to sort by.

    Args:
        missing: 1 where nothing or None is, else 0; None when something is in every row.
        parts: What is compared one after the other, never NULL; none where all rows are alike.
        sort: Which way.
        doubt: In which rows SQL would sort in another way; None when in none.
    """

    missing: str | None
    parts: tuple[str, ...]
    sort: Sort
    doubt: str | None

    def terms(self) -> list[str]:
        """The terms for ORDER BY."""
        way = " DESC" if self.sort.descending else ""
        terms = [f"{part}{way}" for part in self.parts]
        if self.missing is None:
            return terms
        return [self.missing + (" DESC" if self.sort.missing_first else ""), *terms]

    def after(self, value: Any, args: Parameters, rest: str) -> str:
        """What stands after a value, or where it stands and meets `rest`; NULL where in doubt."""
        if not self.parts:
            return rest
        bounds = self._bounds(value)
        if bounds is None:
            return DOUBT
        sign = "<" if self.sort.descending else ">"
        steps = list(zip(self.parts, (sign,) * len(self.parts), bounds[1:], strict=True))
        if self.missing is not None:
            steps.insert(0, (self.missing, "<" if self.sort.missing_first else ">", bounds[0]))
        for part, sign, bound in reversed(steps):
            rest = f"({part}{sign}{args.add(bound)} OR ({part}={args.add(bound)} AND {rest}))"
        return rest

    def _bounds(self, value: Any) -> tuple[Any, ...] | None:
        """What `missing` and `parts` are for a value; None where SQL has no such value."""
        if self.missing is None:
            return _bounds_of_column(value)
        if value is ABSENT or value is None:
            return (1, 0, 0.0, "")
        kind = kind_of(value)
        if kind == values.NUMBER:
            number = number_of(value)
            return None if number is None else (0, kind, number, "")
        if kind == values.BOOL:
            return (0, kind, float(value), "")
        if kind == values.TEXT:
            return (0, kind, 0.0, value) if fits(value) else None
        if kind == values.BYTES:
            return (0, kind, 0.0, value.hex().upper())
        if kind in MARKS.values():
            return (0, kind, 0.0, marker_text(value))
        return (0, kind, 0.0, "")


def _bounds_of_column(value: Any) -> tuple[Any, ...] | None:
    if value is ABSENT:
        return None
    if kind_of(value) == values.INSTANT:
        return (0, micros(value))
    return (0, value) if type(value) is str and fits(value) else None


def keys_of(sorts: Sequence[Sort], layout: Layout) -> list[Key] | None:
    """Answer what to sort by, without the id; None where SQL has another order."""
    keys: list[Key] = []
    for sort in sorts:
        place = place_of(sort.path, layout)
        if place is None or (place.typed is not None and place.typed.kind is None):
            return None
        if place == Place() or (place.moment is not None and not layout.ours):
            keys.append(Key(None, (), sort, None))
        elif place.moment is not None:
            keys.append(Key(None, (place.moment,), sort, None))
        elif place.typed is not None and place.typed.sql == layout.id:
            keys.append(Key(None, (layout.id,), sort, None))
        else:
            keys.append(_mixed(place, sort))
    return keys


def _mixed(place: Place, sort: Sort) -> Key:
    """A place that may hold anything: sorted by whether it is there, its kind and its value."""
    missing, doubts = "1", []
    parts: tuple[str, ...] = ("0", "CAST(0 AS DOUBLE)", "''")
    if place.json is not None:
        missing, parts = _in_json(place.json)
        doubts.append("odd")
    if place.typed is not None:
        sql = place.typed.sql
        missing = f"(CASE WHEN {sql} IS NULL THEN {missing} ELSE 0 END)"
        parts = tuple(
            f"(CASE WHEN {sql} IS NULL THEN {within} ELSE {own} END)"
            for within, own in zip(parts, _in_column(place.typed), strict=True)
        )
        if place.typed.doubt is not None:
            doubts.append(f"coalesce({place.typed.doubt},FALSE)")
    return Key(missing, parts, sort, " OR ".join(doubts) or None)


def _in_column(typed: Typed) -> tuple[str, ...]:
    number, text = "CAST(0 AS DOUBLE)", "''"
    if typed.kind == values.NUMBER:
        number = typed.value
    elif typed.kind == values.BOOL:
        number = f"CAST({typed.value} AS DOUBLE)"
    else:
        text = typed.value
    return (str(typed.kind), number, text)


def _in_json(place: Json) -> tuple[str, tuple[str, ...]]:
    kind, value = place.kind, place.value
    marks = " ".join(
        f"WHEN {place.marked(mark)} IS NOT NULL THEN {number}" for mark, number in MARKS.items()
    )
    texts = ",".join(place.marked(mark) for mark in MARKS if mark != "$bytes")
    octets = f"hex(from_base64({place.marked('$bytes')}))"
    missing = f"(CASE WHEN coalesce({kind},'NULL')='NULL' THEN 1 ELSE 0 END)"
    rank = (
        f"(CASE WHEN {kind} IS NULL OR {kind}='NULL' THEN 0 "
        f"WHEN {kind}='BOOLEAN' THEN {values.BOOL} WHEN {kind}='VARCHAR' THEN {values.TEXT} "
        f"WHEN {kind}='ARRAY' THEN {values.LIST} WHEN {kind}='OBJECT' "
        f"THEN (CASE {marks} ELSE {values.DICT} END) ELSE {values.NUMBER} END)"
    )
    number = (
        f"(CASE WHEN {kind} IN {NUMBERS} THEN coalesce(TRY_CAST({value} AS DOUBLE),0) "
        f"WHEN {kind}='BOOLEAN' AND {value}='true' THEN 1 ELSE 0 END)"
    )
    text = (
        f"(CASE WHEN {kind}='VARCHAR' THEN {value} WHEN {kind}='OBJECT' "
        f"THEN coalesce({texts},{octets},'') ELSE '' END)"
    )
    return missing, (rank, number, text)
