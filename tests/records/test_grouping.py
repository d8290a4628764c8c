"""Groups, distinct values, and what is computed over them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from holdall import Query
from holdall.core.errors import InvalidQuery, InvalidValue
from holdall.records.grouping import Groups
from holdall.records.record import Record
from records.exchange.samples import database

NOON = datetime(2024, 6, 1, 12, tzinfo=UTC)


def grouped(values: list[Any], by: Any = "x", **aggregates: Any) -> list[dict[str, Any]]:
    """The groups of records with these values as `x`; `...` stands for a record without it."""
    db = database(
        Record({} if value is ... else {"x": value}, f"{at:03}") for at, value in enumerate(values)
    )
    return db.group(by, **aggregates)


def distinct(values: list[Any]) -> list[int]:
    """The places of the first of each value."""
    db = database(
        Record({} if value is ... else {"x": value}, f"{at:03}") for at, value in enumerate(values)
    )
    return [int(str(one.id)) for one in db.search(Query().distinct("x"))]


SAME: list[list[Any]] = [
    [1, 1.0, Decimal(1)],
    [float("nan"), float("nan"), Decimal("NaN")],
    [NOON, NOON.astimezone(timezone(timedelta(hours=2)))],
    [[1, "a"], [1.0, "a"]],
    [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}],
    [None, None],
    [..., ...],
]
DIFFERENT: list[list[Any]] = [
    [1, True, "1", b"1", [1], {"1": 1}, None, ...],
    [[], {}, "", 0, False, b""],
    [[1, 2], [2, 1], [1], [[1, 2]]],
    [{"a": 1}, {"a": 2}, {"b": 1}, {"a": 1, "b": 1}],
    [NOON, NOON.replace(tzinfo=None), NOON.date(), NOON.time()],
]


@pytest.mark.parametrize("values", SAME, ids=str)
def test_equal_values_are_one_group(values: list[Any]) -> None:
    assert [one["n"] for one in grouped(values, n="count")] == [len(values)]
    assert distinct(values) == [0]


@pytest.mark.parametrize("values", DIFFERENT, ids=str)
def test_other_values_are_other_groups(values: list[Any]) -> None:
    assert [one["n"] for one in grouped([*values, *values], n="count")] == [2] * len(values)
    assert distinct([*values, *values]) == [*range(len(values))]


def test_groups_come_in_the_order_of_their_values_and_what_is_absent_last() -> None:
    values = [..., "b", 2, None, "a", 1, True, [1]]
    assert grouped(values) == [
        {"x": None},
        {"x": True},
        {"x": 1},
        {"x": 2},
        {"x": "a"},
        {"x": "b"},
        {"x": [1]},
        {},
    ]


def test_a_group_shows_the_first_of_its_values() -> None:
    assert [repr(one["x"]) for one in grouped([1.0, 1])] == ["1.0"]


def test_groups_of_two_fields() -> None:
    rows = [("b", 1), ("a", 2), ("a", 1), ("b", 1)]
    db = database(Record({"x": x, "y": y}, f"{at}") for at, (x, y) in enumerate(rows))
    assert db.group(["x", "y"], n="count") == [
        {"x": "a", "y": 1, "n": 1},
        {"x": "a", "y": 2, "n": 1},
        {"x": "b", "y": 1, "n": 2},
    ]
    assert db.group(("y",), Query().filter("x", "=", "b"), n="count") == [{"y": 1, "n": 2}]


@pytest.mark.parametrize(
    ("values", "answer"),
    [
        ([], {"all": 0, "n": 0, "sum": 0, "mean": None, "min": None, "max": None}),
        ([...], {"all": 1, "n": 0, "sum": 0, "mean": None, "min": None, "max": None}),
        ([None], {"all": 1, "n": 0, "sum": 0, "mean": None, "min": None, "max": None}),
        ([3, 1, 2], {"all": 3, "n": 3, "sum": 6, "mean": 2, "min": 1, "max": 3}),
        ([3, None, 1, ...], {"all": 4, "n": 2, "sum": 4, "mean": 2, "min": 1, "max": 3}),
        ([2, "b", "a"], {"all": 3, "n": 3, "sum": 2, "mean": 2, "min": 2, "max": "b"}),
        ([True, 4], {"all": 2, "n": 2, "sum": 4, "mean": 4, "min": True, "max": 4}),
        (
            [Decimal("0.5"), Decimal("1.5")],
            {"all": 2, "n": 2, "sum": 2, "mean": 1, "min": Decimal("0.5"), "max": Decimal("1.5")},
        ),
        (
            [0.5, Decimal("1.5"), 1],
            {"all": 3, "n": 3, "sum": 3, "mean": 1, "min": 0.5, "max": Decimal("1.5")},
        ),
        (
            [Decimal("1.5"), 0.5, 1],
            {"all": 3, "n": 3, "sum": 3, "mean": 1, "min": 0.5, "max": Decimal("1.5")},
        ),
    ],
    ids=str,
)
def test_what_is_computed_over_a_group(values: list[Any], answer: dict[str, Any]) -> None:
    aggregates = {name: (name, "x") for name in ("sum", "mean", "min", "max")}
    assert grouped(values, (), all="count", n=("count", "x"), **aggregates) == [answer]


@pytest.mark.parametrize(
    ("values", "total"),
    [
        ([1, 2], 3),
        ([0.5, 0.25, 1], 1.75),
        ([1, 0.1, 0.2], 1.3),
        ([Decimal("0.1"), 1, Decimal("0.2")], Decimal("1.3")),
        ([0.5, Decimal(1), 0.25], Decimal("1.75")),
        ([Decimal(1), 0.5, 1], Decimal("2.5")),
    ],
    ids=str,
)
def test_a_sum_is_exact_where_there_is_a_decimal_and_no_decimal_otherwise(
    values: list[Any], total: Any
) -> None:
    (row,) = grouped(values, (), total=("sum", "x"))
    assert (type(row["total"]), row["total"]) == (type(total), total)


@pytest.mark.parametrize(
    ("values", "total", "mean"),
    [
        (
            [Decimal("1E+28"), Decimal(1)],
            Decimal(10**28 + 1),
            Decimal("5000000000000000000000000000.5"),
        ),
        ([10**30, Decimal(1)], Decimal(10**30 + 1), Decimal("500000000000000000000000000000.5")),
        ([Decimal("1E+999999"), Decimal("9E+999999")], Decimal("1E+1000000"), Decimal("5E+999999")),
        ([Decimal("1E+999999")], Decimal("1E+999999"), Decimal("1E+999999")),
        (
            [Decimal(1), Decimal(1), Decimal(0)],
            Decimal(2),
            Decimal("0.6666666666666666666666666667"),
        ),
        (
            [0.1, 0.2, Decimal(0)],
            Decimal("0.3000000000000000166533453693773481063544750213623046875"),
            None,
        ),
        ([2**53 + 1, 0.5], 9007199254740994.0, 4503599627370497.0),
        ([0.1] * 10, 1.0, 0.1),
        ([1e308, 1e308, -1e308], 1e308, 1e308 / 3),
        ([10**400, -(10**400), 0.5], 0.5, 0.5 / 3),
        ([10**400, 1], 10**400 + 1, None),
        ([float("inf"), 1], float("inf"), float("inf")),
    ],
    ids=lambda value: str(value)[:40],
)
def test_sums_are_exact(values: list[Any], total: Any, mean: Any) -> None:
    for given in (values, values[::-1]):
        (row,) = grouped(given, (), total=("sum", "x"))
        assert (type(row["total"]), row["total"]) == (type(total), total)
        if mean is not None:
            (row,) = grouped(given, (), mean=("mean", "x"))
            assert (type(row["mean"]), row["mean"]) == (type(mean), mean)


@pytest.mark.parametrize("kind", [float, Decimal])
def test_infinities_that_meet_are_no_number(kind: Any) -> None:
    (row,) = grouped([kind("inf"), kind("-inf")], (), total=("sum", "x"), mean=("mean", "x"))
    assert [str(row[name]).lower() for name in ("total", "mean")] == ["nan", "nan"]


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("mean", [10**400]),
        ("sum", [10**400, 1.5]),
        ("mean", [10**400, 1.5]),
        ("sum", [1e308, 1e308]),
        ("sum", [Decimal("1E+20000"), Decimal(1)]),
        ("sum", [Decimal("1E+20000"), 1]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_has_no_sum_is_named(kind: str, values: list[Any]) -> None:
    for given in (values, values[::-1]):
        with pytest.raises(InvalidValue, match=f"the {kind} of 'x' cannot be told"):
            grouped(given, (), answer=(kind, "x"))


def test_a_group_keeps_the_first_of_equal_extremes() -> None:
    (low,) = grouped([1.0, 1], (), low=("min", "x"), high=("max", "x"))
    assert (repr(low["low"]), repr(low["high"])) == ("1.0", "1.0")


@pytest.mark.parametrize(
    "what", ["total", "sum", "min", "max", "mean", ("median", "x"), ("sum", None), ("mean",)]
)
def test_what_cannot_be_computed_is_named(what: Any) -> None:
    with pytest.raises(InvalidQuery, match="n="):
        Groups("x", {"n": what})


def test_a_name_stands_for_one_thing() -> None:
    for by in ("x", ["y", "x"]):
        with pytest.raises(InvalidQuery, match="'x' is grouped by"):
            Groups(by, {"x": "count"})
