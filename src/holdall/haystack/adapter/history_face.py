"""The part of the face that is about histories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final
from zoneinfo import ZoneInfo

from holdall.core.errors import InvalidValue, NotFound
from holdall.haystack.adapter.core import AdapterCore
from holdall.haystack.adapter.ranges import moment, read_range
from holdall.haystack.adapter.samples import items as items_of
from holdall.haystack.adapter.samples import take
from holdall.haystack.adapter.taking import plain_id
from holdall.haystack.stores.histories import Samples, Span

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from holdall.haystack.adapter.samples import Point
    from holdall.haystack.adapter.taking import Id

Items: TypeAlias = Iterable[Mapping[str, Any]] | Samples
"""Dicts with `ts` and `val`, or columns."""
_LARGEST_PAGE: Final = 2**40


class HistoryFace(AdapterCore):
    """Reading and writing histories."""

    @final
    async def his_read(
        self,
        id: Id,
        range_str: str | None = None,
    ) -> list[dict[str, Any]]:
        """Answer samples of a point, in the order of time: dicts with `ts` and `val`.

        Args:
            id: Whose.
            range_str: Which, as `holdall.haystack.adapter.ranges` says: `today`, `2024-06-15`,
                `2024-06-01,2024-06-30`, …; all of them unless set.

        Raises:
            NotFound: There is no such point.
            InvalidQuery: The range is none.
        """
        point, span = await self._span(id, range_str)
        return items_of((await self._histories.read([point.id], span))[0], point.zone)

    @final
    async def his_read_many(
        self, ids: Sequence[Id], range_str: str | None = None
    ) -> dict[str, list[dict[str, Any]]]:
        """Answer samples of several points, by their ids; see `his_read`.

        Raises:
            NotFound: One of them is not there.
        """
        spans = await self._spans(ids, range_str)
        answer: dict[str, list[dict[str, Any]]] = {}
        for point, span in spans:
            samples = await self._histories.read([point.id], span)
            answer[point.id] = items_of(samples[0], point.zone)
        return answer

    @final
    async def his_columns(self, id: Id, range_str: str | None = None) -> Samples:
        """Answer samples of a point as columns: the fastest way to many of them."""
        point, span = await self._span(id, range_str)
        return (await self._histories.read([point.id], span))[0]

    @final
    async def his_pages(
        self,
        id: Id,
        range_str: str | None = None,
        *,
        size: int = 100_000,
    ) -> AsyncIterator[Samples]:
        """Answer samples of a point page by page, as columns; a page at a time is in memory.

        Args:
            id: Whose.
            range_str: Which; see `his_read`.
            size: Samples in a page, from 1.

        Raises:
            NotFound, InvalidQuery: As `his_read`.
            InvalidValue: The size is below 1.
        """
        if type(size) is not int or size < 1:
            raise InvalidValue(f"a page of {size!r} samples: it takes 1 or more")
        size = min(size, _LARGEST_PAGE)
        point, span = await self._span(id, range_str)
        while True:
            page = (await self._histories.read([point.id], span, limit=size))[0]
            if len(page):
                yield page
            if len(page) < size:
                return
            span = Span(page.ts[-1] + 1, span.end)

    @final
    async def his_write(self, id: Id, items: Items) -> None:
        """Take samples of a point; one at a moment that is there takes its place.

        Args:
            id: Whose.
            items: Dicts with `ts`, a datetime in the point's zone or in UTC, and `val`; a number
                without a unit takes the point's; `REMOVE` deletes the sample. Or `Samples`.

        Raises:
            NotFound: There is no such point, or it was deleted meanwhile.
            InvalidValue: An item does not fit the point's kind, unit or zone; nothing was taken.
        """
        await self.his_write_many({plain_id(id): items})

    @final
    async def his_write_many(self, items: Mapping[Id, Items]) -> None:
        """Take samples of several points; all are checked before any is taken.

        Raises:
            NotFound: One of them is not there, or was deleted meanwhile; then the others have
                theirs.
            InvalidValue: An item does not fit its point, or a point is named twice.
        """
        if not isinstance(items, Mapping):
            raise InvalidValue(f"expected items by the ids of points, and this is {items!r}")
        points = await self._points(list(items))
        if len({point.id for point in points}) < len(points):
            raise InvalidValue("a point is named twice, in two ways to write its id")
        taken = {
            point.id: take(point, one) for point, one in zip(points, items.values(), strict=True)
        }
        written = {of: one.samples for of, one in taken.items() if len(one.samples)}
        if written:
            await self._histories.write(written)
        for of, one in taken.items():
            if one.removed:
                await self._histories.remove(of, one.removed)
        # What comes after its point went would lie there for a new one of that id.
        gone = await self._leaving.gone(written) if written else ()
        if gone:
            raise NotFound(f"there is no point @{gone[0]}", reference=gone[0])

    async def _span(self, id: Id, range_str: str | None) -> tuple[Point, Span]:
        return (await self._spans([id], range_str))[0]

    async def _spans(self, ids: Sequence[Id], range_str: str | None) -> list[tuple[Point, Span]]:
        points = await self._points(ids)
        now = moment((await self._entities.get([])).state.now, ZoneInfo("UTC"))
        return [(point, read_range(range_str, point.zone, now)) for point in points]
