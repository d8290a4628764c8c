"""The order of records as SQL, and what comes after one of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.records import values
from holdall.records.backends.postgres.literals import comparable_text, exact_number
from holdall.records.backends.postgres.pieces import PLAIN, STRUCTURE
from holdall.records.backends.postgres.terms import (
    NOTHING,
    ColumnTerm,
    Declined,
    JsonTerm,
    Params,
    number,
    rank,
    sendable,
    short,
    term,
    text,
)
from holdall.records.paths import ABSENT
from holdall.records.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.backends.postgres.terms import Term
    from holdall.records.query import Sort


class Order(Struct, frozen=True):
    """An order of rows.

    Args:
        sql: What follows `ORDER BY`.
        after: What rows meet that come after the row that was named; None without one.
        reach: The highest degree of rows that it is right for.
    """

    sql: str
    after: str | None
    reach: int


def order(sorts: Sequence[Sort], last: tuple[Any, ...] | None, params: Params) -> Order:
    """Answer an order as SQL.

    Args:
        sorts: What is sorted by, and then by the id.
        last: The values of the sorts, and the id, of the row after which it begins; or None.
        params: Takes what SQL compares with.

    Raises:
        Declined: SQL would sort in another way.
    """
    terms = [(term(sort.path, params), sort) for sort in sorts]
    parts = [part for found, sort in terms for part in _parts(found, sort)]
    plain = all(isinstance(found, ColumnTerm) for found, _ in terms)
    after = None if last is None else _after(terms, last, params)
    return Order(", ".join([*parts, "id"]), after, STRUCTURE if plain else PLAIN)


def _parts(found: Term, sort: Sort) -> list[str]:
    way = " DESC" if sort.descending else ""
    if isinstance(found, ColumnTerm):
        return [f"{found.sql}{way}"]
    written = text(found.sql)
    return [
        _group(found, sort),
        *(f"{key}{way}" for key in (number(found.sql), short(written), written)),
    ]


def _group(found: JsonTerm, sort: Sort) -> str:
    """Where the kind of a value stands, always ascending."""
    kind = rank(found.sql)
    if not sort.descending and not sort.missing_first:
        return kind
    place = f"-{kind}" if sort.descending else kind
    nothing = -NOTHING if sort.missing_first else NOTHING
    return f"(CASE WHEN {kind} = {NOTHING} THEN {nothing} ELSE {place} END)"


def _after(terms: list[tuple[Term, Sort]], last: tuple[Any, ...], params: Params) -> str:
    *sorted_by, id_ = last
    # From the last part to the first: greater in one, or equal there and greater in the rest.
    sql = f"id > {params.add(sendable(id_), 'text')}"
    for (found, sort), value in reversed(list(zip(terms, sorted_by, strict=True))):
        for key, sign, wanted in reversed(_limits(found, sort, value, params)):
            sql = f"({key} {sign} {wanted} OR ({key} = {wanted} AND {sql}))"
    return sql


def _limits(found: Term, sort: Sort, value: Any, params: Params) -> list[tuple[str, str, str]]:
    """What is compared with a value, how, and with what; the most important first."""
    way = "<" if sort.descending else ">"
    if isinstance(found, ColumnTerm):
        if value is ABSENT or kind_of(value) != found.kind:
            raise Declined("a value that no row has there")
        if found.kind == values.TEXT:
            return [(found.sql, way, params.add(sendable(value), "text"))]
        return [(found.sql, way, params.add(value, "timestamptz"))]
    if value is ABSENT or value is None:
        nothing = -NOTHING if sort.missing_first else NOTHING
        return [(_group(found, sort), ">", str(nothing))]
    kind = kind_of(value)
    place = -kind if sort.descending else kind
    limits = [(_group(found, sort), ">", f"({place})")]
    if kind == values.NUMBER:
        written = exact_number(value)
        if written is None:
            raise Declined("no number of a row")
        limits.append((number(found.sql), way, params.add(written, "numeric")))
    elif values.ordered(kind):
        limits.append((text(found.sql), way, params.text(comparable_text(value))))
    return limits
