"""Samples in chunks: up to 512 of one history in a row of a table, to the bit.

Doubles of one unit lie in a chunk as bytes, and anything else as Hayson. What a chunk answers for
is the time from its first moment to that of the chunk after it, so that chunks never overlap.
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import Corrupt
from holdall.haystack.stores.histories import Samples, columns
from holdall.haystack.stores.sqlite.bodies import UNREADABLE, read_kinds, write_kinds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from holdall.haystack.stores.histories import Span

FULL: Final = 512
"""How many samples a chunk has at most."""

_SPARSE: Final = 8
_SWAPPED: Final = sys.byteorder != "little"


def row_of(samples: Samples) -> tuple[int, int, int, bytes, str | None, bytes | None, str | None]:
    """A chunk as a row: first, last, count, ts, unit, vals, kinds."""
    ts, vals, unit = samples.ts, samples.vals, samples.unit
    if isinstance(vals, array) and (unit is None or unit.isprintable()):
        return ts[0], ts[-1], len(ts), _bytes(ts), unit, _bytes(vals), None
    # Also where a unit has half a surrogate pair, which SQLite cannot hold.
    return ts[0], ts[-1], len(ts), _bytes(ts), None, None, write_kinds(samples.kinds())


def samples_of(ts: bytes, unit: str | None, vals: bytes | None, kinds: bytes | None) -> Samples:
    """The chunk of a row.

    Raises:
        Corrupt: It is not as it was written.
    """
    moments, doubles = array("q"), array("d")
    try:
        _read(moments, ts)
        if vals is None:
            samples = Samples(moments, read_kinds(kinds or b""))
        else:
            _read(doubles, vals)
            samples = Samples(moments, doubles, unit)
    except UNREADABLE as error:
        raise Corrupt(f"samples are not as they were written: {error}") from error
    if len(samples.vals) != len(moments):
        raise Corrupt(f"there are {len(moments)} moments and {len(samples.vals)} values in a chunk")
    return samples


def _bytes(values: array[Any]) -> bytes:
    if _SWAPPED:
        values = values[:]
        values.byteswap()
    return values.tobytes()


def _read(values: array[Any], text: bytes) -> None:
    values.frombytes(text)
    if _SWAPPED:
        values.byteswap()


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
