"""How large a condition may be that a database is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from holdall.records.predicate import And, In, Node, Not, NotIn, Or

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def is_small(
    node: Node, *, deepest: int, most: int, weight: Callable[[Sequence[Any]], int] = len
) -> bool:
    """Whether a condition is compiled at all; it is found without recursion.

    Args:
        node: The condition.
        deepest: How many conditions may lie in one another.
        most: How many comparisons there may be.
        weight: As how many a list of values counts that a tag may equal.
    """
    pending, count = [(node, 1)], 0
    while pending:
        one, depth = pending.pop()
        count += 1
        if depth > deepest or count > most:
            return False
        if isinstance(one, (And, Or)):
            pending.extend((part, depth + 1) for part in one.nodes)
        elif isinstance(one, Not):
            pending.append((one.node, depth + 1))
        elif isinstance(one, (In, NotIn)):
            count += weight(one.values)
    return count <= most
