"""Writing and deleting rows: each batch is done as a whole, or not at all.

A batch locks the rows it changes, and writes the new ones, in the order of their ids, so that two
of them wait for each other and neither waits for ever.
"""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from holdall.core.errors import HoldallError
from holdall.records.backends.postgres.rows import WRITTEN, Entry, blocks, columns
from holdall.records.backends.postgres.steps import Again, Ask, Copy, Mark
from holdall.records.backends.postgres.terms import Declined, sendable
from holdall.records.results import changed, new_versions, refusal, undone
from holdall.records.stored import Stored, Written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.records.backends.postgres.steps import Steps
    from holdall.records.stored import Outcome, Removal, Write

_FEW = 20
_UPDATED = 1000
# How many records one COPY takes, and how many bytes it takes of more: each statement has the time
# that the setting `timeout` gives it.
_WHOLE = 1000
_COPIED = 16 * 2**20

# In the order of `columns`; the time of the update is the same for all.
_LISTS = "$1::text[], $2::text[], $3::text[], $4::timestamptz[], $5::text[], $6::smallint[]"
_NEW = f"unnest({_LISTS}) AS new(id, fields, metadata, created, version, odd)"
_INSERT = (
    f"({WRITTEN}) SELECT id, fields::json, metadata::json, created, $7::timestamptz, version, odd "
    f"FROM {_NEW}"
)
_SET = (
    "fields = new.fields::json, metadata = new.metadata::json, updated = $7::timestamptz, "
    "version = new.version, odd = new.odd"
)


def put(table: str, writes: Sequence[Write]) -> Steps[Sequence[Outcome]]:
    """Write records: see `RecordStore.put`.

    Raises:
        Again: Somebody wrote one of them at the same time.
    """
    now = datetime.now(UTC)
    if len(writes) == 1 and (writes[0].mode != "create"):
        outcome = yield from _put_over(table, writes[0], now)
        if outcome is not None:
            return [outcome]
    return (yield from _put_judged(table, writes, now))


def create(table: str, writes: Sequence[Write]) -> Steps[Sequence[Outcome]]:
    """Write records of different ids, all of which are new; else the driver's error is raised."""
    now = datetime.now(UTC)
    ids = [write.id for write in writes]
    outcomes: list[Any] = [None] * len(ids)

    def entries() -> Iterator[Entry]:
        order = sorted(range(len(ids)), key=ids.__getitem__)
        for at, version in zip(order, new_versions(len(ids)), strict=True):
            outcomes[at] = Written(now, now, version)
            yield Entry(writes[at], now, version)

    if len(ids) > _WHOLE:
        yield Mark.BEGIN
    yield from _insert(table, entries(), len(ids), now)
    if len(ids) > _WHOLE:
        yield Mark.END
    return outcomes


def _put_over(table: str, write: Write, now: datetime) -> Steps[Written | None]:
    """Write one record with one statement; None when its mode or version does not hold."""
    (version,) = new_versions(1)
    values = [*columns([Entry(write, now, version)]), now]
    if write.mode == "upsert" and write.version is None:
        sql = (
            f"INSERT INTO {table} AS held {_INSERT} ON CONFLICT (id) DO UPDATE SET "
            "fields = excluded.fields, metadata = excluded.metadata, updated = excluded.updated, "
            "version = excluded.version, odd = excluded.odd "
            "RETURNING created AT TIME ZONE 'UTC'"
        )
    else:
        sql = f"UPDATE {table} AS held SET {_SET} FROM {_NEW} WHERE held.id = new.id"
        if write.version is not None:
            try:
                values.append(sendable(write.version))
            except Declined:  # no row has it
                return None
            sql += " AND held.version = $8::text"
        sql += " RETURNING held.created AT TIME ZONE 'UTC'"
    reply = yield Ask(sql, values)
    if not reply.rows:
        return None
    return Written(reply.rows[0][0].replace(tzinfo=UTC), now, version)


def _put_judged(table: str, writes: Sequence[Write], now: datetime) -> Steps[Sequence[Outcome]]:
    """Write records, each as the ones before it left its row."""
    yield Mark.BEGIN
    held = yield from _locked(table, {write.id for write in writes})
    staged: dict[str, Entry] = {}
    outcomes: list[Outcome] = []
    known: dict[str, Stored] = dict(held)
    for write, version in zip(writes, new_versions(len(writes)), strict=True):
        before = known.get(write.id)
        error = refusal(write, before)
        if error is not None:
            outcomes.append(error)
            continue
        created = now if before is None else before.created
        staged[write.id] = Entry(write, created, version)
        known[write.id] = Stored(write.id, {}, {}, created, now, version)
        outcomes.append(Written(created, now, version))
    if any(isinstance(one, HoldallError) for one in outcomes):
        yield Mark.END
        return undone(outcomes)
    new = sorted(staged.keys() - held.keys())
    if new:
        yield from _insert(table, (staged[id_] for id_ in new), len(new), now)
    for chunk in _chunks([entry for id_, entry in staged.items() if id_ in held], _UPDATED):
        reply = yield Ask(
            f"UPDATE {table} AS held SET {_SET} FROM {_NEW} WHERE held.id = new.id",
            [*columns(chunk), now],
        )
        if reply.number != len(chunk):
            raise Again
    yield Mark.END
    return outcomes


def _insert(table: str, entries: Iterator[Entry], number: int, now: datetime) -> Steps[None]:
    """Insert rows, in the order of their ids; more than `_WHOLE` need a transaction around.

    Args:
        table: As statements name it.
        entries: The rows, which are made while those before them are sent.
        number: How many they are.
        now: When they are written.
    """
    if number <= _FEW:
        yield Ask(f"INSERT INTO {table} {_INSERT}", [*columns(list(entries)), now])
        return
    sql = f"COPY {table} ({WRITTEN}) FROM STDIN (FORMAT binary)"
    most = math.inf if number <= _WHOLE else _COPIED
    for first in entries:
        yield Copy(sql, blocks(chain((first,), entries), now, most))


def _locked(table: str, ids: set[str]) -> Steps[dict[str, Stored]]:
    """The rows of these ids, which nobody else changes before the end; without their values."""
    reply = yield Ask(
        f"SELECT id, created AT TIME ZONE 'UTC', updated AT TIME ZONE 'UTC', version FROM {table} "
        "WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE",
        (list(ids),),
    )
    return {
        id_: Stored(id_, {}, {}, created.replace(tzinfo=UTC), updated.replace(tzinfo=UTC), version)
        for id_, created, updated, version in reply.rows
    }


def _chunks(entries: list[Entry], size: int) -> Iterator[list[Entry]]:
    for at in range(0, len(entries), size):
        yield entries[at : at + size]


def delete(table: str, removals: Sequence[Removal]) -> Steps[Sequence[bool | HoldallError]]:
    """Delete records: see `RecordStore.delete`."""
    ids = {removal.id for removal in removals}
    if all(removal.version is None for removal in removals):
        gone = yield from _deleted(table, ids)
        return _told(removals, gone)
    yield Mark.BEGIN
    left = yield from _locked(table, ids)
    outcomes: list[bool | HoldallError] = []
    for removal in removals:
        held = left.get(removal.id)
        stale = removal.version is not None and (held is None or held.version != removal.version)
        if stale:
            outcomes.append(changed(removal.id, removal.version, held))
        else:
            outcomes.append(left.pop(removal.id, None) is not None)
    if any(isinstance(one, HoldallError) for one in outcomes):
        yield Mark.END
        return undone(outcomes)
    yield from _deleted(table, ids)
    yield Mark.END
    return outcomes


def _deleted(table: str, ids: set[str]) -> Steps[set[Any]]:
    reply = yield Ask(
        f"WITH held AS (SELECT id FROM {table} WHERE id = ANY($1::text[]) ORDER BY id FOR UPDATE) "
        f"DELETE FROM {table} AS gone USING held WHERE gone.id = held.id RETURNING gone.id",
        (list(ids),),
    )
    return {row[0] for row in reply.rows}


def _told(removals: Sequence[Removal], gone: set[Any]) -> Sequence[bool]:
    told = []
    for removal in removals:
        told.append(removal.id in gone)
        gone.discard(removal.id)
    return told


def clear(table: str) -> Steps[int]:
    """Delete all rows; answer how many there were."""
    reply = yield Ask(f"DELETE FROM {table}")
    return reply.number
