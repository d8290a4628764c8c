"""The order of rows, in both of the ways in which they are sorted."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

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
