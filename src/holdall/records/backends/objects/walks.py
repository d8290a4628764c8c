"""Searches that a page ended, and that their next page goes on with."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

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
        at: Where in it the next page begins.
        ahead: The first rows from there on, where they were read already; None stands for one that
            is not meant, or gone.
    """

    __slots__ = ("_ahead", "at", "listing", "order", "until")

    def __init__(
        self,
        listing: Listing,
        order: Sequence[str] | None,
        at: int = 0,
        ahead: Sequence[Stored | None] = (),
    ) -> None:
        self.listing = listing
        self.order = order
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
        self._walks: dict[str, Walk] = {}

    def find(self, found: Found) -> Walk | None:
        """The search that goes on after this row; None when it is not known any more."""
        if found.after is None:
            return None
        with self._guard:
            walk = self._walks.get(_name(found, found.after))
        return walk if walk is not None and time.monotonic() < walk.until else None

    def keep(self, found: Found, last: Stored, walk: Walk) -> None:
        """Remember how a search goes on after its last row."""
        values = (*(reader(sort.path)(last) for sort in found.sorts), last.id)
        with self._guard:
            if found.after is not None:
                self._walks.pop(_name(found, found.after), None)
            while len(self._walks) >= _MOST_WALKS:
                del self._walks[next(iter(self._walks))]
            self._walks[_name(found, values)] = walk


def _name(found: Found, after: tuple[Any, ...]) -> str:
    return f"{found.predicate!r} {found.sorts!r} {after!r}"
