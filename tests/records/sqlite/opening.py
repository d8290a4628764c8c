"""How these tests open databases, and what they ask them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.records.contract import RecordStore
from holdall.records.query import Query
from holdall.records.stored import Found, Mode, Outcome, Stored, Write


def opened(path: Path, **settings: Any) -> SqliteRecords:
    """A store of the blocking face on a file."""
    return SqliteRecords(SqliteRecordSettings(str(path), **settings), BlockingRuntime())


def put(
    store: RecordStore, rows: dict[str, dict[str, Any]], mode: Mode = "create"
) -> Sequence[Outcome]:
    """Write fields by id."""
    return drive(store.put([Write(id_, fields, {}, mode) for id_, fields in rows.items()]))


def found(store: RecordStore, query: Query, after: tuple[Any, ...] | None = None) -> list[Stored]:
    """The rows that a query means."""
    asked = Found(query.predicate, query.sorts, after, query.skipped, query.maximum)
    return list(drive(store.find(asked)))


def ids(store: RecordStore, query: Query, after: tuple[Any, ...] | None = None) -> list[str]:
    """The ids of the rows that a query means."""
    return [row.id for row in found(store, query, after)]
