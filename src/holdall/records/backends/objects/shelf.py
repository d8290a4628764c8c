"""What searches have read, kept in memory until it changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from holdall.records.backends.objects.bodies import Held

_ENTRY_BYTES = 300
"""What an entry takes beside its body: the dict's place, id, etag, objects around them."""


class Shelf:
    """The objects of records by id, each with the etag it was read under.

    An entry is right as long as a listing shows its etag, whoever put it there and when.

    Args:
        limit: How many bytes it may take; what does not fit is not kept.

    Attributes:
        active: Whether there was a search: before that, what is written is not kept.
    """

    def __init__(self, limit: int) -> None:
        self.active = False
        self._limit = limit
        self._guard = threading.Lock()
        self._held: dict[str, Held] = {}
        self._unsaved: set[str] = set()
        self._bytes = 0

    @property
    def unsaved(self) -> int:
        """How many entries are not known to be in the snapshot; some may be gone from the store."""
        return len(self._unsaved)

    def get(self, id: str, etag: str) -> Held | None:  # noqa: A002
        """What was read under this etag; None when that is not kept."""
        held = self._held.get(id)
        return held if held is not None and held.etag == etag else None

    def keep(self, id: str, held: Held, *, saved: bool = False) -> None:  # noqa: A002
        """Keep an object, instead of what was kept of this id.

        Args:
            id: Whose object it is.
            held: The object.
            saved: Whether it came from the snapshot.
        """
        size = len(held.body) + _ENTRY_BYTES
        with self._guard:
            self._remove(id)
            if self._bytes + size > self._limit:
                return
            self._held[id] = held
            self._bytes += size
            if not saved:
                self._unsaved.add(id)

    def drop(self, id: str) -> None:  # noqa: A002
        """Forget what is kept of an id."""
        with self._guard:
            self._remove(id)

    def has(self, id: str) -> bool:  # noqa: A002
        """Whether anything is kept of an id."""
        return id in self._held

    def prune(self, etags: Mapping[str, str]) -> None:
        """Forget all that is not among the ids of these etags."""
        with self._guard:
            for id_ in self._held.keys() - etags.keys():
                self._remove(id_)

    def clear(self) -> None:
        """Forget everything."""
        self.prune({})

    def current(self, etags: Mapping[str, str], *, unsaved: bool) -> list[tuple[str, Held]]:
        """Answer what is kept under these etags, by id; only what is not saved, where asked."""
        with self._guard:
            ids = self._unsaved if unsaved else self._held
            found = [(id_, self._held[id_]) for id_ in ids]
        return sorted(
            ((id_, held) for id_, held in found if etags.get(id_) == held.etag),
            key=lambda one: one[0],
        )

    def note_saved(self, ids: list[str]) -> None:
        """Note that what is kept of these ids is in the snapshot now."""
        with self._guard:
            self._unsaved.difference_update(ids)

    def _remove(self, id: str) -> None:  # noqa: A002
        held = self._held.pop(id, None)
        if held is not None:
            self._bytes -= len(held.body) + _ENTRY_BYTES
            self._unsaved.discard(id)
