"""What a condition says of ids alone, which a listing can answer without reading a record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.records.paths import ID
from holdall.records.predicate import ALL, And, Equals, In, Not, Or, compiled

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.records.paths import Path
    from holdall.records.predicate import Node

_MOST_NAMED = 50


def named_ids(predicate: Node) -> list[str] | None:
    """The few ids that a condition can hold for; None when it names none, or many."""
    for node in _parts(predicate):
        if isinstance(node, Equals) and node.path == (ID,):
            return [node.value] if isinstance(node.value, str) else []
        if isinstance(node, In) and node.path == (ID,) and len(node.values) <= _MOST_NAMED:
            return sorted({one for one in node.values if isinstance(one, str)})
    return None


def split(predicate: Node) -> tuple[Callable[[str], bool] | None, Node]:
    """Answer what a condition says of the id alone, None for nothing, and all else it says."""
    of_id: list[Node] = []
    rest: list[Node] = []
    for node in _parts(predicate):
        (of_id if _is_of_id(node) else rest).append(node)
    if not of_id:
        return None, predicate
    test = compiled(And(tuple(of_id)), _read_id)
    return test, And(tuple(rest)) if rest else ALL


def _parts(predicate: Node) -> tuple[Node, ...]:
    return predicate.nodes if isinstance(predicate, And) else (predicate,)


def _is_of_id(node: Node) -> bool:
    match node:
        case And(nodes) | Or(nodes):
            return bool(nodes) and all(map(_is_of_id, nodes))
        case Not(inner):
            return _is_of_id(inner)
    return getattr(node, "path", None) == (ID,)


def _read_id(_path: Path) -> Callable[[str], str]:
    return lambda id_: id_
