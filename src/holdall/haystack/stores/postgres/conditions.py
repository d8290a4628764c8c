"""Conditions compiled to SQL, each exact, or a wider one that says so.

A condition is about a row `e` of the table of entities. That a tag is there is asked of its names;
what it is, of the tables of values, by `e.n IN (SELECT n FROM …)`, which PostgreSQL takes for a
join. A path leads through dicts, whose tags are kept as `dict.tag`, and through Refs, each of them
once for every way in which its names can be divided between the two.
"""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from holdall.haystack.kinds import is_name
from holdall.haystack.stores.keys import DEEPEST
from holdall.haystack.stores.postgres import leaves
from holdall.haystack.stores.postgres.leaves import NUMBERS, PRESENT, Leaf, Params
from holdall.haystack.stores.sizes import is_small
from holdall.records.predicate import (
    And,
    Between,
    Compares,
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
    from collections.abc import Sequence

    from holdall.haystack.stores.postgres.database import Place
    from holdall.records.paths import Path

_DEEPEST: Final = 24
"""How many conditions may lie in one another."""
_MOST: Final = 200
"""How many comparisons a statement may have."""
_JOINED: Final = 6
"""How many of those that are met together become joins; each takes its time to plan."""


class Condition(Struct, frozen=True):
    """A condition about `e`.

    Args:
        sql: The condition; neither it nor its opposite is ever NULL.
        exact: Whether it is met by those that are meant alone, and not by others besides.
        local: Whether it asks for nothing but columns of `e`.
        found: Whether an index finds those that meet it.
        select: A statement that answers the numbers `n` of those that meet it; it may be empty.
    """

    sql: str
    exact: bool = True
    local: bool = True
    found: bool = True
    select: str = ""


class Compiled(Struct, frozen=True):
    """A condition with what it needs.

    Args:
        sql: About `e`.
        select: A statement that answers the numbers `n` of those that meet it, some of them more
            than once, without a look at the entities; it may be empty.
        params: Its parameters.
        exact: As in `Condition`.
        odd: Tags of which no entity may have numbers that a double does not hold; where one
            has, the condition is compiled without numbers.
    """

    sql: str
    select: str
    params: Params
    exact: bool
    odd: frozenset[str]


_EVERY: Final = Condition("TRUE", found=False)
_UNSURE: Final = Condition("TRUE", exact=False, found=False)
_NOBODY: Final = Condition("FALSE")


def compile_condition(node: Node, place: Place, *, numbers: bool = True) -> Compiled:
    """Compile a condition.

    Args:
        node: The condition.
        place: Where the tables are.
        numbers: Whether all numbers are as doubles hold them; if not, none is compared by SQL.
    """
    compiling = _Compiling(place, numbers=numbers)
    made = (
        compiling.condition(node)
        if is_small(node, deepest=_DEEPEST, most=_MOST, weight=leaves.weight)
        else _UNSURE
    )
    return Compiled(made.sql, made.select, compiling.params, made.exact, frozenset(compiling.odd))


class _Compiling:
    def __init__(self, place: Place, *, numbers: bool) -> None:
        self.params = Params()
        self.odd: set[str] = set()
        self._place = place
        self._entities = place.table("entities")
        self._numbers = numbers

    def condition(self, node: Node) -> Condition:
        match node:
            case And(nodes):
                return _all([self.condition(one) for one in nodes])
            case Or(nodes):
                return self._any([self.condition(one) for one in nodes])
            case Not(inner):
                return _opposite(self.condition(inner))
            case Has(path):
                return self._leaf(path, PRESENT)
            case Missing(path):
                return _opposite(self._leaf(path, PRESENT))
            case Equals(path, value):
                return self._leaf(path, leaves.equal(value, self.params))
            case Differs(path, value):
                found = self._leaf(path, leaves.equal(value, self.params))
                return self._present_and_not(path, found)
            case In(path, values):
                return self._one_of(path, values)
            case NotIn(path, values):
                return self._present_and_not(path, self._one_of(path, values))
            case Compares(path, op, value):
                return self._leaf(path, leaves.ordered(op, value, self.params))
            case Between(path, low, high):
                return self._leaf(path, leaves.between(low, high, self.params))
        return _UNSURE

    def _present_and_not(self, path: Path, found: Condition) -> Condition:
        return _all([self._leaf(path, PRESENT), _opposite(found)])

    def _one_of(self, path: Path, values: Sequence[Any]) -> Condition:
        return self._any([self._leaf(path, leaf) for leaf in leaves.one_of(values, self.params)])

    def _any(self, parts: list[Condition]) -> Condition:
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return _NOBODY
        exact = all(part.exact for part in parts)
        found = all(part.found for part in parts)
        local = all(part.local for part in parts)
        if found and not local:
            # Joined by OR, they would be asked of every row.
            selects = " UNION ALL ".join(
                part.select or f"SELECT e.n FROM {self._entities} AS e WHERE {part.sql}"
                for part in parts
            )
            return Condition(f"e.n IN ({selects})", exact, local=False, select=selects)
        return Condition(f"({' OR '.join(part.sql for part in parts)})", exact, local, found)

    def _leaf(self, path: Path, leaf: Leaf | None) -> Condition:
        """A comparison of what a path leads to; all that have its first tag without one."""
        if not path or not all(map(is_name, path)):
            return _UNSURE
        if leaf is None or len(path) > DEEPEST or (leaf.table == NUMBERS and not self._numbers):
            return Condition(self._named(path[0]), exact=False)
        if leaf.table == NUMBERS:
            self.odd.update(".".join(path[at:]) for at in range(len(path)))
        if leaf.never:
            return _NOBODY
        if len(path) == 1 and leaf.table is None:
            return Condition(self._named(path[0]))
        found = " UNION ALL ".join(self._ways(path, leaf))
        return Condition(f"e.n IN ({found})", leaf.whole, local=False, select=found)

    def _ways(self, path: Path, leaf: Leaf) -> list[str]:
        """For each way of a path, a statement that finds where it begins."""
        name = ".".join(path)
        if leaf.table is None:
            ways = [f"SELECT e.n FROM {self._entities} AS e WHERE {self._named(name)}"]
        else:
            tag = self.params.once(name, "text")
            table = self._place.table(leaf.table)
            ways = [f"SELECT n FROM {table} WHERE tag = {tag}{leaf.where}"]
        refs = self._place.table("hs_refs")
        for length in range(1, len(path)):
            tag = self.params.once(".".join(path[:length]), "text")
            rest = path[length:]
            if len(rest) == 1 and leaf.table is None:
                targets = self._named(rest[0])
            else:
                targets = f"e.n IN ({' UNION ALL '.join(self._ways(rest, leaf))})"
            ways.append(
                f"SELECT n FROM {refs} WHERE tag = {tag} AND target IN "
                f"(SELECT e.id FROM {self._entities} AS e WHERE {targets})"
            )
        return ways

    def _named(self, name: str) -> str:
        return f"e.names @> ARRAY[{self.params.once(name, 'text')}]"


def _opposite(one: Condition) -> Condition:
    if not one.exact:
        return _UNSURE
    return Condition(f"(NOT {one.sql})", local=one.local, found=False)


def _all(parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _EVERY
    texts, joined = [], 0
    for part in parts:
        joined += not part.local
        texts.append(part.sql if joined <= _JOINED or part.local else f"({part.sql}) IS TRUE")
    return Condition(
        f"({' AND '.join(texts)})",
        all(part.exact for part in parts),
        all(part.local for part in parts),
        any(part.found for part in parts),
    )
