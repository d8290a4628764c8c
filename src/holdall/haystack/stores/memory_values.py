"""Sets of entities, and what is known of the values of one tag; see `memory_index`."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, NamedTuple, TypeAlias

from holdall.haystack.filter import AnyUnit
from holdall.haystack.kinds import Marker, NAType, Number, Ref, Remove, Symbol, Uri, is_nan
from holdall.haystack.units import canonical

_Slots: Any
try:
    from pyroaring import BitMap as _Slots
except ModuleNotFoundError:  # slower, and larger
    _Slots = set

Slots: TypeAlias = Any
"""A set of slots; a `BitMap` or a `set`."""

_NO_KEY: Final = object()
_FEW: Final = 200
"""Up to how many changes it is quicker to put each number in its place than to sort all."""
_BLOCK: Final = 128
_PLAIN = frozenset({str, bool, date, Uri, Symbol, Marker, NAType, Remove})


def slots(of: Iterable[int] = ()) -> Slots:
    """A set of slots."""
    return _Slots(of)


NO_SLOTS: Final = slots()


def ascending(of: Slots) -> array[int]:
    """The slots of a set, from the lowest on."""
    return array("I", sorted(of)) if isinstance(of, set) else of.to_array()


class Answer(NamedTuple):
    """Slots that may be meant.

    Attributes:
        slots: Of every entity that is meant; not to be changed.
        exact: Whether they are only those.
    """

    slots: Slots
    exact: bool


def union(found: list[Slots]) -> Slots:
    """All that are in any of some sets."""
    if not found:
        return NO_SLOTS
    if len(found) == 1:
        return found[0]
    return _Slots.union(*found)


def _key(value: Any) -> Any:
    """Under what a value is found: two values have one key exactly where they are equal."""
    kind = type(value)
    if kind is Ref:
        return (Ref, value.val)
    if kind in _PLAIN:
        return (kind, value)
    if kind is Number:
        return (Number, value.val, canonical(value.unit)) if value.val == value.val else _NO_KEY
    return _NO_KEY


class Values:
    """The entities that have a value in one tag, by value; an item of a list counts like one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._slots: dict[Any, Slots] = {}
        self._by_number: dict[Any, set[Any]] = {}
        self.others = slots()
        """Entities whose tag holds something that has no key, so that they are looked at."""
        self.dicts = slots()
        """Entities whose tag holds a dict, into which paths lead."""

    def add(self, slot: int, value: Any) -> None:
        for key in self._keys(slot, value):
            known = self._slots.get(key)
            if known is None:
                known = self._slots[key] = slots()
                if key[0] is Number:
                    self._by_number.setdefault(key[1], set()).add(key)
            known.add(slot)

    def _keys(self, slot: int, value: Any) -> Iterable[Any]:
        items = value if type(value) is list else (value,)
        keys = []
        for item in items:
            key = _key(item)
            if key is not _NO_KEY:
                keys.append(key)
            elif type(item) is not Number:
                self.others.add(slot)
                if isinstance(value, Mapping):
                    self.dicts.add(slot)
        return keys

    def remove(self, slot: int, value: Any) -> None:
        for item in value if type(value) is list else (value,):
            key = _key(item)
            known = self._slots.get(key)
            if known is not None:
                known.discard(slot)
                if not known:
                    del self._slots[key]
                    if key[0] is Number:
                        alike = self._by_number[key[1]]
                        alike.discard(key)
                        if not alike:
                            del self._by_number[key[1]]
        self.others.discard(slot)
        self.dicts.discard(slot)

    def equal(self, value: Any) -> Answer | None:
        """Those that hold a value; None where this index cannot say."""
        if type(value) is AnyUnit:
            found = [self._slots[key] for key in self._by_number.get(value.val, ())]
            return Answer(union(found), exact=True)
        key = _key(Number(value) if type(value) in (int, float) else value)
        if key is _NO_KEY:
            return Answer(slots(), exact=True) if type(value) is Number else None
        return Answer(self._slots.get(key, NO_SLOTS), exact=True)

    def named(self, ids: Iterable[str]) -> Slots:
        """Those that hold a Ref to one of these entities."""
        every = self._slots
        return union([found for one in ids if (found := every.get((Ref, one))) is not None])


class Numbers:
    """The numbers of one tag, in order; put in order when asked after a change."""

    def __init__(self) -> None:
        self._of: dict[int, list[tuple[Any, str | None]]] = {}
        # Numbers in order: for a unit, or of every unit.
        self._sorted: dict[Any, _Ordered] = {}
        # What changed since they were put in order, as it was then.
        self._former: dict[int, list[tuple[Any, str | None]]] = {}

    def add(self, slot: int, value: Any) -> None:
        numbers = [
            (item.val, canonical(item.unit))
            for item in (value if type(value) is list else (value,))
            if type(item) is Number and item.val == item.val
        ]
        if numbers:
            self._changes(slot, [])
            self._of[slot] = numbers

    def remove(self, slot: int) -> None:
        former = self._of.pop(slot, None)
        if former is not None:
            self._changes(slot, former)

    def _changes(self, slot: int, former: list[tuple[Any, str | None]]) -> None:
        if self._sorted:
            self._former.setdefault(slot, former)
            if len(self._former) > _FEW:
                self._sorted.clear()
                self._former.clear()

    def within(self, op: str, wanted: Any) -> Slots:
        """Those that have a number before or after one."""
        if type(wanted) is AnyUnit:
            ordered = self._ordered(AnyUnit)
        else:
            ordered = self._ordered(canonical(wanted.unit) if type(wanted) is Number else None)
        values = ordered.values
        bound = wanted if type(wanted) in (int, float) else wanted.val
        if is_nan(bound):
            return slots()
        if op == "lt":
            return ordered.part(0, bisect_left(values, bound))
        if op == "le":
            return ordered.part(0, bisect_right(values, bound))
        if op == "gt":
            return ordered.part(bisect_right(values, bound), len(values))
        return ordered.part(bisect_left(values, bound), len(values))

    def _ordered(self, which: Any) -> _Ordered:
        """The numbers of a unit, or of `AnyUnit`."""
        self._catch_up()
        known = self._sorted.get(which)
        if known is None:
            known = self._sorted[which] = _Ordered(
                (val, slot)
                for slot, numbers in self._of.items()
                for val, unit in numbers
                if which is AnyUnit or unit == which
            )
        return known

    def _catch_up(self) -> None:
        for which, ordered in self._sorted.items():
            for slot, former in self._former.items():
                for val, unit in former:
                    if which is AnyUnit or unit == which:
                        ordered.remove(val, slot)
                for val, unit in self._of.get(slot, ()):
                    if which is AnyUnit or unit == which:
                        ordered.add(val, slot)
        self._former.clear()


class _Ordered:
    """Numbers in order, and the slot of each.

    Attributes:
        values: The numbers.
    """

    def __init__(self, pairs: Iterable[tuple[Any, int]]) -> None:
        ordered = sorted(pairs)
        self.values = [val for val, _ in ordered]
        self._slots = array("I", [slot for _, slot in ordered])
        # The sets of so many slots in a row each, of those that were asked for: to join sets is
        # much quicker than to make one of slots in no order.
        self._blocks: dict[int, Slots] = {}

    def add(self, val: Any, slot: int) -> None:
        at = self._place(val, slot)
        self.values.insert(at, val)
        self._slots.insert(at, slot)
        self._forget(at)

    def remove(self, val: Any, slot: int) -> None:
        at = self._place(val, slot)
        del self.values[at], self._slots[at]
        self._forget(at)

    def part(self, low: int, high: int) -> Slots:
        """Those from one place to another."""
        every = self._slots
        first, last = -(-low // _BLOCK), high // _BLOCK
        if first >= last:
            return slots(every[low:high])
        blocks = [self._block(at) for at in range(first, last)]
        ends = [slots(every[low : first * _BLOCK]), slots(every[last * _BLOCK : high])]
        return union(ends + blocks)

    def _block(self, at: int) -> Slots:
        known = self._blocks.get(at)
        if known is None:
            known = slots(self._slots[at * _BLOCK : (at + 1) * _BLOCK])
            self._blocks[at] = known
        return known

    def _forget(self, at: int) -> None:
        for block in [one for one in self._blocks if one >= at // _BLOCK]:
            del self._blocks[block]

    def _place(self, val: Any, slot: int) -> int:
        """Where a number of a slot stands, or belongs: by value, and then by slot."""
        low = bisect_left(self.values, val)
        return bisect_left(self._slots, slot, low, bisect_right(self.values, val, low))
