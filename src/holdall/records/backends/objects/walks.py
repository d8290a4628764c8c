"""Searches that a page ended, and that their next page goes on with."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from holdall.records.stored import reader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.records.backends.objects.listing import Listing
    from holdall.records.stored import Found, Stored

_MOST_WALKS = 8
_WALK_SECONDS = 60.0


class Walk:
    """A search that a page ended, and that its next page goes on with.

    What is written after the first page may show or not, so the listing of that page serves all
    of them.

    Args:
        listing: The records there were.
        order: Their ids, or those of the records that are meant, in the order of the search; None
            where that was not needed yet.
        marks: Hashes of where each of them stood when they were sorted; None in the order of ids.
        at: Where in the order the next page begins.
        ahead: The first rows from there on, where they were read already; None stands for one that
            is not meant, or gone.
    """

    __slots__ = ("_ahead", "at", "listing", "marks", "order", "until")

    def __init__(
        self,
        listing: Listing,
        order: Sequence[str] | None,
        marks: Sequence[int] | None = None,
        at: int = 0,
        ahead: Sequence[Stored | None] = (),
    ) -> None:
        self.listing = listing
        self.order = order
        self.marks = marks
        self.at = at
        self.until = time.monotonic() + _WALK_SECONDS
        self._ahead = [ahead]

    def take_ahead(self) -> Sequence[Stored | None]:
        """The rows that were read ahead; they are handed out once, since they are the caller's."""
        try:
            return self._ahead.pop()
        except IndexError:
            return ()


class Walks:
    """The few searches that may go on."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._walks: dict[object, tuple[str, Walk]] = {}

    def find(self, found: Found) -> Walk | None:
        """Where the search went on behind this row; None when that is not known any more.

        Only the search that kept it finds it: another one began later, and shows what was written
        until then.
        """
        if found.whole is None:
            return None
        with self._guard:
            after, walk = self._walks.get(found.whole, ("", None))
        known = walk is not None and after == repr(found.after) and time.monotonic() < walk.until
        return walk if known else None

    def keep(self, found: Found, last: Stored, walk: Walk) -> None:
        """Remember how a search goes on after its last row."""
        if found.whole is None:
            return
        after = repr((*(reader(sort.path)(last) for sort in found.sorts), last.id))
        with self._guard:
            self._walks.pop(found.whole, None)
            while len(self._walks) >= _MOST_WALKS:
                del self._walks[next(iter(self._walks))]
            self._walks[found.whole] = (after, walk)
