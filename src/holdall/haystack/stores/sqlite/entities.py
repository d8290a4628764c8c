"""Entities in a file of SQLite: the embedded store that keeps everything."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, final

from holdall.haystack.stores.entities import Changed, Changes, EntityStore, Got
from holdall.haystack.stores.kept import Kept
from holdall.haystack.stores.sqlite.committing import write_commit
from holdall.haystack.stores.sqlite.file import SqliteFile
from holdall.haystack.stores.sqlite.searching import search
from holdall.haystack.stores.sqlite.settings import SqliteHaystackSettings
from holdall.haystack.stores.sqlite.snapshot import Snapshot, transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.entities import Change, Found
    from holdall.records.predicate import Node

T = TypeVar("T")

_CHANGED = (
    "SELECT version,id,n FROM hs_entities WHERE version>? AND version<=?"
    " UNION ALL SELECT version,id,NULL FROM hs_removed WHERE version>? AND version<=?"
    " ORDER BY 1,2 LIMIT ?"
)


@final
class SqliteEntities(EntityStore):
    """Keeps entities in a file, for any number of tasks, threads and processes.

    Args:
        settings: Which file.
        runtime: How to wait.
        file: The file, where it is shared with a store of histories.
    """

    settings_type = SqliteHaystackSettings

    def __init__(
        self, settings: SqliteHaystackSettings, runtime: Runtime, file: SqliteFile | None = None
    ) -> None:
        super().__init__(settings, runtime)
        self._address = settings.address
        self._file = SqliteFile(settings, runtime) if file is None else file
        self._kept = Kept(settings.cache)

    @property
    def type(self) -> str:
        """`sqlite`."""
        return "sqlite"

    @property
    def address(self) -> str:
        """`sqlite:///` and the path."""
        return self._address

    async def connect(self) -> None:
        """See `EntityStore.connect`.

        Raises:
            NotFound: There is no such folder.
            Corrupt: The file is no database.
            InvalidConfig: It holds other tables under our names.
            Unsupported: A later version of Holdall wrote it.
        """
        await self._file.enter(self)

    async def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """See `EntityStore.get`."""

        def get(snapshot: Snapshot) -> Got:
            entities = snapshot.entities(list(dict.fromkeys(ids))) if ids else {}
            known = snapshot.notes(notes)
            return Got(
                snapshot.state,
                [entities.get(one) for one in ids],
                [known.get(name) for name in notes],
            )

        return await self._read(get)

    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """See `EntityStore.commit`."""
        if not changes and due is None:
            return await self._read(lambda snapshot: int(snapshot.number))
        return await self._file.write(self, lambda one: self._commit(one, changes, due))

    async def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        return await self._read(lambda snapshot: search(snapshot, predicate, limit, after))

    async def changes(self, since: int, *, limit: int) -> Changes:
        """See `EntityStore.changes`."""
        return await self._read(lambda snapshot: _changes(snapshot, since, limit))

    async def close(self) -> None:
        """See `EntityStore.close`."""
        await self._file.leave(self)

    async def _read(self, function: Callable[[Snapshot], T]) -> T:
        def read(connection: sqlite3.Connection) -> T:
            with transaction(connection):
                return function(Snapshot(connection, self._kept))

        return await self._file.read(self, read)

    def _commit(
        self, connection: sqlite3.Connection, changes: Sequence[Change], due: int | None
    ) -> int:
        with transaction(connection, "IMMEDIATE"):
            snapshot = Snapshot(connection, self._kept)
            changed = write_commit(snapshot, changes, due)
        number = int(snapshot.number) + 1
        self._kept.committed(number, changed)
        return number


def _changes(snapshot: Snapshot, since: int, limit: int) -> Changes:
    number = snapshot.number
    if since < snapshot.forgotten or since > number:
        return Changes(snapshot.state, (), number, known=False)
    ask = snapshot.connection.execute
    rows = ask(_CHANGED, (since, number, since, number, limit + 1)).fetchall()
    if len(rows) > limit:
        # A commit is answered whole: to the end of that of the last one asked for.
        number = rows[limit - 1][0]
        rows = ask(_CHANGED, (since, number, since, number, -1)).fetchall()
    entries = iter(snapshot.entries_of([n for _, _, n in rows if n is not None]))
    changed = [
        Changed(of, version, None if n is None else next(entries)[1].entity)
        for version, of, n in rows
    ]
    return Changes(snapshot.state, changed, number)
