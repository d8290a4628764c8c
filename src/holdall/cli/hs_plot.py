"""Histories drawn in the terminal, with the dots of Braille: two across and four up a cell."""

from __future__ import annotations

import math
import shutil
from typing import TYPE_CHECKING, Final

from holdall.cli.hs_values import clock
from holdall.cli.output import complain, count_text, say
from holdall.haystack.adapter.samples import in_zone
from holdall.haystack.kinds import Number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.histories import Samples

HEIGHT: Final = 11
_BOOL_HEIGHT: Final = 3
_LABEL: Final = 12
_BLANK: Final = 0x2800
# The bits of a cell: left column from above, then the right one.
_BITS: Final = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))


class _Series:
    """The samples of a point that can be drawn: moments, and numbers or gaps."""

    def __init__(self) -> None:
        self.ts: list[int] = []
        self.vals: list[float] = []
        self.texts = 0
        self.bools = 0
        self.units: set[str | None] = set()

    def take(self, samples: Samples) -> None:
        for ts, value in zip(samples.ts, samples.kinds(), strict=True):
            number = _number(value)
            if number is None:
                self.texts += 1
                continue
            if type(value) is Number and value.unit is not None:
                self.units.add(value.unit)
            self.bools += isinstance(value, bool)
            self.ts.append(ts)
            self.vals.append(number)


def _number(value: Kind) -> float | None:
    """A value as a number; NaN is a gap, and None what cannot be drawn."""
    if isinstance(value, bool):
        return float(value)
    if isinstance(value, Number):
        try:
            number = float(value.val)
        except OverflowError:
            return math.nan
        return number if math.isfinite(number) else math.nan
    return None if isinstance(value, str) else math.nan


def say_plots(points: Sequence[Point], chunks: Iterable[tuple[Point, Samples]]) -> None:
    """Draw the samples of points, each by itself.

    Args:
        points: In their order.
        chunks: Their samples.
    """
    series = {point.id: _Series() for point in points}
    for point, samples in chunks:
        series[point.id].take(samples)
    width = max(shutil.get_terminal_size((80, 24)).columns - _LABEL - 2, 10)
    for point in points:
        one = series[point.id]
        unit = f" in {', '.join(sorted(map(str, one.units)))}" if one.units else ""
        say(f"@{point.id}: {count_text(len(one.ts), 'sample')}{unit}")
        if one.texts:
            complain(f"@{point.id}: {count_text(one.texts, 'text')} cannot be drawn")
        steps = 0 < one.bools == sum(not math.isnan(val) for val in one.vals)
        height = _BOOL_HEIGHT if steps else HEIGHT
        drawn = plot(one.ts, one.vals, width, height, steps=steps)
        if not drawn:
            continue
        for line in drawn:
            say(line)
        first, last = in_zone((one.ts[0], one.ts[-1]), point.zone)
        say(_below(first, last, width))


def _below(first: datetime, last: datetime, width: int) -> str:
    left, right = clock(first), clock(last)
    gap = max(width - len(left) - len(right), 1)
    return " " * (_LABEL + 2) + left + " " * gap + right


def plot(
    ts: Sequence[int], vals: Sequence[float], width: int, height: int, *, steps: bool = False
) -> list[str]:
    """Draw numbers over time; a NaN is a gap.

    Args:
        ts: The moments, ascending.
        vals: As many numbers.
        width: How many characters the picture is wide, without what stands left of it.
        height: How many lines it has.
        steps: Whether a value holds until the next one.

    Returns:
        The lines; none where there is nothing to draw.
    """
    there = [val for val in vals if not math.isnan(val)]
    if not there:
        return []
    low, high = min(there), max(there)
    span = high - low
    if not math.isfinite(span):
        low, high, span = low / 4, high / 4, high / 4 - low / 4
        vals = [val / 4 for val in vals]
    dots = _Dots(width, height)
    across, up = 2 * width - 1, 4 * height - 1
    length = ts[-1] - ts[0]
    before: tuple[int, int] | None = None
    for moment, val in zip(ts, vals, strict=True):
        if math.isnan(val):
            before = None
            continue
        x = round((moment - ts[0]) / length * across) if length else across // 2
        y = round((val - low) / span * up) if span else up // 2
        if before is not None and steps:
            dots.line(before, (x, before[1]))
            before = x, before[1]
        if before != (x, y):
            dots.line(before or (x, y), (x, y))
        before = x, y
    return dots.lines(low, high)


class _Dots:
    def __init__(self, width: int, height: int) -> None:
        self._height = height
        self._cells = [[_BLANK] * width for _ in range(height)]

    def line(self, start: tuple[int, int], end: tuple[int, int]) -> None:
        (x, y), (to_x, to_y) = start, end
        steps = max(abs(to_x - x), abs(to_y - y), 1)
        for step in range(steps + 1):
            self._dot(x + round((to_x - x) * step / steps), y + round((to_y - y) * step / steps))

    def _dot(self, x: int, y: int) -> None:
        from_above = 4 * self._height - 1 - y
        self._cells[from_above // 4][x // 2] |= _BITS[x % 2][from_above % 4]

    def lines(self, low: float, high: float) -> list[str]:
        bottom = self._height - 1
        middle = bottom // 2
        if low == high:
            labels = {middle: low}
        else:
            labels = {middle: high - (high - low) * middle / max(bottom, 1)}
            labels |= {bottom: low, 0: high}
        return [
            f"{_label(labels.get(at)):>{_LABEL}} ┤" + "".join(map(chr, row)).rstrip(chr(_BLANK))
            for at, row in enumerate(self._cells)
        ]


def _label(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"
