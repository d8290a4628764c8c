"""Conditions as SQL, with parameters for every value.

What is compiled holds for exactly the rows that `predicate.matches` means, among those that are
not odd (see `holdall.records.encoding`). What SQLite would answer differently is declined: then
the SQL means more rows, `exact` is false, and Python filters them.
"""

# ruff: noqa: S608 - values are parameters; names in the text are checked or quoted

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

from msgspec import Struct

from holdall.records.backends.sqlite.leaves import leaf_of, moment_leaf
from holdall.records.backends.sqlite.places import ColumnPlace, JsonPlace, place_of
from holdall.records.predicate import (
    And,
    Contains,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    Not,
    NotIn,
    Or,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Facts: TypeAlias = Callable[[JsonPlace], frozenset[str] | None]
    """Which rare kinds an indexed place has now; None when it is not indexed."""


_MOST_NODES = 100


class Condition(Struct, frozen=True):
    """A condition of SQL.

    Args:
        text: The SQL.
        args: Its parameters, in order.
        exact: Whether it means the same rows; else it means more.
    """

    text: str
    args: tuple[Any, ...] = ()
    exact: bool = True


ANYTHING: Final = Condition("1", (), exact=False)


class _TooLong(Exception):
    """SQLite would refuse so long an expression."""


def condition_of(node: Node, facts: Facts) -> Condition:
    """Answer a condition as SQL.

    Args:
        node: The condition.
        facts: What is known of places.
    """
    try:
        return _Compiler(facts).compile(node)
    except _TooLong:
        return ANYTHING


@final
class _Compiler:
    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._left = _MOST_NODES

    def compile(self, node: Node) -> Condition:
        self._left -= 1
        if self._left < 0:
            raise _TooLong
        match node:
            case And(nodes):
                return joined([self.compile(one) for one in nodes])
            case Or(nodes):
                return joined([self.compile(one) for one in nodes], " OR ", "0")
            case Not(inner):
                return _opposite(self.compile(inner))
        place = place_of(node.path)  # type: ignore[attr-defined]
        if place is None:
            return ANYTHING
        match node:
            case Has():
                return Condition(_present(place))
            case Missing():
                return Condition(f"NOT ({_present(place)})")
            case Differs(path, value):
                return self._present_and_not(place, Equals(path, value))
            case NotIn(path, wanted):
                return self._present_and_not(place, In(path, wanted))
        return self._tested(place, node)

    def _present_and_not(self, place: JsonPlace | ColumnPlace, node: Node) -> Condition:
        other = _opposite(self._tested(place, node))
        text = f"({_present(place)} AND {other.text})"
        return Condition(text, other.args, other.exact)

    def _tested(self, place: JsonPlace | ColumnPlace, node: Node) -> Condition:
        if isinstance(place, ColumnPlace):
            leaf = moment_leaf(node) if place.moment else leaf_of(node)
            if leaf is None:
                return ANYTHING
            return Condition(f"({leaf.render(place.value, _TEXT)})", leaf.args)
        leaf = leaf_of(node)
        item = leaf_of(Equals(node.path, node.value)) if isinstance(node, Contains) else leaf
        if leaf is None or item is None:
            return ANYTHING
        alone = f"({leaf.render(place.value, place.kind)})"
        present = self._facts(place)
        if present is not None and "array" not in present:
            return Condition(alone, leaf.args)
        # Told of the rare kinds too, SQLite takes the index that holds only these.
        listed = f"{place.kind}='array'" + (f" AND {place.rare}" if present is not None else "")
        within = f"SELECT 1 FROM {place.items} AS e WHERE {item.render('e.value', 'e.type')}"
        return Condition(f"({alone} OR ({listed} AND EXISTS({within})))", (*leaf.args, *item.args))


_TEXT = "'text'"


def _present(place: JsonPlace | ColumnPlace) -> str:
    return f"{place.kind} IS NOT NULL" if isinstance(place, JsonPlace) else "1"


def joined(parts: Sequence[Condition], word: str = " AND ", empty: str = "1") -> Condition:
    """All of some conditions, or any of them, with another word between them."""
    if not parts:
        return Condition(empty)
    if len(parts) == 1:
        return parts[0]
    text = word.join(part.text for part in parts)
    args = tuple(arg for part in parts for arg in part.args)
    return Condition(f"({text})", args, all(part.exact for part in parts))


def _opposite(part: Condition) -> Condition:
    # What is NULL is not true either. The opposite of more rows than meant would be fewer.
    return Condition(f"(({part.text}) IS NOT TRUE)", part.args) if part.exact else ANYTHING
