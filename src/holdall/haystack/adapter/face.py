"""The face of entities and histories, over any pair of stores."""

from __future__ import annotations

from holdall.haystack.adapter.command_face import CommandFace
from holdall.haystack.adapter.entity_face import EntityFace
from holdall.haystack.adapter.history_face import HistoryFace


class HaystackAdapter(EntityFace, HistoryFace, CommandFace):
    """Entities, histories, watches and priority arrays, with one behaviour over every backend.

    It is a `StorageAdapter`. Ids are text, with or without `@`, or a `Ref`. Entities that it
    answers are shared and cannot be changed: `dict(entity)` copies one. The first call connects;
    `connect()` before it is allowed, and may be repeated.

        async with holdall.open_adapter("sqlite:///plant.db") as adapter:
            await adapter.create({"id": Ref("s1"), "site": MARKER, "tz": "New_York"})

    Args:
        entities: Where the entities are kept.
        histories: Where the histories are kept.
    """
