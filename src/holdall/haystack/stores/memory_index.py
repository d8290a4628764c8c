"""Which entities have a tag, which have a value, and which a number within bounds.

Entities are known here by *slots*: small numbers that the store gives out. Sets of slots are
roaring bitmaps where `pyroaring` is installed, and Python's own sets otherwise; the answers are the
same.

    has            kept for every tag from the start
    equals         a map from value to slots for a tag, made when a filter first compares the tag
    number         values in order for a tag, made when a filter first orders by it

An answer is exact, or says that it is not: then every slot that is meant is in it, and the rows are
looked at one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.haystack.filter import AnyUnit
from holdall.haystack.kinds import Number
from holdall.haystack.stores.memory_values import (
    NO_SLOTS,
    Answer,
    Numbers,
    Slots,
    Values,
    slots,
    union,
)
from holdall.records.predicate import (
    And,
    Compares,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    Or,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence


class Index:
    """What is known of all entities.

    Args:
        rows: Answers the tags of a slot.
        id_of: Answers the id of a slot.
    """

    def __init__(
        self, rows: Callable[[int], Mapping[str, Any]], id_of: Callable[[int], str]
    ) -> None:
        self._rows = rows
        self._id_of = id_of
        self._all = slots()
        self._has: dict[str, Slots] = {}
        self._values: dict[str, Values] = {}
        self._numbers: dict[str, Numbers] = {}

    def add(self, added: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        """Take in new entities: their slots and what they are."""
        if len(added) == 1:
            slot, now = added[0]
            self.change(slot, None, now)
            return
        # Many of them have the same tags.
        alike: dict[tuple[str, ...], list[int]] = {}
        for slot, now in added:
            alike.setdefault(tuple(now), []).append(slot)
        for names, some in alike.items():
            self._all.update(some)
            for name in names:
                known = self._has.get(name)
                if known is None:
                    self._has[name] = slots(some)
                else:
                    known.update(some)
        for of in (self._values, self._numbers):
            for name, index in of.items():
                for slot, now in added:
                    value = now.get(name)
                    if value is not None:
                        index.add(slot, value)

    def change(
        self, slot: int, former: Mapping[str, Any] | None, now: Mapping[str, Any] | None
    ) -> None:
        """Take in that an entity changed; see `add` for several new ones.

        Args:
            slot: Which.
            former: As it was taken in before; None for a new one.
            now: What it is; None where it is gone.
        """
        former, now = former or {}, now or {}
        (self._all.add if now else self._all.discard)(slot)
        has = self._has
        for name in former:
            if name not in now:
                has[name].discard(slot)
        for name in now:
            if name not in former:
                try:
                    has[name].add(slot)
                except KeyError:
                    has[name] = slots((slot,))
        for name, values in self._values.items():
            was, becomes = former.get(name), now.get(name)
            if was is not becomes:  # an order that is made stays as long as no value changes
                if was is not None:
                    values.remove(slot, was)
                if becomes is not None:
                    values.add(slot, becomes)
        for name, numbers in self._numbers.items():
            was, becomes = former.get(name), now.get(name)
            if was is not becomes:
                numbers.remove(slot)
                if becomes is not None:
                    numbers.add(slot, becomes)

    def any_has(self, name: str, found: Slots) -> bool:
        """Whether any of some slots has a tag."""
        known = self._has.get(name)
        return known is not None and not known.isdisjoint(found)

    def answer(self, node: Node, test: Callable[[Node], Callable[[Any], bool]]) -> Answer:
        """Those that a condition may mean.

        Args:
            node: The condition.
            test: Compiles a condition, where entities have to be looked at.
        """
        return self._answer(node, test) if _shallow(node) else _unknown(self._all)

    def _answer(self, node: Node, test: Callable[[Node], Callable[[Any], bool]]) -> Answer:
        match node:
            case Has(path):
                return self._along(path, Has, test) if len(path) > 1 else self._present(path[0])
            case Missing(path):
                return self._opposite(self._answer(Has(path), test))
            case Not(inner):
                return self._opposite(self._answer(inner, test))
            case Equals(path, value):
                if len(path) > 1:
                    return self._along(path, lambda rest: Equals(rest, value), test)
                found = self.values(path[0]).equal(value)
                return self._present(path[0], exact=False) if found is None else found
            case Differs(path, value):
                equal = self._answer(Equals(path, value), test)
                has = self._answer(Has(path), test)
                if equal.exact and has.exact:
                    return Answer(has.slots - equal.slots, exact=True)
                return Answer(has.slots, exact=False)
            case In(path, wanted):
                return self._any([Equals(path, value) for value in wanted], test)
            case Compares(path, op, value):
                if len(path) > 1:
                    return self._along(path, lambda rest: Compares(rest, op, value), test)
                if type(value) in (Number, AnyUnit, int, float):
                    return Answer(self._numbers_of(path[0]).within(op, value), exact=True)
                return self._present(path[0], exact=False)
            case And(nodes):
                return self._all_of(nodes, test)
            case Or(nodes):
                return self._any(nodes, test)
        return Answer(self._all, exact=False)

    def _present(self, name: str, *, exact: bool = True) -> Answer:
        return Answer(self._has.get(name, NO_SLOTS), exact)

    def _opposite(self, found: Answer) -> Answer:
        return Answer(self._all - found.slots, exact=True) if found.exact else _unknown(self._all)

    def _all_of(self, nodes: Iterable[Node], test: Any) -> Answer:
        answers = sorted((self._answer(node, test) for node in nodes), key=lambda a: len(a.slots))
        if not answers:
            return Answer(self._all, exact=True)
        found = answers[0].slots
        for other in answers[1:]:
            if not found:
                return Answer(found, exact=True)
            found = found & other.slots
        return Answer(found, all(answer.exact for answer in answers) or not found)

    def _any(self, nodes: Iterable[Node], test: Any) -> Answer:
        answers = [self._answer(node, test) for node in nodes]
        return Answer(
            union([answer.slots for answer in answers]), all(answer.exact for answer in answers)
        )

    def _along(
        self, path: tuple[str, ...], rest: Callable[[tuple[str, ...]], Node], test: Any
    ) -> Answer:
        """Those from which a path leads to an entity that is meant, or into a dict of their own."""
        ends = self._exactly(rest(path[1:]), test)
        values = self.values(path[0])
        id_of = self._id_of
        found = values.named([id_of(slot) for slot in ends])
        if values.dicts:
            meant = test(rest(path))
            rows = self._rows
            found = found | slots(slot for slot in values.dicts if meant(rows(slot)))
        return Answer(found, exact=True)

    def _exactly(self, node: Node, test: Any) -> Slots:
        found = self._answer(node, test)
        if found.exact:
            return found.slots
        meant, rows = test(node), self._rows
        return slots(slot for slot in found.slots if meant(rows(slot)))

    def values(self, name: str) -> Values:
        """The values of a tag; made when first asked for."""
        known = self._values.get(name)
        if known is None:
            known = self._values[name] = Values(name)
            for slot in self._has.get(name, ()):
                known.add(slot, self._rows(slot)[name])
        return known

    def _numbers_of(self, name: str) -> Numbers:
        known = self._numbers.get(name)
        if known is None:
            known = self._numbers[name] = Numbers()
            for slot in self._has.get(name, ()):
                known.add(slot, self._rows(slot)[name])
        return known


_DEEPEST: Final = 60


def _shallow(node: Node) -> bool:
    """Whether conditions lie in one another, and paths lead, only so far that recursion is safe."""
    pending = [(node, 1)]
    while pending:
        one, depth = pending.pop()
        if isinstance(one, (And, Or, Not)):
            if depth > _DEEPEST:
                return False
            inner = (one.node,) if isinstance(one, Not) else one.nodes
            pending.extend((part, depth + 1) for part in inner)
        elif depth + len(one.path) > _DEEPEST:  # type: ignore[attr-defined]  # as all others have
            return False
    return True


def _unknown(of: Slots) -> Answer:
    return Answer(of, exact=False)
