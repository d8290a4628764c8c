"""Records in a file of SQLite: the embedded database, with the standard library alone.

A row holds the fields and the metadata as JSON, so that SQLite's own functions search it. One
writes at a time, in one transaction a batch; readers go on meanwhile.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from holdall.records.backends.sqlite import reading, writing
from holdall.records.backends.sqlite.connections import Connections
from holdall.records.backends.sqlite.faults import translated
from holdall.records.backends.sqlite.settings import (
    SqliteRecordSettings,
    check_settings,
    settings_of_address,
)
from holdall.records.backends.sqlite.table import Table
from holdall.records.backends.sqlite.transaction import SqliteTransaction
from holdall.records.contract import RecordStore
from holdall.records.stored import RecordCapabilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from msgspec import Struct

    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime
    from holdall.records.backends.sqlite.connections import Connection
    from holdall.records.contract import RecordTransaction
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored, Write

T = TypeVar("T")

_TYPE: Final = "sqlite"


@final
class SqliteRecords(RecordStore):
    """A database in a file."""

    settings_type = SqliteRecordSettings

    def __init__(self, settings: SqliteRecordSettings, runtime: Runtime) -> None:
        super().__init__(settings, runtime)
        check_settings(settings)
        self._file = settings
        self._table = Table(settings)
        self._connections = Connections(settings, self._table.prepare)
        # Who waits for another writer of this process waits here, and takes no thread for it.
        self._writing = runtime.semaphore(1)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> SqliteRecords:
        assert isinstance(settings, SqliteRecordSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return settings_of_address(url)

    @property
    def type(self) -> str:
        return _TYPE

    @property
    def address(self) -> str:
        return self._file.address

    @property
    def capabilities(self) -> RecordCapabilities:
        return RecordCapabilities(
            atomic=True, transactions=True, indexes=True, durable=self._file.durable
        )

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        if not ids:
            return []
        return await self._read(lambda one: reading.rows_of(one, self._table, ids))

    async def find(self, found: Found) -> Sequence[Stored]:
        return await self._read(lambda one: reading.searched(one, self._table, found))

    async def count(self, predicate: Node) -> int:
        return await self._read(lambda one: reading.counted(one, self._table, predicate))

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        if not writes:
            return []
        prepared = await self._runtime.call(writing.prepare, None, writes)
        return await self._write(lambda one: writing.put(one, self._table, prepared))

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        if not removals:
            return []
        return await self._write(lambda one: writing.delete(one, self._table, removals))

    async def clear(self) -> int:
        return await self._write(lambda one: writing.clear(one, self._table))

    async def index(self, path: Path) -> None:
        await self._write(lambda one: self._table.index(one, path))

    async def begin(self) -> RecordTransaction:
        await self._wait_for_writers()
        begun: list[Connection] = []
        try:
            await self._runtime.call(self._begin, None, begun)
        except BaseException:
            # Who is cancelled is told so when the thread is through, which may have begun.
            for connection in begun:
                await self._end(connection)
            if not begun:
                self._writing.release()
            raise
        return SqliteTransaction(self._file, self._runtime, self._table, begun[0], self._end)

    async def close(self) -> None:
        await self._runtime.call(self._connections.close, None)

    async def _read(self, function: Callable[[Connection], T]) -> T:
        return await self._runtime.call(self._with_one, None, function)

    async def _write(self, function: Callable[[Connection], T]) -> T:
        async with self._turn():
            return await self._runtime.call(self._with_one, None, function)

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until nobody else of this process writes."""
        await self._wait_for_writers()
        try:
            yield
        finally:
            self._writing.release()

    async def _wait_for_writers(self) -> None:
        self._connections.check()
        what = f"{self.address}, waiting for another writer: the setting timeout"
        async with self._runtime.deadline(self._file.timeout, what):
            await self._writing.acquire()

    def _with_one(self, function: Callable[[Connection], T]) -> T:
        with self._connections.one() as connection:
            return function(connection)

    def _begin(self, begun: list[Connection]) -> None:
        with translated(self._file):
            connection = self._connections.take()
            try:
                connection.execute("BEGIN IMMEDIATE")
            except BaseException:
                self._connections.give_back(connection)
                raise
            begun.append(connection)

    async def _end(self, connection: Connection) -> None:
        try:
            if self._runtime.blocking:  # also after a deadline, when the runtime calls nothing
                self._connections.give_back(connection)
            else:
                await self._runtime.call(self._connections.give_back, None, connection)
        finally:
            self._writing.release()
