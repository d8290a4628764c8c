"""What changed in stores of our own: one question for all watches, whoever changed it.

The store numbers its commits, and tells what changed after one of them. So a look asks once, for
all watches, and finds those that are concerned by the ids in them. Nothing is lost between two
looks or while the store cannot be asked, and other processes are seen as this one is.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from anyio import to_thread

from holdall.haystack.adapter.watching import Watches
from holdall.haystack.kinds import MARKER, Ref
from holdall.server.answers import INLINE
from holdall.server.live.pushing import told
from holdall.server.live.source import Source
from holdall.server.live.watching import Index

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from holdall.haystack.adapter.face import HaystackAdapter
    from holdall.haystack.adapter.watching import Followed
    from holdall.haystack.stores.entities import Changed, Changes
    from holdall.server.live.pushing import Told
    from holdall.server.live.watching import Watching

_PAGE: Final = 2_000
_NOTES: Final = 500  # that are asked for at once
_TOLD: Final = 2_000  # watches, in one go
_AHEAD: Final = 60.0  # seconds of lease that a watch has at least
_KEPT: Final = 120.0  # seconds for which a lease is renewed at least
GONE: Final = "the watch was closed, or its lease ended: subscribe again"


class Following(Source):
    """Follows the changes of a store.

    Args:
        adapter: The adapter over it.
    """

    def __init__(self, adapter: HaystackAdapter) -> None:
        self._adapter = adapter
        self._store = adapter.stores[0]
        self._watches = Watches(self._store)
        self._index = Index()
        self._known: dict[Watching, None] = {}
        self._fresh: dict[Watching, None] = {}  # those with something `late`
        self._epoch = ""
        self._number = 0  # up to which commit all others were told

    async def now(self) -> int:
        since = self._since()
        return (await self._store.get(())).state.number if since is None else since

    async def join(self, watch: Watching, ids: Collection[str], since: int) -> None:
        await self.keep([watch])
        # Not from where the note says: whoever added or polled meanwhile has moved that on.
        for of in watch.ids.intersection(ids):
            watch.late[of] = min(watch.late.get(of, self._number), since)
        if watch.late:
            self._fresh[watch] = None

    def leave(self, watch: Watching) -> None:
        self._index.remove(watch, watch.ids)
        self._known.pop(watch, None)
        self._fresh.pop(watch, None)

    async def look(self) -> None:
        while (since := self._since()) is not None:
            page = await self._page(since)
            stale: list[Watching] = []
            if page.state.epoch != self._epoch:
                self._epoch = page.state.epoch
                stale = [watch for watch in self._known if watch.epoch != self._epoch]
            elif not page.known:
                stale = list(self._fresh if since < self._number else self._known)
            if stale:
                for watch in stale:
                    await self._tell_all(watch)
                continue  # from where they are now
            await self._tell(page.changed)
            self._move_on(page.upto)
            if page.upto >= page.state.number:
                return

    async def keep(self, watches: Collection[Watching]) -> None:
        several = list(watches)
        for at in range(0, len(several), _NOTES):
            some = {watch.id: watch for watch in several[at : at + _NOTES]}
            now = await self._see(some)
            short = [
                watch.id for watch in some.values() if 0 < watch.ends < now + _AHEAD * 1_000_000
            ]
            if short:
                await self._watches.renew(short, _KEPT)
                await self._see({of: some[of] for of in short})

    async def close(self, watches: Mapping[str, set[str]]) -> None:
        several = list(watches)
        for at in range(0, len(several), _NOTES):
            some = several[at : at + _NOTES]
            _, found = await self._watches.followed(dict.fromkeys(some, 0))
            ours = [of for of, one in found.items() if one and one.ids.keys() <= watches[of]]
            await self._watches.close(ours)

    async def _see(self, watches: Mapping[str, Watching]) -> int:
        """See what the notes of watches say now; answers the store's clock."""
        versions = {of: watch.version for of, watch in watches.items()}
        state, found = await self._watches.followed(versions)
        for of, followed in found.items():
            watch = watches[of]
            if not watch.connections:  # all of them went meanwhile
                self.leave(watch)
            elif followed is None:
                self._ended(watch)
            else:
                self._take(watch, followed)
        for watch in watches.values():
            if watch.connections and watch in self._known and watch.ends <= state.now:
                self._ended(watch)
        return state.now

    def _ended(self, watch: Watching) -> None:
        watch.ends = 0
        self.leave(watch)
        self.end(watch, GONE)

    def _take(self, watch: Watching, followed: Followed) -> None:
        watch.version, watch.ends = followed.version, followed.ends
        if watch not in self._known:
            watch.epoch = followed.epoch
        gone = watch.ids - followed.ids.keys()
        self._index.remove(watch, gone)
        for of in gone:
            for connection in watch.connections:
                connection.outbox.forget(watch.opening, of)
        new = {
            of: after or followed.number
            for of, after in followed.ids.items()
            if of not in watch.ids
        }
        self._index.add(watch, new)
        self._known[watch] = None
        if new:
            self._fresh[watch] = None

    def _since(self) -> int | None:
        """After which commit something may be to tell; None where nothing is watched."""
        numbers = [min(watch.late.values()) for watch in self._fresh if watch.late]
        if any(len(watch.ids) > len(watch.late) for watch in self._known):
            numbers.append(self._number)
        return min(numbers, default=None)

    async def _page(self, since: int) -> Changes:
        page = await self._store.changes(since, limit=_PAGE)
        if page.state.due is not None and page.state.due <= page.state.now:
            # Whoever polls takes back what is due, too.
            await self._adapter.read_by_ids([])
            page = await self._store.changes(since, limit=_PAGE)
        return page

    async def _tell(self, changed: Sequence[Changed]) -> None:
        concerned: list[tuple[Changed, list[Watching]]] = []
        for one in changed:
            watches = [
                watch
                for watch in self._index.of(one.id)
                if one.version > watch.late.get(one.id, self._number)
            ]
            if watches:
                concerned.append((one, watches))
        rows = await _written([(one.id, _row(one.id, one.entity)) for one, _ in concerned])
        by_id = {one.id: one for one in rows}
        done = 0
        for one, watches in concerned:
            row = by_id.get(one.id)
            if row is None:
                continue
            for watch in watches:
                self.tell(watch, row)
            done += len(watches)
            if done > _TOLD:
                done = 0
                await asyncio.sleep(0)  # others are answered in between

    async def _tell_all(self, watch: Watching) -> None:
        """Tell every entity of a watch, where the store does not know what changed."""
        ids = list(watch.ids)
        got = await self._store.get(ids)
        rows = await _written(
            [
                (of, _row(of, None if one is None else one.entity))
                for of, one in zip(ids, got.entities, strict=True)
            ]
        )
        for row in rows:
            self.tell(watch, row)
        watch.epoch = got.state.epoch
        watch.late = dict.fromkeys(watch.ids, got.state.number)
        if watch in self._known:
            self._fresh[watch] = None

    def _move_on(self, upto: int) -> None:
        self._number = upto
        for watch in list(self._fresh):
            watch.late = {of: after for of, after in watch.late.items() if after > upto}
            if not watch.late:
                del self._fresh[watch]


async def _written(rows: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Told]:
    if len(rows) <= INLINE:
        return told(rows)
    return await to_thread.run_sync(partial(told, rows))


def _row(of: str, entity: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {"id": Ref(of), "removed": MARKER} if entity is None else entity
