"""The database in PostgreSQL, and its transactions."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, final

from holdall.core.errors import Corrupt, HoldallError, LimitExceeded, Unsupported
from holdall.records.backends.postgres import searching, writing
from holdall.records.backends.postgres.rows import stored
from holdall.records.backends.postgres.server import Server
from holdall.records.backends.postgres.settings import PostgresSettings, check, settings_of
from holdall.records.backends.postgres.table import Table
from holdall.records.backends.postgres.terms import Declined
from holdall.records.contract import RecordStore, RecordTransaction
from holdall.records.stored import RecordCapabilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from msgspec import Struct

    from holdall.core.runtime import Runtime
    from holdall.records.backends.postgres.server import Line, Transaction
    from holdall.records.backends.postgres.steps import Steps
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored, Write

CAPABILITIES: Final = RecordCapabilities(
    atomic=True, transactions=True, indexes=True, durable=True, remote=True
)


class _Records(RecordStore):
    """What is done in the same way within a transaction and without one."""

    _table: Table

    @property
    @abstractmethod
    def _line(self) -> Line:
        """What steps go over."""

    @property
    def type(self) -> str:
        return "postgres"

    @property
    def address(self) -> str:
        return self._line.address

    @property
    def capabilities(self) -> RecordCapabilities:
        return CAPABILITIES

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        rows = await self._line.ask(searching.get(self._table.sql, ids)) if ids else ()
        found = {row[0]: row for row in rows}
        # Who asks twice is answered twice, and each answer is the caller's own.
        return [_read(found.get(id_)) for id_ in ids]

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        if not writes:
            return []
        table = self._table.sql
        new = all(write.mode == "create" for write in writes)

        def steps(attempt: int) -> Steps[Sequence[Outcome]]:
            if new and not attempt:  # it shows whether they are new, and each of another id
                return writing.create(table, writes)
            return writing.put(table, writes)

        return await self._line.change(steps)

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        if not removals:
            return []
        table = self._table.sql
        return await self._line.change(lambda _: writing.delete(table, removals))

    async def find(self, found: Found) -> Sequence[Stored]:
        return await self._line.ask(searching.find(self._table.sql, found))

    async def count(self, predicate: Node) -> int:
        return await self._line.ask(searching.count(self._table.sql, predicate))

    async def clear(self) -> int:
        return await self._line.change(lambda _: writing.clear(self._table.sql))

    async def index(self, path: Path) -> None:
        # Where SQL does not follow a path no index would be used; and names that are very long
        # are more than a definition of an index holds.
        with suppress(Declined, LimitExceeded):
            await self._line.change(lambda _: self._table.indexed(path))


def _read(row: tuple[Any, ...] | None) -> Stored | HoldallError | None:
    if row is None:
        return None
    try:
        return stored(row)
    except Corrupt as error:
        return error


@final
class PostgresRecords(_Records):
    """Records as rows of one table of PostgreSQL, which is made when it is not there."""

    settings_type = PostgresSettings

    def __init__(self, settings: PostgresSettings, runtime: Runtime) -> None:
        check(settings)
        super().__init__(settings, runtime)
        self._table = Table(settings)
        self._server = Server(settings, runtime, self._table)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> PostgresRecords:
        assert isinstance(settings, PostgresSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return settings_of(url)

    @property
    def _line(self) -> Line:
        return self._server

    async def begin(self) -> RecordTransaction:
        begun = await self._server.begin(b"BEGIN ISOLATION LEVEL SERIALIZABLE")
        return PostgresTransaction(self, self._table, begun)

    async def close(self) -> None:
        await self._server.close()


@final
class PostgresTransaction(_Records, RecordTransaction):
    """A transaction, as if no other one were under way.

    One that would not come to the same with the others, one after another, is refused with
    `PreconditionFailed`: by `commit`, or by what is done on it.
    """

    settings_type = PostgresSettings

    def __init__(self, store: PostgresRecords, table: Table, begun: Transaction) -> None:
        super().__init__(store.settings, store.runtime)
        self._table = table
        self._begun = begun

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> RecordStore:
        raise Unsupported("a transaction is begun on a database")

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return settings_of(url)

    @property
    def _line(self) -> Line:
        return self._begun

    async def begin(self) -> RecordTransaction:
        raise Unsupported(f"{self.address}: a transaction holds no other one")

    async def commit(self) -> None:
        await self._begun.end(b"COMMIT")

    async def rollback(self) -> None:
        if not self._begun.ended:
            await self._begun.end(b"ROLLBACK")

    async def close(self) -> None:
        await self.rollback()
