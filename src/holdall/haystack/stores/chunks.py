"""Samples in chunks: how the samples of a history are cut up and put together again."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.stores.histories import Samples, columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.haystack.stores.histories import Span

FULL: Final = 512
"""How many samples a chunk has at most."""

_SPARSE: Final = 8


def part(samples: Samples, low: int, high: int) -> Samples:
    """Some of the samples, from one place to another."""
    if low <= 0 and high >= len(samples):
        return samples
    return Samples(samples.ts[low:high], samples.vals[low:high], samples.unit)


def within(samples: Samples, span: Span) -> Samples:
    """The samples of a span."""
    return part(samples, bisect_left(samples.ts, span.start), bisect_left(samples.ts, span.end))


def joined(parts: Sequence[Samples]) -> Samples:
    """Samples one after another, as doubles where all of them are of one unit."""
    parts = [one for one in parts if len(one)]
    if not parts:
        return Samples(array("q"), array("d"))
    if len(parts) == 1 and isinstance(parts[0].vals, array):
        return parts[0]
    ts: array[int] = array("q")
    for one in parts:
        ts += one.ts
    unit = parts[0].unit
    if all(isinstance(one.vals, array) and one.unit == unit for one in parts):
        vals: array[float] = array("d")
        for one in parts:
            assert isinstance(one.vals, array)
            vals += one.vals
        return Samples(ts, vals, unit)
    return columns(ts, [value for one in parts for value in one.kinds()])


def merged(old: Samples, new: Samples) -> Samples:
    """Samples of both, in order; of two at one moment the new one counts."""
    if old.ts[-1] < new.ts[0]:
        return joined([old, new])
    if new.ts[-1] < old.ts[0]:
        return joined([new, old])
    if old.ts == new.ts:
        return new
    if isinstance(old.vals, array) and isinstance(new.vals, array) and old.unit == new.unit:
        if len(new) * _SPARSE < len(old):
            return _placed(old.ts[:], old.vals[:], new)
        doubles = dict(zip(old.ts, old.vals, strict=True))
        doubles.update(zip(new.ts, new.vals, strict=True))
        moments = array("q", sorted(doubles))
        return Samples(moments, array("d", map(doubles.__getitem__, moments)), old.unit)
    kinds = dict(zip(old.ts, old.kinds(), strict=True))
    kinds.update(zip(new.ts, new.kinds(), strict=True))
    moments = array("q", sorted(kinds))
    return columns(moments, [kinds[moment] for moment in moments])


def _placed(ts: array[int], vals: array[float], new: Samples) -> Samples:
    """Put a few doubles in their places among others."""
    for moment, value in zip(new.ts, new.vals, strict=True):
        assert isinstance(value, float)
        at = bisect_left(ts, moment)
        if at < len(ts) and ts[at] == moment:
            vals[at] = value
        else:
            ts.insert(at, moment)
            vals.insert(at, value)
    return Samples(ts, vals, new.unit)


def without(samples: Samples, moments: set[int]) -> Samples:
    """The samples but those at some moments."""
    left = [at for at, moment in enumerate(samples.ts) if moment not in moments]
    vals: Any = [samples.vals[at] for at in left]
    if isinstance(samples.vals, array):
        vals = array("d", vals)
    return Samples(array("q", [samples.ts[at] for at in left]), vals, samples.unit)


def pieces(samples: Samples, *, appended: bool) -> Iterator[Samples]:
    """Samples in chunks.

    Args:
        samples: Any number of them.
        appended: Whether others will follow after them: then chunks are made full, and otherwise
            of even length, so that there is room for what comes in between.
    """
    count = len(samples)
    size = FULL if appended else -(-count // (-(-count // FULL) or 1))
    for at in range(0, count, size or 1):
        yield part(samples, at, at + size)
