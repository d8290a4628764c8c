"""Facts about databases of records, through both faces."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from holdall.records.async_database import AsyncDatabase
from holdall.records.database import Database
from holdall.testing.awaited import Awaited
from holdall.testing.facts import BothFaces

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from holdall.core.runtime import Runtime
    from holdall.records.contract import RecordStore

MakeRecords: TypeAlias = "Callable[[Runtime], RecordStore]"


class AwaitedDatabase(Awaited):
    """A `Database`, spoken to as if it were an `AsyncDatabase`."""

    iterators = frozenset({"stream_read"})

    def transaction(self) -> AbstractAsyncContextManager[AsyncDatabase]:
        """As `AsyncDatabase.transaction`."""
        return cast(
            "AbstractAsyncContextManager[AsyncDatabase]", _Inside(self._inner.transaction())
        )


class _Inside(Awaited):
    async def __aenter__(self) -> AwaitedDatabase:
        return AwaitedDatabase(self._inner.__enter__())


class RecordFacts(BothFaces[AsyncDatabase]):
    """Facts about a database: each `async def test_…(self, db)` becomes a test for each face.

    `db` is an `AsyncDatabase`, or a `Database` that is spoken to in the same words.
    """

    def face(self, store: RecordStore) -> AsyncDatabase:
        """The face of a database."""
        if store.runtime.blocking:
            return cast("AsyncDatabase", AwaitedDatabase(Database(store)))
        return AsyncDatabase(store)
