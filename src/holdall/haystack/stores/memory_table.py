"""Entities in memory, as a plain object that many threads may call."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from itertools import chain, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from holdall.haystack.filter import compiled
from holdall.haystack.kinds import Ref
from holdall.haystack.stores.drafts import Draft
from holdall.haystack.stores.entities import (
    Change,
    Changed,
    Changes,
    Found,
    Got,
    State,
    Stored,
    StoredNote,
)
from holdall.haystack.stores.memory_index import Index
from holdall.haystack.stores.memory_values import Slots, ascending

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from holdall.haystack.stores.entities import Entity
    from holdall.records.predicate import Node

_KEPT_REMOVALS: Final = 100_000
_FEW: Final = 1_000
_SHARE: Final = 16
"""Slots out of the order of ids: up to so many, and one of so many of those that are in it."""


class EntityTable:
    """Entities, notes, and what changed when; one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = uuid4().hex
        self._number = 0
        self._due: int | None = None
        self._rows: list[Stored | None] = []
        self._slots: dict[str, int] = {}
        # The first slots are in the order of these ids, also where an entity has gone since. Those
        # behind them are in no order, and those of them that are free are given out again.
        self._ids: list[str] = []
        self._free: list[int] = []
        # When each entity changed last, in that order; one that is gone has no slot.
        self._changed: dict[str, int] = {}
        self._notes: dict[str, StoredNote] = {}
        self._removals: OrderedDict[str, None] = OrderedDict()
        self._forgotten = 0
        self._index = Index(self._tags, self._id_of)

    def get(self, ids: Sequence[str], notes: Sequence[str] = ()) -> Got:
        """See `EntityStore.get`."""
        with self._lock:
            return self._get(ids, notes)

    def _get(self, ids: Sequence[str], notes: Sequence[str]) -> Got:
        return Got(
            self._state(), [self._stored(one) for one in ids], [self._notes.get(n) for n in notes]
        )

    def commit(self, changes: Sequence[Change], *, due: int | None = None) -> int:
        """See `EntityStore.commit`."""
        with self._lock:
            return self._commit(changes, due)

    def _commit(self, changes: Sequence[Change], due: int | None) -> int:
        if not changes and due is None:
            return self._number
        number = self._number + 1
        draft = Draft(self._stored, self._notes, number)
        for change in changes:
            draft.apply(change)
        # From here on nothing is refused.
        self._number = number
        if due is not None:
            self._due = due or None
        for name, note in draft.notes.items():
            if note is None:
                self._notes.pop(name, None)
            else:
                self._notes[name] = note
        added: list[tuple[int, Entity]] = []
        for one in sorted(draft.entities):
            self._take(one, draft.entities[one], added)
        self._index.add(added)
        return number

    def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        with self._lock:
            return self._find(predicate, limit, after)

    def _find(self, predicate: Node, limit: int, after: str | None) -> Found:
        state = self._state()
        self._arrange()
        answer = self._index.answer(predicate, self._test)
        order = self._in_order(answer.slots, after)
        if answer.exact:
            found = _picked(self._rows, tuple(islice(order, limit + 1)))
        else:
            meant = self._test(predicate)
            rows = map(self._rows.__getitem__, order)
            found = list(islice((one for one in rows if one and meant(one.entity)), limit + 1))
        more = len(found) > limit
        his = self._index.any_has("his", answer.slots)
        return Found(state, found[:limit] if more else found, more, his)  # type: ignore[arg-type]

    def changes(self, since: int, *, limit: int) -> Changes:
        """See `EntityStore.changes`."""
        with self._lock:
            return self._changes(since, limit)

    def _changes(self, since: int, limit: int) -> Changes:
        state = self._state()
        if since < self._forgotten or since > self._number:
            return Changes(state, (), self._number, known=False)
        late: list[tuple[str, int]] = []
        for one, version in reversed(self._changed.items()):
            if version <= since:
                break
            late.append((one, version))
        late.reverse()
        if len(late) > limit:
            # A commit is answered whole: to the end of that of the last one asked for.
            last = late[limit - 1][1]
            late = [pair for pair in late if pair[1] <= last]
            upto = last
        else:
            upto = self._number
        return Changes(
            state,
            [
                Changed(one, version, None if (now := self._stored(one)) is None else now.entity)
                for one, version in late
            ],
            upto,
        )

    def _state(self) -> State:
        return State(self._epoch, self._number, time.time_ns() // 1000, self._due)

    def _stored(self, of: str) -> Stored | None:
        slot = self._slots.get(of)
        return None if slot is None else self._rows[slot]

    def _tags(self, slot: int) -> Entity:
        stored = self._rows[slot]
        assert stored is not None
        return stored.entity

    def _id_of(self, slot: int) -> str:
        ref = self._tags(slot)["id"]
        assert isinstance(ref, Ref)
        return ref.val

    def _test(self, node: Node) -> Any:
        return compiled(node, self._resolve)

    def _resolve(self, of: str) -> Mapping[str, Any] | None:
        stored = self._stored(of)
        return None if stored is None else stored.entity

    def _take(self, of: str, stored: Stored | None, added: list[tuple[int, Entity]]) -> None:
        """Make an entity what a commit says; a new one comes to those for the index."""
        slot = self._slots.get(of)
        if slot is None and stored is None:
            return  # added and deleted in one commit; that it was removed before stays known
        self._changed.pop(of, None)
        self._changed[of] = self._number
        former = None if slot is None else self._rows[slot]
        if slot is None:
            slot = self._slots[of] = self._new_slot(of)
            self._removals.pop(of, None)
        self._rows[slot] = stored
        if former is None:
            assert stored is not None
            added.append((slot, stored.entity))
        else:
            self._index.change(slot, former.entity, None if stored is None else stored.entity)
        if stored is None:
            del self._slots[of]
            if slot >= len(self._ids):
                self._free.append(slot)
            self._removals[of] = None
            self._forget_removals()

    def _new_slot(self, of: str) -> int:
        if self._free:
            return self._free.pop()
        ids = self._ids
        if len(ids) == len(self._rows) and (not ids or of > ids[-1]):
            ids.append(of)
        self._rows.append(None)
        return len(self._rows) - 1

    def _forget_removals(self) -> None:
        while len(self._removals) > _KEPT_REMOVALS:
            oldest, _ = self._removals.popitem(last=False)
            self._forgotten = max(self._forgotten, self._changed.pop(oldest))

    def _arrange(self) -> None:
        """Put slots in the order of ids, where too many are not, or belong to none any more."""
        ordered = len(self._ids)
        others = len(self._rows) - ordered
        gone = len(self._rows) - len(self._slots)
        if others <= _FEW + ordered // _SHARE and gone <= _FEW + len(self._slots):
            return
        self._ids = sorted(self._slots)
        self._rows = [self._rows[self._slots[of]] for of in self._ids]
        self._slots = {of: slot for slot, of in enumerate(self._ids)}
        self._free = []
        self._index = Index(self._tags, self._id_of)
        self._index.add([(slot, self._tags(slot)) for slot in self._slots.values()])

    def _in_order(self, found: Slots, after: str | None) -> Iterable[int]:
        """Slots by the order of their ids."""
        hits = ascending(found)
        begin = 0 if after is None else bisect_left(hits, bisect_right(self._ids, after))
        end = bisect_left(hits, len(self._ids))
        others = sorted((self._id_of(slot), slot) for slot in hits[end:])
        parts: list[Iterable[int]] = []
        for of, slot in others:
            if after is None or of > after:
                at = bisect_left(hits, bisect_left(self._ids, of), begin, end)
                parts += (hits[begin:at], (slot,))
                begin = at
        return chain.from_iterable((*parts, hits[begin:end]))


def _picked(rows: list[Stored | None], places: tuple[int, ...]) -> list[Stored | None]:
    # All at once takes half as long as one by one; of a single one it would be no list.
    return list(itemgetter(*places)(rows)) if len(places) > 1 else [rows[at] for at in places]
