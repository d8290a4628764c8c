"""Databases for these tests, and what is in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from holdall.records.opening import open_database
from holdall.records.record import STORE_NAMES, Record
from holdall.testing.records.generated import fields, ids

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.records.database import Database

tables = st.dictionaries(ids, st.tuples(fields, fields), max_size=6)
"""Fields and metadata by id."""


def database(records: Iterable[Record] = ()) -> Database:
    """A database in memory with these records."""
    db = open_database("memory://")
    db.batch_create(records)
    return db


def filled(rows: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> Database:
    """A database with these fields and metadata by id."""
    return database(
        Record(row, id_, {k: v for k, v in metadata.items() if k not in STORE_NAMES})
        for id_, (row, metadata) in rows.items()
    )


def shown(db: Database) -> list[Any]:
    """All that users gave to a database, in order; what is the same reads the same."""
    return [
        (
            one.id,
            repr(sorted(one.fields.items())),
            repr(sorted((k, v) for k, v in one.metadata.items() if k not in STORE_NAMES)),
        )
        for one in db.all()
    ]
