"""Entities that were read, kept ready: each is decoded once, until it changes."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from holdall.haystack.stores.entities import Stored

Entry: TypeAlias = "tuple[str, Stored, int]"
"""The id of an entity, what is stored, and how many bytes of text it was."""

CACHE_BYTES: Final = 48 * 1024 * 1024
"""The budget unless another one is set."""
_LEFT: Final = 0.75
_LARGE: Final = 0.25


@final
class Kept:
    """Entities by their number `n`, or by their id, as of one commit; and the numbers of tags.

    A reader sees the file as of some commit. What is kept here is true for it where it did not
    change since, which its version tells.

    Args:
        budget: Of how many bytes of text entities are kept.
    """

    def __init__(self, budget: int) -> None:
        self._budget = budget
        self._lock = threading.Lock()
        self._epoch = ""
        self._number = 0
        self._size = 0
        self.entries: dict[Any, Entry] = {}
        self.tags: dict[str, int] = {}

    @property
    def epoch(self) -> str:
        """The epoch of the commit as of which they are kept."""
        return self._epoch

    @property
    def number(self) -> int:
        """The commit as of which they are kept."""
        return self._number

    def follow(
        self, epoch: str, number: int, changed: Callable[[int], Sequence[Any] | None]
    ) -> None:
        """Forget what is no longer true as of a commit.

        Args:
            epoch: The epoch of the file.
            number: The commit.
            changed: Answers which entities changed after an earlier commit; None for very many.
        """
        if epoch == self._epoch and number <= self._number:
            return
        with self._lock:
            if epoch != self._epoch:
                self._clear()
                self.tags = {}
                self._epoch, self._number = epoch, number
            elif number > self._number:
                if self.entries:
                    self._forget(changed(self._number))
                self._number = number

    def committed(self, number: int, changed: Iterable[Any]) -> None:
        """Forget what a commit changed."""
        with self._lock:
            if self._number == number - 1:
                self._forget(changed)
                self._number = number

    def put(self, epoch: str, number: int, entries: Mapping[Any, Entry]) -> None:
        """Keep what was read as of a commit; not where another one came since."""
        with self._lock:
            if epoch != self._epoch or number != self._number:
                return
            new = {n: entry for n, entry in entries.items() if n not in self.entries}
            size = sum([entry[2] for entry in new.values()])
            if size > self._budget * _LARGE:
                # Whoever goes through very many takes only what room there is: the next time
                # they would else find the last of them here, when the first are asked for.
                for n, entry in new.items():
                    if self._size + entry[2] > self._budget:
                        break
                    self.entries[n] = entry
                    self._size += entry[2]
                return
            self.entries.update(new)
            self._size += size
            if self._size > self._budget:
                for n in list(self.entries):  # the oldest first
                    if self._size <= self._budget * _LEFT:
                        break
                    self._size -= self.entries.pop(n)[2]

    def _forget(self, changed: Iterable[Any] | None) -> None:
        if changed is None:
            self._clear()
            return
        for n in changed:
            entry = self.entries.pop(n, None)
            if entry is not None:
                self._size -= entry[2]

    def _clear(self) -> None:
        self.entries.clear()
        self._size = 0
