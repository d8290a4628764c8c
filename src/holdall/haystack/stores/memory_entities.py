"""Entities in memory: the judge of the other stores, and the fastest of them."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakValueDictionary

from msgspec import Struct

from holdall.haystack.stores.entities import EntityStore
from holdall.haystack.stores.memory_table import EntityTable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.core.runtime import Runtime
    from holdall.haystack.stores.entities import Change, Changes, Found, Got
    from holdall.records.predicate import Node

_shared: WeakValueDictionary[str, EntityTable] = WeakValueDictionary()


class MemoryEntitySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Settings of entities in memory.

    Attributes:
        name: Shared by all that are opened under this name in this process, for as long as one of
            them is there; None is new at each opening.
    """

    name: str | None = None


class MemoryEntities(EntityStore):
    """Keeps entities in this process.

    Nothing here waits, so that a commit is one step for every task of a loop.
    """

    settings_type = MemoryEntitySettings

    def __init__(self, settings: MemoryEntitySettings, runtime: Runtime) -> None:
        super().__init__(settings, runtime)
        self._name = settings.name
        if settings.name is None:
            self._table = EntityTable()
        else:
            self._table = _shared.setdefault(settings.name, EntityTable())

    @property
    def type(self) -> str:
        """`memory`."""
        return "memory"

    @property
    def address(self) -> str:
        """`memory://`, with the name where it has one."""
        return f"memory://{self._name or ''}"

    async def connect(self) -> None:
        """Nothing is missing."""

    async def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """See `EntityStore.get`."""
        return self._table.get(ids, notes)

    async def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """See `EntityStore.commit`."""
        return self._table.commit(changes, due=due)

    async def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        return self._table.find(predicate, limit=limit, after=after)

    async def changes(self, since: int, *, limit: int) -> Changes:
        """See `EntityStore.changes`."""
        return self._table.changes(since, limit=limit)

    async def close(self) -> None:
        """Nothing is held."""
