"""Histories in memory, as columns: 16 bytes a numeric sample."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_left
from itertools import compress
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakValueDictionary

from msgspec import Struct

from holdall.haystack.kinds import Number, is_nan
from holdall.haystack.stores.histories import (
    EVERYTHING,
    Bounds,
    HistoryStore,
    Samples,
    Span,
    is_double,
    number_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from holdall.haystack.kinds import Kind


class MemoryHistorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of histories in memory.

    Attributes:
        name: As that of the entities.
    """

    name: str | None = None


_FEW: Final = 100
"""Up to how many samples are cut out one by one."""


class _Place:
    """The histories of a store, which others may share."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.series: dict[str, _Series] = {}


_shared: WeakValueDictionary[str, _Place] = WeakValueDictionary()


class MemoryHistories(HistoryStore):
    """Keeps histories in this process."""

    settings_type = MemoryHistorySettings

    def __init__(self, settings: MemoryHistorySettings, runtime: Any) -> None:
        super().__init__(settings, runtime)
        if settings.name is None:
            self._place = _Place()
        else:
            self._place = _shared.setdefault(settings.name, _Place())
        self._series = self._place.series

    async def connect(self) -> None:
        """Nothing is missing."""

    async def write(self, samples: Mapping[str, Samples]) -> None:
        """See `HistoryStore.write`."""
        with self._place.lock:
            for point, taken in samples.items():
                if len(taken):
                    series = self._series.get(point)
                    if series is None:
                        series = self._series[point] = _Series()
                    series.take(taken)

    async def read(
        self, ids: Sequence[str], span: Span = EVERYTHING, *, limit: int = 0
    ) -> Sequence[Samples]:
        """See `HistoryStore.read`."""
        with self._place.lock:
            return [
                Samples(array("q"), array("d"))
                if (series := self._series.get(point)) is None
                else series.within(span, limit)
                for point in ids
            ]

    async def bounds(self, ids: Sequence[str]) -> Sequence[Bounds | None]:
        """See `HistoryStore.bounds`."""
        with self._place.lock:
            return [
                None
                if (series := self._series.get(point)) is None
                else Bounds(series.ts[0], series.ts[-1], len(series.ts))
                for point in ids
            ]

    async def delete(self, point: str, span: Span = EVERYTHING) -> int:
        """See `HistoryStore.delete`."""
        with self._place.lock:
            series = self._series.get(point)
            if series is None:
                return 0
            low, high = series.places(span)
            series.cut(low, high)
            self._keep(point, series)
            return high - low

    async def remove(self, point: str, moments: Sequence[int]) -> int:
        """See `HistoryStore.remove`."""
        with self._place.lock:
            series = self._series.get(point)
            if series is None:
                return 0
            gone = series.remove(moments)
            self._keep(point, series)
            return gone

    async def close(self) -> None:
        """Nothing is held."""

    def _keep(self, point: str, series: _Series) -> None:
        if not series.ts:
            del self._series[point]


def _fits(number: Number, unit: str | None) -> bool:
    return is_double(number) and (number.unit == unit or is_nan(number.val))


def _unit_of(samples: Samples) -> str | None:
    """The unit of the first number; None where there is none."""
    if isinstance(samples.vals, array):
        return samples.unit
    numbers = (one for one in samples.vals if type(one) is Number)
    return next((one.unit for one in numbers if one.val == one.val), None)  # not that of NaN


class _Series:
    """The samples of one history.

    Numbers of the unit of its first number lie in `vals`; what is something else lies in `others`
    by its moment, and has a zero in its place.
    """

    __slots__ = ("others", "ts", "unit", "vals")

    def __init__(self) -> None:
        self.unit: str | None = None
        self.ts: array[int] = array("q")
        self.vals: array[float] = array("d")
        self.others: dict[int, Kind] = {}

    def take(self, samples: Samples) -> None:
        if len(self.others) == len(self.ts):  # there is no number yet
            self.unit = _unit_of(samples)
        ts, vals, others = self._columns(samples)
        if not self.ts or ts[0] > self.ts[-1]:
            self.ts.extend(ts)
            self.vals.extend(vals)
        else:
            self._merge(ts, vals)
        self.others |= others

    def _columns(self, samples: Samples) -> tuple[array[int], array[float], Mapping[int, Kind]]:
        if isinstance(samples.vals, array) and samples.unit == self.unit:
            return samples.ts, samples.vals, {}
        vals = array("d", bytes(8 * len(samples)))
        others: dict[int, Kind] = {}
        for at, (moment, value) in enumerate(zip(samples.ts, samples.vals, strict=True)):
            if isinstance(value, float):
                others[moment] = number_of(value, samples.unit)
            elif type(value) is Number and _fits(value, self.unit):
                vals[at] = value.val
            else:
                others[moment] = value
        return samples.ts, vals, others

    def _merge(self, ts: array[int], vals: array[float]) -> None:
        """Put samples in their places; only what they overlap is gone through."""
        low = bisect_left(self.ts, ts[0])
        high = bisect_left(self.ts, ts[-1] + 1)
        for moment in ts if self.others else ():
            self.others.pop(moment, None)
        if low == high:
            self.ts[low:low] = ts
            self.vals[low:low] = vals
            return
        if self.ts[low:high] == ts:
            self.vals[low:high] = vals
            return
        merged = dict(zip(self.ts[low:high], self.vals[low:high], strict=True))
        merged.update(zip(ts, vals, strict=True))
        moments = sorted(merged)
        self.ts[low:high] = array("q", moments)
        self.vals[low:high] = array("d", map(merged.__getitem__, moments))

    def places(self, span: Span) -> tuple[int, int]:
        low = bisect_left(self.ts, span.start)
        return low, max(low, bisect_left(self.ts, span.end))

    def within(self, span: Span, limit: int) -> Samples:
        low, high = self.places(span)
        if limit:
            high = min(high, low + limit)
        ts, vals = self.ts[low:high], self.vals[low:high]
        others, unit = self.others, self.unit
        if not others or others.keys().isdisjoint(ts):
            return Samples(ts, vals, unit)
        return Samples(
            ts,
            [
                others[moment] if moment in others else number_of(value, unit)
                for moment, value in zip(ts, vals, strict=True)
            ],
        )

    def remove(self, moments: Sequence[int]) -> int:
        places = []
        for moment in sorted(set(moments)):
            at = bisect_left(self.ts, moment)
            if at < len(self.ts) and self.ts[at] == moment:
                places.append(at)
        if len(places) <= _FEW:
            for at in reversed(places):
                self.cut(at, at + 1)
        else:
            for at in places:
                self.others.pop(self.ts[at], None)
            kept = bytearray(b"\1") * len(self.ts)
            for at in places:
                kept[at] = 0
            self.ts = array("q", compress(self.ts, kept))
            self.vals = array("d", compress(self.vals, kept))
        return len(places)

    def cut(self, low: int, high: int) -> None:
        for moment in self.ts[low:high] if self.others else ():
            self.others.pop(moment, None)
        del self.ts[low:high]
        del self.vals[low:high]
