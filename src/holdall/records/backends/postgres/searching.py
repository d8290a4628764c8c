"""Finding and counting rows.

What SQL says exactly is filtered, sorted and cut off by PostgreSQL. Rows of a higher degree than
that is right for (usually there are none) come in the same statement and are judged here. What SQL
cannot say goes through a cursor, row by row.
"""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count as count_from
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.records.backends.postgres.conditions import split
from holdall.records.backends.postgres.ordering import order
from holdall.records.backends.postgres.pieces import ODD, PLAIN, STRUCTURE, Condition
from holdall.records.backends.postgres.rows import ODD_AT, READ, stored
from holdall.records.backends.postgres.steps import Ask, Mark
from holdall.records.backends.postgres.terms import Declined, Params
from holdall.records.ordering import after_row, in_order, position_of
from holdall.records.predicate import compiled
from holdall.records.stored import reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from holdall.records.backends.postgres.ordering import Order
    from holdall.records.backends.postgres.steps import Steps
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Stored

MOST_JUDGED = 1000
"""How many rows are judged here after one statement; more come through a cursor."""

_DEGREES = (PLAIN, ODD, STRUCTURE)
_FETCHED = 500
_MOST = 2**62  # rows, more than PostgreSQL can count
# One that was left open by an error lives on in its transaction.
_numbers = count_from(1)


class _Filter(Struct, frozen=True):
    """A condition as SQL, as far as it goes.

    Args:
        parts: What is joined by AND.
        whole: Whether that is all of it.
    """

    parts: Sequence[Condition]
    whole: bool

    @property
    def reach(self) -> int:
        return min((part.reach for part in self.parts), default=STRUCTURE)

    def meets(self, degree: int, *more: str | None) -> str:
        """What rows of a degree meet that may be meant."""
        parts = [part.sql for part in self.parts if part.reach >= degree]
        return " AND ".join([*parts, *filter(None, more)]) or "TRUE"

    def up_to(self, degree: int, *more: str | None) -> str:
        """What rows up to a degree meet; for those that it is right for."""
        own = None if degree == STRUCTURE else f"odd <= {degree}"
        return self.meets(PLAIN, own, *more)

    def above(self, degree: int, *more: str | None) -> str:
        """What rows above a degree meet that may be meant."""
        higher = [f"(odd = {one} AND {self.meets(one, *more)})" for one in _DEGREES if one > degree]
        joined = f"({' OR '.join(higher)})"
        return joined if degree < PLAIN else f"odd > {degree} AND {joined}"


def find(table: str, found: Found) -> Steps[Sequence[Stored]]:
    """Answer rows: see `RecordStore.find`."""
    params = Params()
    filtered = _Filter(*split(found.predicate, params))
    ordered = _order(found, params)
    if filtered.whole and ordered is not None:
        rows = yield from _at_once(table, found, filtered, ordered, params)
        if rows is not None:
            return rows
    return (yield from _by_cursor(table, found))


def _order(found: Found, params: Params) -> Order | None:
    taken = len(params.values)
    try:
        return order(found.sorts, found.after, params)
    except Declined:
        params.forget(taken)
        return None


def _at_once(
    table: str, found: Found, filtered: _Filter, ordered: Order, params: Params
) -> Steps[Sequence[Stored] | None]:
    """Answer rows with one statement; None when too many of them must be judged here."""
    end = None if found.size is None else found.skip + found.size
    reach = min(filtered.reach, ordered.reach)
    meets = filtered.up_to(reach, ordered.after)
    sql = f"SELECT {READ} FROM {table} WHERE {meets} ORDER BY {ordered.sql}"
    if reach == STRUCTURE:
        if found.size is not None:
            sql += f" LIMIT {min(found.size, _MOST)}"
        reply = yield Ask(f"{sql} OFFSET {min(found.skip, _MOST)}", params.values)
        return [stored(row) for row in reply.rows]
    if end is not None:
        sql += f" LIMIT {min(end, _MOST)}"
    above = filtered.above(reach)
    others = f"SELECT {READ} FROM {table} WHERE {above} LIMIT {MOST_JUDGED + 1}"
    reply = yield Ask(f"({sql}) UNION ALL ({others})", params.values)
    judged = [row for row in reply.rows if row[ODD_AT] > reach]
    if len(judged) > MOST_JUDGED:
        return None
    rows = [stored(row) for row in reply.rows if row[ODD_AT] <= reach]
    if not judged and len(rows) < 2:
        return rows[found.skip :]
    return _chosen(found, [*rows, *_judged(found, map(stored, judged))])


def _chosen(found: Found, rows: Iterable[Stored]) -> Sequence[Stored]:
    end = None if found.size is None else found.skip + found.size
    return in_order(rows, position_of(found.sorts, reader), end)[found.skip :]


def _judged(found: Found, rows: Iterable[Stored]) -> Iterator[Stored]:
    """Those of the rows that are meant and come after the last one."""
    meant: Callable[[Stored], bool] = compiled(found.predicate, reader)
    if found.after is None:
        return filter(meant, rows)
    position = position_of(found.sorts, reader)
    last = after_row(found.sorts, found.after)
    return (row for row in rows if position(row) > last and meant(row))


def _by_cursor(table: str, found: Found) -> Steps[Sequence[Stored]]:
    """Answer rows that are judged here, one by one."""
    params = Params()
    filtered = _Filter(*split(found.predicate, params))
    by_id = not found.sorts
    begin = None
    if by_id and found.after is not None:
        with suppress(Declined):  # no row has it
            begin = f"id > {params.text(found.after[-1])}"
    sql = f"SELECT {READ} FROM {table} WHERE {_any_degree(filtered, begin)}"
    if by_id:
        sql += " ORDER BY id"
    rows: list[Stored] = []
    end = None if found.size is None else found.skip + found.size
    cursor = yield from _open(sql, params)
    while end is None or not by_id or len(rows) < end:
        reply = yield Ask(f"FETCH FORWARD {_FETCHED} FROM {cursor}")
        rows.extend(_judged(found, map(stored, reply.rows)))
        if not by_id and end is not None and len(rows) > end + _FETCHED:
            rows = list(in_order(rows, position_of(found.sorts, reader), end))
        if len(reply.rows) < _FETCHED:
            break
    yield Ask(f"CLOSE {cursor}")
    yield Mark.END
    return _chosen(found, rows)


def _any_degree(filtered: _Filter, more: str | None) -> str:
    if filtered.reach == STRUCTURE:
        return filtered.meets(PLAIN, more)
    return filtered.above(PLAIN - 1, more)


def _open(sql: str, params: Params) -> Steps[str]:
    """Open a cursor in a transaction; answer its name."""
    cursor = f"holdall_rows_{next(_numbers)}"
    yield Mark.BEGIN
    yield Ask(f"DECLARE {cursor} NO SCROLL CURSOR FOR {sql}", params.values)
    return cursor


def count(table: str, predicate: Node) -> Steps[int]:
    """Answer how many rows meet a condition."""
    params = Params()
    filtered = _Filter(*split(predicate, params))
    meant: Callable[[Stored], bool] = compiled(predicate, reader)
    if filtered.whole:
        reach = filtered.reach
        meets = filtered.up_to(reach)
        if reach == STRUCTURE:
            reply = yield Ask(f"SELECT count(*) FROM {table} WHERE {meets}", params.values)
            return int(reply.rows[0][0])
        reply = yield Ask(
            f"SELECT NULL, NULL, NULL, NULL, NULL, count(*)::text, {PLAIN} FROM {table} "
            f"WHERE {meets} UNION ALL (SELECT {READ} FROM {table} WHERE {filtered.above(reach)} "
            f"LIMIT {MOST_JUDGED + 1})",
            params.values,
        )
        judged = [row for row in reply.rows if row[ODD_AT] > reach]
        if len(judged) <= MOST_JUDGED:
            known = sum(int(row[ODD_AT - 1]) for row in reply.rows if row[ODD_AT] <= reach)
            return known + sum(1 for row in judged if meant(stored(row)))
    sql = f"SELECT {READ} FROM {table} WHERE {_any_degree(filtered, None)}"
    cursor = yield from _open(sql, params)
    number = 0
    while True:
        reply = yield Ask(f"FETCH FORWARD {_FETCHED} FROM {cursor}")
        number += sum(1 for row in reply.rows if meant(stored(row)))
        if len(reply.rows) < _FETCHED:
            break
    yield Ask(f"CLOSE {cursor}")
    yield Mark.END
    return number


def get(table: str, ids: Sequence[str]) -> Steps[Sequence[tuple[Any, ...]]]:
    """Answer the rows of these ids, in any order."""
    reply = yield Ask(f"SELECT {READ} FROM {table} WHERE id = ANY($1::text[])", (list(ids),))
    return reply.rows
