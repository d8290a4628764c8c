"""What a connection is asked: rows by id, searches and counts."""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

import sqlite3
from datetime import datetime, timedelta
from functools import lru_cache
from heapq import merge
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

import msgspec

from holdall.core.errors import Corrupt
from holdall.records.backends.sqlite.conditions import condition_of, joined
from holdall.records.backends.sqlite.leaves import EPOCH
from holdall.records.backends.sqlite.orders import after_conditions, keys_of
from holdall.records.backends.sqlite.places import ROW
from holdall.records.encoding import load
from holdall.records.ordering import after_row, in_order, position_of
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import Stored, reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from holdall.records.backends.sqlite.conditions import Condition
    from holdall.records.backends.sqlite.connections import Connection
    from holdall.records.backends.sqlite.orders import Key
    from holdall.records.backends.sqlite.table import IndexFacts, Table
    from holdall.records.predicate import Node
    from holdall.records.stored import Found

_SELECTED = ",".join(
    f"{ROW}.{name}" for name in ("id", "data", "metadata", "created", "updated", "version")
)
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def json_text(values: Sequence[str]) -> str:
    """Texts as one parameter, which `json_each` reads."""
    return _encode(values).decode()


def rows_of(
    connection: Connection, table: Table, ids: Sequence[str]
) -> list[Stored | Corrupt | None]:
    """The rows of these ids, in their order; an error for one that cannot be read."""
    asked = f"SELECT {_SELECTED} FROM {table.source} WHERE {ROW}.id"
    if len(ids) == 1:
        cursor = connection.execute(f"{asked}=?", (ids[0],))
    else:
        within = f"{asked} IN (SELECT value FROM json_each(?))"
        cursor = connection.execute(within, (json_text(ids),))
    held = {row[0]: row for row in cursor}
    return [None if (row := held.get(id_)) is None else _row_or_error(row) for id_ in ids]


def _row_or_error(row: tuple[Any, ...]) -> Stored | Corrupt:
    try:
        return next(_rows((row,)))
    except Corrupt as error:
        return error


# Rows that were written together have one moment.
@lru_cache(256)
def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(0, 0, microseconds)


def _rows(rows: Iterable[tuple[Any, ...]]) -> Iterator[Stored]:
    """What was selected, as rows."""
    for id_, data, metadata, created, updated, version in rows:
        try:
            row = Stored(
                id_,
                # Only markers need more than the JSON.
                load(data) if '"$' in data else _decode(data),
                {} if metadata == "{}" else load(metadata),
                _moment(created),
                _moment(updated),
                version,
            )
        except (Corrupt, TypeError, OverflowError, msgspec.DecodeError, RecursionError) as error:
            raise Corrupt(f"the record {id_!r} cannot be read: {error}", reference=id_) from error
        yield row


def counted(connection: Connection, table: Table, predicate: Node) -> int:
    """How many rows meet a condition."""
    if predicate == ALL:
        (number,) = connection.execute(f"SELECT count(*) FROM {table.source}").fetchone()
        return int(number)
    with _Snapshot(connection, table) as facts:
        test = compiled(predicate, reader)
        number = sum(map(test, _odd(connection, table))) if facts.odd else 0
        condition = condition_of(predicate, facts)
        where = f"{ROW}.odd=0 AND {condition.text}"
        if condition.exact:
            asked = f"SELECT count(*) FROM {table.source} WHERE {where}"
            (regular,) = connection.execute(asked, condition.args).fetchone()
            return number + int(regular)
        asked = f"SELECT {_SELECTED} FROM {table.source} WHERE {where}"
        return number + sum(map(test, _rows(connection.execute(asked, condition.args))))


def searched(connection: Connection, table: Table, found: Found) -> list[Stored]:
    """The rows that meet a condition, in order."""
    if found.size == 0:
        return []
    with _Snapshot(connection, table) as facts:
        return _Search(connection, table, facts, found).rows()


class _Search:
    """One search, within one state of the file."""

    def __init__(
        self, connection: Connection, table: Table, facts: IndexFacts, found: Found
    ) -> None:
        self._connection = connection
        self._table = table
        self._facts = facts
        self._found = found
        self._end = None if found.size is None else found.skip + found.size
        self._test = None if found.predicate == ALL else compiled(found.predicate, reader)
        self._position = position_of(found.sorts, reader)
        self._last = None if found.after is None else after_row(found.sorts, found.after)

    def rows(self) -> list[Stored]:
        found, facts = self._found, self._facts
        odd: list[Stored] = []
        if facts.odd:
            every = _odd(self._connection, self._table)
            odd.extend(self._meant(every, test=True, place=True))
        condition = condition_of(found.predicate, facts)
        keys = keys_of(found.sorts, facts)
        if keys is None:
            rows = self._meant(self._regular(condition, None), test=not condition.exact, place=True)
            chosen: Iterable[Stored] = in_order([*rows, *odd], self._position, self._end)
            return list(islice(chosen, found.skip, self._end))
        phases = [condition]
        placed = True
        if found.after is not None:
            later = after_conditions(keys, found.after)
            placed = all(phase.exact for phase in later)
            phases = [joined([phase, condition]) for phase in later]
        limited = self._end is not None and condition.exact and placed
        # Without odd rows, SQLite skips too.
        skipped = found.skip if limited and not odd and len(phases) == 1 else 0
        limit = (self._end - skipped, skipped) if limited and self._end is not None else None
        forced = None
        if limit is not None and keys and found.predicate == ALL:
            forced = keys[0].index(facts)
        regular = chain.from_iterable(self._regular(phase, keys, limit, forced) for phase in phases)
        rows = self._meant(regular, test=not condition.exact, place=not placed)
        if odd:
            odd.sort(key=self._position)
            rows = merge(rows, odd, key=self._position)
        end = None if self._end is None else self._end - skipped
        return list(islice(rows, found.skip - skipped, end))

    def _regular(
        self,
        condition: Condition,
        keys: Sequence[Key] | None,
        limit: tuple[int, int] | None = None,
        index: str | None = None,
    ) -> Iterator[Stored]:
        """Rows that are not odd; in order when there are keys."""
        # By itself, SQLite may rather sort all rows than those of one value by their ids.
        source = self._table.source + (f' INDEXED BY "{index}"' if index else "")
        asked = f"SELECT {_SELECTED} FROM {source} WHERE {ROW}.odd=0 AND {condition.text}"
        args = condition.args
        if keys is not None:
            terms = [term for key in keys for term in key.terms()]
            asked += f" ORDER BY {','.join([*terms, f'{ROW}.id'])}"
        if limit is not None:
            asked += " LIMIT ? OFFSET ?"
            args = (*args, *limit)
        return _rows(self._connection.execute(asked, args))

    def _meant(self, rows: Iterable[Stored], *, test: bool, place: bool) -> Iterator[Stored]:
        """What of some rows is meant, as far as SQLite has not looked at it."""
        if test and self._test is not None:
            rows = filter(self._test, rows)
        if place and self._last is not None:
            rows = filter(self._comes_after(self._last), rows)
        return iter(rows)

    def _comes_after(self, last: tuple[Any, ...]) -> Callable[[Stored], bool]:
        position = self._position
        return lambda row: position(row) > last


def _odd(connection: Connection, table: Table) -> Iterator[Stored]:
    """The rows that are compared in Python."""
    asked = f"SELECT {_SELECTED} FROM {table.source} WHERE {ROW}.odd=1"
    return _rows(connection.execute(asked))


class _Snapshot:
    """One state of the file for several statements, for `with`: answers what is known of it.

    In a transaction that has begun it is that one's state.

    Raises:
        Corrupt: A record is no JSON; names it, which SQLite does not.
    """

    def __init__(self, connection: Connection, table: Table) -> None:
        self._connection = connection
        self._table = table
        self._inside = connection.in_transaction

    def __enter__(self) -> IndexFacts:
        if not self._inside:
            self._connection.execute("BEGIN")
        return self._table.facts(self._connection, lasting=not self._inside)

    def __exit__(self, _kind: object, error: BaseException | None, _traceback: object) -> None:
        try:
            if isinstance(error, sqlite3.OperationalError) and "JSON" in str(error):
                self._name_damaged(error)
        finally:
            if not self._inside:
                self._connection.rollback()

    def _name_damaged(self, error: sqlite3.Error) -> None:
        asked = (
            f"SELECT {ROW}.id FROM {self._table.source} "
            f"WHERE NOT json_valid({ROW}.data) OR NOT json_valid({ROW}.metadata) LIMIT 1"
        )
        for (id_,) in self._connection.execute(asked):
            raise Corrupt(f"the record {id_!r} cannot be read: {error}", reference=id_) from error
