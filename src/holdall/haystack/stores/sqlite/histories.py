"""Histories in a file of SQLite, in chunks of samples."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, final

import msgspec

from holdall.haystack.stores.chunks import FULL, joined, merged, part, pieces, within, without
from holdall.haystack.stores.histories import EVERYTHING, Bounds, HistoryStore, Samples, Span
from holdall.haystack.stores.sqlite.chunks import row_of, samples_of
from holdall.haystack.stores.sqlite.file import SqliteFile
from holdall.haystack.stores.sqlite.settings import SqliteHaystackSettings
from holdall.haystack.stores.sqlite.snapshot import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from holdall.core.runtime import Runtime

_BODY = "ts,unit,vals,CAST(kinds AS BLOB)"
_READ = (
    f"SELECT {_BODY} FROM hs_chunks WHERE s=:s AND first<:end AND first>=coalesce("  # noqa: S608
    "(SELECT max(first) FROM hs_chunks WHERE s=:s AND first<=:start),:start) ORDER BY first"
)
_SPANS = (
    "SELECT first,last,count,c FROM hs_chunks WHERE s=:s AND first<=:end AND first>=coalesce("
    "(SELECT max(first) FROM hs_chunks WHERE s=:s AND first<=:start),:start) ORDER BY first"
)
_FIRST = "SELECT first,last,count,c FROM hs_chunks WHERE s=? ORDER BY first LIMIT 1"
_INSERT = "INSERT INTO hs_chunks (s,first,last,count,ts,unit,vals,kinds) VALUES (?,?,?,?,?,?,?,?)"


@final
class SqliteHistories(HistoryStore):
    """Keeps histories in a file, for any number of tasks, threads and processes.

    Args:
        settings: Which file.
        runtime: How to wait.
        file: The file, where it is shared with a store of entities.
    """

    settings_type = SqliteHaystackSettings

    def __init__(
        self, settings: SqliteHaystackSettings, runtime: Runtime, file: SqliteFile | None = None
    ) -> None:
        super().__init__(settings, runtime)
        self._file = SqliteFile(settings, runtime) if file is None else file

    async def connect(self) -> None:
        """See `HistoryStore.connect`, and `SqliteEntities.connect` for its errors."""
        await self._file.enter(self)

    async def write(self, samples: Mapping[str, Samples]) -> None:
        """See `HistoryStore.write`; all of them are written, or none."""
        some = {point: one for point, one in samples.items() if len(one)}
        if some:
            await self._file.write(self, lambda one: _write(one, some))

    async def read(
        self, ids: Sequence[str], span: Span = EVERYTHING, *, limit: int = 0
    ) -> Sequence[Samples]:
        """See `HistoryStore.read`."""

        def read(connection: sqlite3.Connection) -> list[Samples]:
            with transaction(connection):
                known = _series(connection, ids)
                return [
                    joined([])
                    if (series := known.get(point)) is None
                    else joined(list(_chunks(connection, series, span, limit)))
                    for point in ids
                ]

        return await self._file.read(self, read)

    async def bounds(self, ids: Sequence[str]) -> Sequence[Bounds | None]:
        """See `HistoryStore.bounds`."""

        def bounds(connection: sqlite3.Connection) -> list[Bounds | None]:
            with transaction(connection):
                known = _series(connection, ids)
                return [_bounds(connection, known.get(point)) for point in ids]

        return await self._file.read(self, bounds)

    async def delete(self, point: str, span: Span = EVERYTHING) -> int:
        """See `HistoryStore.delete`."""

        def left(samples: Samples) -> Samples:
            low, high = bisect_left(samples.ts, span.start), bisect_left(samples.ts, span.end)
            return joined([part(samples, 0, low), part(samples, high, len(samples))])

        def whole(first: int, last: int) -> bool:
            return span.start <= first and last < span.end

        return await self._take_away(point, Span(span.start, span.end - 1), left, whole)

    async def remove(self, point: str, moments: Sequence[int]) -> int:
        """See `HistoryStore.remove`."""
        if not moments:
            return 0
        gone, order = set(moments), sorted(set(moments))

        def left(samples: Samples) -> Samples:
            low = bisect_left(order, samples.ts[0])
            high = bisect_right(order, samples.ts[-1])
            return samples if low == high else without(samples, gone)

        return await self._take_away(point, Span(order[0], order[-1]), left, None, order)

    async def close(self) -> None:
        """See `HistoryStore.close`."""
        await self._file.leave(self)

    async def _take_away(
        self,
        point: str,
        reach: Span,
        left: Callable[[Samples], Samples],
        whole: Callable[[int, int], bool] | None,
        moments: Sequence[int] | None = None,
    ) -> int:
        """Take samples out of chunks; answer how many there were.

        Args:
            point: Of which history.
            reach: From the first to the last moment that may be taken.
            left: What is left of a chunk.
            whole: Says of the first and last moment of a chunk whether nothing is.
            moments: Those that are taken, in order; chunks without any are not looked at.
        """

        def take(connection: sqlite3.Connection) -> int:
            with transaction(connection, "IMMEDIATE"):
                series = _series(connection, [point]).get(point)
                if series is None:
                    return 0
                gone = 0
                for first, last, count, chunk in _spans(connection, series, reach):
                    if whole is not None and whole(first, last):
                        gone += count
                        connection.execute("DELETE FROM hs_chunks WHERE c=?", (chunk,))
                        continue
                    if moments is not None and bisect_left(moments, first) == bisect_right(
                        moments, last
                    ):
                        continue
                    now = left(_chunk(connection, chunk))
                    if len(now) < count:
                        gone += count - len(now)
                        connection.execute("DELETE FROM hs_chunks WHERE c=?", (chunk,))
                        if len(now):
                            connection.execute(_INSERT, (series, *row_of(now)))
                return gone

        return await self._file.write(self, take)


def _series(connection: sqlite3.Connection, points: Sequence[str]) -> dict[str, int]:
    """The numbers of histories, by point, of those that are there."""
    asked = (
        "SELECT s.point,s.s FROM json_each(?) AS wanted"
        " CROSS JOIN hs_series AS s ON s.point=wanted.value"
    )
    return dict(connection.execute(asked, (msgspec.json.encode(points).decode(),)))


def _chunk(connection: sqlite3.Connection, chunk: int) -> Samples:
    asked = f"SELECT {_BODY} FROM hs_chunks WHERE c=?"  # noqa: S608
    return samples_of(*connection.execute(asked, (chunk,)).fetchone())


def _chunks(
    connection: sqlite3.Connection, series: int, span: Span, limit: int
) -> Iterator[Samples]:
    left = limit
    where = {"s": series, "start": span.start, "end": span.end}
    for row in connection.execute(_READ, where):
        samples = within(samples_of(*row), span)
        if limit and len(samples) >= left:
            yield part(samples, 0, left)
            return
        left -= len(samples)
        yield samples


def _bounds(connection: sqlite3.Connection, series: int | None) -> Bounds | None:
    asked = "SELECT min(first),max(last),sum(count) FROM hs_chunks WHERE s=?"
    first, last, count = connection.execute(asked, (series,)).fetchone()
    return None if first is None else Bounds(first, last, count)


def _spans(
    connection: sqlite3.Connection, series: int, span: Span
) -> list[tuple[int, int, int, int]]:
    """First, last, count and number of the chunks from that which answers for the start."""
    where = {"s": series, "start": span.start, "end": span.end}
    return connection.execute(_SPANS, where).fetchall()


def _write(connection: sqlite3.Connection, samples: Mapping[str, Samples]) -> None:
    with transaction(connection, "IMMEDIATE"):
        known = _series(connection, list(samples))
        for point, some in samples.items():
            series = known.get(point)
            if series is None:
                cursor = connection.execute("INSERT INTO hs_series (point) VALUES (?)", (point,))
                series = cursor.lastrowid
                assert series is not None
            _write_series(connection, series, some)


def _write_series(connection: sqlite3.Connection, series: int, samples: Samples) -> None:
    """Write samples into the chunks that answer for their moments."""
    ts = samples.ts
    spans = _spans(connection, series, Span(ts[0], ts[-1]))
    if not spans:
        spans = connection.execute(_FIRST, (series,)).fetchall()
    asked = "SELECT EXISTS (SELECT 1 FROM hs_chunks WHERE s=? AND first>?)"
    (followed,) = connection.execute(asked, (series, ts[-1])).fetchone()

    def keep(some: Samples, *, appended: bool) -> None:
        made = pieces(some, appended=appended)
        connection.executemany(_INSERT, ((series, *row_of(one)) for one in made))

    if not spans:
        keep(samples, appended=True)
    at = 0
    for place, (first, last, count, chunk) in enumerate(spans):
        is_last = place + 1 == len(spans)
        end = len(ts) if is_last else bisect_left(ts, spans[place + 1][0])
        some = part(samples, at, end)
        at = end
        if not len(some):
            continue
        # What came before all chunks is the first one's, too.
        beyond = some.ts[0] > last
        appended = is_last and not followed and beyond
        if count >= FULL and (beyond or some.ts[-1] < first):
            keep(some, appended=appended)
        else:
            keep(merged(_chunk(connection, chunk), some), appended=appended)
            connection.execute("DELETE FROM hs_chunks WHERE c=?", (chunk,))
