"""Entities in PostgreSQL."""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from contextlib import suppress
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, final

from holdall.core.errors import HoldallError
from holdall.haystack.stores.bodies import note_name
from holdall.haystack.stores.entities import (
    Changed,
    Changes,
    EntityStore,
    Found,
    Got,
    Note,
    StoredNote,
)
from holdall.haystack.stores.kept import Kept
from holdall.haystack.stores.postgres.committing import (
    Committed,
    adopt_foreign,
    commit,
    surveyed,
)
from holdall.haystack.stores.postgres.database import PostgresDatabase
from holdall.haystack.stores.postgres.reading import (
    BODY,
    SEEN_COLUMNS,
    Seen,
    by_id,
    entries,
    seen,
    seen_sql,
)
from holdall.haystack.stores.postgres.searching import Hits, Search, decoded
from holdall.haystack.stores.postgres.settings import PostgresHaystackSettings
from holdall.records.backends.postgres.steps import Ask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.entities import Change
    from holdall.records.backends.postgres.steps import Steps
    from holdall.records.predicate import Node

T = TypeVar("T")

_MANY: Final = 500
"""From how many entities on they are decoded in a thread, so that a loop goes on meanwhile."""
_MANY_NEW: Final = 1_000
"""How many new entities make PostgreSQL count anew what they hold; then as many as there are."""


@final
class PostgresEntities(EntityStore):
    """Keeps entities in PostgreSQL, for any number of tasks, threads and processes.

    Args:
        settings: Which database.
        runtime: How to wait.
        database: The database, where it is shared with a store of histories.

    Raises:
        InvalidConfig: A setting cannot be, or the driver is not installed.
    """

    settings_type = PostgresHaystackSettings

    def __init__(
        self,
        settings: PostgresHaystackSettings,
        runtime: Runtime,
        database: PostgresDatabase | None = None,
    ) -> None:
        super().__init__(settings, runtime)
        self._database = PostgresDatabase(settings, runtime) if database is None else database
        self._place = self._database.place
        self._kept = Kept(settings.cache)
        # Many write the same few notes, and expect what they read: those of this process come one
        # after another, so that who is too late is told before waiting for a lock.
        self._turn = runtime.semaphore(1)
        # How many entities were added since PostgreSQL counted what they hold, and before that.
        self._new = 0
        self._surveyed = 0

    @property
    def type(self) -> str:
        """`postgres`."""
        return "postgres"

    @property
    def address(self) -> str:
        """`postgresql://` and where the database is."""
        return self._database.address

    async def connect(self) -> None:
        """See `EntityStore.connect`.

        Raises:
            Unavailable: Nobody answers.
            Unauthenticated: The server knows no such user.
            InvalidConfig: There is no such database or schema, or its tables are something else.
            Unsupported: A later version of Holdall wrote it, or the server is too old.
            Corrupt: A row that others wrote is no entity.
        """
        await self._database.enter(self)
        await self.get(())

    async def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """See `EntityStore.get`."""
        wanted, names = list(dict.fromkeys(ids)), list(map(note_name, dict.fromkeys(notes)))
        sql = self._get_sql
        while True:
            rows = await self._database.ask(self, _rows(sql, (wanted, names)))
            known = _seen(rows)
            if not known.foreign:
                break
            await self._adopt()
        found = [row[SEEN_COLUMNS:] for row in rows if row[SEEN_COLUMNS] is not None]
        entities = await self._decoded(lambda: by_id(entries(found)), len(found))
        noted = {
            row[-2]: StoredNote(row[-1], row[SEEN_COLUMNS + 2])
            for row in rows
            if row[-2] is not None
        }
        return Got(
            known.state,
            [entities.get(one) for one in ids],
            [noted.get(note_name(name)) for name in notes],
        )

    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """See `EntityStore.commit`."""
        if not changes and due is None:
            return (await self.get(())).state.number
        if any(map(_is_contended, changes)):
            async with self._turn:
                done = await self._commit(changes, due)
        else:
            done = await self._commit(changes, due)
        self._kept.committed(done.number, done.changed)
        self._new += done.new
        if self._new >= max(_MANY_NEW, self._surveyed):
            self._surveyed += self._new
            self._new = 0
            # It was committed, whatever comes of this.
            with suppress(HoldallError):
                await self._database.ask(self, surveyed(self._place))
        return done.number

    async def _commit(self, changes: Sequence[Change], due: int | None) -> Committed:
        few = len(changes) < _MANY
        change = self._database.change if few else self._database.change_much
        return await change(self, lambda _: commit(self._place, changes, due))

    async def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        search = Search(self._place, self._kept, predicate, limit, after)
        while True:
            found = await self._database.ask(self, search.found())
            if isinstance(found, Found):
                return found
            if isinstance(found, Hits):
                decode = partial(decoded, found, self._kept, limit)
                return await self._decoded(decode, len(found.rows))
            await self._adopt()

    async def changes(self, since: int, *, limit: int) -> Changes:
        """See `EntityStore.changes`."""
        while True:
            rows = await self._database.ask(self, _rows(self._changes_sql, (since, limit)))
            known = _seen(rows)
            if not known.foreign:
                break
            await self._adopt()
        number = known.state.number
        if since < known.forgotten or since > number:
            return Changes(known.state, (), number, known=False)
        late = [row[SEEN_COLUMNS:] for row in rows if row[0] is None]
        if len(late) > 0 and late[0][-1] is not None:
            number = late[0][-1]
        loaded = await self._decoded(
            lambda: entries(row for row in late if row[0] is not None), len(late)
        )
        changed = [
            Changed(of, version, None if n is None else loaded[n][1].entity)
            for n, of, version, *_ in sorted(late, key=lambda row: (row[2], row[1]))
        ]
        return Changes(known.state, changed, number)

    async def close(self) -> None:
        """See `EntityStore.close`."""
        await self._database.leave(self)

    async def _adopt(self) -> None:
        """Take over what others wrote."""
        while not await self._database.change_much(self, lambda _: adopt_foreign(self._place)):
            pass

    async def _decoded(self, function: Callable[[], T], rows: int) -> T:
        if rows < _MANY:
            return function()
        return await self._runtime.call(function, None)

    @cached_property
    def _get_sql(self) -> str:
        table = self._place.table
        return (
            f"SELECT {seen_sql(self._place)}, {_NO_BODY}, NULL::bytea, NULL::bytea "
            f"FROM {table('hs_meta')} AS m UNION ALL "
            f"SELECT {_NOT_SEEN}, {BODY}, NULL, NULL FROM {table('entities')} AS e "
            "WHERE e.id = ANY($1::text[]) UNION ALL "
            f"SELECT {_NOT_SEEN}, NULL, NULL, version, NULL, name, value "
            f"FROM {table('hs_notes')} WHERE name = ANY($2::bytea[])"
        )

    @cached_property
    def _changes_sql(self) -> str:
        entities, removed = self._place.table("entities"), self._place.table("hs_removed")
        return (
            # A commit is answered whole: to the end of that of the last one asked for.
            "WITH late AS ("
            f"(SELECT version FROM {entities} WHERE version > $1::bigint "
            "ORDER BY version LIMIT $2::bigint + 1) UNION ALL "
            f"(SELECT version FROM {removed} WHERE version > $1 "
            "ORDER BY version LIMIT $2 + 1)), cut AS MATERIALIZED ("
            "SELECT CASE WHEN count(*) > $2 THEN (SELECT version FROM late ORDER BY version "
            "LIMIT 1 OFFSET $2 - 1) END AS upto FROM late) "
            f"SELECT {seen_sql(self._place)}, {_NO_BODY}, NULL::bigint "
            f"FROM {self._place.table('hs_meta')} AS m UNION ALL "
            f"SELECT {_NOT_SEEN}, {BODY}, cut.upto FROM {entities} AS e, cut "
            f"WHERE e.version > $1 AND e.version <= coalesce(cut.upto, {_LAST}) UNION ALL "
            f"SELECT {_NOT_SEEN}, NULL, r.id, r.version, NULL, cut.upto FROM {removed} AS r, cut "
            f"WHERE r.version > $1 AND r.version <= coalesce(cut.upto, {_LAST})"
        )


def _is_contended(change: Change) -> bool:
    """Whether it writes a note for which others may be faster."""
    if not isinstance(change, Note) or change.expected is None:
        return False
    return change.value is not None or change.expected != 0


_NOT_SEEN: Final = ", ".join(["NULL"] * SEEN_COLUMNS)
_NO_BODY: Final = "NULL::bigint, NULL::text, NULL::bigint, NULL::text"
_LAST: Final = 2**62


def _rows(sql: str, values: Sequence[Any]) -> Steps[Sequence[tuple[Any, ...]]]:
    reply = yield Ask(sql, values)
    return reply.rows


def _seen(rows: Sequence[tuple[Any, ...]]) -> Seen:
    return next(seen(row) for row in rows if row[0] is not None)
