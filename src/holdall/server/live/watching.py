"""A watch of some connections of this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.server.live.pushing import opening

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from holdall.server.live.connection import Connection


class Watching:
    """A watch of some connections of this process.

    Attributes:
        id: Its id.
        opening: What its pushes begin with.
        opened: Whether it was opened over a WebSocket of this process.
        added: The entities that were added to it so.
        holders: The connections that opened it or added to it.
        connections: Those of them that are told already.
        ids: The entities in it, as far as is known here.
        late: Of entities that are not up to date with all others: after which commit their changes
            count.
        epoch: Of the numbers of commits, when it was last looked at.
        version: Of its note in the store.
        ends: When its lease ends, by the store's clock, in microseconds since 1970.
    """

    def __init__(self, watch: str, *, opened: bool) -> None:
        self.id = watch
        self.opening = opening(watch)
        self.opened = opened
        self.added: set[str] = set()
        self.holders: set[Connection] = set()
        self.connections: dict[Connection, None] = {}
        self.ids: set[str] = set()
        self.late: dict[str, int] = {}
        self.epoch = ""
        self.version = 0
        self.ends = 0


class Index:
    """Watches by the entities in them."""

    def __init__(self) -> None:
        self._of: dict[str, set[Watching]] = {}

    def of(self, entity: str) -> Iterable[Watching]:
        """The watches that an entity is in."""
        return self._of.get(entity, ())

    def add(self, watch: Watching, ids: Mapping[str, int]) -> None:
        """Put entities into a watch, with the commits after which their changes count."""
        for of, after in ids.items():
            watch.ids.add(of)
            watch.late[of] = after
            self._of.setdefault(of, set()).add(watch)

    def remove(self, watch: Watching, ids: Iterable[str]) -> None:
        """Take entities out of a watch."""
        for of in list(ids):
            watch.ids.discard(of)
            watch.late.pop(of, None)
            known = self._of.get(of)
            if known is not None:
                known.discard(watch)
                if not known:
                    del self._of[of]
