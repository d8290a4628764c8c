"""The face for users: records under ids, and queries; for asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, final

from holdall.core.errors import HoldallError, InvalidQuery, NotFound, PreconditionFailed
from holdall.records import grouping
from holdall.records.drafts import (
    check_batch,
    draft,
    drafts,
    fit_id,
    note,
    patched,
    shown,
)
from holdall.records.paging import after, read_token, token_after
from holdall.records.paths import parse_path
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.results import RecordPage, check_outage
from holdall.records.stored import Found, Removal

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
    from types import TracebackType

    from holdall.records.contract import RecordStore, RecordTransaction
    from holdall.records.registry import DatabasePlace
    from holdall.records.stored import Mode, RecordCapabilities, Stored

PAGE_RECORDS = 1000
"""How many records a stream holds at once."""

_PATCH_TRIES = 20


@final
class AsyncDatabase:
    """Records under ids. Safe to use from many tasks.

    Args:
        store: The store that it stands before; closed with it.
    """

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    @classmethod
    def from_config(cls, config: DatabasePlace) -> AsyncDatabase:
        """Open a database by its configuration; the arguments of `holdall.open_database_async`.

        Raises:
            InvalidConfig: No such backend, or a setting cannot be; names it.
        """
        from holdall.records.opening import open_database_async

        return open_database_async(config)

    @property
    def store(self) -> RecordStore:
        """The store behind it."""
        return self._store

    @property
    def capabilities(self) -> RecordCapabilities:
        """What the database can do."""
        return self._store.capabilities

    # One record

    async def create(self, record: Record) -> str:
        """Write a new record; answer its id, a new UUID where it had none.

        Raises:
            AlreadyExists: There is one of this id.
        """
        return await self._write(record, "create")

    async def read(self, id: str) -> Record | None:  # noqa: A002
        """Answer a record; None when there is none of this id."""
        row = (await self._store.get([fit_id(id, self.capabilities)]))[0]
        if isinstance(row, HoldallError):
            raise row
        return None if row is None else shown(row)

    async def update(self, id: str | Record, record: Record | None = None) -> None:  # noqa: A002
        """Write a record over the one of its id: `update(record)`, or `update(id, record)`.

        Raises:
            NotFound: There is none.
            PreconditionFailed: It was changed since this one was read; `record.version = None`
                writes over it.
            InvalidKey: The record has another id than the one named.
        """
        named, whole = named_record(id, record)
        await self._write(whole, "update", named)

    async def upsert(self, id: str | Record, record: Record | None = None) -> str:  # noqa: A002
        """Write a record, whether there is one of its id or not; answer the id.

        Raises:
            PreconditionFailed: The record has a version, and the database another one or none.
        """
        named, whole = named_record(id, record)
        return await self._write(whole, "upsert", named)

    async def patch(
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
        for _ in range(_PATCH_TRIES):
            row = (await self._store.get([fit_id(id, self.capabilities)]))[0]
            if isinstance(row, HoldallError):
                raise row
            if row is None:
                raise NotFound(f"there is no record {id!r} to patch", reference=id)
            record = patched(row, changes or {}, metadata)
            if version is not None:
                record.version = version
            try:
                await self._write(record, "update")
            except PreconditionFailed as error:
                # In a transaction it would fail again: all of that must be done again.
                if version is not None or error.transient:
                    raise
                continue
            return record
        raise PreconditionFailed(
            f"the record {id!r} was changed by others {_PATCH_TRIES} times in a row", reference=id
        )

    async def delete(self, id: str, *, version: str | None = None) -> bool:  # noqa: A002
        """Delete a record; answer whether there was one.

        Raises:
            PreconditionFailed: A version is named, and the database holds another one or none.
        """
        removal = Removal(fit_id(id, self.capabilities), version)
        outcome = (await self._store.delete([removal]))[0]
        if isinstance(outcome, HoldallError):
            raise outcome
        return outcome

    async def exists(self, id: str) -> bool:  # noqa: A002
        """Whether there is a record of this id, also one that is damaged or too large to read."""
        rows = await self._store.get([fit_id(id, self.capabilities)])
        check_outage(rows)
        return rows[0] is not None

    async def _write(self, record: Record, mode: Mode, id: str | None = None) -> str:  # noqa: A002
        write = draft(record, mode, self.capabilities, id)
        return note(record, write, (await self._store.put([write]))[0])

    # Many records

    async def batch_create(self, records: Iterable[Record]) -> list[str]:
        """Write new records; answer their ids, in order.

        Raises:
            BatchFailed: Some were not written; its `results` say of each what came of it. Where
                `capabilities.atomic`, none was.
        """
        return await self._batch(records, "create", "created")

    async def batch_update(self, records: Iterable[Record]) -> list[str]:
        """Write records over those of their ids; answer the ids. Raises as `batch_create`."""
        return await self._batch(records, "update", "updated")

    async def batch_upsert(self, records: Iterable[Record]) -> list[str]:
        """Write records, whether they are there or not; answer the ids, as `batch_create`."""
        return await self._batch(records, "upsert", "written")

    async def batch_read(self, ids: Iterable[str]) -> list[Record | None]:
        """Answer records in the order of their ids, None where there is none.

        Raises:
            BatchFailed: Some cannot be read; its `results` have the others.
        """
        wanted = [fit_id(one, self.capabilities) for one in ids]
        results: list[Any] = [
            row if row is None or isinstance(row, HoldallError) else shown(row)
            for row in await self._store.get(wanted)
        ]
        check_batch("cannot be read", results)
        return results

    async def batch_delete(self, ids: Iterable[str]) -> list[bool]:
        """Delete records; answer for each, in order, whether there was one.

        Raises:
            BatchFailed: Some were not deleted.
        """
        removals = [Removal(fit_id(one, self.capabilities)) for one in ids]
        outcomes = await self._store.delete(removals)
        check_batch("were not deleted", outcomes)
        return list(outcomes)  # type: ignore[arg-type]

    create_batch = batch_create
    read_batch = batch_read
    update_batch = batch_update
    upsert_batch = batch_upsert
    delete_batch = batch_delete

    async def _batch(self, records: Iterable[Record], mode: Mode, what: str) -> list[str]:
        whole = list(records)
        writes = drafts(whole, mode, self.capabilities, what)
        outcomes = await self._store.put(writes)
        results: list[Any] = [
            outcome if isinstance(outcome, HoldallError) else note(record, write, outcome)
            for record, write, outcome in zip(whole, writes, outcomes, strict=True)
        ]
        check_batch(f"were not {what}", results)
        return results

    # Searching

    async def search(self, query: Query | None = None) -> list[Record]:
        """Answer the records that a query means, in its order; all of them without one."""
        asked = Query() if query is None else query
        if asked.unique:
            return [record async for record in self.stream_read(asked)]
        found = Found(asked.predicate, asked.sorts, None, asked.skipped, asked.maximum)
        return [shown(row, asked.fields) for row in await self._store.find(found)]

    async def all(self) -> list[Record]:
        """Answer all records, in the order of their ids."""
        return await self.search()

    async def first(self, query: Query | None = None) -> Record | None:
        """Answer the first record that a query means; None when there is none."""
        asked = Query() if query is None else query
        few = 1 if asked.maximum is None else min(1, asked.maximum)
        return next(iter(await self.search(asked.limit(few))), None)

    async def page(
        self, query: Query | None = None, token: str | None = None, size: int = 100
    ) -> RecordPage:
        """Answer one page of a search.

        What is written meanwhile may show or not; everything else shows once, and nothing is
        skipped.

        Args:
            query: What to search for; its limit and offset are those of the whole search, and
                it has no distinct.
            token: Of the page before; None for the first one.
            size: How many records at most.

        Raises:
            InvalidQuery: The token is one of another query, or the query has distinct or limit.
        """
        asked = Query() if query is None else query
        if asked.unique or asked.maximum is not None:
            raise InvalidQuery("a page takes a query without limit and distinct: use size")
        if size < 1:
            raise InvalidQuery(f"size {size}: a page has at least one record")
        last = None if token is None else read_token(asked, token)
        skip = asked.skipped if last is None else 0
        rows = await self._store.find(Found(asked.predicate, asked.sorts, last, skip, size + 1))
        further = token_after(asked, rows[size - 1]) if len(rows) > size else None
        return RecordPage([shown(row, asked.fields) for row in rows[:size]], further)

    async def count(self, query: Query | None = None) -> int:
        """Answer how many records `search` would answer."""
        asked = Query() if query is None else query
        if asked.unique:
            number = 0
            async for _ in self.stream_read(asked):
                number += 1
            return number
        number = max(0, await self._store.count(asked.predicate) - asked.skipped)
        return number if asked.maximum is None else min(number, asked.maximum)

    async def stream_read(
        self, query: Query | None = None, size: int = PAGE_RECORDS
    ) -> AsyncIterator[Record]:
        """Go through the records that a query means, in its order; holds `size` at once."""
        asked = Query() if query is None else query
        left, skip = asked.maximum, asked.skipped
        async for row in self._rows(asked, size):
            if skip:
                skip -= 1
                continue
            if left is not None:
                if left == 0:
                    return
                left -= 1
            yield shown(row, asked.fields)

    async def _rows(self, query: Query, size: int) -> AsyncIterator[Stored]:
        """Go through the rows that a query means, without limit and offset."""
        last: tuple[Any, ...] | None = None
        seen, whole = grouping.Seen(query.unique), object()
        while True:
            found = Found(query.predicate, query.sorts, last, 0, size, whole)
            rows = await self._store.find(found)
            if rows:
                last = after(query, rows[-1])
            for row in rows:
                if seen.new(row):
                    yield row
            if len(rows) < size:
                return

    async def stream_write(
        self,
        records: Iterable[Record] | AsyncIterable[Record],
        size: int = PAGE_RECORDS,
        mode: Mode = "create",
    ) -> int:
        """Write records as they come, `size` at a time; answer how many were written.

        Raises:
            BatchFailed: Some of those that were taken together were not written. Those before
                them were; its message says how many.
        """
        number = 0
        waiting: list[Record] = []
        async for record in _each(records):
            waiting.append(record)
            if len(waiting) >= size:
                number += await self._write_some(waiting, mode, number)
                waiting = []
        if waiting:
            number += await self._write_some(waiting, mode, number)
        return number

    async def _write_some(self, records: list[Record], mode: Mode, before: int) -> int:
        return len(await self._batch(records, mode, f"written, after {before} that were"))

    async def group(
        self, by: str | Sequence[str] = (), query: Query | None = None, **aggregates: Any
    ) -> list[dict[str, Any]]:
        """Answer one row for each combination of values, with what is computed over it.

            await db.group("department", number="count", oldest=("max", "age"))

        Args:
            by: The fields to group by; one group of all records when empty.
            query: Which records.
            aggregates: By the name it has in the answer: `"count"`, or one of `count`, `sum`,
                `min`, `max`, `mean` with a field. Records without a number there (for `min` and
                `max`: without a value) do not count; what has none at all is None, a sum 0. Sums
                are exact: a Decimal where there is one, else a float where there is one.

        Raises:
            InvalidQuery: There is no such aggregate.
            InvalidValue: A sum or mean is of numbers that have none: too large for a float, or of
                more digits than can be added.
        """
        groups = grouping.Groups(by, aggregates)
        async for row in self._rows(Query() if query is None else query, PAGE_RECORDS):
            groups.add(row)
        return groups.rows()

    # The whole

    async def clear(self) -> int:
        """Delete all records; answer how many there were."""
        return await self._store.clear()

    async def create_index(self, *fields: str) -> None:
        """Make searches and sorts by these fields faster, each by itself.

        An index changes no answer. By a field that the database cannot follow as we do (see
        docs/records.md), there is none, and searches look at all records.

        Raises:
            Unsupported: The database has no indexes.
        """
        for field in fields:
            await self._store.index(parse_path(field))

    def transaction(self) -> AsyncTransaction:
        """A transaction, for `async with`: what is done on it counts as a whole or not at all.

            async with db.transaction() as inside:
                await inside.create(record)

        It counts when the block ends, and not when the block raises.

        Raises:
            Unsupported: At `async with`: the database has no transactions.
        """
        return AsyncTransaction(self._store)

    async def close(self) -> None:
        """Let go of files and connections; may be called again."""
        await self._store.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return AsyncDatabase, (self.store,)

    def __repr__(self) -> str:
        return f"AsyncDatabase({self._store.address!r})"


@final
class AsyncTransaction:
    """What `AsyncDatabase.transaction` answers."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store
        self._begun: RecordTransaction | None = None

    async def __aenter__(self) -> AsyncDatabase:
        self._begun = await self._store.begin()
        return AsyncDatabase(self._begun)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        assert self._begun is not None
        if kind is None:
            await self._begun.commit()
        else:
            await self._begun.rollback()


def named_record(id: str | Record, record: Record | None) -> tuple[str | None, Record]:  # noqa: A002
    """What `update(record)` and `update(id, record)` mean."""
    if isinstance(id, Record):
        if record is not None:
            raise TypeError("write update(record), or update(id, record)")
        return None, id
    if record is None:
        raise TypeError(f"the record {id!r} shall become what? write update(id, record)")
    return id, record


async def _each(records: Iterable[Record] | AsyncIterable[Record]) -> AsyncIterator[Record]:
    if hasattr(records, "__aiter__"):
        async for record in records:
            yield record
    else:
        for record in records:
            yield record
