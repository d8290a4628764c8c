"""The order of rows, in both of the ways in which they are sorted."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.records.ordering import after_row, in_order, position_of, sort_rows
from holdall.records.paging import after
from holdall.records.query import Query, Sort
from holdall.records.stored import Stored, reader
from records.test_encoding import scalars

_NOW = datetime(2024, 1, 1, tzinfo=UTC)
_alike = st.sampled_from([st.text(), st.integers(), st.booleans(), scalars])


@st.composite
def tables(draw: st.DrawFn) -> list[Stored]:
    value = draw(_alike)
    ids = draw(st.lists(st.text(st.characters(codec="utf-8"), min_size=1), unique=True))
    fields = st.dictionaries(st.sampled_from("ab"), value)
    return [Stored(id_, draw(fields), {}, _NOW, _NOW, "v") for id_ in ids]


sorts = st.lists(
    st.builds(Sort, st.sampled_from([("a",), ("b",), ("id",)]), st.booleans(), st.booleans()),
    max_size=3,
)


@given(tables(), sorts)
def test_both_ways_sort_alike(rows: list[Stored], by: list[Sort]) -> None:
    position = position_of(by, reader)
    whole = in_order(rows, position, None)
    assert sort_rows(rows, by, reader) == whole
    assert in_order(rows, position, 2) == whole[:2]


@given(tables(), sorts)
def test_what_comes_after_a_row_is_found_by_its_values(rows: list[Stored], by: list[Sort]) -> None:
    position = position_of(by, reader)
    whole = in_order(rows, position, None)
    query: Any = Query(sorts=tuple(by))
    for at, row in enumerate(whole):
        last = after_row(by, after(query, row))
        assert [one for one in whole if position(one) > last] == whole[at + 1 :]


IN_ORDER: list[Any] = [
    False, True,
    float("nan"), float("-inf"), -1, Decimal("0.5"), 1, 2**60, float("inf"),
    "", "10", "9", "Z", "a", "é", "\U0001f600",
    b"", b"a",
    date(2024, 1, 1), date(2024, 1, 2),
    datetime(2024, 1, 1),  # noqa: DTZ001
    _NOW, _NOW + timedelta(microseconds=1),
    time(1), time(2),
    UUID(int=1), UUID(int=2),
    [2], {"a": 1},
]  # fmt: skip


def _row(number: int, **fields: Any) -> Stored:
    return Stored(f"{number:03}", fields, {}, _NOW, _NOW, "v")


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("missing_first", [False, True])
def test_values_of_all_kinds_have_this_order(descending: bool, missing_first: bool) -> None:
    rows = [_row(at, a=value) for at, value in enumerate(IN_ORDER)]
    expected = rows[::-1] if descending else rows
    missing = [_row(900), _row(901, a=None), _row(902)]
    expected = [*missing, *expected] if missing_first else [*expected, *missing]
    by = [Sort(("a",), descending, missing_first)]
    for way in (sort_rows(expected[::-1], by, reader), sort_rows(rows + missing, by, reader)):
        assert [row.id for row in way] == [row.id for row in expected]


@pytest.mark.parametrize("values", [[1, 1.0, Decimal(1)], [[2], [1]], [{"b": 1}, {"a": 1}], [None]])
@pytest.mark.parametrize("descending", [False, True])
def test_what_stands_at_one_place_is_in_the_order_of_ids(
    values: list[Any], descending: bool
) -> None:
    rows = [_row(at, a=value) for at, value in enumerate([*values, *values])]
    by = [Sort(("a",), descending)]
    assert sort_rows(rows[::-1], by, reader) == rows
    assert in_order(rows[::-1], position_of(by, reader), 2) == rows[:2]


def test_the_second_sort_counts_where_the_first_is_equal() -> None:
    rows = [_row(0, a=1, b=2), _row(1, a=1, b=3), _row(2, a=2, b=1)]
    by = [Sort(("a",)), Sort(("b",), descending=True)]
    assert [row.id for row in sort_rows(rows, by, reader)] == ["001", "000", "002"]
