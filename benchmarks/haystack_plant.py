"""A generated plant: entities, filters over them, samples, and what peers make of the same."""

from __future__ import annotations

import random
from array import array
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdall.haystack.stores.entities import Entity

ZONE = ZoneInfo("America/New_York")
UNIT = "kW"
START = datetime(2024, 1, 1, 5, tzinfo=ZoneInfo("UTC"))
MINUTE = 60_000_000
_SITE = 200
"""How many entities a site has, itself included."""


def plant(count: int) -> list[dict[str, Any]]:
    """Sites with pieces of equipment with points, in no order of their ids.

    Half of the points of each piece of equipment are for temperatures; sites and equipment have an
    area. There are 10 temperatures of a piece of equipment, as the filters below ask for.
    """
    chance = random.Random(7)
    entities: list[dict[str, Any]] = []
    for site in range(-(-count // _SITE)):
        here = _ref(chance, "s")
        entities.append(
            {"id": here, "dis": f"Site {site}", "site": MARKER, "tz": "New_York"}
            | {"area": _area(chance, 300)}
        )
        equips = [_ref(chance, "e") for _ in range(10 if site % 20 else 9)]
        for at, equip in enumerate(equips):
            entities.append(
                {"id": equip, "dis": f"Equip {site}-{at}", "equip": MARKER, "siteRef": here}
                | {"area": _area(chance, 200)}
            )
        for at in range(_SITE - 1 - len(equips)):
            number, of = divmod(at, len(equips))
            entities.append(
                {"id": _ref(chance, "p"), "dis": f"Point {site}-{at}", "point": MARKER}
                | {"flow" if number % 2 else "temp": MARKER, "kind": "Number", "unit": UNIT}
                | {"siteRef": here, "equipRef": equips[of]}
            )
    chance.shuffle(entities)
    return entities[:count]


def _ref(chance: random.Random, kind: str) -> Ref:
    return Ref(f"{kind}:{chance.getrandbits(64):016x}")


def _area(chance: random.Random, most: int) -> Number:
    return Number(round(chance.uniform(0, most), 1))


def filters(entities: list[dict[str, Any]]) -> list[str]:
    """The four filters, from the fewest hits to the most."""
    equip = min((one["id"].val for one in entities if "equip" in one), key=lambda of: of[::-1])
    return [
        f"point and temp and equipRef==@{equip}",
        "area > 100",
        "siteRef->area > 100",
        "point",
    ]


def columns(count: int, first: int = 0) -> Samples:
    """Samples, one a minute from a place in the series on."""
    start = round(START.timestamp()) * 1_000_000 + first * MINUTE
    return Samples(
        array("q", range(start, start + count * MINUTE, MINUTE)),
        array("d", [(at % 1000) / 10 for at in range(first, first + count)]),
        UNIT,
    )


def items(count: int) -> list[dict[str, Any]]:
    """The same as dicts, in the zone of the points."""
    samples = columns(count)
    return [
        {"ts": (START + at * timedelta(minutes=1)).astimezone(ZONE), "val": Number(value, UNIT)}
        for at, value in enumerate(samples.vals)
        if isinstance(value, float)
    ]


def batches(points: int, count: int) -> Iterator[tuple[str, Samples]]:
    """As many samples for each of some points, by the id of the point."""
    for point in range(points):
        yield f"h{point}", columns(count)


def history_points(count: int) -> list[dict[str, Any]]:
    """The points of `batches`."""
    return [
        {"id": Ref(f"h{at}"), "point": MARKER, "his": MARKER, "kind": "Number"}
        | {"unit": UNIT, "tz": "New_York"}
        for at in range(count)
    ]


@cache
def peer(name: str) -> Any:
    """A module of others; None where it is missing."""
    try:
        return import_module(name)
    except ImportError as error:
        print(f"\n{name} is left out: {error}")
        return None


def rust_entities(rust: Any, entities: list[dict[str, Any]]) -> list[Any]:
    """The same entities, of rusty-haystack's kinds."""
    return [rust.HDict({n: _rust_kind(rust, v) for n, v in one.items()}) for one in entities]


def _rust_kind(rust: Any, value: Any) -> Any:
    if value is MARKER:
        return rust.Marker()
    if isinstance(value, Ref):
        return rust.Ref(value.val)
    return rust.Number(float(value.val), value.unit) if isinstance(value, Number) else value


def shay_grid(shay: Any, entities: list[dict[str, Any]]) -> Any:
    """The same entities as a grid of shaystack."""
    grid = shay.Grid(columns=sorted({name for one in entities for name in one}))
    for one in entities:
        grid.append({n: _shay_kind(shay, v) for n, v in one.items()})
    return grid


def _shay_kind(shay: Any, value: Any) -> Any:
    if value is MARKER:
        return shay.MARKER
    if isinstance(value, Ref):
        return shay.Ref(value.val)
    return float(value.val) if isinstance(value, Number) else value


def ids(found: list[Entity]) -> list[str]:
    """The ids of entities."""
    return [str(one["id"])[1:] for one in found]
