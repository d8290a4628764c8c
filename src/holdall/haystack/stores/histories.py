"""The contract for those who write stores of histories, and what is handed to and fro.

A history is a sequence of samples in the order of time, one value a moment. Moments are
microseconds since 1970 in UTC; zones, kinds and units of points are the adapter's business, which
has checked what it hands in. A store changes no value: what was `1.5 °C` never becomes `1.5 °F`.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Mapping, Sequence
from operator import ne
from typing import Final

from msgspec import Struct

from holdall.haystack.kinds import Kind, Number, copies, is_nan
from holdall.haystack.stores.opened import OpenedStore

BEGINNING: Final = -(2**62)
"""A moment before every other."""
END: Final = 2**62
"""A moment after every other."""
_EXACT: Final = 2**53


class Samples(Struct, frozen=True):
    """Samples of one history, as columns.

    Attributes:
        ts: The moments (`array("q")`), ascending, none twice.
        vals: As many values: `array("d")` where all are numbers of one unit that a double holds
            exactly, otherwise a list of kinds.
        unit: That of the doubles; None for a list.
    """

    ts: array[int]
    vals: array[float] | Sequence[Kind]
    unit: str | None = None

    def __len__(self) -> int:
        return len(self.ts)

    def kinds(self) -> Sequence[Kind]:
        """The values as kinds; what is not a number has no unit."""
        if not isinstance(self.vals, array):
            return self.vals
        unit = self.unit
        if unit is not None and any(map(ne, self.vals, self.vals)):  # only NaN differs from itself
            return [number_of(value, unit) for value in self.vals]
        return copies(Number(0.0, unit), "val", self.vals)


def number_of(value: float, unit: str | None) -> Number:
    """A double of a history as a kind."""
    return Number(value, None if is_nan(value) else unit)


def columns(moments: Sequence[int], values: Sequence[Kind]) -> Samples:
    """Samples of sorted moments, with doubles where all values are numbers of one unit."""
    ts = array("q", moments)
    numbers = [value for value in values if type(value) is Number]
    units = {number.unit for number in numbers if not is_nan(number.val)}
    if len(numbers) == len(values) and len(units) <= 1 and all(map(is_double, numbers)):
        return Samples(ts, array("d", [number.val for number in numbers]), *units)
    return Samples(ts, list(values))


def is_double(number: Number) -> bool:
    """Whether a double holds a number exactly."""
    return type(number.val) is float or -_EXACT <= number.val <= _EXACT


class Span(Struct, frozen=True):
    """Moments from `start` on and before `end`, in microseconds since 1970."""

    start: int = BEGINNING
    end: int = END


EVERYTHING: Final = Span()


class Bounds(Struct, frozen=True):
    """What a history reaches over: its first and last moment, and how many samples it has."""

    first: int
    last: int
    count: int


class HistoryStore(OpenedStore):
    """Keeps histories by the id of their point. One instance is safe to use from many tasks.

    Args:
        settings: What it was opened with.
        runtime: How it waits.
    """

    @abstractmethod
    async def write(self, samples: Mapping[str, Samples]) -> None:
        """Write samples of several histories; one at a moment that is there takes its place.

        Each history is written whole or not at all.
        """

    @abstractmethod
    async def read(
        self, ids: Sequence[str], span: Span = EVERYTHING, *, limit: int = 0
    ) -> Sequence[Samples]:
        """Answer samples of a span, one `Samples` for each id, in the order of time.

        Args:
            ids: Whose; one without samples answers none.
            span: Which.
            limit: At most the first so many of each history; 0 is all. The next page begins after
                the last moment of this one.
        """

    @abstractmethod
    async def bounds(self, ids: Sequence[str]) -> Sequence[Bounds | None]:
        """Answer what each history reaches over; None where it has no samples."""

    @abstractmethod
    async def delete(self, point: str, span: Span = EVERYTHING) -> int:
        """Delete samples of a span of one history; answer how many there were."""

    @abstractmethod
    async def remove(self, point: str, moments: Sequence[int]) -> int:
        """Delete the samples of one history at these moments; answer how many there were."""
