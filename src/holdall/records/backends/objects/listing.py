"""Which records there are, from the listing of their objects."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from operator import is_
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from holdall.records.backends.objects import ranges
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.ranges import Part, Seen

if TYPE_CHECKING:
    from holdall.records.backends.objects.access import Access

_log = logging.getLogger("holdall.records")


class Listing(Struct, frozen=True):
    """The records of one moment.

    Args:
        ids: Their ids, in order; of those that a search may mean.
        etags: The etag of each of all records, by id.
        bounds: The last keys of ranges that are listed at once; empty for one range.
        digest: Tells this listing apart from those of other records; empty for none.
        pages: What its pages held, of those that the store tells apart.
        told: Whether it tells all of them apart.
        of_id: Says of an id whether it is among `ids`; None when all are.
    """

    ids: list[str]
    etags: dict[str, str]
    of_id: Callable[[str], bool] | None = None
    bounds: tuple[str, ...] = ()
    digest: bytes = b""
    pages: Sequence[Seen] = ()
    told: bool = True


class Lister:
    """Lists records, and remembers for a while how many there were.

    Args:
        access: Knows the store.
        bounds: Answers the last keys of ranges in which the records may be listed, as a snapshot
            has them; none when it has none.
    """

    def __init__(self, access: Access, bounds: Callable[[], Awaitable[tuple[str, ...]]]) -> None:
        self._access = access
        self._bounds = bounds
        can = access.store.capabilities
        # Where nothing is far away, ranges would only wait for one another.
        self._splits = can.remote and can.ordered and can.seeks
        self._keep_seconds = access.settings.cache_ttl.total_seconds()
        self._guard = threading.Lock()
        self._number: int | None = None
        self._until = 0.0
        self._changes = 0
        self._told: tuple[int, str] = (0, "")
        self._last = Listing([], {})
        self._cleared = 0

    async def list(self) -> Listing:
        """List all records now."""
        before = self._changes
        began = time.monotonic()
        last = self._last
        parts = await self._parts(last)
        pages = [page for part in parts for page in part.pages]
        listing = await self._access.runtime.call(self._listing, None, last, parts, pages)
        self._note(before, began, listing)
        passed = [key for page in pages for key in page.passed]
        number = len(passed) + sum(page.foreign for page in pages)
        self._tell(number, passed[0] if passed else "")
        return listing

    def _listing(self, last: Listing, parts: Sequence[Part], pages: Sequence[Seen]) -> Listing:
        """What was listed: the last listing again, where nothing has changed since."""
        if last.told and len(pages) == len(last.pages) and all(map(is_, pages, last.pages)):
            return last
        digest = ranges.digest_of(pages)
        apart = [page for page in pages if page.digest]
        told = len(apart) == len(pages)
        if digest == last.digest:
            return replace(last, pages=apart, told=told)
        etags = ranges.etags_of(pages)
        bounds: tuple[str, ...] = ()
        if self._splits and len(etags) >= ranges.LEAST_SPLIT:
            # Pages that have not changed are known again where ranges begin where they did.
            bounds = tuple(part.last for part in parts if part.last is not None)
            if not ranges.are_even(parts):
                bounds = ranges.bounds_of([page.end for page in pages if page.end])
        return Listing(sorted(etags), etags, bounds=bounds, digest=digest, pages=apart, told=told)

    async def _parts(self, last: Listing) -> Sequence[Part]:
        """List all records: the first page, and the others in ranges where these are known."""
        bounds = last.bounds
        if bounds:
            return await self._split("", bounds, last)
        first = Part("", None, last.pages)
        asked = not self._splits or bool(last.etags)
        async with closing(self._access.pages("", first.known)) as pages:
            async for page in pages:
                first.add(page)
                if asked or page.token is None or not first.pages[-1].end:
                    continue
                asked = True
                bounds = await self._bounds()
                if bounds:
                    break
        if not bounds:
            return [first]
        return [first, *await self._split(first.pages[-1].end, bounds, last)]

    async def _split(self, after: str, bounds: Sequence[str], last: Listing) -> Sequence[Part]:
        parts = ranges.parts_of(after, bounds, last.pages)
        workers = min(self._access.workers, ranges.RANGES)
        async with closing(self._access.runtime.map(self._listed, parts, workers)) as listed:
            return [part async for part in listed]

    async def _listed(self, part: Part) -> Part:
        async with closing(self._access.pages(part.after, part.known)) as pages:
            async for page in pages:
                if part.add(page):
                    break
        return part

    async def count(self) -> int:
        """Answer how many records there are, or were when they were last listed."""
        with self._guard:
            number = self._number
            if number is not None and time.monotonic() < self._until:
                return number
        return len((await self.list()).ids)

    def forget(self) -> None:
        """Forget how many there were: something was written, or is about to be."""
        with self._guard:
            self._changes += 1
            self._number = None

    def note_cleared(self) -> None:
        """Note that none of those that were listed so far is there any more."""
        with self._guard:
            self._changes += 1
            self._cleared = self._changes
            self._number = None
            self._last = Listing([], {})

    def _note(self, before: int, began: float, listing: Listing) -> None:
        number = len(listing.etags)
        with self._guard:
            if before < self._cleared:
                return
            self._last = listing
            # What was written while it was listed may not be in it.
            if self._keep_seconds and self._changes == before:
                self._number = number
                self._until = began + self._keep_seconds

    def _tell(self, number: int, first: str) -> None:
        """Warn of what lies among the records and is none, once for each number of them."""
        told, self._told = self._told, (number, first)
        if number and told != self._told:
            _log.warning(
                "%s: %d objects are passed over, as their names are none of records%s",
                self._access.store.root,
                number,
                f"; the first is {first!r}" if first else "",
            )
