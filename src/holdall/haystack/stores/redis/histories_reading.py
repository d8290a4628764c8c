"""Reading histories in as many requests as they are long."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.stores.chunks import joined, merged, part, within
from holdall.haystack.stores.histories import Samples, Span
from holdall.haystack.stores.redis.histories_bodies import mark, samples_of
from holdall.haystack.stores.redis.timeseries import reach, series_of

if TYPE_CHECKING:
    from collections.abc import Sequence

PAGE: Final = 32 * 1024
"""How many samples of a history come in one answer, about."""
ROOM: Final = 1024 * 1024
"""After how many bytes an answer ends."""
_PATIENCE: Final = 3
_ALL: Final = 2**50


class Reading:
    """One history while it is read.

    Args:
        point: Whose.
        span: Which.
        limit: How many at most; 0 is all.
    """

    def __init__(self, point: bytes, span: Span, limit: int) -> None:
        self._point = point
        self._span = span
        self._limit = limit
        self._version: bytes | None = None
        self._failed = 0
        self._begin()
        self.is_done = span.start >= span.end

    def _begin(self) -> None:
        self._start = self._span.start
        self._left = self._limit
        self._parts: list[Samples] = []

    @property
    def is_impatient(self) -> bool:
        """Whether it was changed so often that it has to come in one answer."""
        return self._failed >= _PATIENCE

    @property
    def page(self) -> int:
        """How many samples are wanted next."""
        page = _ALL if self.is_impatient else PAGE
        return min(page, self._left) if self._limit else page

    @property
    def room(self) -> int:
        """After how many bytes an answer may end."""
        return _ALL if self.is_impatient else ROOM

    @property
    def request(self) -> list[bytes]:
        """What is asked for next."""
        span = Span(self._start, self._span.end)
        return [self._point, mark(span.start), mark(span.end), *reach(span)]

    @property
    def samples(self) -> Samples:
        """What was read."""
        return joined(self._parts)

    def take(self, answer: Sequence[Any] | int) -> None:
        """Take an answer: samples, or 0 where there are none."""
        version = None if isinstance(answer, int) else answer[0]
        if self._parts and version != self._version:
            # What was read is of another time than what comes now.
            self._failed += 1
            self._begin()
            return
        self._version = version
        if isinstance(answer, int):
            self.is_done = True
        else:
            self._add(*answer)

    def _add(
        self, _: bytes, line: bytes, pairs: bytes, more: int, follow: int, *bodies: bytes
    ) -> None:
        chunks = [samples_of(body) for body in bodies]
        ends = [chunks[-1].ts[-1] + 1] if follow else []
        series = series_of(line, pairs) if pairs else None
        if more and series is not None:
            ends.append(series.ts[-1] + 1)
        span = Span(self._start, min(ends, default=self._span.end))
        samples = joined([within(chunk, span) for chunk in chunks])
        if series is not None:
            some = within(series, span)
            samples = (
                merged(some, samples) if len(some) and len(samples) else _either(some, samples)
            )
        if self._limit:
            samples = part(samples, 0, self._left)
            self._left -= len(samples)
        self._parts.append(samples)
        self._start = span.end
        self.is_done = not ends or bool(self._limit and not self._left)


def _either(one: Samples, other: Samples) -> Samples:
    return one if len(one) else other
