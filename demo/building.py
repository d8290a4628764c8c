"""A sample building with a month of history, kept in one file: the third part of the demo."""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import holdall
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ZONE = ZoneInfo("America/New_York")
FLOORS, ROOMS = 3, 20
DAYS, STEP = 30, timedelta(minutes=15)
START = datetime(2024, 3, 1, tzinfo=ZONE)  # the clocks change on the 10th


def building(
    path: str,
    row: Callable[[str, str, float], None],
    check: Callable[[bool, str], None],
) -> None:
    """Load a building, write its histories, and ask.

    Args:
        path: Where the file goes.
        row: Takes a step: what, figures, seconds.
        check: Takes a condition, and what is wrong when it does not hold.
    """
    asyncio.run(_building(path, row, check))


async def _building(path: str, row: Callable[..., None], check: Callable[..., None]) -> None:
    async with holdall.open_adapter(f"sqlite:///{path}") as adapter:
        began = time.perf_counter()
        loaded = await adapter.load(entities())
        row("a building", f"{loaded:,} entities in SQLite", time.perf_counter() - began)

        began = time.perf_counter()
        points = [str(one["id"]) for one in await adapter.read("point and temp and his")]
        written = 0
        for number, point in enumerate(points):
            samples = history(number)
            await adapter.his_write(point, samples)
            written += len(samples)
        row("a month of history", f"{written:,} samples", time.perf_counter() - began)

        began = time.perf_counter()
        found = await adapter.read(
            "point and temp and equipRef->floorNum == 2 and siteRef->area > 1000m²"
        )
        check(len(found) == ROOMS, f"the second floor has {len(found)} temperatures")
        row("temperatures of a floor", f"{len(found)} points", time.perf_counter() - began)

        began = time.perf_counter()
        day = await adapter.his_read(points[0], "2024-03-10")
        hours = len(day) * STEP / timedelta(hours=1)
        check(hours == 23, f"the day on which the clocks change has {hours} hours")
        warmest = max(day, key=lambda sample: sample["val"].val)
        print(
            f"   the warmest of that day: {warmest['val'].val:.1f} °C at {warmest['ts']:%H:%M %Z}"
        )
        row("a day of 23 hours", f"{len(day)} samples", time.perf_counter() - began)

        began = time.perf_counter()
        await adapter.watch_sub("demo", points[:2])
        await adapter.point_write("vav-1-1-setpoint", 8, 23.0, "demo", Number(30, "min"))
        await adapter.update(points[0], {"curVal": Number(21.5, "°C")})
        changed = [str(one["id"]) for one in await adapter.watch_poll("demo")]
        check(changed == [points[0]], f"the watch told of {changed}")
        (setpoint,) = await adapter.read("writeLevel == 8")
        check(setpoint["writeVal"] == Number(23.0, "°C"), "the command is not in effect")
        row("a command and a watch", f"{changed[0]} changed", time.perf_counter() - began)


def entities() -> Iterator[dict[str, Any]]:
    """The site, its floors, the equipment of each room, and the points of that."""
    site = Ref("site")
    yield {
        "id": site, "dis": "Sample building", "site": MARKER, "tz": "New_York",
        "area": Number(5400, "m²"), "geoCity": "Richmond",
    }  # fmt: skip
    for floor in range(1, FLOORS + 1):
        space, ahu = Ref(f"floor-{floor}"), Ref(f"ahu-{floor}")
        yield {
            "id": space, "dis": f"Floor {floor}", "space": MARKER, "floor": MARKER,
            "siteRef": site, "floorNum": floor,
        }  # fmt: skip
        yield {"id": ahu, "dis": f"AHU-{floor}", "ahu": MARKER, "equip": MARKER, "siteRef": site}
        for room in range(1, ROOMS + 1):
            vav = Ref(f"vav-{floor}-{room}")
            yield {
                "id": vav, "dis": f"VAV {floor}-{room}", "vav": MARKER, "equip": MARKER,
                "siteRef": site, "spaceRef": space, "equipRef": ahu, "floorNum": floor,
            }  # fmt: skip
            common = {"point": MARKER, "kind": "Number", "siteRef": site, "equipRef": vav}
            yield {
                **common, "id": Ref(f"{vav.val}-temp"), "temp": MARKER, "sensor": MARKER,
                "his": MARKER, "unit": "°C", "dis": f"Room {floor}-{room}",
            }  # fmt: skip
            yield {
                **common, "id": Ref(f"{vav.val}-setpoint"), "sp": MARKER, "writable": MARKER,
                "unit": "°C", "dis": f"Setpoint {floor}-{room}",
            }  # fmt: skip


def history(number: int) -> Samples:
    """A month of a room's temperature: warmer by day, each room a little different."""
    first = int(START.timestamp() * 1e6)
    step = STEP // timedelta(microseconds=1)
    count = DAYS * (timedelta(days=1) // STEP)
    per_day = timedelta(days=1) // STEP
    return Samples(
        array("q", range(first, first + count * step, step)),
        array(
            "d",
            (
                20 + number / 100 + 2 * math.sin(2 * math.pi * (at / per_day - 0.3))
                for at in range(count)
            ),
        ),
        "°C",
    )
