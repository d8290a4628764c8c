"""A server over an adapter of ten methods; what needs more is refused."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Final, NoReturn, final

from msgspec import Struct

from holdall.core.errors import InvalidQuery, LimitExceeded, NotFound, Unsupported
from holdall.haystack.adapter.ranges import micros
from holdall.haystack.filter import parse_filter
from holdall.server.storage import Entities, Row, Storage, Watch, present
from holdall.server.storage_texts import range_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from holdall.haystack.adapter.protocol import StorageAdapter
    from holdall.haystack.kinds import Number
    from holdall.haystack.stores.histories import Span

_LEASE: Final = 300.0
_MOST_WATCHES: Final = 10_000


class _Watch(Struct):
    ids: dict[str, None]
    ends: float


@final
class PlainStorage(Storage):
    """An adapter of the ten methods behind a server.

    Which watches are open, and of whom, is known here, because such an adapter cannot be asked.
    """

    def __init__(self, adapter: StorageAdapter) -> None:
        super().__init__(adapter)
        self._watches: dict[str, _Watch] = {}

    @property
    def accounts(self) -> None:
        return None

    async def now(self) -> datetime:
        return present()

    async def read(self, filter_str: str, limit: int) -> Entities:
        try:
            found = await self._adapter.read(filter_str, limit + 1)
        except Exception as error:
            if not isinstance(error, InvalidQuery):
                # Where the filter is none, its place says more than what the adapter made of it.
                parse_filter(filter_str)
            raise
        return Entities(found[:limit], len(found) > limit)

    async def last(self, of: str) -> datetime | None:
        return None

    async def samples(self, of: str, span: Span, *, size: int) -> AsyncIterator[Sequence[Row]]:
        found = await self._adapter.his_read(of, range_text(span))
        # Adapters of others are known to answer more than was asked for.
        rows = [row for row in found if span.start <= micros(row["ts"]) < span.end]
        for at in range(0, len(rows), size):
            yield rows[at : at + size]

    async def his_write(self, items: Mapping[str, Sequence[Row]]) -> None:
        for of, rows in items.items():
            await self._adapter.his_write(of, [dict(row) for row in rows])

    async def array(self, of: str) -> NoReturn:
        raise Unsupported("this store cannot be asked for the levels of a point", reference=of)

    async def command(
        self, of: str, level: int, val: Any, who: str, duration: Number | None
    ) -> None:
        if duration is not None:
            raise Unsupported("this store knows no duration of a command", reference=of)
        await self._adapter.point_write(of, level, val, who)

    async def watch_open(self, ids: Sequence[str], lease: Number | None) -> Watch:
        now = time.monotonic()
        for late in [one for one, known in self._watches.items() if known.ends <= now]:
            await self._ended(late)
        if len(self._watches) >= _MOST_WATCHES:
            raise LimitExceeded(f"there are {_MOST_WATCHES:,} open watches: close some")
        watch = f"w-{secrets.token_hex(16)}"
        self._watches[watch] = _Watch({}, now + _LEASE)
        return await self._added(watch, ids)

    async def watch_add(self, watch: str, ids: Sequence[str]) -> Watch:
        self._alive(watch)
        return await self._added(watch, ids)

    async def watch_unsub(self, watch: str, ids: Sequence[str], *, close: bool) -> None:
        known = self._alive(watch)
        if close:
            await self._ended(watch)
            return
        await self._adapter.watch_unsub(watch, list(ids))
        for of in ids:
            known.ids.pop(of, None)

    async def watch_poll(self, watch: str, *, refresh: bool) -> Sequence[Row]:
        self._alive(watch)
        return await self._adapter.watch_poll(watch, refresh)

    async def load(self, entities: Sequence[Row]) -> None:
        raise Unsupported("this store takes no entities: load them where it is kept")

    async def _added(self, watch: str, ids: Sequence[str]) -> Watch:
        await self._adapter.watch_sub(watch, list(ids))
        known = self._watches.get(watch)
        if known is None:  # closed meanwhile
            await self._adapter.watch_unsub(watch, list(ids))
            self._alive(watch)
        else:
            known.ids.update(dict.fromkeys(ids))
        return Watch(watch, _LEASE, await self.by_ids(ids))

    async def _ended(self, watch: str) -> None:
        known = self._watches.pop(watch, None)
        if known is not None and known.ids:
            await self._adapter.watch_unsub(watch, list(known.ids))

    def _alive(self, watch: str) -> _Watch:
        known, now = self._watches.get(watch), time.monotonic()
        if known is None or known.ends <= now:
            raise NotFound(
                f"there is no watch {watch!r}: it was never opened, was closed, or its lease "
                "ended; subscribe again",
                reference=watch,
            )
        known.ends = now + _LEASE
        return known
