"""Entities in memory, as a plain object that many threads may call."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from itertools import islice
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
from holdall.haystack.stores.memory_values import slots

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from holdall.haystack.stores.entities import Entity
    from holdall.records.predicate import Node

_SPARSE: Final = 8
"""From how many entities to one hit on it is quicker to sort the hits than to go through all."""
_KEPT_REMOVALS: Final = 100_000
_FEW: Final = 200
"""Up to how many ids it is quicker to put each in its place than to go through all of them."""


class EntityTable:
    """Entities, notes, and what changed when; one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoch = uuid4().hex
        self._number = 0
        self._due: int | None = None
        self._rows: list[Stored | None] = []
        self._slots: dict[str, int] = {}
        self._free: list[int] = []
        self._notes: dict[str, StoredNote] = {}
        # The ids in order, and the slot of each; since then ids have gone, and others come.
        self._ids: list[str] = []
        self._order: list[int] = []
        self._gone: set[str] = set()
        self._late: set[str] = set()
        # The id of the highest slot, as long as slots are in the order of ids; None from then on.
        self._highest: str | None = ""
        # When each entity changed last, in that order; one that is gone has no slot.
        self._changed: dict[str, int] = {}
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
        for one, entity in sorted(draft.entities.items()):
            self._take(one, entity)
        return number

    def find(self, predicate: Node, *, limit: int, after: str | None = None) -> Found:
        """See `EntityStore.find`."""
        with self._lock:
            return self._find(predicate, limit, after)

    def _find(self, predicate: Node, limit: int, after: str | None) -> Found:
        state = self._state()
        answer = self._index.answer(predicate, self._test)
        meant = None if answer.exact else self._test(predicate)
        hits: Iterator[Stored | None] = map(
            self._rows.__getitem__, self._in_order(answer.slots, after)
        )
        if meant is not None:
            hits = (stored for stored in hits if stored is not None and meant(stored.entity))
        found = list(islice(hits, limit + 1))
        more = len(found) > limit
        return Found(state, found[:limit] if more else found, more)  # type: ignore[arg-type]

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

    def _take(self, of: str, stored: Stored | None) -> None:
        """Make an entity what a commit says."""
        slot = self._slots.get(of)
        if slot is None and stored is None:
            return  # added and deleted in one commit; that it was removed before stays known
        self._changed.pop(of, None)
        self._changed[of] = self._number
        former = None if slot is None else self._rows[slot]
        if slot is None:
            slot = self._new_slot(of)
            self._slots[of] = slot
            self._late.add(of)
            self._removals.pop(of, None)
        self._rows[slot] = stored
        self._index.change(
            slot,
            None if former is None else former.entity,
            None if stored is None else stored.entity,
        )
        if stored is None:
            self._free.append(slot)
            del self._slots[of]
            if of in self._late:
                self._late.discard(of)
            else:
                self._gone.add(of)
            self._removals[of] = None
            self._forget_removals()

    def _new_slot(self, of: str) -> int:
        if self._highest is not None:
            self._highest = of if of > self._highest and not self._free else None
        if self._free:
            return self._free.pop()
        self._rows.append(None)
        return len(self._rows) - 1

    def _forget_removals(self) -> None:
        while len(self._removals) > _KEPT_REMOVALS:
            oldest, _ = self._removals.popitem(last=False)
            self._forgotten = max(self._forgotten, self._changed.pop(oldest))

    def _in_order(self, found: Any, after: str | None) -> Iterator[int]:
        """Slots by the order of their ids."""
        if self._highest is not None and after is None:
            return iter(found if hasattr(found, "add_range") else sorted(found))
        if len(found) * _SPARSE < len(self._rows):
            pairs = sorted((self._id_of(slot), slot) for slot in found)
            return (slot for of, slot in pairs if after is None or of > after)
        self._sort()
        begin = 0 if after is None else bisect_right(self._ids, after)
        order = self._order if begin == 0 else self._order[begin:]
        if len(found) == len(self._ids):
            return iter(order)
        return filter(slots(found).__contains__, order)

    def _sort(self) -> None:
        gone, late = self._gone, self._late
        if len(gone) + len(late) > _FEW:
            kept = [of for of in self._ids if of not in gone] if gone else self._ids
            self._ids = sorted([*kept, *sorted(late)])  # two runs in order are quickly one
            self._order = list(map(self._slots.__getitem__, self._ids))
        else:
            for of in gone:
                at = bisect_left(self._ids, of)
                del self._ids[at]
                del self._order[at]
            for of in late:
                at = bisect_left(self._ids, of)
                self._ids.insert(at, of)
                self._order.insert(at, self._slots[of])
        self._gone, self._late = set(), set()
