"""Entities and filters that often meet: few names, few values, each near to another."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from holdall.haystack import MARKER, NA, REMOVE, Coord, Grid, Number, Ref, Symbol, Uri, XStr
from holdall.haystack.filter import AnyUnit
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
    Ordering,
)

if TYPE_CHECKING:
    from random import Random

BERLIN: Final = ZoneInfo("Europe/Berlin")
IDS: Final = ("e0", "e1", "e2", "e3")
NAMES: Final = ("a", "b", "r")

NUMBERS: Final = (
    Number(0), Number(1), Number(1.0), Number(2**53), Number(2**53 + 1), Number(float(2**53)),
    Number(float("nan")), Number(float("inf")), Number(1, "kW"), Number(1, "kilowatt"),
    Number(2, "kW"), Number(1, "m"), Number(1, "_own"), 1, 1.0, 2, float("nan"),
)  # fmt: skip
MOMENTS: Final = (
    datetime(2024, 1, 31, 12, tzinfo=BERLIN),
    datetime(2024, 1, 31, 11, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN),  # the clocks show it twice
    datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN, fold=1),
    datetime(2024, 10, 27, 0, 30, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 10, 27, 1, 30, tzinfo=ZoneInfo("UTC")),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),  # the clocks leap over it
    datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),  # UTC has no year for these
    datetime(9999, 12, 31, 23, 59, tzinfo=ZoneInfo("America/New_York")),
)
SCALARS: Final = (
    *NUMBERS, *MOMENTS, True, False, "", "1", "a", "e0", "Z", "é", "😀", "\uffff", MARKER, NA,
    REMOVE, Uri("e0"), Uri("a"), Ref("e0"), Ref("e0", "Zero"), Ref("e1"), Ref("nowhere"),
    Symbol("e0"), Symbol("a"), Coord(1.0, 2.0), Coord(1.0, 2.5), XStr("Color", "a"),
    XStr("Type", "a"), date(2024, 1, 31), date(2024, 2, 1), time(12), time(12, 0, 0, 1),
)  # fmt: skip
LITERALS: Final = (*SCALARS, *(AnyUnit(one) for one in (0, 1, 1.0, 2**53, float("nan"))))
GRID: Final = Grid([{"a": 1}])
ORDERINGS: Final[list[Ordering]] = ["lt", "le", "gt", "ge"]


def question(random: Random) -> tuple[dict[str, dict[str, Any]], Node]:
    """A graph of entities by id, and a filter that asks for values of it more often than not."""
    graph = {one: _tags(random, 0) for one in IDS}
    held = [item for tags in graph.values() for item in _in(tags)]
    return graph, _node(random, held, 0)


def _tags(random: Random, depth: int) -> dict[str, Any]:
    return {name: _value(random, depth) for name in NAMES if random.random() < 0.8}


def _value(random: Random, depth: int) -> Any:
    choice = random.randrange(12)
    if choice < 4 or (depth > 2 and choice > 7):
        return random.choice(SCALARS)
    if choice < 8:
        return Ref(random.choice([*IDS, *IDS, "nowhere"]))
    if choice == 8:
        return [_value(random, depth + 1) for _ in range(random.randrange(4))]
    if choice == 9:
        return [Ref(random.choice([*IDS, "nowhere"])) for _ in range(random.randrange(4))]
    if choice == 10:
        return _tags(random, depth + 1)
    return random.choice([None, GRID])


def _in(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [one for item in value.values() for one in _in(item)]
    if isinstance(value, list):
        return [value, *(one for item in value for one in _in(item))]
    if type(value) is int or type(value) is float:
        return [value, AnyUnit(value)]
    if isinstance(value, Number):
        return [value, AnyUnit(value.val)]
    return [value]


def _node(random: Random, held: list[Any], depth: int) -> Node:
    choice = random.randrange(16)
    if choice > 12 and depth < 4:
        if choice == 15:
            return Not(_node(random, held, depth + 1))
        parts = tuple([_node(random, held, depth + 1) for _ in range(random.randrange(4))])
        return And(parts) if choice == 13 else Or(parts)
    path = tuple(random.choices(NAMES, k=random.choice([1, 1, 2, 2, 3])))
    if choice < 3:
        return Equals(path, _wanted(random, held))
    if choice < 6:
        return Compares(path, random.choice(ORDERINGS), _wanted(random, held))
    if choice < 8:
        return Differs(path, _wanted(random, held))
    if choice == 8:
        return Missing(path)
    if choice == 9:
        return Between(path, _wanted(random, held), _wanted(random, held))
    some = tuple([_wanted(random, held) for _ in range(random.randrange(4))])
    if choice == 10:
        return In(path, some)
    return NotIn(path, some) if choice == 11 else Has(path)


def _wanted(random: Random, held: list[Any]) -> Any:
    return random.choice(held if held and random.random() < 0.8 else LITERALS)
