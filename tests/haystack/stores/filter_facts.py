"""What the tests of filters on every backend compare, with the store in memory as the judge."""

from __future__ import annotations

from contextlib import suppress
from datetime import date, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from haystack.filter.generated import ORDERINGS
from holdall.core.runtime.blocking import drive
from holdall.haystack import MARKER, Coord, Number, Ref, XStr, adopt
from holdall.haystack.filter import AnyUnit
from holdall.records.predicate import (
    Between,
    Compares,
    Differs,
    Equals,
    Has,
    In,
    Missing,
    Node,
    NotIn,
)

if TYPE_CHECKING:
    from holdall.haystack.stores.entities import Change, EntityStore

LONG = "ab" * 99
HARD: dict[str, Any] = {
    "long": LONG,
    "longer": LONG + "abc",
    "longest": LONG + "abcd" * 500,
    "other end": LONG + "abce" * 500,
    "wide": "😀" * 50 + "é",
    "wider": "😀" * 51,
    "half": "a\ud800b",
    "half later": "a\uffffb",
    "nul": "a\0b",
    "begins": "a",
    "half of a unit": Number(3, "\ud800"),
    "beyond 64 bits": Number(2**64 + 1),
    "below 64 bits": Number(-(2**70) - 1),
    "exact beyond 64 bits": Number(2**64),
    "a double near it": Number(float(2**64)),
    "beyond doubles": Number(10**400),
    "largest": Number(2**63 - 1),
    "a double above it": Number(float(2**63)),
    "beyond exact": Number(2**53 + 1),
    "a double below it": Number(float(2**53)),
    "no number": Number(float("nan")),
    "without end": Number(float("inf")),
    "smallest": Number(5e-324),
    "minus nothing": Number(-0.0),
    "nothing": Number(0),
    "places": [Coord(-0.0, 0.0), XStr("Bin", "x")],
    "first moment": datetime(1, 1, 1, tzinfo=ZoneInfo("UTC")),
    "last day": date(9999, 12, 31),
    "list in list": [[Number(1)], "a", {"a": Number(1)}],
    "marker in list": [MARKER, "x"],
}


def kept(of: str, tags: dict[str, Any]) -> dict[str, Any]:
    """An entity, without what cannot be kept: moments at an offset of seconds."""
    made: dict[str, Any] = {"id": Ref(of)}
    for name, value in tags.items():
        with suppress(ValueError):
            made[name] = adopt(value)
    return {name: value for name, value in made.items() if value is not None}


def commit(stores: list[EntityStore], *changes: Change) -> None:
    for store in stores:
        drive(store.commit(changes))


def answers(
    stores: list[EntityStore], node: Node, *, limit: int = 1_000, after: str | None = None
) -> list[tuple[list[str], bool]]:
    found = [drive(store.find(node, limit=limit, after=after)) for store in stores]
    return [([str(one.entity["id"]) for one in page.entities], page.more) for page in found]


def comparisons(value: Any) -> list[Node]:
    path = ("v",)
    some: list[Node] = [Equals(path, value), Differs(path, value), In(path, (value, "x"))]
    some += [NotIn(path, (value,)), Between(path, value, value), Has(path), Missing(path)]
    some += [Compares(path, op, value) for op in ORDERINGS]
    if isinstance(value, Number):
        some += [Equals(path, AnyUnit(value.val)), Compares(path, "le", AnyUnit(value.val))]
    return some
