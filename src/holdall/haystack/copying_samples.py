"""The samples of a copy: read, compared, written, read back."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, Final

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.haystack.copying_results import OF_ONE
from holdall.haystack.kinds import Number, is_nan
from holdall.haystack.stores.histories import END, EVERYTHING, Samples, Span

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from holdall.core.errors import HoldallError
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.histories import HistoryStore

    OnDone = Callable[["Done"], Awaitable[None]]
    OnFailure = Callable[[str, HoldallError], None]

PAGE: Final = 100_000
"""Samples that are in memory at a time, of source and target each."""


class Done(Struct, frozen=True):
    """How far the samples of a page of points are.

    Attributes:
        point: Everything of the points before it is done,
        ts: and of itself everything up to this moment.
        histories: How many points with samples were begun since the last one.
        read: How many samples were read since.
        written: How many of them were written, and are there.
    """

    point: str
    ts: int
    histories: int
    read: int
    written: int


class SampleCopy:
    """Copies the histories of points from one store to another.

    Args:
        source: Where from.
        target: Where to.
        done: Told how far it is.
        failed: Told what the target does not have.
    """

    def __init__(
        self, source: HistoryStore, target: HistoryStore, done: OnDone, failed: OnFailure
    ) -> None:
        self._source = source
        self._target = target
        self._done = done
        self._failed = failed

    async def take(self, points: Mapping[str, int | None]) -> None:
        """Copy histories.

        Args:
            points: Ids in their order, and after which moment there is something to do; None is
                from the beginning.
        """
        ids = list(points)
        if not ids:
            return
        ours, theirs = await self._source.bounds(ids), await self._target.bounds(ids)
        size = 0
        few: dict[str, bool] = {}
        for of, reach, there in zip(ids, ours, theirs, strict=True):
            if reach is None:
                continue
            after = points[of]
            if after is None and reach.count <= PAGE:
                if size + reach.count > PAGE:
                    await self._small(few)
                    few, size = {}, 0
                few[of] = there is not None
                size += reach.count
                continue
            await self._small(few)
            few, size = {}, 0
            await self._large(of, after, there is not None)
        await self._small(few)

    async def _small(self, points: Mapping[str, bool]) -> None:
        """Copy whole histories at once; each with whether the target has samples of it."""
        if not points:
            return
        read = await self._source.read(list(points), limit=PAGE)
        samples = {of: one for of, one in zip(points, read, strict=True) if len(one)}
        known = await self._held({of: one for of, one in samples.items() if points[of]})
        written = {of: one for of, one in samples.items() if of not in known}
        count = await self._write(written)
        *_, last = points
        ts = samples[last].ts[-1] if last in samples else 0
        await self._done(Done(last, ts, len(samples), sum(map(len, samples.values())), count))
        for of, one in samples.items():
            if len(one) == PAGE:  # others wrote meanwhile
                await self._large(of, one.ts[-1], True)

    async def _large(self, of: str, after: int | None, there: bool) -> None:
        """Copy a history page by page."""
        span = EVERYTHING if after is None else Span(after + 1, END)
        new = int(after is None)  # one that was begun before a kill has been counted
        while True:
            page = (await self._source.read([of], span, limit=PAGE))[0]
            if not len(page):
                return
            held = there and await self._holds(of, page)
            count = 0 if held else await self._write({of: page})
            await self._done(Done(of, page.ts[-1], new, len(page), count))
            new = 0
            if len(page) < PAGE:
                return
            span = Span(page.ts[-1] + 1, END)

    async def _write(self, samples: Mapping[str, Samples]) -> int:
        """Write samples, and read them back; answers how many are there."""
        written = dict(samples)
        if not written:
            return 0
        try:
            await self._target.write(written)
        except OF_ONE:
            written = {of: one for of, one in samples.items() if await self._alone(of, one)}
        held = await self._held(written)
        for of in written:
            if of not in held:
                self._failed(
                    of,
                    Corrupt(
                        f"samples of @{of} read back otherwise than they were written; somebody "
                        "else may have changed them",
                        reference=of,
                    ),
                )
        return sum(len(one) for of, one in written.items() if of in held)

    async def _alone(self, of: str, samples: Samples) -> bool:
        try:
            await self._target.write({of: samples})
        except OF_ONE as error:
            self._failed(of, error)
            return False
        return True

    async def _held(self, samples: Mapping[str, Samples]) -> set[str]:
        """Of which histories the target has all these samples."""
        if not samples:
            return set()
        first = min(one.ts[0] for one in samples.values())
        last = max(one.ts[-1] for one in samples.values())
        most = max(map(len, samples.values()))
        found = await self._target.read(list(samples), Span(first, last + 1), limit=most)
        held = set()
        for (of, one), there in zip(samples.items(), found, strict=True):
            # Where the target has others among them, they are looked up.
            if _are_same(one, there) or await self._holds(of, one):
                held.add(of)
        return held

    async def _holds(self, of: str, samples: Samples) -> bool:
        """Whether the target has all these samples of a history."""
        wanted = dict(zip(samples.ts, samples.kinds(), strict=True))
        span = Span(samples.ts[0], samples.ts[-1] + 1)
        while True:
            there = (await self._target.read([of], span, limit=PAGE))[0]
            for ts, value in zip(there.ts, there.kinds(), strict=True):
                if ts in wanted and not _is_same(wanted.pop(ts), value):
                    return False
            if len(there) < PAGE:
                return not wanted
            span = Span(there.ts[-1] + 1, span.end)
            if min(wanted, default=span.start) < span.start:
                return False


def _are_same(one: Samples, other: Samples) -> bool:
    if one.ts != other.ts:
        return False
    a, b = one.vals, other.vals
    if (
        isinstance(a, array)
        and isinstance(b, array)
        and (one.unit, a.tobytes())
        == (
            other.unit,
            b.tobytes(),
        )
    ):
        return True
    return _values_are_same(one.kinds(), other.kinds())


def _values_are_same(one: Sequence[Kind], other: Sequence[Kind]) -> bool:
    return all(map(_is_same, one, other))


def _is_same(one: Kind, other: Kind) -> bool:
    if type(one) is Number and type(other) is Number and is_nan(one.val):
        return is_nan(other.val)
    return type(one) is type(other) and one == other
