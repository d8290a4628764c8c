"""Filters written: the tree of conditions becomes text, with no parenthesis too many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from holdall.core.errors import Unsupported
from holdall.haystack.codecs.scalars import write_number, write_scalar
from holdall.haystack.filter.comparing import AnyUnit
from holdall.haystack.kinds import Marker, NAType, Number, Remove, is_name
from holdall.records.paths import show_path
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
    NotIn,
    Or,
)

if TYPE_CHECKING:
    from holdall.records.paths import Path

_SIGNS: Final = {"lt": "<", "le": "<=", "gt": ">", "ge": ">="}


def write_filter(node: Node) -> str:
    """Write a condition as a filter, which `parse_filter` reads as one that means the same.

    What `parse_filter` answered is read back as it was. `In` is written as several `==` joined with
    `or`, and `NotIn` as several `!=` joined with `and`.

    Raises:
        Unsupported: Filters cannot say it: a node such as `Like`, a value that is no scalar or a
            marker, a name that is no tag's, an `And` or `Or` of nothing. A `Number` without a unit
            is such a value, because filters mean any unit by it: that is `AnyUnit`.
    """
    pieces: list[str] = []
    # Without recursion. The flag says whether what joins with `or` needs parentheses here.
    pending: list[tuple[Node, bool] | str] = [(node, False)]
    while pending:
        one = pending.pop()
        if isinstance(one, str):
            pieces.append(one)
            continue
        node, tight = one
        if isinstance(node, (And, Or)):
            pending.extend(_joined(node, tight=tight))
        elif isinstance(node, (In, NotIn)):
            pending.append((_spelled(node), tight))
        elif isinstance(node, Not):
            pending += [")", (node.node, False), "not ("]
        else:
            pieces.append(_leaf(node))
    return "".join(pieces)


def _joined(node: And | Or, *, tight: bool) -> list[tuple[Node, bool] | str]:
    """The parts of a node, last first."""
    if not node.nodes:
        raise Unsupported(f"a filter cannot say {type(node).__name__}(()), which joins nothing")
    if len(node.nodes) == 1:
        return [(node.nodes[0], tight)]
    anded = isinstance(node, And)
    parts: list[tuple[Node, bool] | str] = []
    for one in reversed(node.nodes):
        parts += [(one, anded), " and " if anded else " or "]
    parts.pop()
    return [")", *parts, "("] if tight and not anded else parts


def _spelled(node: In | NotIn) -> Node:
    if isinstance(node, In):
        return Or(tuple([Equals(node.path, value) for value in node.values]))
    if not node.values:
        return Has(node.path)
    return And(tuple([Differs(node.path, value) for value in node.values]))


def _leaf(node: Node) -> str:
    match node:
        case Has(("not",)):
            return "(not)"  # before another word it would be that word's
        case Has(path):
            return _path(path)
        case Missing(path):
            return "not " + _path(path)
        case Equals(path, value):
            return f"{_path(path)} == {_value(value)}"
        case Differs(path, value):
            return f"{_path(path)} != {_value(value)}"
        case Compares(path, op, value):
            return f"{_path(path)} {_SIGNS[op]} {_value(value)}"
    raise Unsupported(f"a filter cannot say {type(node).__name__}")


def _path(path: Path) -> str:
    if not path or not all(map(is_name, path)):
        raise Unsupported(f"a filter cannot say {show_path(path)!r}, which are no names of tags")
    return "->".join(path)


def _value(value: Any) -> str:
    try:
        if isinstance(value, AnyUnit):
            return write_number(value.val)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, Number) and value.unit is not None:
            return write_number(value)
        if isinstance(value, (Number, int, float)):
            raise Unsupported(
                f"a filter cannot say {value!r}, because its numbers without a unit are of any "
                "unit: AnyUnit"
            )
        if value is not None and not isinstance(value, (Marker, NAType, Remove)):
            return write_scalar(value)
    except (TypeError, ValueError) as error:
        raise Unsupported(f"a filter cannot say this {type(value).__name__}: {error}") from error
    raise Unsupported(f"a filter cannot say {value!r}, which is no value to compare with")
