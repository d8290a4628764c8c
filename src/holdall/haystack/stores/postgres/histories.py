"""Histories in PostgreSQL, as hypertables where there is TimescaleDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from holdall.core.errors import PermissionDenied
from holdall.haystack.stores.chunks import joined
from holdall.haystack.stores.histories import EVERYTHING, Bounds, HistoryStore, Samples, Span
from holdall.haystack.stores.postgres.database import PostgresDatabase
from holdall.haystack.stores.postgres.histories_reading import bounds, count, read
from holdall.haystack.stores.postgres.histories_rows import check, is_kept, is_text
from holdall.haystack.stores.postgres.histories_writing import Writing
from holdall.haystack.stores.postgres.settings import PostgresHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.core.runtime import Runtime

_COUNTED: Final = 100
"""How many histories are counted at once."""


@final
class PostgresHistories(HistoryStore):
    """Keeps histories in a database, for any number of tasks, threads and processes.

    Moments are those of the years 1 to 9999. Ids are compared as they are.

    Args:
        settings: Which database, and how it is reached.
        runtime: How to wait.
        database: The database, where it is shared with a store of entities.
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
        self._writing = Writing(self._place)

    async def connect(self) -> None:
        """See `HistoryStore.connect`.

        Raises:
            Unavailable: Nobody answers.
            InvalidConfig: A table is one of something else.
        """
        await self._database.enter(self)

    async def write(self, samples: Mapping[str, Samples]) -> None:
        """See `HistoryStore.write`; all of them are written, or none.

        Raises:
            InvalidValue: A sample lies beyond the years 1 to 9999.
            Unavailable: The server went away; the message says when it may have written them.
        """
        some = {point: one for point, one in samples.items() if len(one)}
        for point, one in some.items():
            check(point, one)
        if some:
            await self._database.change(self, lambda _: self._writing.write(some))

    async def read(
        self, ids: Sequence[str], span: Span = EVERYTHING, *, limit: int = 0
    ) -> Sequence[Samples]:
        """See `HistoryStore.read`."""
        known = list(filter(is_text, dict.fromkeys(ids)))
        found: dict[str, Samples] = {}
        if known:
            steps = read(self._place, known, span, limit)
            found = dict(zip(known, await self._database.ask(self, steps), strict=True))
        return [found.get(point) or joined([]) for point in ids]

    async def bounds(self, ids: Sequence[str]) -> Sequence[Bounds | None]:
        """See `HistoryStore.bounds`."""
        known = list(filter(is_text, dict.fromkeys(ids)))
        if not known:
            return [None] * len(ids)
        found, unknown = await self._database.ask(self, bounds(self._place, known))
        for at in range(0, len(unknown), _COUNTED):
            found |= await self._count(unknown[at : at + _COUNTED])
        return [found.get(point) for point in ids]

    async def _count(self, ids: list[str]) -> dict[str, Bounds | None]:
        """Count the samples of histories, and keep how many there are where that is permitted."""
        try:
            return await self._database.change(self, lambda _: self._writing.count(ids))
        except PermissionDenied:
            return await self._database.ask(self, count(self._place, ids))

    async def delete(self, point: str, span: Span = EVERYTHING) -> int:
        """See `HistoryStore.delete`."""
        if not is_text(point) or span.start >= span.end:
            return 0
        return await self._database.change(self, lambda _: self._writing.delete(point, span))

    async def remove(self, point: str, moments: Sequence[int]) -> int:
        """See `HistoryStore.remove`."""
        kept = sorted(filter(is_kept, set(moments)))
        if not is_text(point) or not kept:
            return 0
        return await self._database.change(self, lambda _: self._writing.remove(point, kept))

    async def close(self) -> None:
        """See `HistoryStore.close`."""
        await self._database.leave(self)
