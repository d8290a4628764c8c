"""Histories whose entity was deleted: that they go too, whatever breaks off in between.

A deletion is two steps in two stores, the entity first. The commit that takes the entity away
leaves a note, `left/<id>`, which goes when the samples went. As long as it is there, no entity of
that id comes to be: deleting again finishes what broke off, and a new entity begins by it, so that
it never has the samples of another.

Whoever deletes the samples first writes into the note until when he is at it, by the store's clock.
The others wait for him until then, so that no deletion comes late and takes the samples of a new
entity.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from holdall.core.errors import HoldallError, PreconditionFailed
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from holdall.haystack.stores.entities import EntityStore, StoredNote
    from holdall.haystack.stores.histories import HistoryStore

_NOBODY: Final = b"1"
_SECONDS: Final = 10
"""For how long the others wait for one who is at it, and may have ended."""
_FIRST_PAUSE: Final = 0.005
_LONGEST_PAUSE: Final = 0.25


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
        found = False
        pause = _FIRST_PAUSE
        while True:
            got = await self._entities.get((), [_name(of) for of in ids])
            left = {of: note for of, note in zip(ids, got.notes, strict=True) if note is not None}
            found = found or bool(left)
            now = got.state.now
            ids = []
            for of, note in left.items():
                # Where somebody else is at it, the note tells when he is done.
                known = None if int(note.value) > now else await self._clear(of, note, now)
                if known is None:
                    ids.append(of)
                else:
                    now = known
            if not ids:
                return found
            await self._entities.runtime.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    async def _clear(self, of: str, note: StoredNote, now: int) -> int | None:
        """Delete the samples of one; answers the clock, or None where somebody else was faster."""
        name = _name(of)
        until = b"%d" % (now + _SECONDS * 1_000_000)
        try:
            mine = await self._entities.commit([Note(name, until, note.version)])
        except PreconditionFailed:
            return None
        got = await self._entities.get([of], [name])
        if got.notes[0] is None or got.notes[0].version != mine:
            return None
        if got.entities[0] is None:  # otherwise the samples are its own
            try:
                await self._histories.delete(of)
            except HoldallError as error:
                if not error.uncertain:
                    with suppress(HoldallError):
                        await self._entities.commit([Note(name, _NOBODY, mine)])
                raise
        with suppress(PreconditionFailed):
            await self._entities.commit([Note(name, None, mine)])
        return got.state.now

    async def gone(self, ids: Iterable[str]) -> list[str]:
        """Delete what was written of entities while they were deleted; answers which these are."""
        asked = list(ids)
        there = (await self._entities.get(asked)).entities
        gone = [of for of, stored in zip(asked, there, strict=True) if stored is None]
        for of in gone:
            while True:
                try:
                    await self._entities.commit([Note(_name(of), _NOBODY, 0)])
                except PreconditionFailed:
                    await self.clear([of])  # whoever is at it may not have seen these samples
                else:
                    break
            await self.clear([of])
        return gone


def leaves(of: str) -> Note:
    """What a commit that deletes an entity holds."""
    return Note(_name(of), _NOBODY)


def left_nothing(of: str) -> Note:
    """What a commit of a new entity holds; `PreconditionFailed` where samples are left."""
    return Note(_name(of), None, 0)


def _name(of: str) -> str:
    return f"left/{of}"
