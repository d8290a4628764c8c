"""Searches: from a listing, what is kept in memory, and what must be read."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, TypeAlias

from msgspec.structs import replace

from holdall.core.errors import (
    Corrupt,
    HoldallError,
    InvalidKey,
    LimitExceeded,
    PartialFailure,
    PermissionDenied,
)
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.bodies import Held, row_of
from holdall.records.backends.objects.ids import named_ids, split
from holdall.records.backends.objects.listing import Listing
from holdall.records.backends.objects.snapshot import FEW_ROWS
from holdall.records.backends.objects.walks import Walk, Walks
from holdall.records.ordering import after_row, in_order, position_of
from holdall.records.paths import ID
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import Found, Stored, reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Lister
    from holdall.records.backends.objects.snapshot import Snapshot
    from holdall.records.ordering import Position
    from holdall.records.predicate import Node
    from holdall.records.query import Sort

_CHUNK_ROWS = 512
_LEAST_WINDOW = 40
_MOST_UNREAD = 20

_Kept: TypeAlias = tuple[str, Held | HoldallError | None, bool]
"""An id, its object, and whether that was in memory."""


class Searcher:
    """Finds records.

    Args:
        access: Reads them.
        lister: Lists them.
        snapshot: Has what other processes read.
    """

    def __init__(self, access: Access, lister: Lister, snapshot: Snapshot) -> None:
        self._access = access
        self._lister = lister
        self._snapshot = snapshot
        self._walks = Walks()
        self._turn = access.runtime.lock()

    async def find(self, found: Found) -> Sequence[Stored]:
        """Answer rows that meet a condition, in order."""
        if found.size == 0:
            return []
        ids = named_ids(found.predicate)
        if ids is not None:
            return _cut(await self._named(ids, found.predicate), found)
        asked = found
        of_id, rest = split(found.predicate)
        found = replace(found, predicate=rest)
        walk = self._walks.find(asked) or Walk(await self._list(of_id), None)
        if walk.order is None and _by_id(found.sorts):
            down = bool(found.sorts) and found.sorts[0].descending
            walk = _in_order_of_ids(walk.listing, found.after, down=down)
        if walk.order is None and found.after is None:
            rows = await self._first(walk.listing, found)
            at = 0
        else:
            order = walk.order
            if order is None:
                order = await self._ordered(walk.listing, found)
            walk = Walk(walk.listing, order, walk.at)
            rows, at = await self._further(walk, found)
        await self._snapshot.renew(walk.listing)
        if found.size is not None and len(rows) == found.size:
            self._walks.keep(asked, rows[-1], Walk(walk.listing, walk.order, at))
        return rows

    async def count(self, predicate: Node) -> int:
        """Answer how many rows meet a condition."""
        if predicate == ALL:
            return await self._lister.count()
        ids = named_ids(predicate)
        if ids is not None:
            return len(await self._named(ids, predicate))
        of_id, rest = split(predicate)
        listing = await self._list(of_id)
        if rest == ALL:
            return len(listing.ids)
        number = 0
        async with closing(self._meant(listing.ids, listing, rest)) as chunks:
            async for chunk in chunks:
                number += sum(row is not None for row in chunk)
        await self._snapshot.renew(listing)
        return number

    async def _list(self, of_id: Callable[[str], bool] | None) -> Listing:
        """List the records of now, of which only the ids that are meant count."""
        listing = await self._lister.list()
        self._access.shelf.active = True
        self._access.shelf.prune(listing.etags)
        return (
            listing if of_id is None else Listing(list(filter(of_id, listing.ids)), listing.etags)
        )

    async def _named(self, ids: Sequence[str], predicate: Node) -> list[Stored]:
        if not ids:
            return []
        test = compiled(predicate, reader)

        async def read(id_: str) -> Stored | None:
            try:
                return await self._access.row(id_)
            except InvalidKey:
                return None  # the store cannot hold it, so it is not there

        reading = self._access.runtime.map(read, ids, min(len(ids), self._access.workers))
        async with closing(reading) as found:
            return [row async for row in found if row is not None and test(row)]

    async def _first(self, listing: Listing, found: Found) -> list[Stored]:
        """The first rows of a search that sorts, or all of them."""
        position = position_of(found.sorts, reader)
        end = None if found.size is None else found.skip + found.size
        best: list[Stored] = []
        async with closing(self._meant(listing.ids, listing, found.predicate)) as chunks:
            async for chunk in chunks:
                rows = (row for row in chunk if row is not None)
                if end is None:
                    best += rows
                else:
                    best = in_order([*best, *rows], position, end)
        return in_order(best, position, end)[found.skip :]

    async def _ordered(self, listing: Listing, found: Found) -> list[str]:
        """The ids of what is meant and comes after a row, in order."""
        position = position_of(found.sorts, reader)
        last = None if found.after is None else after_row(found.sorts, found.after)
        places: list[Position] = []
        async with closing(self._meant(listing.ids, listing, found.predicate)) as chunks:
            async for chunk in chunks:
                new = [position(row) for row in chunk if row is not None]
                places += new if last is None else [one for one in new if one > last]
        places.sort()
        return [place[-1] for place in places]

    async def _further(self, walk: Walk, found: Found) -> tuple[list[Stored], int]:
        """The next rows in an order of ids, and where in it they end."""
        assert walk.order is not None
        order, at, skip = walk.order, walk.at, found.skip
        rows: list[Stored] = []
        wanted = len(order) if found.size is None else skip + found.size
        window = wanted if found.predicate == ALL else max(wanted, _LEAST_WINDOW)
        while at < len(order):
            ids = order[at : at + window]
            window = max(4 * window, _LEAST_WINDOW)
            async with closing(self._meant(ids, walk.listing, found.predicate)) as chunks:
                async for chunk in chunks:
                    for row in chunk:
                        at += 1
                        if row is None:
                            continue
                        if skip:
                            skip -= 1
                            continue
                        rows.append(row)
                        if len(rows) == found.size:
                            return rows, at
        return rows, at

    async def _meant(
        self, ids: Sequence[str], listing: Listing, predicate: Node
    ) -> AsyncIterator[list[Stored | None]]:
        """Go through records, some at a time; None stands for one that is not meant, or gone.

        Raises:
            Corrupt: One cannot be read.
        """
        test = None if predicate == ALL else compiled(predicate, reader)
        kept = self._kept(ids, listing)
        many = kept.count(None) > FEW_ROWS
        # Of several that have much to read one reads it, and the others find it in memory.
        async with self._turn if many and self._access.settings.memory else nullcontext():
            if many:
                kept = self._kept(ids, listing)
            if kept.count(None) > FEW_ROWS:
                await self._snapshot.load(listing)
                kept = self._kept(ids, listing)
            missing = [id_ for id_, held in zip(ids, kept, strict=True) if held is None]
            workers = min(self._access.workers, max(1, len(missing)))
            reading = self._access.runtime.map(self._tried, missing, workers)
            unread: list[HoldallError] = []
            async with closing(reading) as coming:
                for at in range(0, len(ids), _CHUNK_ROWS):
                    end = at + _CHUNK_ROWS
                    chunk = [
                        (id_, await anext(coming) if held is None else held, held is not None)
                        for id_, held in zip(ids[at:end], kept[at:end], strict=True)
                    ]
                    rows = await self._read(chunk, test, unread)
                    if len(unread) >= _MOST_UNREAD:
                        break
                    if not unread:
                        yield rows
            if unread:
                raise _unread(unread)

    async def _tried(self, id_: str) -> Held | HoldallError | None:
        """The object of a record, or why this one cannot be read; an outage is raised."""
        try:
            return await self._access.held(id_)
        except (Corrupt, LimitExceeded, PermissionDenied) as error:
            return error

    def _kept(self, ids: Sequence[str], listing: Listing) -> list[Held | None]:
        """What is in memory of these records, as they are in a listing."""
        shelf, etags = self._access.shelf, listing.etags
        return [shelf.get(id_, etags[id_]) for id_ in ids]

    async def _read(
        self,
        chunk: list[_Kept],
        test: Callable[[Stored], bool] | None,
        unread: list[HoldallError],
    ) -> list[Stored | None]:
        """Answer what is meant, in its place; add to `unread` why a record cannot be read."""
        found = await self._access.runtime.call(self._decoded, None, chunk, test)
        rows: list[Stored | None] = []
        for (id_, _, kept), row in zip(chunk, found, strict=True):
            if not isinstance(row, HoldallError):
                rows.append(row)
                continue
            fresh: Stored | None = None
            try:
                if not kept:
                    raise row
                # It came from a snapshot that holds nonsense: the object itself decides.
                fresh = await self._access.row(id_)
            except (Corrupt, LimitExceeded, PermissionDenied) as error:
                unread.append(error)
            rows.append(fresh if fresh is not None and (test is None or test(fresh)) else None)
        return rows

    def _decoded(
        self, chunk: list[_Kept], test: Callable[[Stored], bool] | None
    ) -> list[Stored | HoldallError | None]:
        rows: list[Stored | HoldallError | None] = []
        for id_, held, _ in chunk:
            if held is None or isinstance(held, HoldallError):
                rows.append(held)
                continue
            try:
                row = row_of(id_, held, self._access.ref)
            except Corrupt as error:
                rows.append(error)
            else:
                rows.append(row if test is None or test(row) else None)
        return rows


class UnreadRecords(PartialFailure, Corrupt):
    """Some records that a search may mean cannot be read.

    Args:
        errors: Why, of each; of the first ones when there are many.
    """

    def __init__(self, errors: Sequence[HoldallError]) -> None:
        more = " or more" if len(errors) >= _MOST_UNREAD else ""
        super().__init__(f"{len(errors)}{more} records cannot be read", errors)


def _unread(errors: list[HoldallError]) -> HoldallError:
    refused = all(isinstance(one, PermissionDenied) for one in errors)
    if len(errors) == 1 or (refused and len(errors) >= _MOST_UNREAD):
        return errors[0]  # a single one, or a right to read that is missing altogether
    return UnreadRecords(errors)


def _by_id(sorts: Sequence[Sort]) -> bool:
    return not sorts or sorts[0].path == (ID,)


def _in_order_of_ids(listing: Listing, after: tuple[Any, ...] | None, *, down: bool) -> Walk:
    ids = listing.ids
    if not down:
        return Walk(listing, ids, 0 if after is None else bisect_right(ids, after[-1]))
    behind = 0 if after is None else len(ids) - bisect_left(ids, after[-1])
    return Walk(listing, ids[::-1], behind)


def _cut(rows: list[Stored], found: Found) -> list[Stored]:
    """The part of a few rows that a search answers, in order."""
    position = position_of(found.sorts, reader)
    if found.after is not None:
        last = after_row(found.sorts, found.after)
        rows = [row for row in rows if position(row) > last]
    end = None if found.size is None else found.skip + found.size
    return in_order(rows, position, end)[found.skip :]
