"""Several histories side by side, with a page of each in memory."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from holdall.haystack.adapter.ranges import micros
from holdall.haystack.adapter.samples import in_zone
from holdall.haystack.kinds import Kind
from holdall.haystack.stores.histories import Samples
from holdall.server.answers import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from zoneinfo import ZoneInfo


class Source(Struct):
    """A history that is read in pages.

    Attributes:
        name: Of its column.
        pages: What is to come.
        ts: The moments of the page that is here, in microseconds since 1970.
        vals: Its values.
    """

    name: str
    pages: AsyncIterator[Samples | Sequence[Row]]
    ts: Sequence[int] = ()
    vals: Sequence[Kind] = ()

    async def fill(self) -> bool:
        """Read the next page where there is nothing here; says whether there is something now."""
        while not self.ts:
            page = await anext(self.pages, None)
            if page is None:
                return False
            if isinstance(page, Samples):
                self.ts, self.vals = page.ts, page.kinds()
            else:
                self.ts = [micros(row["ts"]) for row in page]
                self.vals = [row.get("val") for row in page]
        return True

    def take(self, until: int) -> Part:
        """Take what is not after a moment."""
        end = bisect_right(self.ts, until)
        part = Part(self.name, self.ts[:end], self.vals[:end])
        self.ts, self.vals = self.ts[end:], self.vals[end:]
        return part


class Part(Struct, frozen=True):
    """Some samples of one column."""

    name: str
    ts: Sequence[int]
    vals: Sequence[Kind]


async def joined(
    sources: Sequence[Source], where: ZoneInfo
) -> AsyncIterator[Callable[[], Iterable[Row]]]:
    """Rows with a moment and the values of all columns at it, in the order of time.

    Args:
        sources: The histories, each in the order of time.
        where: The zone of the moments.
    """
    alive = list(sources)
    while True:
        alive = [source for source in alive if await source.fill()]
        if not alive:
            return
        # Behind the page that ends first, nobody knows yet what comes.
        until = min(source.ts[-1] for source in alive)
        yield partial(_rows, [source.take(until) for source in alive], where)


def _rows(parts: Sequence[Part], where: ZoneInfo) -> list[Row]:
    by_moment: dict[int, dict[str, Any]] = {}
    for part in parts:
        for at, value in zip(part.ts, part.vals, strict=True):
            by_moment.setdefault(at, {})[part.name] = value
    order = sorted(by_moment)
    return [
        {"ts": ts, **by_moment[at]} for at, ts in zip(order, in_zone(order, where), strict=True)
    ]
