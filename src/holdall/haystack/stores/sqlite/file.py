"""The file that both stores are kept in: its connections, and whose turn it is to write."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from holdall.core.errors import Unavailable
from holdall.haystack.stores.sqlite.schema import make_ready, make_tables
from holdall.haystack.stores.sqlite.settings import file_settings
from holdall.records.backends.sqlite.connections import Connections

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.sqlite.settings import SqliteHaystackSettings
    from holdall.records.backends.sqlite.connections import Connection

T = TypeVar("T")


@final
class SqliteFile:
    """A file, for one store or for two that share it.

    Args:
        settings: Which, and how it is written.
        runtime: How to wait.
    """

    def __init__(self, settings: SqliteHaystackSettings, runtime: Runtime) -> None:
        self._settings = file_settings(settings)
        self._runtime = runtime
        self._users: set[object] = set()
        self._left: set[object] = set()
        self._connections = Connections(self._settings, self._prepare)
        self._known = False
        # Who waits for another writer of this process waits here, and takes no thread for it.
        self._writing = runtime.semaphore(1)

    async def enter(self, user: object) -> None:
        """Open the file, for a store that may use it from now on, again or for the first time.

        Raises:
            HoldallError: It cannot be opened, or holds something else.
        """
        if not self._users and self._left:
            self._connections = Connections(self._settings, self._prepare)
            self._known = False
        self._users.add(user)
        self._left.discard(user)
        await self._runtime.call(self._with_one, None, _nothing)

    async def leave(self, user: object) -> None:
        """Close the file, when no other store uses it."""
        self._users.discard(user)
        self._left.add(user)
        if not self._users:
            await self._runtime.call(self._connections.close, None)

    async def read(self, user: object, function: Callable[[sqlite3.Connection], T]) -> T:
        """Call a function with a connection, in a thread where there is a loop."""
        self._check(user)
        return await self._runtime.call(self._with_one, None, function)

    async def write(self, user: object, function: Callable[[sqlite3.Connection], T]) -> T:
        """As `read`, when nobody else of this process writes."""
        self._check(user)
        address = self._settings.address
        what = f"{address}, waiting for another writer: the setting timeout"
        async with self._runtime.deadline(self._settings.timeout, what):
            await self._writing.acquire()
        try:
            return await self._runtime.call(self._with_one, None, function)
        finally:
            self._writing.release()

    def _check(self, user: object) -> None:
        if user in self._left:
            raise Unavailable(f"{self._settings.address} was closed", transient=False)
        self._users.add(user)
        self._connections.check()

    def _with_one(self, function: Callable[[sqlite3.Connection], T]) -> T:
        with self._connections.one() as connection:
            return function(connection)

    def _prepare(self, connection: Connection) -> None:
        make_ready(connection, self._settings)
        if not self._known:
            make_tables(connection, self._settings)
            self._known = True


def _nothing(_: object) -> None:
    """A connection was opened, and that is all."""
