"""What is asked of a table: rows by id, searches and counts."""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

from heapq import merge
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import Corrupt
from holdall.records.backends.delta.asking import DOUBT, Parameters
from holdall.records.backends.delta.conditions import Compiler
from holdall.records.backends.delta.layout import ID_COLUMN, decoded
from holdall.records.backends.delta.orders import keys_of
from holdall.records.backends.delta.table import SOURCE
from holdall.records.ordering import after_row, in_order, position_of
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.backends.delta.orders import Key
    from holdall.records.backends.delta.table import Snapshot, Table
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Stored

MEANT: Final = '"$meant"'
"""Whether a row is meant, in statements; no field that is a column is called so."""

# How many doubtful rows are fetched together with the others.
_DOUBTFUL_ROWS = 256

# In a table of so many rows, a search first finds the ids, and then reads only where they are.
_MANY_ROWS = 65_536
_FEW_IDS = 16_384


def rows_of(table: Table, ids: Sequence[str]) -> list[Stored | Corrupt | None]:
    """The rows of these ids, in their order; an error for one that cannot be read."""
    snapshot = table.snapshot()
    if snapshot is None:
        return [None] * len(ids)
    layout = snapshot.layout
    args = Parameters()
    statement = f"SELECT {layout.selected} FROM {SOURCE} WHERE {within(layout.id, ids, args)}"
    with table.reading():
        near = snapshot.among(ids)
        held = {row[0]: row for row in table.query(near, statement, args)}
    answer: list[Stored | Corrupt | None] = []
    for id_ in ids:
        try:
            answer.append(None if (row := held.get(id_)) is None else decoded(layout, row))
        except Corrupt as error:
            answer.append(error)
    return answer


def row_count(table: Table, snapshot: Snapshot) -> int:
    """How many rows a version has; what the log says of it may be less."""
    return int(table.query(snapshot, f"SELECT count(*) FROM {SOURCE}", [])[0][0])


def within(column: str, ids: Sequence[str], args: Parameters) -> str:
    """That an id is one of these."""
    if len(ids) == 1:
        return f"{column}={args.add(ids[0])}"
    return f"{column} IN (SELECT unnest(CAST({args.add(list(ids))} AS VARCHAR[])))"


def counted(table: Table, predicate: Node) -> int:
    """How many rows meet a condition."""
    snapshot = table.snapshot()
    if snapshot is None:
        return 0
    args = Parameters()
    compiler = Compiler(snapshot.layout, args)
    condition = compiler.compile(predicate)
    if not compiler.doubtful:
        statement = f"SELECT count(*) FROM {SOURCE} WHERE {condition}"
        return int(table.query(snapshot, statement, args)[0][0])
    ((sure, doubtful),) = table.query(
        snapshot,
        f"SELECT count(*) FILTER (WHERE {MEANT}), count(*) FILTER (WHERE {MEANT} IS NULL) "
        f"FROM (SELECT {condition} AS {MEANT} FROM {SOURCE})",
        args,
    )
    if not doubtful:
        return int(sure)
    statement = f"SELECT {snapshot.layout.selected} FROM {SOURCE} WHERE {condition} IS NULL"
    rows = (decoded(snapshot.layout, row) for row in table.query(snapshot, statement, args))
    return int(sure) + sum(map(compiled(predicate, reader), rows))


def searched(table: Table, found: Found) -> list[Stored]:
    """The rows that meet a condition, in order."""
    if found.size == 0:
        return []
    snapshot = table.snapshot()
    return [] if snapshot is None else _Search(table, snapshot, found).rows()


def repeated(table: Table) -> list[str]:
    """The ids that more than one row has, in order, and an empty one for rows without any."""
    snapshot = table.snapshot()
    if snapshot is None:
        return []
    statement = (
        f"SELECT coalesce({snapshot.layout.id},'') FROM {SOURCE} "
        f"GROUP BY {snapshot.layout.id} HAVING count(*)>1 OR {snapshot.layout.id} IS NULL"
    )
    return sorted(row[0] for row in table.query(snapshot, statement, []))


class _Search:
    """One search in one version of the table."""

    def __init__(self, table: Table, snapshot: Snapshot, found: Found) -> None:
        self._table = table
        self._snapshot = snapshot
        self._layout = snapshot.layout
        self._found = found
        self._end = None if found.size is None else found.skip + found.size
        self._args = Parameters()
        compiler = Compiler(self._layout, self._args)
        condition = compiler.compile(found.predicate)
        self._doubtful = compiler.doubtful
        keys = keys_of(found.sorts, self._layout)
        if keys is None:
            self._doubtful = True
            condition = f"(CASE WHEN {condition} IS FALSE THEN FALSE ELSE {DOUBT} END)"
        self._condition = self._placed(condition, keys or [])
        terms = [term for key in keys or [] for term in key.terms()]
        self._order = ",".join([*terms, self._layout.id])

    def _placed(self, condition: str, keys: Sequence[Key]) -> str:
        """The condition, and that a row comes after the last page; NULL where in doubt."""
        after = None if self._found.after is None else self._after(keys, self._found.after)
        doubts = sorted({key.doubt for key in keys if key.doubt is not None})
        if doubts:
            self._doubtful = True
            # What is not meant is not meant in any place.
            after = f"(CASE WHEN {' OR '.join(doubts)} THEN {DOUBT} ELSE {after or 'TRUE'} END)"
        return condition if after is None else f"({condition} AND {after})"

    def _after(self, keys: Sequence[Key], after: Sequence[Any]) -> str:
        """That a row comes after the one with these values."""
        if len(keys) < len(self._found.sorts):
            return DOUBT
        start = len(self._args)
        rest = f"{self._layout.id}>{self._args.add(after[-1])}"
        for key, value in zip(reversed(keys), reversed(after[:-1]), strict=True):
            rest = key.after(value, self._args, rest)
            if rest == DOUBT:
                self._doubtful = True
                del self._args[start:]
        return rest

    def rows(self) -> list[Stored]:
        found = self._found
        with self._table.reading():
            snapshot = self._near()
        if not self._doubtful:
            limit = "" if self._end is None else f" LIMIT {self._end}"
            rest = f"FROM {SOURCE} WHERE {self._condition} ORDER BY {self._order}{limit}"
            rows = self._asked(snapshot, self._layout.selected, rest)
            return [decoded(self._layout, row) for row in rows[found.skip :]]
        doubtful, sure = self._both(snapshot)
        position = position_of(found.sorts, reader)
        odd = [decoded(self._layout, row[:-1]) for row in doubtful]
        if found.predicate != ALL:
            odd = list(filter(compiled(found.predicate, reader), odd))
        if found.after is not None:
            last = after_row(found.sorts, found.after)
            odd = [row for row in odd if position(row) > last]
        odd = in_order(odd, position, self._end)
        regular = (decoded(self._layout, row[:-1]) for row in sure)
        merged = merge(regular, odd, key=position) if odd else regular
        return list(islice(merged, found.skip, self._end))

    def _near(self) -> Snapshot:
        """The parts of the table that hold the answer.

        In a large table their ids are asked for first, which reads few columns. The parts that
        hold these ids hold all of the answer, and nothing in them comes before it.
        """
        found, snapshot = self._found, self._snapshot
        if found.predicate == ALL and not found.sorts and self._end is not None:
            return snapshot.following(None if found.after is None else found.after[-1], self._end)
        is_all = found.predicate == ALL and self._end is None
        if snapshot.rows < _MANY_ROWS or is_all or self._layout.id != ID_COLUMN:
            return snapshot
        doubtful, sure = self._flagged(snapshot, self._layout.id)
        if self._end is not None and len(doubtful) > _DOUBTFUL_ROWS:
            return snapshot
        ids = {row[0] for row in (*doubtful, *sure[: self._end])}
        near = len(ids) <= _FEW_IDS and None not in ids
        return snapshot.among(list(ids)) if near else snapshot

    def _both(self, snapshot: Snapshot) -> tuple[list[Any], list[Any]]:
        """The rows that Python has to look at, and the others in order."""
        doubtful, sure = self._flagged(snapshot, self._layout.selected)
        if self._end is None or len(doubtful) <= _DOUBTFUL_ROWS:
            return doubtful, sure
        selected = f"{self._layout.selected},{MEANT}"
        order = f"ORDER BY {self._order} LIMIT {self._end}"
        return (
            self._asked(snapshot, selected, f"FROM {self._source} WHERE {MEANT} IS NULL"),
            self._asked(snapshot, selected, f"FROM {self._source} WHERE {MEANT} {order}"),
        )

    def _flagged(self, snapshot: Snapshot, selected: str) -> tuple[list[Any], list[Any]]:
        """The rows that Python has to look at, or more than a few of them, and the others."""
        limit = "" if self._end is None else f" LIMIT {self._end + _DOUBTFUL_ROWS}"
        rows = self._asked(
            snapshot,
            f"{selected},{MEANT}",
            f"FROM {self._source} WHERE {MEANT} IS NOT FALSE "
            f"ORDER BY {MEANT} IS NULL DESC,{self._order}{limit}",
        )
        doubtful = [row for row in rows if row[-1] is None]
        return doubtful, rows[len(doubtful) :]

    @property
    def _source(self) -> str:
        return f"(SELECT *,{self._condition} AS {MEANT} FROM {SOURCE})"

    def _asked(self, snapshot: Snapshot, selected: str, rest: str) -> list[Any]:
        return self._table.query(snapshot, f"SELECT {selected} {rest}", self._args)
