"""A server over our own adapter, which can do everything."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Any, Final, final
from zoneinfo import ZoneInfo

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.arrays import seconds_of
from holdall.haystack.adapter.ranges import moment
from holdall.haystack.adapter.samples import take
from holdall.haystack.adapter.watching import LEASE, LONGEST_LEASE
from holdall.server.accounts.places import NotePlace
from holdall.server.storage import Entities, Row, Storage, Watch
from holdall.server.storage_texts import range_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.haystack.adapter.history_face import Items
    from holdall.haystack.adapter.taking import Id
    from holdall.haystack.kinds import Number
    from holdall.haystack.stores.histories import Samples, Span
    from holdall.server.accounts.places import Place

_PAGE: Final = 10_000
_INLINE: Final = 1_000
_UTC: Final = ZoneInfo("UTC")


@final
class WholeStorage(Storage):
    """A `HaystackAdapter` behind a server."""

    def __init__(self, adapter: HaystackAdapter) -> None:
        super().__init__(adapter)
        self._whole = adapter

    @property
    def accounts(self) -> Place:
        return NotePlace(self._whole.stores[0])

    async def now(self) -> datetime:
        return moment((await self._whole.stores[0].get([])).state.now, _UTC)

    async def read(self, filter_str: str, limit: int) -> Entities:
        rows: list[Row] = []
        token: str | None = None
        while True:
            found = await self._whole.read(filter_str, min(_PAGE, limit - len(rows)), token=token)
            rows += found
            token = found.token
            if token is None or len(rows) >= limit:
                return Entities(rows, token is not None)

    async def last(self, of: str) -> datetime | None:
        bounds = (await self._whole.stores[1].bounds([of]))[0]
        return None if bounds is None else moment(bounds.last, _UTC)

    def samples(self, of: str, span: Span, *, size: int) -> AsyncIterator[Samples]:
        return self._whole.his_pages(of, range_text(span), size=size)

    async def his_write(self, items: Mapping[str, Sequence[Row]]) -> None:
        by_id: dict[Id, Items] = {}
        by_id.update(items)
        if sum(map(len, items.values())) > _INLINE:
            points = await self.points(list(items))
            # Checking many takes a while, in which others shall be answered.
            taken = await asyncio.to_thread(
                lambda: [take(point, items[point.id]) for point in points]
            )
            if not any(one.removed for one in taken):
                for point, one in zip(points, taken, strict=True):
                    by_id[point.id] = one.samples
        await self._whole.his_write_many(by_id)

    async def array(self, of: str) -> Sequence[Row]:
        return await self._whole.point_array(of)

    async def command(
        self, of: str, level: int, val: Any, who: str, duration: Number | None
    ) -> None:
        await self._whole.point_write(of, level, val, who, duration)

    async def watch_open(self, ids: Sequence[str], lease: Number | None) -> Watch:
        seconds = LEASE if lease is None else seconds_of(lease)
        if seconds is None or not seconds > 0:
            raise InvalidValue(f"{lease!r} is no lease: it takes a duration, such as 5min")
        seconds = float(round(min(max(seconds, 1.0), LONGEST_LEASE)))
        # The id tells the lease to whoever is asked to add to it later, in whatever process.
        watch = f"w-{secrets.token_hex(16)}-{seconds:.0f}"
        return Watch(watch, seconds, await self._whole.watch_sub(watch, ids, lease=seconds))

    async def watch_add(self, watch: str, ids: Sequence[str]) -> Watch:
        # One that is not there must not be opened under the client's id.
        await self._whole.watch_unsub(watch, ())
        rows = await self._whole.watch_sub(watch, ids)
        seconds = watch.rpartition("-")[2]
        return Watch(watch, float(seconds) if seconds.isdecimal() else LEASE, rows)

    async def watch_unsub(self, watch: str, ids: Sequence[str], *, close: bool) -> None:
        await self._whole.watch_unsub(watch, ids, close=close)

    async def watch_poll(self, watch: str, *, refresh: bool) -> Sequence[Row]:
        return await self._whole.watch_poll(watch, refresh)

    async def load(self, entities: Sequence[Row]) -> None:
        await self._whole.load(entities)
