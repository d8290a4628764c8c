"""Histories whose entity was deleted: that they go too, whatever breaks off in between.

A deletion is two steps in two stores, the entity first. The commit that takes the entity away
leaves a note, `left/<id>`, which goes when the samples went. As long as it is there, deleting again
finishes what broke off, and a new entity of that id begins by it, so that it never has the samples
of another.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from holdall.core.errors import PreconditionFailed
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.stores.entities import EntityStore
    from holdall.haystack.stores.histories import HistoryStore


class Leaving:
    """What was left of entities that were deleted.

    Args:
        entities: Where the notes are.
        histories: Where the samples are.
    """

    def __init__(self, entities: EntityStore, histories: HistoryStore) -> None:
        self._entities = entities
        self._histories = histories

    async def clear(self, ids: Sequence[str]) -> bool:
        """Delete the samples of those entities that were deleted; says whether there were any."""
        got = await self._entities.get((), [_name(of) for of in ids])
        if not any(got.notes):
            return False
        left = {of: note for of, note in zip(ids, got.notes, strict=True) if note is not None}
        there = (await self._entities.get(list(left))).entities
        for of, stored in zip(left, there, strict=True):
            if stored is None:  # otherwise it was made anew meanwhile, and the samples are its own
                await self._histories.delete(of)
        # Where somebody else was at it, or deleted one again, the notes are for the next.
        with suppress(PreconditionFailed):
            await self._entities.commit(
                [Note(_name(of), None, note.version) for of, note in left.items()]
            )
        return True


def leaves(of: str) -> Note:
    """What a commit that deletes an entity holds."""
    return Note(_name(of), b"1")


def left_nothing(of: str) -> Note:
    """What a commit that adds an entity holds; `PreconditionFailed` where samples are left."""
    return Note(_name(of), None, 0)


def _name(of: str) -> str:
    return f"left/{of}"
