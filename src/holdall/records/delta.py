"""Upkeep of databases in Delta Lake tables.

    from datetime import timedelta

    from holdall.records import delta

    db = holdall.open_database("delta+s3://bucket/table")
    delta.compact(db)
    delta.vacuum(db, timedelta(days=30))
    assert not delta.verify(db)

Each write adds files and a version. `compact` joins small files, so that searches read fewer of
them. `vacuum` deletes the files of versions that nobody wants to read any more, and what writers
that were killed left behind. `verify` looks for ids that writers without Holdall made twice, and
`versions` says what there is to read with the setting `at_version`.

Every function has a twin for asyncio, such as `compact_async`, and raises `Unsupported` for a
database of another backend.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from holdall.core.errors import Unsupported
from holdall.core.runtime.blocking import drive
from holdall.records.backends.delta.results import Compacted, Vacuumed, Version
from holdall.records.backends.delta.store import DeltaRecords

if TYPE_CHECKING:
    from holdall.records.async_database import AsyncDatabase
    from holdall.records.database import Database

__all__ = [
    "RETENTION",
    "Compacted",
    "Vacuumed",
    "Version",
    "compact",
    "compact_async",
    "vacuum",
    "vacuum_async",
    "verify",
    "verify_async",
    "versions",
    "versions_async",
]

RETENTION = timedelta(days=7)
"""How long `vacuum` keeps the files of versions before, unless told otherwise."""


def compact(db: Database) -> Compacted:
    """Join small files into large ones, by one commit; no record changes.

    Ended at any moment, by Ctrl-C or a power cut, it has happened as a whole or not at all; the
    driver hears Ctrl-C when it is done. Others may read and write meanwhile: when they change
    records in the files that are joined, it begins anew. Versions before keep their files, until
    `vacuum`.

    Returns:
        How many files there were and are; twice the same where nothing was to be joined.

    Raises:
        PreconditionFailed: Others wrote each time, too often in a row.
        Unsupported: It is no Delta Lake table, or a version of the past.
    """
    return drive(_table_of(db).compact())


async def compact_async(db: AsyncDatabase) -> Compacted:
    """`compact` for asyncio."""
    return await _table_of(db).compact()


def vacuum(db: Database, retention: timedelta = RETENTION, *, dry_run: bool = False) -> Vacuumed:
    """Delete files that no version of this time needs, also those of writers that were killed.

    Ended at any moment, what it did not delete is deleted by the next one; no record changes.

    Args:
        db: The database.
        retention: For how long versions can still be read, and searches that began go on; whole
            hours, rounded up. A writer that began earlier and is still writing loses its files,
            so that nothing is safe with 0 but a table that nobody else uses.
        dry_run: Whether it only says what it would delete.

    Returns:
        The files.

    Raises:
        InvalidConfig: The time is negative.
        Unsupported: It is no Delta Lake table, or a version of the past.
    """
    return drive(_table_of(db).vacuum(retention, dry_run=dry_run))


async def vacuum_async(
    db: AsyncDatabase, retention: timedelta = RETENTION, *, dry_run: bool = False
) -> Vacuumed:
    """`vacuum` for asyncio."""
    return await _table_of(db).vacuum(retention, dry_run=dry_run)


def verify(db: Database) -> list[str]:
    """Answer the ids that several rows have, which only writers without Holdall can have made.

    Returns:
        The ids in order, an empty one when a row has none. Empty when all is well, and where
        there is no table.

    Raises:
        Unsupported: It is no Delta Lake table.
    """
    return drive(_table_of(db).verify())


async def verify_async(db: AsyncDatabase) -> list[str]:
    """`verify` for asyncio."""
    return await _table_of(db).verify()


def versions(db: Database, limit: int | None = None) -> list[Version]:
    """Answer the versions that the log of the table knows, the newest first.

    The files of an old one may be gone by `vacuum`, and then it cannot be read.

    Args:
        db: The database.
        limit: How many at most; None for all.

    Returns:
        The versions; none where there is no table.

    Raises:
        Unsupported: It is no Delta Lake table.
    """
    return drive(_table_of(db).versions(limit))


async def versions_async(db: AsyncDatabase, limit: int | None = None) -> list[Version]:
    """`versions` for asyncio."""
    return await _table_of(db).versions(limit)


def _table_of(db: Database | AsyncDatabase) -> DeltaRecords:
    store = db.store
    if not isinstance(store, DeltaRecords):
        raise Unsupported(
            f"{store.address} is a database of the backend {store.type!r}, and no Delta Lake "
            "table: there is nothing to compact or vacuum, and no id is there twice",
            reference=store.address,
        )
    return store
