"""The face for users without an event loop: `AsyncDatabase`, driven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

from holdall.core.runtime.blocking import drive, drive_iterator
from holdall.records.async_database import PAGE_RECORDS, AsyncDatabase, AsyncTransaction

if TYPE_CHECKING:
    import builtins
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType

    from holdall.records.contract import RecordStore
    from holdall.records.query import Query
    from holdall.records.record import Record
    from holdall.records.registry import DatabasePlace
    from holdall.records.results import RecordPage
    from holdall.records.stored import Mode, RecordCapabilities


@final
class Database:
    """Records under ids. Safe to use from many threads.

    Every method raises a `HoldallError`, as the method of the same name of `AsyncDatabase` says.

    Args:
        store: The store that it stands before, with a blocking runtime; closed with it.
    """

    def __init__(self, store: RecordStore) -> None:
        self._face = AsyncDatabase(store)

    @classmethod
    def from_config(cls, config: DatabasePlace) -> Database:
        """Open a database by its configuration; the arguments of `holdall.open_database`.

        Raises:
            InvalidConfig: No such backend, or a setting cannot be; names it.
        """
        from holdall.records.opening import open_database

        return open_database(config)

    @property
    def store(self) -> RecordStore:
        """The store behind it."""
        return self._face.store

    @property
    def capabilities(self) -> RecordCapabilities:
        """What the database can do."""
        return self._face.capabilities

    # One record

    def create(self, record: Record) -> str:
        """Write a new record; answer its id, a new UUID where it had none.

        Raises:
            AlreadyExists: There is one of this id.
        """
        return drive(self._face.create(record))

    def read(self, id: str) -> Record | None:  # noqa: A002
        """Answer a record; None when there is none of this id."""
        return drive(self._face.read(id))

    def update(self, id: str | Record, record: Record | None = None) -> None:  # noqa: A002
        """Write a record over the one of its id: `update(record)`, or `update(id, record)`.

        Raises:
            NotFound: There is none.
            PreconditionFailed: It was changed since this one was read; `record.version = None`
                writes over it.
            InvalidKey: The record has another id than the one named.
        """
        drive(self._face.update(id, record))

    def upsert(self, id: str | Record, record: Record | None = None) -> str:  # noqa: A002
        """Write a record, whether there is one of its id or not; answer the id.

        Raises:
            PreconditionFailed: The record has a version, and the database another one or none.
        """
        return drive(self._face.upsert(id, record))

    def patch(
        self,
        id: str,  # noqa: A002
        changes: Mapping[str, Any] | None = None,
        *,
        metadata: Mapping[str, Any] | None = None,
        version: str | None = None,
    ) -> Record:
        """Change some fields of a record; answer it whole.

        Nothing that others change meanwhile is lost: it is done again on what they wrote.

        Args:
            id: Which record.
            changes: New values by field or path (`address.city`).
            metadata: New values of the metadata, by name.
            version: Change only this version.

        Raises:
            NotFound: There is none.
            PreconditionFailed: The version is another one, or others change it all the time.
        """
        return drive(self._face.patch(id, changes, metadata=metadata, version=version))

    def delete(self, id: str, *, version: str | None = None) -> bool:  # noqa: A002
        """Delete a record; answer whether there was one.

        Raises:
            PreconditionFailed: A version is named, and the database holds another one or none.
        """
        return drive(self._face.delete(id, version=version))

    def exists(self, id: str) -> bool:  # noqa: A002
        """Whether there is a record of this id."""
        return drive(self._face.exists(id))

    # Many records

    def batch_create(self, records: Iterable[Record]) -> list[str]:
        """Write new records; answer their ids, in order.

        Raises:
            BatchFailed: Some were not written; its `results` say of each what came of it. Where
                `capabilities.atomic`, none was.
        """
        return drive(self._face.batch_create(records))

    def batch_update(self, records: Iterable[Record]) -> list[str]:
        """Write records over those of their ids; answer the ids. Raises as `batch_create`."""
        return drive(self._face.batch_update(records))

    def batch_upsert(self, records: Iterable[Record]) -> list[str]:
        """Write records, whether they are there or not; answer the ids, as `batch_create`."""
        return drive(self._face.batch_upsert(records))

    def batch_read(self, ids: Iterable[str]) -> list[Record | None]:
        """Answer records in the order of their ids, None where there is none.

        Raises:
            BatchFailed: Some cannot be read.
        """
        return drive(self._face.batch_read(ids))

    def batch_delete(self, ids: Iterable[str]) -> list[bool]:
        """Delete records; answer for each, in order, whether there was one.

        Raises:
            BatchFailed: Some were not deleted.
        """
        return drive(self._face.batch_delete(ids))

    create_batch = batch_create
    read_batch = batch_read
    update_batch = batch_update
    upsert_batch = batch_upsert
    delete_batch = batch_delete

    # Searching

    def search(self, query: Query | None = None) -> list[Record]:
        """Answer the records that a query means, in its order; all of them without one."""
        return drive(self._face.search(query))

    def all(self) -> list[Record]:
        """Answer all records, in the order of their ids."""
        return drive(self._face.all())

    def first(self, query: Query | None = None) -> Record | None:
        """Answer the first record that a query means; None when there is none."""
        return drive(self._face.first(query))

    def page(
        self, query: Query | None = None, token: str | None = None, size: int = 100
    ) -> RecordPage:
        """Answer one page of a search.

        What is written meanwhile may show or not; everything else shows once, and nothing is
        skipped.

        Args:
            query: What to search for, without limit and distinct; its offset is that of the
                whole search.
            token: Of the page before; None for the first one.
            size: How many records at most.

        Raises:
            InvalidQuery: The token is one of another query, or the query has distinct or limit.
        """
        return drive(self._face.page(query, token, size))

    def count(self, query: Query | None = None) -> int:
        """Answer how many records `search` would answer."""
        return drive(self._face.count(query))

    def stream_read(self, query: Query | None = None, size: int = PAGE_RECORDS) -> Iterator[Record]:
        """Go through the records that a query means, in its order; holds `size` at once."""
        return drive_iterator(self._face.stream_read(query, size))

    def stream_write(
        self, records: Iterable[Record], size: int = PAGE_RECORDS, mode: Mode = "create"
    ) -> int:
        """Write records as they come, `size` at a time; answer how many were written.

        Raises:
            BatchFailed: Some of those that were taken together were not written. Those before
                them were; its message says how many.
        """
        return drive(self._face.stream_write(records, size, mode))

    def group(
        self, by: str | Sequence[str] = (), query: Query | None = None, **aggregates: Any
    ) -> list[dict[str, Any]]:
        """Answer one row for each combination of values, with what is computed over it.

            db.group("department", number="count", oldest=("max", "age"))

        Args:
            by: The fields to group by; one group of all records when empty.
            query: Which records.
            aggregates: By the name it has in the answer: `"count"`, or one of `count`, `sum`,
                `min`, `max`, `mean` with a field. Records without a number there (for `min` and
                `max`: without a value) do not count; what has none at all is None, a sum 0.

        Raises:
            InvalidQuery: There is no such aggregate.
        """
        return drive(self._face.group(by, query, **aggregates))

    # The whole

    def clear(self) -> int:
        """Delete all records; answer how many there were."""
        return drive(self._face.clear())

    def create_index(self, *fields: str) -> None:
        """Make searches and sorts by these fields faster, each by itself.

        An index changes no answer. By a field that the database cannot follow as we do (see
        docs/records.md), there is none, and searches look at all records.

        Raises:
            Unsupported: The database has no indexes.
        """
        drive(self._face.create_index(*fields))

    def transaction(self) -> Transaction:
        """A transaction, for `with`: what is done on it counts as a whole or not at all.

            with db.transaction() as inside:
                inside.create(record)

        It counts when the block ends, and not when the block raises.

        Raises:
            Unsupported: At `with`: the database has no transactions.
        """
        return Transaction(self._face.transaction())

    def close(self) -> None:
        """Let go of files and connections; may be called again."""
        drive(self._face.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: builtins.type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Database, (self.store,)

    def __repr__(self) -> str:
        return f"Database({self.store.address!r})"


@final
class Transaction:
    """What `Database.transaction` answers."""

    def __init__(self, face: AsyncTransaction) -> None:
        self._face = face

    def __enter__(self) -> Database:
        return Database(drive(self._face.__aenter__()).store)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        drive(self._face.__aexit__(kind, error, traceback))
