"""What of a history the module TimeSeries can keep, and what lies beside it.

A series keeps doubles at milliseconds from 1970 on, to the bit, and no infinity and no NaN. The
zero below zero lies beside, too: a series takes it for the zero that is there already. What is in
one is in one unit, that of the first number that came.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from math import copysign, isfinite
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.haystack.kinds import Number, is_nan
from holdall.haystack.stores.histories import Samples, columns, is_double
from holdall.haystack.stores.redis.histories_bodies import (
    interleaved,
    numbers,
    uninterleaved,
    unit_line,
    unit_of,
)

if TYPE_CHECKING:
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.histories import Span

_MILLISECOND = 1_000
_BELOW_ZERO = array("d", [-0.0]).tobytes()


class Split(Struct, frozen=True):
    """Samples in two parts.

    Attributes:
        line: The unit of the series, as the first line of a chunk.
        pairs: What goes into the series: moments in milliseconds and values.
        moments: Those of the pairs, in microseconds.
        gone: The moments in milliseconds, as doubles, of what lies beside and may be in the series.
        beside: What it cannot keep.
    """

    line: bytes
    pairs: bytes
    moments: Sequence[int]
    gone: bytes
    beside: Samples


def line_for(samples: Samples) -> bytes | None:
    """The unit that a series for these samples would have; None where they have no number."""
    if isinstance(samples.vals, array):
        return unit_line(samples.unit)
    numbers_ = (one for one in samples.vals if type(one) is Number)
    first = next((one for one in numbers_ if not is_nan(one.val)), None)
    return None if first is None else unit_line(first.unit)


def split(samples: Samples, line: bytes | None) -> Split:
    """Split samples for a series of a unit; all lie beside where there is none."""
    if line is None:
        whole = [moment for moment in samples.ts if _is_possible(moment)]
        return Split(b"", b"", (), _milliseconds(whole), samples)
    ts, vals = samples.ts, samples.vals
    is_of_unit = isinstance(vals, array) and unit_line(samples.unit) == line
    if is_of_unit:
        assert isinstance(vals, array)
        moments = [moment // _MILLISECOND for moment in ts]
        # The sums are the same only if no moment has lost anything, and a sum is finite only if
        # each value is.
        if (
            moments[0] >= 0
            and sum(moments) * _MILLISECOND == sum(ts)
            and isfinite(sum(vals))
            and _BELOW_ZERO not in vals.tobytes()
        ):
            return Split(line, interleaved(moments, vals), ts, b"", _NONE)
    unit = unit_of(line)
    kept: list[float] = []
    where: list[int] = []
    others: list[int] = []
    for at, (moment, value) in enumerate(zip(ts, vals, strict=True)):
        number = _number(value, unit, is_of_unit=is_of_unit)
        if number is not None and _is_possible(moment):
            where.append(moment)
            kept.append(number)
        else:
            others.append(at)
    gone = _milliseconds([ts[at] for at in others if _is_possible(ts[at])])
    left = array("q", [ts[at] for at in others])
    beside = (
        Samples(left, array("d", [vals[at] for at in others]), samples.unit)
        if isinstance(vals, array)
        else columns(left, [vals[at] for at in others])
    )
    if not kept:
        return Split(b"", b"", (), gone, beside)
    pairs = interleaved([moment // _MILLISECOND for moment in where], array("d", kept))
    return Split(line, pairs, where, gone, beside)


_NONE = Samples(array("q"), array("d"))


def gone(moments: Sequence[int]) -> bytes:
    """Those of the moments, in order, that a series may have, as it takes them."""
    return _milliseconds([moment for moment in moments if _is_possible(moment)])


def reach(span: Span) -> tuple[bytes, bytes]:
    """The first and last millisecond of a span; nothing where it has none."""
    first = max(0, -(-span.start // _MILLISECOND))
    last = (span.end - 1) // _MILLISECOND
    return (b"", b"") if last < first else (b"%d" % first, b"%d" % last)


def series_of(line: bytes, pairs: bytes) -> Samples:
    """The samples of a series."""
    moments, values = uninterleaved(pairs)
    return Samples(
        array("q", [int(moment) * _MILLISECOND for moment in moments]), values, unit_of(line)
    )


def _is_possible(moment: int) -> bool:
    return moment >= 0 and moment % _MILLISECOND == 0


def _number(value: Kind | float, unit: str | None, *, is_of_unit: bool) -> float | None:
    """What a series would keep of a value; None where that is not all."""
    if isinstance(value, float):
        number = value if is_of_unit else None
    elif type(value) is Number and value.unit == unit and is_double(value):
        number = float(value.val)
    else:
        return None
    if number is None or not isfinite(number) or (number == 0 and copysign(1, number) < 0):
        return None
    return number


def _milliseconds(moments: Sequence[int]) -> bytes:
    return numbers(moment // _MILLISECOND for moment in moments)
