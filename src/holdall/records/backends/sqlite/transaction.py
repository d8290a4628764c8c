"""A transaction on a file of SQLite: one connection, which nobody else uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, final

from holdall.core.errors import Unavailable, Unsupported
from holdall.records.backends.sqlite import reading, writing
from holdall.records.backends.sqlite.connections import refuse_orphan
from holdall.records.backends.sqlite.faults import translated
from holdall.records.backends.sqlite.settings import SqliteRecordSettings, settings_of_address
from holdall.records.contract import RecordTransaction
from holdall.records.stored import RecordCapabilities

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from msgspec import Struct

    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime
    from holdall.records.backends.sqlite.connections import Connection
    from holdall.records.backends.sqlite.table import Table
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored, Write

T = TypeVar("T")


@final
class SqliteTransaction(RecordTransaction):
    """A transaction that has begun; nobody else writes to the file until it ends.

    Args:
        settings: Those of its store.
        runtime: How it waits.
        table: The table.
        connection: Its own.
        end: Takes the connection back; undoes what was not committed.
    """

    settings_type = SqliteRecordSettings

    def __init__(
        self,
        settings: SqliteRecordSettings,
        runtime: Runtime,
        table: Table,
        connection: Connection,
        end: Callable[[Connection], Awaitable[None]],
    ) -> None:
        super().__init__(settings, runtime)
        self._file = settings
        self._table = table
        self._connection: Connection | None = connection
        self._end = end

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> SqliteTransaction:
        raise Unsupported("a transaction is begun by its store")

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return settings_of_address(url)

    @property
    def type(self) -> str:
        return "sqlite"

    @property
    def address(self) -> str:
        return self._file.address

    @property
    def capabilities(self) -> RecordCapabilities:
        return RecordCapabilities(atomic=True, durable=self._file.durable)

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        return await self._call(lambda one: reading.rows_of(one, self._table, ids)) if ids else []

    async def find(self, found: Found) -> Sequence[Stored]:
        return await self._call(lambda one: reading.searched(one, self._table, found))

    async def count(self, predicate: Node) -> int:
        return await self._call(lambda one: reading.counted(one, self._table, predicate))

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        return await self._call(
            lambda one: writing.put(one, self._table, writing.prepare(writes)) if writes else []
        )

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        return await self._call(
            lambda one: writing.delete(one, self._table, removals) if removals else []
        )

    async def clear(self) -> int:
        return await self._call(lambda one: writing.clear(one, self._table))

    async def index(self, path: Path) -> None:
        raise Unsupported(f"{self.address}: make indexes outside of a transaction")

    async def begin(self) -> RecordTransaction:
        raise Unsupported(f"{self.address}: a transaction has none inside of it")

    async def commit(self) -> None:
        try:
            await self._call(lambda one: one.execute("COMMIT"))
        finally:
            await self.rollback()

    async def rollback(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._end(connection)

    async def close(self) -> None:
        await self.rollback()

    async def _call(self, function: Callable[[Connection], T]) -> T:
        refuse_orphan(self._file)
        if self._connection is None:
            raise Unavailable(f"{self.address}: this transaction is over", transient=False)
        return await self._runtime.call(self._guarded, None, function, self._connection)

    def _guarded(self, function: Callable[[Connection], T], connection: Connection) -> T:
        with translated(self._file):
            return function(connection)
