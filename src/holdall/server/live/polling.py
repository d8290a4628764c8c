"""What changed in adapters of others, which can only be polled: each watch by itself."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from holdall.core.errors import NotFound
from holdall.haystack.adapter.taking import plain_id
from holdall.server.live.pushing import told
from holdall.server.live.source import Source
from holdall.server.logs import LOG

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from holdall.server.live.watching import Watching
    from holdall.server.storage import Storage

_AT_ONCE: Final = 16
_LEAST: Final = 1.0  # seconds between two polls of a watch


class Polling(Source):
    """Polls each watch, which also renews its lease.

    Args:
        storage: The store.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._known: dict[Watching, int] = {}  # and the last number under which it told something
        self._behind: set[Watching] = set()  # in which somebody may not know what was told
        self._number = 0
        self._next = 0.0

    async def now(self) -> int:
        return self._number

    async def join(self, watch: Watching, ids: Collection[str], since: int) -> None:
        if self._known.setdefault(watch, self._number) > since:
            self._behind.add(watch)

    def leave(self, watch: Watching) -> None:
        self._known.pop(watch, None)
        self._behind.discard(watch)

    async def look(self) -> None:
        if time.monotonic() < self._next:
            return
        known = list(self._known)
        for at in range(0, len(known), _AT_ONCE):
            await asyncio.gather(*map(self._poll, known[at : at + _AT_ONCE]))
        self._next = time.monotonic() + _LEAST

    async def _poll(self, watch: Watching) -> None:
        try:
            refresh = watch in self._behind
            rows = await self._storage.watch_poll(watch.id, refresh=refresh)
            changed = told([(plain_id(row.get("id")), row) for row in rows])
        except NotFound as error:
            self.leave(watch)
            self.end(watch, str(error))
        except Exception as error:  # noqa: BLE001 (others' adapters raise anything)
            LOG.error("a watch cannot be polled", exc_info=error)
        else:
            if refresh:
                self._behind.discard(watch)
            if changed and watch in self._known:
                self._number += 1
                self._known[watch] = self._number
            for one in changed:
                self.tell(watch, one)

    async def keep(self, watches: Collection[Watching]) -> None:
        """Polling is what keeps them."""

    async def close(self, watches: Mapping[str, set[str]]) -> None:
        for watch in watches:
            with suppress(NotFound):
                await self._storage.watch_unsub(watch, (), close=True)
