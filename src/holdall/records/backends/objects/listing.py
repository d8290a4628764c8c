"""Which records there are, from the listing of their objects."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from operator import eq
from typing import TYPE_CHECKING

from msgspec import Struct

from holdall.core.errors import Corrupt
from holdall.records.backends.objects.access import closing
from holdall.records.backends.objects.keys import id_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from holdall.objects.results import Page
    from holdall.records.backends.objects.access import Access

_log = logging.getLogger("holdall.records")


class Listing(Struct, frozen=True):
    """The records of one moment.

    Args:
        ids: Their ids, in order; of those that a search may mean.
        etags: The etag of each of all records, by id.
        of_id: Says of an id whether it is among `ids`; None when all are.
    """

    ids: list[str]
    etags: dict[str, str]
    of_id: Callable[[str], bool] | None = None


class Lister:
    """Lists records, and remembers for a while how many there were.

    Args:
        access: Knows the store.
    """

    def __init__(self, access: Access) -> None:
        self._access = access
        self._keep_seconds = access.settings.cache_ttl.total_seconds()
        self._guard = threading.Lock()
        self._number: int | None = None
        self._until = 0.0
        self._recent_until = 0.0
        self._changes = 0
        self._told: tuple[int, str] = (0, "")
        self._last = Listing([], {})
        # Ids that were deleted here, each with the number of that change.
        self._deleted: dict[str, int] = {}
        self._cleared = 0

    async def list(self) -> Listing:
        """List all records now."""
        before = self._changes
        began = time.monotonic()
        etags: dict[str, str] = {}
        passed: list[str] = []
        foreign = 0
        async with closing(self._access.pages()) as pages:
            async for page in pages:
                foreign += page.foreign
                passed += records_of(page, etags)
        call, listing = self._access.runtime.call, self._last
        if not await call(eq, None, etags, listing.etags):
            listing = Listing(await call(sorted, None, etags), etags)
        self._note(before, began, listing)
        self._tell(foreign + len(passed), passed[0] if passed else "")
        return listing

    async def count(self) -> int:
        """Answer how many records there are, or were when they were last listed."""
        with self._guard:
            number = self._number
            if number is not None and time.monotonic() < self._until:
                return number
        return len((await self.list()).ids)

    def seen(self, ids: Iterable[str]) -> set[str]:
        """Those of these ids that a listing within `cache_ttl` had, and that were left there."""
        with self._guard:
            if time.monotonic() >= self._recent_until:
                return set()
            etags, deleted = self._last.etags, self._deleted
            return {id_ for id_ in ids if id_ in etags and id_ not in deleted}

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
            self._recent_until = 0.0
            self._last = Listing([], {})

    def note_deleted(self, ids: Iterable[str]) -> None:
        """Note that these are not there any more, or may not be."""
        with self._guard:
            self._changes += 1
            self._number = None
            self._deleted.update(dict.fromkeys(ids, self._changes))

    def _note(self, before: int, began: float, listing: Listing) -> None:
        number = len(listing.etags)
        with self._guard:
            if before < self._cleared:
                return
            self._last = listing
            self._deleted = {id_: at for id_, at in self._deleted.items() if at > before}
            self._recent_until = max(self._recent_until, began + self._keep_seconds)
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


def records_of(page: Page, etags: dict[str, str]) -> list[str]:
    """Add the records of a page to `etags`; answer the keys that are none of records.

    Raises:
        Corrupt: The store lists an object without an etag.
    """
    passed: list[str] = []
    for meta in page.objects:
        id_ = id_of(meta.key)
        if id_ is None:
            passed.append(meta.key)
        elif not meta.etag:
            raise Corrupt(f"{meta.ref}: the store lists no etag", reference=meta.ref)
        else:
            etags[id_] = meta.etag
    return passed
