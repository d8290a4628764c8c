"""Histories on a Redis server: in series of TimeSeries what these can keep, else in chunks."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final, final

from holdall.haystack.stores.histories import EVERYTHING, Bounds, HistoryStore, Samples, Span
from holdall.haystack.stores.redis.histories_bodies import mark, moment_of
from holdall.haystack.stores.redis.histories_changes import (
    Exchange,
    Reached,
    appending,
    deleting,
    emptying,
    merging,
    nothing,
    removing,
    writing,
)
from holdall.haystack.stores.redis.histories_lua import BOUNDS, CHANGE, FETCH, REACH, READ
from holdall.haystack.stores.redis.histories_reading import Reading
from holdall.haystack.stores.redis.server import RedisPlace
from holdall.haystack.stores.redis.settings import RedisHaystackSettings
from holdall.haystack.stores.redis.timeseries import Split, gone, line_for, split

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence

    from holdall.core.runtime import Runtime

_MANY: Final = 512
_BATCH_BYTES: Final = 1024 * 1024
_REMOVED: Final = 10_000
_UNKNOWN: Final = b"-"


@final
class RedisHistories(HistoryStore):
    """Keeps histories on a server, for any number of tasks, threads and processes.

    Args:
        settings: Which server, and how it is reached.
        runtime: How to wait.
        place: The server, where it is shared with a store of entities.
    """

    settings_type = RedisHaystackSettings

    def __init__(
        self, settings: RedisHaystackSettings, runtime: Runtime, place: RedisPlace | None = None
    ) -> None:
        super().__init__(settings, runtime)
        self._place = RedisPlace(settings, runtime) if place is None else place
        self._turns = runtime.semaphore(1)

    async def connect(self) -> None:
        """See `HistoryStore.connect`, and `RedisPlace.enter` for its errors."""
        await self._place.enter(self)

    async def write(self, samples: Mapping[str, Samples]) -> None:
        """See `HistoryStore.write`.

        While the server writes one history it answers nobody else: seconds for each million
        samples that go into a series, which so are better written some 100,000 at a time.
        """
        writes = [_Write(point, some) for point, some in samples.items() if len(some)]
        while writes:
            left = await self._written(writes)
            writes = [write for write in left if not write.is_beaten]
            for write in left:
                if write.is_beaten:
                    # Those of this process take turns from now on.
                    async with self._turns:
                        while await self._written([write]):
                            pass

    async def read(
        self, ids: Sequence[str], span: Span = EVERYTHING, *, limit: int = 0
    ) -> Sequence[Samples]:
        """See `HistoryStore.read`; each history is read as it was at one moment."""
        readings = [Reading(_key(point), span, limit) for point in ids]
        left = [one for one in readings if not one.is_done]
        while left:
            # One that has to come at once comes alone.
            some = [one for one in left if not one.is_impatient][:_MANY] or left[:1]
            page, room = max(one.page for one in some), some[0].room
            request = [b"%d" % page, b"%d" % room]
            for one in some:
                request += one.request
            answers = await self._place.run(self, READ, request)
            for one, answer in zip(some, answers, strict=True):
                if answer != 1:
                    one.take(answer)
            left = [one for one in left if not one.is_done]
        return [one.samples for one in readings]

    async def bounds(self, ids: Sequence[str]) -> Sequence[Bounds | None]:
        """See `HistoryStore.bounds`."""
        found: list[Bounds | None] = []
        for at in range(0, len(ids), _MANY):
            answers = await self._place.run(
                self, BOUNDS, [_key(one) for one in ids[at : at + _MANY]]
            )
            found += map(_bounds, answers)
        return found

    async def delete(self, point: str, span: Span = EVERYTHING) -> int:
        """See `HistoryStore.delete`."""
        if span.start >= span.end:
            return 0
        key = _key(point)

        async def attempt() -> int | None:
            reached = await self._reach(key, span.start, span.end - 1)
            if not reached.version:
                return 0
            edges = [*reached.starts[:1], *reached.starts[-1:]]
            chunks = await self._chunks(key, reached, edges)
            if chunks is None:
                return None
            exchange = emptying(reached, chunks, span)
            return await self._exchange(deleting(key, span, reached, exchange), exchange)

        return await self._until_done(attempt)

    async def remove(self, point: str, moments: Sequence[int]) -> int:
        """See `HistoryStore.remove`; more than 10,000 are removed so many at a time."""
        order = sorted(set(moments))
        key, removed = _key(point), 0
        for at in range(0, len(order), _REMOVED):
            removed += await self._remove(key, order[at : at + _REMOVED])
        return removed

    async def close(self) -> None:
        """See `HistoryStore.close`."""
        await self._place.leave(self)

    async def _remove(self, key: bytes, moments: Sequence[int]) -> int:
        async def attempt() -> int | None:
            reached = await self._reach(key, moments[0], moments[-1])
            if not reached.version:
                return 0
            chunks = await self._chunks(key, reached, reached.touched(moments))
            if chunks is None:
                return None
            exchange = merging(reached, chunks, nothing(), moments)
            request = removing(key, moments, gone(moments), reached, exchange)
            return await self._exchange(request, exchange)

        return await self._until_done(attempt)

    async def _until_done(self, attempt: Callable[[], Coroutine[Any, Any, int | None]]) -> int:
        """Attempt until nobody else is faster; those of this process take turns after the first."""
        done = await attempt()
        if done is None:
            async with self._turns:
                while done is None:
                    done = await attempt()
        return done

    async def _exchange(self, request: list[bytes], exchange: Exchange) -> int | None:
        """Change one history; answer how many samples fewer it has.

        None where somebody else has changed it before.
        """
        (answer,) = await self._place.run(self, CHANGE, [_token(), *request], once=True)
        return answer - exchange.more if isinstance(answer, int) else None

    async def _written(self, writes: Sequence[_Write]) -> list[_Write]:
        """Write once; answer those that have to be written in another way."""
        left: list[_Write] = []
        async for token, batch, request in self._batches(writes):
            answers = await self._place.run(self, CHANGE, [token, *request])
            for write, answer in zip(batch, answers, strict=True):
                if not isinstance(answer, int):
                    write.learn(answer)
                    left.append(write)
        return left

    async def _reach(self, key: bytes, first: int, last: int) -> Reached:
        return Reached.of(await self._place.run(self, REACH, [key, mark(first), mark(last)]))

    async def _chunks(
        self, key: bytes, reached: Reached, starts: Sequence[int]
    ) -> Mapping[int, bytes] | None:
        """Chunks by their starts; None where one is gone, because somebody has changed them."""
        if all(start in reached.bodies for start in starts):
            return reached.bodies
        bodies = await self._place.run(self, FETCH, [key, *map(mark, starts)])
        return None if None in bodies else dict(zip(starts, bodies, strict=True))

    async def _batches(
        self, writes: Sequence[_Write]
    ) -> AsyncIterator[tuple[bytes, list[_Write], list[bytes]]]:
        """The writes in requests that are not too large, each with a token of its own."""
        batch: list[_Write] = []
        request: list[bytes] = []
        size = 0
        for write in writes:
            made = await self._request(write)
            batch.append(write)
            request += made
            size += sum(map(len, made))
            if size >= _BATCH_BYTES:
                yield _token(), batch, request
                batch, request, size = [], [], 0
        if batch:
            yield _token(), batch, request

    async def _request(self, write: _Write) -> list[bytes]:
        parts = write.parts(wanted=self._place.timeseries)
        while write.reached is not None:
            touched = write.reached.touched(parts.beside.ts, parts.moments)
            chunks = await self._chunks(write.key, write.reached, touched)
            if chunks is not None:
                exchange = merging(write.reached, chunks, parts.beside, parts.moments)
                return writing(write.key, write.samples, parts, write.reached, exchange)
            ts = write.samples.ts
            write.reached = await self._reach(write.key, ts[0], ts[-1])
        return writing(write.key, write.samples, parts, None, appending(parts.beside))


class _Write:
    """The samples of one history on their way, and what is known of where they go."""

    def __init__(self, point: str, samples: Samples) -> None:
        self.key = _key(point)
        self.samples = samples
        self.reached: Reached | None = None
        self.is_beaten = False
        self._line: bytes | None = None

    def learn(self, answer: Sequence[Any]) -> None:
        """Learn from the server why nothing was written."""
        if answer[0] == b"unit":
            self._line = answer[1]
        else:
            self.is_beaten = self.reached is not None
            self.reached = Reached.of(answer)

    def parts(self, *, wanted: bool) -> Split:
        """What goes into a series, which is made only where one is wanted, and what beside it."""
        if self._line is not None:
            return split(self.samples, self._line)
        if wanted:
            return split(self.samples, line_for(self.samples))
        return Split(_UNKNOWN, b"", (), b"", self.samples)


def _key(point: str) -> bytes:
    return point.encode("utf-8", "surrogatepass")


def _token() -> bytes:
    return os.urandom(12)


def _bounds(answer: Sequence[Any]) -> Bounds | None:
    first, last, chunked, earliest, latest, count = answer
    firsts = ([moment_of(first)] if first else []) + ([int(earliest) * 1000] if earliest else [])
    lasts = ([moment_of(last)] if last else []) + ([int(latest) * 1000] if latest else [])
    return Bounds(min(firsts), max(lasts), int(chunked) + count) if firsts else None
