"""Items taken a column at a time come to what going through them one by one comes to."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import InvalidValue
from holdall.haystack.adapter.alike import columns_alike
from holdall.haystack.adapter.samples import Point, take
from holdall.haystack.kinds import NA, REMOVE, Number
from holdall.haystack.stores.histories import Samples

if TYPE_CHECKING:
    from collections.abc import Iterable

NEW_YORK = ZoneInfo("America/New_York")
ZONES = [
    UTC,
    ZoneInfo("UTC"),
    NEW_YORK,
    ZoneInfo("US/Eastern"),
    ZoneInfo.no_cache("America/New_York"),
    ZoneInfo("Australia/Lord_Howe"),
    timezone(timedelta(hours=-5)),
]
# Where the clock of New York or Lord Howe jumps, or shows an hour twice.
TURNS = ["2024-03-10T02:00", "2024-11-03T01:00", "2024-04-07T01:30", "2024-10-06T02:00"]

nan = float("nan")
floats = st.floats(width=64)
ints = st.integers(-(2**53), 2**53)
in_kilowatts = st.builds(Number, st.one_of(st.floats(allow_nan=False), ints), st.just("kW"))
named_out = st.builds(Number, ints, st.just("kilowatt"))
plain = st.builds(Number, st.one_of(floats, ints))
VALUES: dict[str, list[st.SearchStrategy[Any]]] = {
    "Number": [
        floats,
        ints,
        st.one_of(floats, ints, st.just(nan)),
        st.just(nan),
        in_kilowatts,
        st.one_of(in_kilowatts, named_out, plain),
        st.one_of(in_kilowatts, st.just(Number(nan))),
        st.one_of(in_kilowatts, floats),
    ],
    "Bool": [st.booleans()],
    "Str": [st.text(max_size=3)],
}
ODD: list[Any] = [
    NA,
    REMOVE,
    None,
    True,
    "text",
    7,
    Number(1),
    Number(1, "°C"),
    Number(2**53 + 1, "kW"),
    {"_kind": "na"},
    [1],
]
ODD_MOMENTS: list[Any] = [
    "2024-01-01",
    datetime(2024, 1, 1),  # noqa: DTZ001
    datetime(1, 1, 1, tzinfo=UTC),
    datetime(9999, 12, 31, 23, tzinfo=NEW_YORK),
    datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=3))),
]
ODD_ITEMS: list[Any] = [None, {}, {"ts": ODD_MOMENTS[2]}, {"val": 1}, ("ts", "val")]


def moments(zone: Any) -> st.SearchStrategy[datetime]:
    around = st.builds(
        lambda turn, minutes, micros, fold: (
            datetime.fromisoformat(turn) + timedelta(minutes=minutes, microseconds=micros)
        ).replace(tzinfo=zone, fold=fold),
        st.sampled_from(TURNS),
        st.integers(-90, 150),
        st.sampled_from([0, 1, 999_999]),
        st.integers(0, 1),
    )
    anywhere = st.datetimes(timezones=st.just(zone), min_value=datetime(1, 1, 2))  # noqa: DTZ001
    return st.one_of(around, anywhere)


@st.composite
def points_and_items(draw: st.DrawFn) -> tuple[Point, list[Any]]:
    """A point and items, which nearly fit it."""
    kind = draw(st.sampled_from([*["Number"] * 6, "Bool", "Str"]))
    point = Point(
        "p",
        draw(st.sampled_from([*[kind] * 5, None, "Str"])),
        draw(st.sampled_from([*["kW"] * 5, "kilowatt", None, "°C"])),
        draw(st.sampled_from([NEW_YORK, ZoneInfo("UTC"), ZoneInfo("Australia/Lord_Howe")])),
    )
    zone = draw(st.sampled_from([*[point.zone] * 9, *ZONES]))
    item = st.fixed_dictionaries({"ts": moments(zone), "val": draw(st.sampled_from(VALUES[kind]))})
    items: list[Any] = draw(st.lists(item, max_size=8))
    if draw(st.booleans()):
        items.sort(key=lambda item: item["ts"].replace(tzinfo=None))
    if items and draw(st.sampled_from([False, False, False, True])):
        at = draw(st.integers(0, len(items) - 1))
        odd = draw(st.sampled_from(["ts", "val", "item"]))
        if odd == "item":
            items[at] = draw(st.sampled_from(ODD_ITEMS))
        else:
            items[at] = items[at] | {odd: draw(st.sampled_from({"ts": ODD_MOMENTS}.get(odd, ODD)))}
    return point, items


def taken(point: Point, items: Iterable[Any]) -> Any:
    """What items come to, told apart to the bit and the kind."""
    try:
        found = take(point, items)
    except InvalidValue as error:
        return str(error)
    samples = found.samples
    vals = samples.vals
    exact = vals.tobytes() if isinstance(vals, array) else [(type(v), repr(v)) for v in vals]
    return list(samples.ts), exact, samples.unit, list(found.removed)


def item(ts: datetime, val: object) -> dict[str, Any]:
    return {"ts": ts, "val": val}


NOON = datetime(2024, 6, 15, 12, tzinfo=NEW_YORK)
POINT = Point("p", "Number", "kW", NEW_YORK)


@given(points_and_items())
@example((POINT, [item(NOON, nan), item(NOON, 1.0)]))
@example((POINT, [item(NOON, 1.0), item(NOON, nan)]))
@example((POINT, [item(NOON, 2**53 + 1), item(NOON, 1)]))
@example((POINT, [item(NOON, Number(1, "kW")), item(NOON, Number(2**53 + 1, "kW"))]))
@example((Point("p", "Number", "no unit", NEW_YORK), [item(NOON, 1.0)]))
@example((Point("p", None, None, NEW_YORK), [item(NOON, Number(1, "kW")), item(NOON, 1)]))
@example((Point("p", None, None, NEW_YORK), [item(NOON, Number(1, "kW")), item(NOON, nan)]))
@example((POINT, [item(datetime(9999, 12, 31, tzinfo=UTC), 1.0)]))
@example((POINT, [item(datetime(1, 1, 1, 23, tzinfo=UTC), 1.0)]))
@example((Point("p", None, None, NEW_YORK), [item(datetime(1, 1, 1, tzinfo=UTC), True)]))
@example((POINT, [item(NOON.replace(month=11, day=3, hour=1, fold=1), 1.0)]))
def test_all_at_once_and_one_by_one_come_to_the_same(case: tuple[Point, list[Any]]) -> None:
    point, items = case
    # What is no list is gone through one by one.
    assert taken(point, items) == taken(point, iter(items))


@pytest.mark.parametrize(
    ("point", "values"),
    [
        (POINT, [Number(1.5, "kW"), Number(2, "kilowatt")]),
        (POINT, [1.5, 2]),
        (POINT, [Number(1.5), Number(nan)]),
        (Point("p", "Bool", None, NEW_YORK), [True, False]),
        (Point("p", "Str", None, NEW_YORK), ["a", "b"]),
        (Point("p", None, None, NEW_YORK), [Number(1, "°C"), Number(2, "°C")]),
    ],
)
@pytest.mark.parametrize("zone", [NEW_YORK, ZONES[4], UTC, ZoneInfo("UTC")])
def test_what_histories_hold_mostly_is_taken_all_at_once(
    point: Point, values: list[Any], zone: Any
) -> None:
    noon = NOON.astimezone(zone)
    found = columns_alike(point, [item(noon, values[0]), item(noon + timedelta(1), values[1])])
    assert isinstance(found, Samples)


def test_items_out_of_order_are_taken_all_at_once() -> None:
    found = columns_alike(POINT, [item(NOON + timedelta(1), 1.0), item(NOON, 2.0), item(NOON, 3.0)])
    assert found is not None
    assert list(found.vals) == [3.0, 1.0]
