"""Conditions compiled to SQL, each exact, or a wider one that says so.

A condition is about an entity of the number `e.n`. A *source* is a statement that finds the
numbers of all entities that may be meant, quickly; what remains to be asked of them is its rest.

A path leads through dicts, whose tags are kept as `dict.tag`, and through Refs, each of them once
for every way in which its names can be divided between the two.
"""

# ruff: noqa: S608 - values are parameters; names in the text are ours

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from holdall.haystack.kinds import is_name
from holdall.haystack.stores.keys import DEEPEST
from holdall.haystack.stores.sizes import is_small
from holdall.haystack.stores.sqlite import leaves
from holdall.haystack.stores.sqlite.leaves import EXACT, NARROW, NUMBERS, PRESENT, Leaf
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

    from holdall.records.paths import Path

_DEEPEST: Final = 12
"""How many conditions may lie in one another; SQLite reads only so many parentheses."""
_MOST: Final = 200
"""How many comparisons a statement may have."""
_SOURCES: Final = 4


class Names(Protocol):
    """What the tables know of tags."""

    def tag(self, name: str) -> int | None:
        """The number of a tag; None where no entity has it."""

    def is_odd(self, tag: int) -> bool:
        """Whether a tag has numbers that SQLite does not hold."""


class Source(Struct, frozen=True):
    """A statement that finds numbers of entities, and what remains to be asked of them.

    Args:
        select: Finds them; some may come twice.
        params: Its parameters.
        rank: How few they are likely to be.
        hops: Through how many Refs in turn it leads, each of which may name very many.
        rest: A condition about `e.n`; may be empty.
        rest_params: Its parameters.
    """

    select: str
    params: tuple[Any, ...]
    rank: int
    hops: int = 0
    rest: str = ""
    rest_params: tuple[Any, ...] = ()


class Condition(Struct, frozen=True):
    """A condition about `e.n`.

    Args:
        sql: The condition.
        params: Its parameters.
        exact: Whether it is met by those that are meant alone, and not by others besides.
        sources: Ways to find them; none where all entities have to be gone through.
        pointed: Whether it is asked of one entity without finding all others.
    """

    sql: str
    params: tuple[Any, ...]
    exact: bool = True
    sources: tuple[Source, ...] = ()
    pointed: bool = True


_EVERY: Final = Condition("1", ())
_UNSURE: Final = Condition("1", (), exact=False)
_NOBODY: Final = Condition("0", (), sources=(Source("SELECT 0 AS n WHERE 0", (), EXACT),))


def compile_condition(node: Node, names: Names, *, pointed: bool = False) -> Condition:
    """Compile a condition.

    Args:
        node: The condition.
        names: What the tables know, in the transaction in which the statement will run.
        pointed: Whether a comparison that is not pointed gives way to a wider one that is.
    """
    return (
        _Compiling(names, pointed=pointed).condition(node)
        if is_small(node, deepest=_DEEPEST, most=_MOST, weight=_weight)
        else _UNSURE
    )


def _weight(values: Sequence[Any]) -> int:
    return len(values) if leaves.one_of(values) is None else 0


class _Compiling:
    def __init__(self, names: Names, *, pointed: bool) -> None:
        self._names = names
        self._pointed = pointed

    def condition(self, node: Node) -> Condition:
        match node:
            case And(nodes):
                return _all([self.condition(one) for one in nodes])
            case Or(nodes):
                return _any([self.condition(one) for one in nodes])
            case Not(inner):
                return _opposite(self.condition(inner))
            case Has(path):
                return self._leaf(path, PRESENT)
            case Missing(path):
                return _opposite(self._leaf(path, PRESENT))
            case Equals(path, value):
                return self._leaf(path, leaves.equal(value))
            case Differs(path, value):
                return self._present_and_not(path, self._leaf(path, leaves.equal(value)))
            case In(path, values):
                return self._one_of(path, values)
            case NotIn(path, values):
                return self._present_and_not(path, self._one_of(path, values))
            case Compares(path, op, value):
                return self._leaf(path, leaves.ordered(op, value))
            case Between(path, low, high):
                return self._leaf(path, leaves.between(low, high))
        return _UNSURE

    def _present_and_not(self, path: Path, found: Condition) -> Condition:
        return _all([self._leaf(path, PRESENT), _opposite(found)])

    def _one_of(self, path: Path, values: Sequence[Any]) -> Condition:
        leaf = leaves.one_of(values)
        if leaf is not None:
            return self._leaf(path, leaf)
        return _any([self._leaf(path, leaves.equal(value)) for value in values])

    def _leaf(self, path: Path, leaf: Leaf | None) -> Condition:
        """A comparison of what a path leads to; all that have its first tag without one."""
        if not path or not all(map(is_name, path)):
            return _UNSURE
        pointed = leaf is not None and leaf.pointed and len(path) == 1
        if leaf is None or len(path) > DEEPEST or (self._pointed and not pointed):
            return self._vague(path)
        ends: list[tuple[str, tuple[Any, ...]]] = []
        if not self._follow(path, leaf, ends):
            return self._vague(path)
        if not ends:
            return _NOBODY
        select = " UNION ALL ".join(one for one, _ in ends)
        params = tuple([param for _, some in ends for param in some])
        rank = leaf.rank if len(path) == 1 else max(leaf.rank, NARROW)
        source = Source(select, params, rank, len(path) - 1)
        if pointed:
            sql = f"EXISTS (SELECT 1 FROM {leaf.table} WHERE t=?{leaf.where} AND n=e.n)"
        else:
            sql = f"e.n IN ({select})"
        return Condition(sql, params, leaf.whole, (source,), pointed)

    def _vague(self, path: Path) -> Condition:
        present = self._leaf(path[:1], PRESENT)
        return Condition(present.sql, present.params, exact=False, sources=present.sources)

    def _follow(self, path: Path, leaf: Leaf, ends: list[tuple[str, tuple[Any, ...]]]) -> bool:
        """Find the ways of a path that lead anywhere; False where SQL cannot say."""
        tag = self._names.tag(".".join(path))
        if tag is not None:
            if leaf.table == NUMBERS and self._names.is_odd(tag):
                return False
            ends.append((f"SELECT n FROM {leaf.table} WHERE t=?{leaf.where}", (tag, *leaf.params)))
        for length in range(1, len(path)):
            tag = self._names.tag(".".join(path[:length]))
            if tag is None:
                continue
            targets: list[tuple[str, tuple[Any, ...]]] = []
            if not self._follow(path[length:], leaf, targets):
                return False
            for select, params in targets:
                ids = f"SELECT id FROM hs_entities WHERE n IN ({select})"
                refs = f"SELECT n FROM hs_refs WHERE t=? AND target IN ({ids})"
                ends.append((refs, (tag, *params)))
        return True


def _opposite(found: Condition) -> Condition:
    if not found.exact:
        return _UNSURE
    return Condition(f"NOT {found.sql}", found.params, pointed=found.pointed)


def _all(parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _EVERY
    every = [(source, at) for at, part in enumerate(parts) for source in part.sources]
    every.sort(key=lambda pair: pair[0].rank)
    sources = []
    for source, at in every[:_SOURCES]:
        others = [part for place, part in enumerate(parts) if place != at and part.sql != "1"]
        rests = [one for one in (source.rest, *(other.sql for other in others)) if one]
        params = [*source.rest_params, *(param for other in others for param in other.params)]
        sources.append(replace(source, rest=" AND ".join(rests), rest_params=tuple(params)))
    return Condition(
        f"({' AND '.join(part.sql for part in parts)})",
        tuple([param for part in parts for param in part.params]),
        all(part.exact for part in parts),
        tuple(sources),
        all(part.pointed for part in parts),
    )


def _any(parts: list[Condition]) -> Condition:
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _NOBODY
    sources: tuple[Source, ...] = ()
    if all(part.sources for part in parts):
        best = [part.sources[0] for part in parts]
        sources = (
            Source(
                " UNION ALL ".join(_narrowed(source) for source in best),
                tuple([param for one in best for param in (*one.params, *one.rest_params)]),
                max(source.rank for source in best),
                max(source.hops for source in best),
            ),
        )
    return Condition(
        f"({' OR '.join(part.sql for part in parts)})",
        tuple([param for part in parts for param in part.params]),
        all(part.exact for part in parts),
        sources,
        all(part.pointed for part in parts),
    )


def _narrowed(source: Source) -> str:
    if not source.rest:
        return source.select
    return f"SELECT e.n FROM ({source.select}) e WHERE {source.rest}"
