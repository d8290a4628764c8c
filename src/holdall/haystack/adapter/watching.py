"""Watches: what changed of some entities since somebody looked last.

A watch is a note of the store, `watch/<id>`, so that every process sees it: whose ids are in it,
up to which commit it has been told, and when its lease ends by the store's clock. Each call renews
the lease. A watch that was not asked within it is gone, and asking it is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct, field

from holdall.core.errors import InvalidValue, NotFound, PreconditionFailed
from holdall.haystack.adapter.arrays import seconds_of
from holdall.haystack.adapter.trying import Tries
from holdall.haystack.kinds import MARKER, Ref
from holdall.haystack.stores.entities import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdall.haystack.stores.entities import (
        Change,
        Changed,
        Entity,
        EntityStore,
        State,
        StoredNote,
    )

LEASE: Final = 300.0
"""For how many seconds a watch lives without being asked, unless it was opened with another."""
LONGEST_LEASE: Final = 86_400.0
_LIST: Final = "watches"
_PAGE: Final = 10_000


class _Watch(Struct, omit_defaults=True):
    epoch: str
    number: int
    lease: float
    ends: int
    # Each id, and after which commit its changes count; 0 where that is `number`.
    ids: dict[str, int] = field(default_factory=dict)


class Followed(Struct, frozen=True):
    """A watch, for whoever tells its changes as they happen and does not wait to be asked.

    Attributes:
        version: Of its note; another one after each change.
        epoch: Of the numbers.
        number: After which commit changes count.
        ends: When its lease ends, by the store's clock, in microseconds since 1970.
        ids: Each id, and after which commit its changes count where that is another one; else 0.
    """

    version: int
    epoch: str
    number: int
    ends: int
    ids: Mapping[str, int]


class Watches:
    """The watches of a store."""

    def __init__(self, store: EntityStore) -> None:
        self._store = store
        # Watches that were moved on, maybe, by polls that answered nothing.
        self._untold: set[str] = set()

    async def subscribe(
        self, watch: str, ids: Sequence[str], lease: object
    ) -> Sequence[Entity | None]:
        """Open a watch or add to it; answers the entities as they are, None for missing ones."""
        seconds = None if lease is None else _lease(lease)
        tries = Tries(self._store, f"the watch {watch!r}")
        while True:
            await tries.begin()
            got = await self._store.get(ids, [_name(watch)])
            state = got.state
            known = _read(got.notes[0])
            new = known is None or known.ends <= state.now
            if known is None or new:
                known = _Watch(state.epoch, state.number, LEASE, 0)
            if seconds is not None:
                known.lease = seconds
            # Where the numbers began anew, the next poll answers everything whatever is here.
            behind = known.epoch == state.epoch and known.number < state.number
            for one in ids:
                known.ids[one] = state.number if behind else 0
            known.ends = state.now + int(known.lease * 1_000_000)
            changes: list[Change] = [_note(watch, known, got.notes[0])]
            if new:
                changes += await self._listed(watch, known, state.now)
            try:
                await self._store.commit(changes)
            except PreconditionFailed:
                continue
            return [None if stored is None else stored.entity for stored in got.entities]

    async def unsubscribe(self, watch: str, ids: Sequence[str], *, close: bool) -> None:
        """Take ids out of a watch, or close it."""
        tries = Tries(self._store, f"the watch {watch!r}")
        while True:
            await tries.begin()
            got = await self._store.get((), [_name(watch)])
            known = _alive(watch, got.notes[0], got.state)
            for one in ids:
                known.ids.pop(one, None)
            known.ends = got.state.now + int(known.lease * 1_000_000)
            if close:
                change = Note(_name(watch), None, _version(got.notes[0]))
            else:
                change = _note(watch, known, got.notes[0])
            try:
                await self._store.commit([change])
            except PreconditionFailed:
                continue
            return

    async def poll(self, watch: str, *, refresh: bool) -> list[Entity]:
        """What changed since the last call; every entity of the watch to `refresh`.

        An entity that is gone is a row of its id and the marker `removed`. Where the poll before
        ended with an error, or was cancelled, it may be that nobody was told what it told of: then
        this answers everything.
        """
        everything = refresh or watch in self._untold
        tries = Tries(self._store, f"the watch {watch!r}")
        while True:
            await tries.begin()
            got = await self._store.get((), [_name(watch)])
            known = _alive(watch, got.notes[0], got.state)
            late: dict[str, Entity | None] | None = None
            if not everything and known.epoch == got.state.epoch:
                late = await self._late(known)
            if late is None:
                every = await self._store.get(list(known.ids))
                known.epoch, known.number = every.state.epoch, every.state.number
                known.ids = dict.fromkeys(known.ids, 0)
                found = [None if one is None else one.entity for one in every.entities]
                # Who did not ask for everything is told of removals, as otherwise.
                rows = [
                    _row(of, entity)
                    for of, entity in zip(known.ids, found, strict=True)
                    if entity is not None or not refresh
                ]
            else:
                rows = [_row(one, entity) for one, entity in late.items()]
            known.ends = got.state.now + int(known.lease * 1_000_000)
            try:
                await self._store.commit([_note(watch, known, got.notes[0])])
            except PreconditionFailed:
                continue
            except BaseException:
                self._untold.add(watch)
                raise
            self._untold.discard(watch)
            return rows

    async def followed(
        self, versions: Mapping[str, int]
    ) -> tuple[State, dict[str, Followed | None]]:
        """Answer the watches that changed since their notes had these versions, without a poll.

        None stands for one that is no longer there, or whose lease ended. Nothing is renewed.
        """
        got = await self._store.get((), [_name(watch) for watch in versions])
        found: dict[str, Followed | None] = {}
        for (watch, version), note in zip(versions.items(), got.notes, strict=True):
            if note is not None and note.version == version:
                continue
            known = _read(note)
            if note is None or known is None or known.ends <= got.state.now:
                found[watch] = None
            else:
                found[watch] = Followed(
                    note.version, known.epoch, known.number, known.ends, known.ids
                )
        return got.state, found

    async def renew(self, watches: Sequence[str], seconds: float) -> None:
        """Renew the leases of many watches with one commit, each for so many seconds at least.

        One that is not there, or whose lease ended, stays so.
        """
        tries = Tries(self._store, f"{len(watches)} watches")
        while True:
            await tries.begin()
            got = await self._store.get((), [_name(watch) for watch in watches])
            changes = []
            for watch, note in zip(watches, got.notes, strict=True):
                known = _read(note)
                if known is not None and known.ends > got.state.now:
                    known.ends = got.state.now + int(max(known.lease, seconds) * 1_000_000)
                    changes.append(_note(watch, known, note))
            try:
                await self._store.commit(changes)
            except PreconditionFailed:
                continue
            return

    async def close(self, watches: Sequence[str]) -> None:
        """Close many watches with one commit; one that is not there stays so."""
        await self._store.commit([Note(_name(watch), None) for watch in watches])

    async def _late(self, known: _Watch) -> dict[str, Entity | None] | None:
        """What changed; None where the store no longer knows. Moves the watch on."""
        late: dict[str, Entity | None] = {}
        number = known.number
        while True:
            page = await self._store.changes(number, limit=_PAGE)
            if not page.known or page.state.epoch != known.epoch:
                return None
            for one in page.changed:
                if _counts(known, one):
                    late.pop(one.id, None)
                    late[one.id] = one.entity
            number = page.upto
            if number >= page.state.number or not page.changed:
                break
        known.number = number
        known.ids = {one: after if after > number else 0 for one, after in known.ids.items()}
        return late

    async def _listed(self, watch: str, known: _Watch, now: int) -> list[Change]:
        """List a new watch, and let go of those whose lease ended."""
        got = await self._store.get((), [_LIST])
        note = got.notes[0]
        listed: dict[str, int] = {} if note is None else msgspec.json.decode(note.value)
        late = [one for one, ends in listed.items() if ends <= now and one != watch]
        notes = (await self._store.get((), [_name(one) for one in late])).notes if late else ()
        changes: list[Change] = []
        for one, kept in zip(late, notes, strict=True):
            other = _read(kept)
            if other is not None and other.ends > now:
                listed[one] = other.ends
                continue
            del listed[one]
            if kept is not None:
                changes.append(Note(_name(one), None, kept.version))
        listed[watch] = known.ends
        return [*changes, Note(_LIST, msgspec.json.encode(listed), _version(note))]


def _counts(known: _Watch, change: Changed) -> bool:
    after = known.ids.get(change.id)
    return after is not None and change.version > after


def _row(of: str, entity: Entity | None) -> Entity:
    return {"id": Ref(of), "removed": MARKER} if entity is None else entity


def _lease(lease: object) -> float:
    seconds = seconds_of(lease)
    if seconds is None or not seconds > 0:
        raise InvalidValue(f"{lease!r} is no lease: it takes seconds, above nothing")
    return min(max(seconds, 1.0), LONGEST_LEASE)


def _name(watch: str) -> str:
    return f"watch/{watch}"


def _version(note: StoredNote | None) -> int:
    return 0 if note is None else note.version


def _note(watch: str, known: _Watch, former: StoredNote | None) -> Note:
    return Note(_name(watch), msgspec.json.encode(known), _version(former))


def _read(note: StoredNote | None) -> _Watch | None:
    return None if note is None else msgspec.json.decode(note.value, type=_Watch)


def _alive(watch: str, note: StoredNote | None, state: State) -> _Watch:
    known = _read(note)
    if known is None or known.ends <= state.now:
        raise NotFound(
            f"there is no watch {watch!r}: it was never opened, was closed, or its lease ended; "
            "subscribe again",
            reference=watch,
        )
    return known
