"""What a change makes of the chunks of a history that it touches."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import chain, groupby
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.haystack.kinds import Number, is_nan
from holdall.haystack.stores.chunks import FULL, joined, merged, part, pieces, without
from holdall.haystack.stores.histories import Samples, columns, is_double
from holdall.haystack.stores.redis.histories_bodies import (
    KINDS,
    block,
    body,
    mark,
    marks_of,
    samples_of,
)
from holdall.haystack.stores.redis.timeseries import reach

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdall.haystack.kinds import Kind
    from holdall.haystack.stores.histories import Span
    from holdall.haystack.stores.redis.timeseries import Split

_LARGE: Final = 64 * 1024
_SMALL: Final = 8
_RUN: Final = 64
_APPEND: Final = b"*"


class Reached(Struct, frozen=True):
    """What the server says of the chunks that answer for the moments of a change.

    Attributes:
        version: The `v` of the history; empty where there is none.
        followed: Whether there are chunks after these.
        starts: The first moments of the chunks, in order.
        bodies: The chunks by these, where they are few.
    """

    version: bytes
    followed: bool
    starts: list[int]
    bodies: dict[int, bytes]

    @classmethod
    def of(cls, answer: Sequence[Any]) -> Reached:
        """Of the answer of a script."""
        _, version, followed, starts, *bodies = answer
        found = marks_of(starts)
        return cls(
            version, bool(followed), found, dict(zip(found, bodies, strict=True)) if bodies else {}
        )

    def places(self, moments: Sequence[int]) -> Iterator[tuple[int, int, int]]:
        """The start of each chunk, and from where to where the moments are that it answers for."""
        at = 0
        for place, start in enumerate(self.starts):
            is_last = place + 1 == len(self.starts)
            end = len(moments) if is_last else bisect_left(moments, self.starts[place + 1], at)
            yield start, at, end
            at = end

    def touched(self, *moments: Sequence[int]) -> list[int]:
        """The starts of the chunks that answer for any of the moments."""
        places = (self.places(some) for some in moments)
        found = {start for start, low, high in chain.from_iterable(places) if low < high}
        return sorted(found)


class Exchange:
    """Chunks that go, and samples that come in their place.

    Attributes:
        goes: The starts of the chunks that go.
        comes: What comes, in chunks.
        more: How many samples more there are then.
    """

    def __init__(self) -> None:
        self.goes: list[int] = []
        self.comes: list[Samples] = []
        self.more = 0

    def take(self, start: int, samples: Samples) -> None:
        """Let a chunk go."""
        self.goes.append(start)
        self.more -= len(samples)

    def put(self, samples: Samples, *, appended: bool = False) -> None:
        """Let samples come."""
        for run in _runs(samples):
            self.comes += pieces(run, appended=appended)
            self.more += len(run)

    @property
    def is_nothing(self) -> bool:
        """Whether all stays as it is."""
        return not self.goes and not self.comes


def _runs(samples: Samples) -> Iterator[Samples]:
    """The samples in parts, so that one NA among many doubles does not make kinds of them."""
    ts, vals = samples.ts, samples.vals
    if isinstance(vals, array):
        yield samples
        return
    others = at = 0
    for unit, group in groupby(vals, _unit_of):
        end = at + sum(1 for _ in group)
        if unit is not None and end - at >= _RUN:
            if others < at:
                yield columns(ts[others:at], vals[others:at])
            yield columns(ts[at:end], vals[at:end])
            others = end
        at = end
    if others < at:
        yield columns(ts[others:], vals[others:])


def _unit_of(value: Kind) -> tuple[str | None] | None:
    """The unit of a number that a double holds; None of anything else."""
    if type(value) is Number and is_double(value) and not is_nan(value.val):
        return (value.unit,)
    return None


def appending(samples: Samples) -> Exchange:
    """Samples that come behind all others."""
    exchange = Exchange()
    exchange.put(samples, appended=True)
    return exchange


def merging(
    reached: Reached, chunks: Mapping[int, bytes], new: Samples, gone: Sequence[int]
) -> Exchange:
    """Samples among those that are there.

    Args:
        reached: What is there.
        chunks: Those that are touched, by their starts.
        new: What is written.
        gone: The moments whose samples go, in order.
    """
    exchange = Exchange()
    if not reached.starts:
        exchange.put(new, appended=True)
        return exchange
    leaving = {start: set(gone[low:high]) for start, low, high in reached.places(gone)}
    for start, low, high in reached.places(new.ts):
        if low == high and not leaving[start]:
            continue
        old = samples_of(chunks[start])
        left = without(old, leaving[start]) if leaving[start] else old
        is_same = len(left) == len(old)
        some = part(new, low, high)
        if low == high:
            if not is_same:
                exchange.take(start, old)
                exchange.put(left)
            continue
        beyond = some.ts[0] > old.ts[-1]
        appended = start == reached.starts[-1] and not reached.followed and beyond
        if is_same and len(old) >= FULL and (beyond or some.ts[-1] < old.ts[0]):
            exchange.put(some, appended=appended)
        else:
            exchange.take(start, old)
            exchange.put(merged(left, some) if len(left) else some, appended=appended)
    return exchange


def emptying(reached: Reached, chunks: Mapping[int, bytes], span: Span) -> Exchange:
    """What is left of the first and the last chunk of a span that is deleted."""
    exchange = Exchange()
    for start in {*reached.starts[:1], *reached.starts[-1:]}:
        old = samples_of(chunks[start])
        low, high = bisect_left(old.ts, span.start), bisect_left(old.ts, span.end)
        if low < high:
            exchange.take(start, old)
            exchange.put(joined([part(old, 0, low), part(old, high, len(old))]))
    return exchange


def writing(
    point: bytes, samples: Samples, parts: Split, reached: Reached | None, exchange: Exchange
) -> list[bytes]:
    """The request of a write; behind all that is there where nothing was `reached`."""
    ts = samples.ts
    return [
        point,
        _APPEND if reached is None else reached.version,
        mark(ts[0]),
        mark(ts[-1]),
        b"%d" % (ts[0] // 1000),
        parts.line,
        parts.pairs,
        parts.gone,
        *(b"", b""),
        *_exchanged(exchange, reached is None),
    ]  # fmt: skip


def deleting(point: bytes, span: Span, reached: Reached, exchange: Exchange) -> list[bytes]:
    """The request that deletes a span."""
    inner = reached.starts[1:-1]
    between = (reached.starts[0], reached.starts[-1]) if inner else None
    return [
        point,
        reached.version,
        mark(span.start),
        mark(span.end - 1),
        b"0",
        *(b"", b"", b""),
        *reach(span),
        *_exchanged(exchange, False, between),
    ]


def removing(
    point: bytes, moments: Sequence[int], gone: bytes, reached: Reached, exchange: Exchange
) -> list[bytes]:
    """The request that removes what is at some moments, which are in order."""
    return [
        point,
        reached.version,
        mark(moments[0]),
        mark(moments[-1]),
        b"0",
        *(b"", b"", gone, b"", b""),
        *_exchanged(exchange, False),
    ]


def _exchanged(
    exchange: Exchange, appended: bool, between: tuple[int, int] | None = None
) -> Iterator[bytes]:
    """The chunks of a request."""
    yield b"%d" % exchange.more
    yield from (b"", b"") if between is None else map(mark, between)
    yield b"%d" % len(exchange.goes)
    yield from map(mark, exchange.goes)
    made = list(chain.from_iterable(map(_packed, exchange.comes)))
    yield b"%d" % len(made)
    for at, (samples, line, rest) in enumerate(made):
        yield from (mark(samples.ts[0]), line, rest)
        # Behind others a few numbers may have to be written as kinds.
        small = appended and at == 0 and line != KINDS and len(samples) <= _SMALL
        yield block(samples) if small else b""


def _packed(samples: Samples) -> Iterator[tuple[Samples, bytes, bytes]]:
    line, rest = body(samples)
    if len(rest) > _LARGE and len(samples) > 1:
        half = len(samples) // 2
        yield from _packed(part(samples, 0, half))
        yield from _packed(part(samples, half, len(samples)))
    else:
        yield samples, line, rest


def nothing() -> Samples:
    """No samples."""
    return Samples(array("q"), array("d"))
