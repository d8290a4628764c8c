"""From one database of records to another.

    from holdall.records.migration import migrate

    archive = holdall.open_database("s3://archive/records/")
    report = migrate(production, archive, Query().filter("year", "<", 2020), delete_source=True)
    report.check()

It may be run again, also after it was killed: what the target has already counts as done. That
costs no journal, and reading both databases once. With `delete_source`, what was done is gone from
the source and is not even read.

The target gives each record a version, `created_at` and `updated_at` of its own; fields and the
user's metadata move. To keep when a record was created in the source, have `transform` make it a
field:

    def keep_age(record):
        record.fields["first_seen"] = record.metadata["created_at"]
        return record
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.runtime.blocking import drive
from holdall.records.migration_engine import Migration
from holdall.records.migration_results import (
    BATCH,
    MigrationFailure,
    MigrationOptions,
    MigrationReport,
    predicate_of,
)

if TYPE_CHECKING:
    from holdall.records.async_database import AsyncDatabase
    from holdall.records.database import Database
    from holdall.records.migration_results import OnConflict, OnProgress, Transform
    from holdall.records.query import Query

__all__ = ["BATCH", "MigrationFailure", "MigrationReport", "migrate", "migrate_async"]


async def migrate_async(
    source: AsyncDatabase,
    target: AsyncDatabase,
    query: Query | None = None,
    *,
    transform: Transform | None = None,
    on_conflict: OnConflict = "skip",
    batch: int = BATCH,
    workers: int = 1,
    progress: OnProgress | None = None,
    delete_source: bool = False,
    verify: bool = True,
) -> MigrationReport:
    """Write records of one database to another; answer what came of them.

    No record is lost and none is doubled, also when it is killed at any moment, or others write
    to both databases meanwhile. What others create in the source while it runs may be moved or
    not. A record that cannot be written stands in the report, and the others go on.

    Args:
        source: Where from.
        target: Where to: another database.
        query: Which records: conditions only, no sort, limit, offset, select or distinct. None
            for all.
        transform: Answers what a record becomes, or None to leave it out; called in the order of
            ids, one call at a time. A record that it answers without an id keeps the one it had.
            It must answer the same for the same record, or a second run finds another one in the
            target. Two records that it makes equal, under one id, are one afterwards.
        on_conflict: Where the target has a record of the same id that is not exactly the same:
            `skip` leaves it, `replace` writes over it, and `fail` leaves it too and counts as
            failed. Where it is the same, nothing is to be done, in any case.
        batch: How many records are taken together.
        workers: How many batches are on the way at a time, for a target that answers over a
            network; twice as many more wait in memory.
        progress: Called after each batch with how many records are done, and how many there are;
            for that they are counted first.
        delete_source: Whether to delete from the source what the target has for sure. What was
            changed in the source since it was read stays there, and stands in the report as
            `kept`; run it again with `replace` to move it too.
        verify: Whether to read back each batch and compare it, values and types.

    Raises:
        InvalidConfig: Source and target are the same database.
        InvalidQuery: The query says more than which records.
        Corrupt: A record of the source cannot be read.
        ValueError: An argument cannot be.
        HoldallError: A database cannot be reached or used. What was moved before stays; run it
            again to go on.
    """
    options = MigrationOptions(
        predicate=predicate_of(query),
        on_conflict=on_conflict,
        batch=batch,
        workers=workers,
        delete_source=delete_source,
        verify=verify,
    )
    return await Migration(source.store, target.store, options, transform, progress).run()


def migrate(
    source: Database,
    target: Database,
    query: Query | None = None,
    *,
    transform: Transform | None = None,
    on_conflict: OnConflict = "skip",
    batch: int = BATCH,
    workers: int = 1,
    progress: OnProgress | None = None,
    delete_source: bool = False,
    verify: bool = True,
) -> MigrationReport:
    """Write records of one database to another; answer what came of them; see `migrate_async`."""
    options = MigrationOptions(
        predicate=predicate_of(query),
        on_conflict=on_conflict,
        batch=batch,
        workers=workers,
        delete_source=delete_source,
        verify=verify,
    )
    return drive(Migration(source.store, target.store, options, transform, progress).run())
