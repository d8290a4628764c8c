"""`InMemoryAdapter`: entities and histories in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.core.errors import InvalidConfig
from holdall.core.runtime.blocking import drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.adapter.taking import adopted, listed
from holdall.haystack.stores.memory_entities import MemoryEntities, MemoryEntitySettings
from holdall.haystack.stores.memory_histories import MemoryHistories, MemoryHistorySettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class InMemoryAdapter(HaystackAdapter):
    """Keeps everything in this process, and nothing beyond it.

    Args:
        entities: What it begins with; as `load_entities` takes it.
    """

    def __init__(self, entities: Iterable[Mapping[str, Any]] = ()) -> None:
        runtime = LoopRuntime()
        super().__init__(
            MemoryEntities(MemoryEntitySettings(), runtime),
            MemoryHistories(MemoryHistorySettings(), runtime),
        )
        self.load_entities(entities)

    def load_entities(self, entities: Iterable[Mapping[str, Any]]) -> int:
        """Keep entities in the place of those of their ids, at once; answers how many.

        Args:
            entities: Tags, as kinds or as Hayson has them.

        Raises:
            InvalidValue: An entity has no id, or a value of no kind; none was loaded.
        """
        taken = [
            adopted(entity, place=f"entity {at}")
            for at, entity in enumerate(listed(entities, "entities"))
        ]
        # Nothing in memory waits, so that it needs no event loop.
        drive(self._put(taken))
        return len(taken)


def open_memory(url: str) -> HaystackAdapter:
    """Open `memory://`, which is new at each opening, or `memory://name`, which is shared.

    Raises:
        InvalidConfig: The address has more than a name.
    """
    name = url.partition("://")[2]
    if not name:
        return InMemoryAdapter()
    if not name.replace("-", "").replace("_", "").isalnum():
        raise InvalidConfig(f"{url!r}: what stands behind memory:// is a name or nothing")
    runtime = LoopRuntime()
    return HaystackAdapter(
        MemoryEntities(MemoryEntitySettings(name=name), runtime),
        MemoryHistories(MemoryHistorySettings(name=name), runtime),
    )
