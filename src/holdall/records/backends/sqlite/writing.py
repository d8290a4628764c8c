"""What a connection writes: each call a transaction, or a part of one that has begun."""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec import Struct

from holdall.core.errors import Corrupt, HoldallError
from holdall.records.backends.sqlite.leaves import EPOCH, microseconds
from holdall.records.backends.sqlite.reading import json_text
from holdall.records.backends.sqlite.table import COLUMNS, Table
from holdall.records.encoding import dump
from holdall.records.results import changed, new_versions, refusal, undone
from holdall.records.stored import Stored, Write, Written

if TYPE_CHECKING:
    from holdall.records.backends.sqlite.connections import Connection
    from holdall.records.stored import Outcome, Removal

_SURE = 5e11
_COLUMNS = ",".join(COLUMNS)
_encode = msgspec.json.Encoder().encode


class Prepared(Struct, frozen=True):
    """Writes as the table takes them.

    Args:
        writes: As they were given.
        rows: The columns of each, as if it were new.
        now: When they are written.
    """

    writes: Sequence[Write]
    rows: list[tuple[str, str, str, int, int, str, int]]
    now: datetime


def prepare(writes: Sequence[Write]) -> Prepared:
    """Encode writes; nobody needs to wait for this."""
    moment = datetime.now(UTC)
    now = microseconds(moment)
    versions = new_versions(len(writes))
    rows: list[tuple[str, str, str, int, int, str, int]] = []
    long: list[tuple[int, float]] = []
    for write, version in zip(writes, versions, strict=True):
        fractions: list[float] = []
        data, odd = dump(write.fields, fractions)
        metadata = "{}"
        if write.metadata:
            body, odd_too = dump(write.metadata, fractions)
            metadata, odd = body.decode(), odd or odd_too
        if fractions:
            long += [(len(rows), value) for value in fractions if not _is_short(value)]
        rows.append((write.id, data.decode(), metadata, now, now, version, 1 if odd else 0))
    if long:
        for (at, _), misread in zip(long, _misread([value for _, value in long]), strict=True):
            if misread:
                rows[at] = (*rows[at][:-1], 1)
    return Prepared(writes, rows, moment)


def _is_short(value: float) -> bool:
    """Whether every SQLite reads a fraction as it was written, also without long doubles.

    Four digits after the point, and not more than 2^53 without the point, are divided once.
    """
    return -_SURE < value < _SURE and ((value * 4).is_integer() or round(value, 4) == value)


def _misread(numbers: list[float]) -> list[bool]:
    """Of each number, whether this SQLite reads it as a neighbour of it."""
    connection = sqlite3.connect(":memory:")
    try:
        read = connection.execute(
            "SELECT value FROM json_each(?)", (_encode(numbers).decode(),)
        ).fetchall()
    finally:
        connection.close()
    return [value != number for number, (value,) in zip(numbers, read, strict=True)]


def put(connection: Connection, table: Table, prepared: Prepared) -> list[Outcome]:
    """Write all of it, or nothing: then there is an error for each."""
    with _Batch(connection) as batch:
        if all(write.mode == "create" and write.version is None for write in prepared.writes):
            if _create(connection, table, prepared):
                return [Written(prepared.now, prepared.now, row[5]) for row in prepared.rows]
            batch.undo()
        outcomes = _put_over(connection, table, prepared)
        if any(isinstance(one, HoldallError) for one in outcomes):
            batch.undo()
            return undone(outcomes)
        return outcomes


class _Batch:
    """What is undone as a whole, for `with`: a transaction, or a part of one that has begun."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # A savepoint keeps a copy of each page that is changed, so there is none without need.
        inside = connection.in_transaction
        self._begin = "SAVEPOINT batch" if inside else "BEGIN IMMEDIATE"
        self._undo = ("ROLLBACK TO batch",) if inside else ("ROLLBACK", "BEGIN IMMEDIATE")
        self._fail = ("ROLLBACK TO batch", "RELEASE batch") if inside else ("ROLLBACK",)
        self._end = "RELEASE batch" if inside else "COMMIT"

    def __enter__(self) -> Self:
        self._connection.execute(self._begin)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._connection.execute(self._end)
        elif self._connection.in_transaction:  # a full disk, for one, has ended it already
            for statement in self._fail:
                self._connection.execute(statement)

    def undo(self) -> None:
        """Undo what was done in it, and go on."""
        for statement in self._undo:
            self._connection.execute(statement)


def _create(connection: Connection, table: Table, prepared: Prepared) -> bool:
    """Write new rows; answer whether none was there already."""
    before = connection.total_changes
    connection.executemany(
        f"INSERT INTO {table.name} ({_COLUMNS}) VALUES (?,?,?,?,?,?,?) ON CONFLICT (id) DO NOTHING",
        prepared.rows,
    )
    return connection.total_changes - before == len(prepared.writes)


def _put_over(connection: Connection, table: Table, prepared: Prepared) -> list[Outcome]:
    held = _held(connection, table, [write.id for write in prepared.writes])
    outcomes: list[Outcome] = []
    failed = False
    rows: list[tuple[Any, ...]] = []
    for write, new in zip(prepared.writes, prepared.rows, strict=True):
        row = held.get(write.id)
        error = refusal(write, row)
        if error is not None:
            outcomes.append(error)
            failed = True
            continue
        created = prepared.now if row is None else row.created
        held[write.id] = Stored(write.id, {}, {}, created, prepared.now, new[5])
        outcomes.append(Written(created, prepared.now, new[5]))
        rows.append((*new[:3], microseconds(created), *new[4:]))
    if failed:
        return outcomes
    connection.executemany(
        f"INSERT INTO {table.name} ({_COLUMNS}) VALUES (?,?,?,?,?,?,?) "
        "ON CONFLICT (id) DO UPDATE SET data=excluded.data,metadata=excluded.metadata,"
        "updated=excluded.updated,version=excluded.version,odd=excluded.odd",
        rows,
    )
    return outcomes


def delete(
    connection: Connection, table: Table, removals: Sequence[Removal]
) -> list[bool | HoldallError]:
    """Delete all of them, or none: then there is an error for each."""
    with _Batch(connection):
        return _delete(connection, table, removals)


def _delete(
    connection: Connection, table: Table, removals: Sequence[Removal]
) -> list[bool | HoldallError]:
    held = _held(connection, table, [removal.id for removal in removals])
    outcomes: list[bool | HoldallError] = []
    gone: list[tuple[str]] = []
    for removal in removals:
        row = held.get(removal.id)
        if removal.version is not None and (row is None or row.version != removal.version):
            outcomes.append(changed(removal.id, removal.version, row))
            continue
        outcomes.append(row is not None)
        if row is not None:
            del held[removal.id]
            gone.append((removal.id,))
    if any(isinstance(one, HoldallError) for one in outcomes):
        return undone(outcomes)
    connection.executemany(f"DELETE FROM {table.name} WHERE id=?", gone)
    return outcomes


def clear(connection: Connection, table: Table) -> int:
    """Delete all rows; answer how many there were."""
    return connection.execute(f"DELETE FROM {table.name}").rowcount


def _held(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, Stored]:
    """The rows of these ids, without what is in them."""
    asked = f"SELECT id,created,version FROM {table.name} WHERE id"
    if len(ids) == 1:
        cursor = connection.execute(f"{asked}=?", (ids[0],))
    else:
        within = f"{asked} IN (SELECT value FROM json_each(?))"
        cursor = connection.execute(within, (json_text(ids),))
    held: dict[str, Stored] = {}
    for id_, microsecond, version in cursor:
        try:
            created = EPOCH + timedelta(microseconds=microsecond)
        except (OverflowError, TypeError) as error:
            raise Corrupt(f"the record {id_!r} was created at no time", reference=id_) from error
        held[id_] = Stored(id_, {}, {}, created, created, version)
    return held
