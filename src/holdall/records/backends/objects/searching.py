"""Searches: from a listing, what is kept in memory, and what must be read."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from heapq import nsmallest
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from holdall.core.errors import InvalidKey
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.bodies import NoRecord
from holdall.records.backends.objects.gathering import Gatherer
from holdall.records.backends.objects.ids import named_ids, split
from holdall.records.backends.objects.scanning import DamagedBlock, Scan, rows_of, tested
from holdall.records.backends.objects.walks import Walk, Walks
from holdall.records.ordering import after_row, in_order, position_of
from holdall.records.paths import ID
from holdall.records.predicate import ALL, compiled
from holdall.records.stored import Found, Stored, reader

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from holdall.records.backends.objects.access import Access
    from holdall.records.backends.objects.listing import Lister, Listing
    from holdall.records.backends.objects.scanning import Place
    from holdall.records.backends.objects.snapshot import Snapshot
    from holdall.records.ordering import Position
    from holdall.records.predicate import Node
    from holdall.records.query import Sort

_LEAST_WINDOW = 40
_AHEAD_ROWS = 8192
_MOST_OLD_ROWS = 4096
_END: Any = object()


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
        self._gatherer = Gatherer(access, snapshot)

    async def find(self, found: Found) -> Sequence[Stored]:
        """Answer rows that meet a condition, in order."""
        try:
            return await self._find(found)
        except DamagedBlock:
            self._access.shelf.distrust()
            return await self._find(found)

    async def count(self, predicate: Node) -> int:
        """Answer how many rows meet a condition."""
        try:
            return await self._count(predicate)
        except DamagedBlock:
            self._access.shelf.distrust()
            return await self._count(predicate)

    async def _find(self, found: Found) -> Sequence[Stored]:
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
        else:
            if walk.order is None:
                walk = await self._ordered(walk.listing, found)
            rows, walk = await self._further(walk, found)
        await self._keep(walk.listing)
        if found.size is not None and len(rows) == found.size:
            self._walks.keep(asked, rows[-1], walk)
        return rows

    async def _count(self, predicate: Node) -> int:
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
        async with closing(self._scanned(listing, Scan(rest))) as chunks:
            async for chunk in chunks:
                number += len(chunk)
        await self._keep(listing)
        return number

    async def _keep(self, listing: Listing) -> None:
        """Renew the snapshot, and throw away what became old in memory, where it is much."""
        await self._snapshot.renew(listing)
        shelf = self._access.shelf
        if shelf.rows > 2 * len(listing.etags) + _MOST_OLD_ROWS:
            await self._access.runtime.call(shelf.repack, None, listing.etags)

    async def _list(self, of_id: Callable[[str], bool] | None) -> Listing:
        """List the records of now, of which only the ids that are meant count."""
        listing = await self._lister.list()
        self._access.shelf.active = True
        self._access.shelf.prune(listing.etags)
        return (
            listing
            if of_id is None
            else replace(listing, ids=list(filter(of_id, listing.ids)), of_id=of_id)
        )

    async def _named(self, ids: Sequence[str], predicate: Node) -> list[Stored]:
        if not ids:
            return []
        test = compiled(predicate, reader)

        async def read(id_: str) -> Stored | None:
            try:
                return await self._access.row(id_)
            except (InvalidKey, NoRecord):
                return None  # the store cannot hold it, so it is not there; or never was a record

        reading = self._access.runtime.map(read, ids, min(len(ids), self._access.workers))
        async with closing(reading) as found:
            rows = [row async for row in found if row is not None and test(row)]
        self._access.tell_passed()
        return rows

    async def _first(self, listing: Listing, found: Found) -> list[Stored]:
        """The first rows of a search that sorts, or all of them."""
        end = None if found.size is None else found.skip + found.size
        scan = Scan(found.predicate, found.sorts, end, whole=end is None)
        best: list[Place] = []
        async with closing(self._scanned(listing, scan)) as some:
            async for places in some:
                best += places
                if end is not None:
                    best = nsmallest(end, best, key=itemgetter(0))
        best.sort(key=itemgetter(0))
        return await self._access.runtime.call(rows_of, None, best[found.skip :])

    async def _ordered(self, listing: Listing, found: Found) -> Walk:
        """What is meant and comes after a row, in order."""
        last = None if found.after is None else after_row(found.sorts, found.after)
        positions: list[Position] = []
        async with closing(self._scanned(listing, Scan(found.predicate, found.sorts))) as some:
            async for places in some:
                positions += [one for one, _ in places if last is None or one > last]
        positions.sort()
        ids = [position[-1] for position in positions]
        return Walk(listing, ids, array("q", map(hash, positions)))

    async def _further(self, walk: Walk, found: Found) -> tuple[list[Stored], Walk]:
        """The next rows in an order of ids, and what goes on behind them."""
        assert walk.order is not None
        order, marks, at, skip = walk.order, walk.marks, walk.at, found.skip
        etags, position = walk.listing.etags, position_of(found.sorts, reader)

        def has_moved(row: Stored, place: int) -> bool:
            """Whether it was written since; who went on behind it would pass over others."""
            if marks is None or row.version == etags.get(row.id):
                return False
            return hash(position(row)) != marks[place]

        rows: list[Stored] = []
        wanted = len(order) if found.size is None else skip + found.size
        window = wanted if found.predicate == ALL else max(wanted, _LEAST_WINDOW)
        if self._access.shelf.is_wide and not _by_id(found.sorts):
            # They lie in all blocks: each is unpacked for many of them, and not for a page.
            window = max(window, _AHEAD_ROWS)

        def take(chunk: Sequence[Stored | None]) -> int:
            """Take what is wanted; answer how many of them were gone through."""
            nonlocal skip
            for number, row in enumerate(chunk, 1):
                if row is None or has_moved(row, at + number - 1):
                    continue
                if skip:
                    skip -= 1
                    continue
                rows.append(row)
                if len(rows) == found.size:
                    return number
            return len(chunk)

        ahead = walk.take_ahead()
        number = take(ahead)
        at += number
        if len(rows) == found.size:
            return rows, Walk(walk.listing, order, marks, at, ahead[number:])
        while at < len(order):
            ids = order[at : at + window]
            window = max(4 * window, _LEAST_WINDOW)
            async with closing(self._meant(ids, walk.listing, found.predicate)) as chunks:
                async for chunk in chunks:
                    number = take(chunk)
                    at += number
                    if len(rows) == found.size:
                        return rows, Walk(walk.listing, order, marks, at, chunk[number:])
        return rows, Walk(walk.listing, order, marks, at)

    async def _scanned(self, listing: Listing, scan: Scan) -> AsyncIterator[list[Place]]:
        """Go through all records of a listing; answer those that are meant, in any order.

        Raises:
            Corrupt: One cannot be read.
        """
        call = self._access.runtime.call
        async with self._gatherer.settled(listing, None) as (known, missing):
            for shelved, rows in known.parts:
                yield await call(scan.of_block, None, shelved, rows, listing.of_id)
            of_id = listing.of_id or (lambda _: True)
            ids = sorted([*filter(of_id, known.held), *missing])
            async with closing(self._gatherer.loose(ids, known.held, scan.predicate)) as chunks:
                async for chunk in chunks:
                    yield scan.of_rows(chunk)

    async def _meant(
        self, ids: Sequence[str], listing: Listing, predicate: Node
    ) -> AsyncIterator[list[Stored | None]]:
        """Go through some records, in their order; None stands for one that is not meant, or gone.

        Raises:
            Corrupt: One cannot be read.
        """
        async with self._gatherer.settled(listing, ids) as (known, _):
            found: dict[str, Stored | None] = {}
            for shelved, rows in known.parts:
                found |= await self._access.runtime.call(tested, None, shelved, rows, predicate)
            loose = [id_ for id_ in ids if id_ not in found]
            async with closing(self._gatherer.loose(loose, known.held, predicate)) as chunks:
                read: Iterator[Stored | None] = iter(())
                done: list[Stored | None] = []
                for id_ in ids:
                    if id_ in found:
                        done.append(found[id_])
                        continue
                    row = next(read, _END)
                    if row is _END:
                        yield done
                        done = []
                        read = iter(await anext(chunks))
                        row = next(read)
                    done.append(row)
                yield done


def _by_id(sorts: Sequence[Sort]) -> bool:
    return not sorts or sorts[0].path == (ID,)


def _in_order_of_ids(listing: Listing, after: tuple[Any, ...] | None, *, down: bool) -> Walk:
    ids = listing.ids
    if not down:
        return Walk(listing, ids, at=0 if after is None else bisect_right(ids, after[-1]))
    behind = 0 if after is None else len(ids) - bisect_left(ids, after[-1])
    return Walk(listing, ids[::-1], at=behind)


def _cut(rows: list[Stored], found: Found) -> list[Stored]:
    """The part of a few rows that a search answers, in order."""
    position = position_of(found.sorts, reader)
    if found.after is not None:
        last = after_row(found.sorts, found.after)
        rows = [row for row in rows if position(row) > last]
    end = None if found.size is None else found.skip + found.size
    return in_order(rows, position, end)[found.skip :]
