"""Conditions as what the scripts on the server read: trees of tokens and spans of numbers.

    ["t", token]                    entities with a token
    ["r", field, low, high]         with a number of a span; "(1" is without 1
    ["a", …]  ["o", …]  ["n", x]    all, any, not
    ["p", name, x]                  with a Ref in a tag to an entity that meets x
    ["?", x]                        those that are meant, and perhaps others
    ["*"]  ["-"]                    every entity, none

What can be said is said exactly; for the rest there is a wider condition, marked as such. The
server adds what it alone knows: that a tag has numbers which are not in the index, or that a path
leads to so many entities that it is followed here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from holdall.haystack.filter import AnyUnit
from holdall.haystack.kinds import Number, is_name, is_nan
from holdall.haystack.stores.keys import unit_names
from holdall.haystack.stores.redis.tokens import (
    DEEPEST,
    NUMBER,
    held,
    named,
    number_of,
    token_of,
    unit_token,
)
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
    from collections.abc import Callable, Sequence

    from holdall.records.paths import Path

    Leaf = Callable[[str], "Tree | None"]

Tree: TypeAlias = "list[Any]"

EVERY: Final[Tree] = ["*"]
NOBODY: Final[Tree] = ["-"]
UNSURE: Final[Tree] = ["?", EVERY]
_DEEPEST: Final = 30
"""How many conditions may lie in one another."""
_MOST: Final = 500
"""How many comparisons there may be."""
_HOPS: Final = 4
_LOW: Final = {"gt": "(", "ge": ""}
_HIGH: Final = {"lt": "(", "le": ""}


def tree_of(node: Node) -> Tree:
    """The tree of a condition."""
    return _tree(node) if is_small(node, deepest=_DEEPEST, most=_MOST) else UNSURE


def _tree(node: Node) -> Tree:
    match node:
        case And(nodes):
            return _all([_tree(one) for one in nodes])
        case Or(nodes):
            return _any([_tree(one) for one in nodes])
        case Not(inner):
            return ["n", _tree(inner)]
        case Has(path):
            return _along(path, _present)
        case Missing(path):
            return ["n", _along(path, _present)]
        case Equals(path, value):
            return _along(path, _equal(value))
        case Differs(path, value):
            return _all([_along(path, _present), ["n", _along(path, _equal(value))]])
        case In(path, values):
            return _one_of(path, values)
        case NotIn(path, values):
            return _all([_along(path, _present), ["n", _one_of(path, values)]])
        case Compares(path, op, value):
            return _along(path, _ordered(op, value))
        case Between(path, low, high):
            return _along(path, _between(low, high))
    return UNSURE


def _all(parts: list[Tree]) -> Tree:
    if not parts:
        return EVERY
    return parts[0] if len(parts) == 1 else ["a", *parts]


def _any(parts: list[Tree]) -> Tree:
    if not parts:
        return NOBODY
    return parts[0] if len(parts) == 1 else ["o", *parts]


def _one_of(path: Path, values: Sequence[Any]) -> Tree:
    return _any([_along(path, _equal(value)) for value in values])


def _along(path: Path, leaf: Leaf) -> Tree:
    """A comparison of what a path leads to.

    It leads through dicts, whose tags have names with a dot, and through Refs: each way in which
    the names can be divided between the two.
    """
    if not path or not all(map(is_name, path)):
        return UNSURE
    if len(path) > _HOPS:
        return ["?", ["t", named(path[0])]]
    ways: list[Tree] = []
    if len(path) <= DEEPEST:
        name = named(".".join(path))
        found = leaf(name)
        if found is None:
            return ["?", ["t", named(path[0])]]
        ways.append(found)
    for length in range(1, len(path)):
        beyond = _along(path[length:], leaf)
        ways.append(["p", named(".".join(path[:length])), beyond])
    return _any(ways)


# What is asked of a tag, by its name; None where the index cannot say.


def _present(name: str) -> Tree:
    return ["t", name]


def _equal(value: Any) -> Leaf:
    def leaf(name: str) -> Tree | None:
        token = token_of(name, value)
        if token is not None:
            return ["t", token]
        if isinstance(value, (AnyUnit, Number)) or type(value) in (int, float):
            return _number(name, value, "", "")
        sort = number_of(value)
        if sort is None or sort[1] is None:
            return None
        return ["r", f"{sort[0]}:{name}", sort[1], sort[1]]

    return leaf


def _ordered(op: str, value: Any) -> Leaf:
    def leaf(name: str) -> Tree | None:
        if type(value) is bool:
            meant = [one for one in (False, True) if _BOOLS[op](one, value)]
            return _any([["t", token_of(name, one)] for one in meant])
        if isinstance(value, (AnyUnit, Number)) or type(value) in (int, float):
            return _number(name, value, _LOW.get(op), _HIGH.get(op))
        sort = number_of(value)
        if sort is None or sort[1] is None:
            return None
        return _span(f"{sort[0]}:{name}", sort[1], _LOW.get(op), _HIGH.get(op))

    return leaf


def _between(low: Any, high: Any) -> Leaf:
    def leaf(name: str) -> Tree | None:
        # Both of one item: which of several, a list of tokens does not say.
        above, below = number_of(low), number_of(high)
        if type(low) is not type(high) or above is None or below is None:
            return None
        if type(low) is Number or isinstance(low, (int, float)) or None in (above[1], below[1]):
            return None
        return ["r", f"{above[0]}:{name}", above[1], below[1]]

    return leaf


def _number(name: str, value: Any, low: str | None, high: str | None) -> Tree | None:
    val = value if type(value) in (int, float) else value.val
    if is_nan(val):  # it equals nothing
        return NOBODY
    text = held(val)
    if text is None:
        return None
    span = _span(f"{NUMBER}:{name}", text, low, high)
    if type(value) is AnyUnit:
        return span
    # One number of a tag is in the index, and so is its unit; for others see `tokens.odd`.
    units = [
        unit_token(name, one.decode("utf-8", "surrogatepass") or None)
        for one in unit_names(value.unit if type(value) is Number else None)
    ]
    return ["a", span, _any([["t", one] for one in units])]


def _span(field: str, text: str, low: str | None, high: str | None) -> Tree:
    return [
        "r",
        field,
        "-inf" if low is None else low + text,
        "+inf" if high is None else high + text,
    ]


_BOOLS: Final[dict[str, Callable[[bool, bool], bool]]] = {
    "lt": lambda one, other: one < other,
    "le": lambda one, other: one <= other,
    "gt": lambda one, other: one > other,
    "ge": lambda one, other: one >= other,
}
