"""What a filter means, a second time: as slow and plain as the rules read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from math import isnan
from typing import Any

from holdall.haystack import Grid, Number, Ref
from holdall.haystack.filter import AnyUnit
from holdall.haystack.units import unit
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

Find = Callable[[str], "Mapping[str, Any] | None"]


def means(node: Node, entity: Mapping[str, Any], find: Find) -> bool:
    """Whether an entity is meant."""
    if isinstance(node, And):
        return not any(not means(one, entity, find) for one in node.nodes)
    if isinstance(node, Or):
        return any(means(one, entity, find) for one in node.nodes)
    if isinstance(node, Not):
        return not means(node.node, entity, find)
    there = list(ends(entity, node.path, find))  # type: ignore[attr-defined]
    if isinstance(node, Has):
        return len(there) > 0
    if isinstance(node, Missing):
        return len(there) == 0
    if isinstance(node, Equals):
        return any(holds(value, node.value) for value in there)
    if isinstance(node, Differs):
        return len(there) > 0 and not any(holds(value, node.value) for value in there)
    if isinstance(node, In):
        return any(holds(value, one) for value in there for one in node.values)
    if isinstance(node, NotIn):
        return len(there) > 0 and not any(
            holds(value, one) for value in there for one in node.values
        )
    items = [item for value in there for item in (value if isinstance(value, list) else [value])]
    if isinstance(node, Compares):
        return any(stands(item, node.op, node.value) for item in items)
    assert isinstance(node, Between)
    return any(stands(item, "ge", node.low) and stands(item, "le", node.high) for item in items)


def ends(entity: Mapping[str, Any], path: tuple[str, ...], find: Find) -> Iterator[Any]:
    value = entity.get(path[0])
    if value is None:
        return
    if len(path) == 1:
        yield value
    elif isinstance(value, Ref):
        yield from ends(find(value.val) or {}, path[1:], find)
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Ref):
                yield from ends(find(item.val) or {}, path[1:], find)
    elif isinstance(value, Mapping):
        yield from ends(value, path[1:], find)


def holds(value: Any, wanted: Any) -> bool:
    if wanted is None:
        return False
    if isinstance(value, list) and any(same_value(item, wanted) for item in value):
        return True
    return same_value(value, wanted)


def same_value(value: Any, wanted: Any) -> bool:
    if kind(value) != kind(wanted):
        return False
    match kind(value):
        case "number":
            if "not a number" in {amount(value), amount(wanted)}:
                return False
            return amount(value) == amount(wanted) and measured_alike(value, wanted)
        case "datetime":
            return instant(value) == instant(wanted)
        case "ref":
            return bool(value.val == wanted.val)
        case "list":
            return len(value) == len(wanted) and all(map(same_value, value, wanted))
        case "dict":
            return set(value) == set(wanted) and all(same_value(value[n], wanted[n]) for n in value)
    return bool(value == wanted)


def stands(value: Any, op: str, wanted: Any) -> bool:
    one, other = value, wanted
    if kind(value) != kind(wanted):
        return False
    match kind(value):
        case "number":
            one, other = amount(value), amount(wanted)
            if "not a number" in {one, other} or not measured_alike(value, wanted):
                return False
        case "datetime":
            one, other = instant(value), instant(wanted)
        case "str":
            one, other = [ord(letter) for letter in value], [ord(letter) for letter in wanted]
        case "bool" | "date" | "time":
            pass
        case _:
            return False
    return bool({"lt": one < other, "le": one <= other, "gt": one > other, "ge": one >= other}[op])


def kind(value: Any) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float, Number, AnyUnit)):
        return "number"
    for of, name in (
        (str, "str"), (Ref, "ref"), (datetime, "datetime"), (date, "date"), (time, "time"),
        (list, "list"), (Mapping, "dict"), (Grid, "grid"),
    ):  # fmt: skip
        if isinstance(value, of):
            return name
    return type(value).__name__


def amount(number: Any) -> Any:
    val = number.val if isinstance(number, (Number, AnyUnit)) else number
    if isinstance(val, float):
        if isnan(val):
            return "not a number"
        if val in {float("inf"), float("-inf")}:
            return val
    return Fraction(val)


def measured_alike(value: Any, wanted: Any) -> bool:
    return isinstance(wanted, AnyUnit) or measure(value) == measure(wanted)


def measure(number: Any) -> str | None:
    text = number.unit if isinstance(number, Number) else None
    known = None if text is None else unit(text)
    return text if known is None else known.name


def instant(moment: datetime) -> int:
    """Microseconds since the year 1, by hand: UTC has no date for the first moments of it."""
    offset = moment.utcoffset()
    assert offset is not None
    clock = moment.replace(tzinfo=UTC, fold=0) - datetime(1, 1, 1, tzinfo=UTC)
    return (clock - offset) // timedelta(microseconds=1)
