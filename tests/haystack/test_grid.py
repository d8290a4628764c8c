"""Grids: what they hold, that they never change, and what makes them equal."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest

from holdall.haystack import MARKER, Col, Grid, GridDraft, Number, Ref, same


def sample() -> Grid:
    return Grid(
        [{"id": Ref("a", "A"), "area": 10}, {"id": Ref("b")}, {}],
        meta={"dis": "Sites", "hot": MARKER},
        cols=["id", Col("area", {"unit": "m²"})],
    )


def test_rows_are_counted_indexed_and_gone_through() -> None:
    grid = sample()
    assert len(grid) == 3
    assert grid[1] == {"id": Ref("b")}
    assert [*grid] == [*grid.rows]


def test_a_grid_without_rows_is_true() -> None:
    assert Grid()
    assert len(Grid()) == 0


def test_columns_are_those_of_the_rows_in_the_order_of_their_coming() -> None:
    assert Grid([{"b": 1}, {"a": 1, "b": 2}]).names == ("b", "a")


def test_plain_values_are_taken_in() -> None:
    assert same(dict(Grid([{"a": 1, "b": (1.5,)}])[0]), {"a": Number(1), "b": [Number(1.5)]})


def test_none_in_a_row_is_no_value() -> None:
    grid = Grid([{"a": None, "b": 1}], cols=["a", "b"])
    assert "a" not in grid[0]
    assert grid.column("a") == [None]


def test_none_in_a_list_stays() -> None:
    assert Grid([{"a": [None]}])[0]["a"] == [None]


def test_a_column_and_its_values_are_found_by_name() -> None:
    grid = sample()
    assert grid.col("area").meta == {"unit": "m²"}
    assert grid.has_col("area")
    assert not grid.has_col("dis")
    assert grid.column("area") == [Number(10), None, None]


@pytest.mark.parametrize("find", ["col", "column"])
def test_a_column_that_is_not_there_is_a_key_error(find: str) -> None:
    with pytest.raises(KeyError):
        getattr(sample(), find)("nope")


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Grid([{"A": 1}]), "no name of a tag"),
        (lambda: Grid([{"a": {"B": 1}}]), "no name of a tag"),
        (lambda: Grid(meta={"A": 1}), "no name of a tag"),
        (lambda: Grid(cols=["A"]), "no name of a tag"),
        (lambda: Grid(cols=["a b"]), "no name of a tag"),
        (lambda: Grid(cols=[Col("a", {"B": 1})]), "no name of a tag"),
        (lambda: Grid(cols=["a", "b", "a"]), "'a' comes twice"),
        (lambda: Grid([{}, {"b": 1}], cols=["a"]), "row 1 has the tag 'b'"),
        (lambda: Grid.of_checked({}, [Col("a"), Col("a")], []), "'a' comes twice"),
        (lambda: Col(""), "no name of a tag"),
    ],
)
def test_what_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Grid([{"a": b""}]),
        lambda: Grid(meta={"a": b""}),
        lambda: Grid(cols=[Col("a", {"b": b""})]),  # type: ignore[dict-item]
    ],
)
def test_a_value_of_no_kind_is_refused(make: Any) -> None:
    with pytest.raises(TypeError, match="of no kind"):
        make()


@pytest.mark.parametrize("name", ["rows", "meta", "cols", "other"])
def test_nothing_of_a_grid_can_be_set_or_deleted(name: str) -> None:
    grid = sample()
    with pytest.raises(AttributeError, match="never changes"):
        setattr(grid, name, ())
    with pytest.raises(AttributeError, match="never changes"):
        delattr(grid, name)


@pytest.mark.parametrize("make", [sample, lambda: pickle.loads(pickle.dumps(sample()))])
def test_rows_and_tags_cannot_be_written_to(make: Any) -> None:
    grid = make()
    for mapping in (grid[0], grid.meta, grid.col("area").meta, grid.col("id").meta):
        with pytest.raises(TypeError):
            mapping["a"] = 1
    with pytest.raises(AttributeError):
        grid.rows.append({})


def test_a_grid_keeps_nothing_of_what_it_was_made_of() -> None:
    meta, row, tags = {"a": 1}, {"a": [1]}, {"unit": "kW"}
    grid = Grid([row], meta=meta, cols=[Col("a", tags)])
    meta["a"] = 2
    row["a"].append(2)
    tags["unit"] = "W"
    assert grid.meta == {"a": Number(1)}
    assert grid[0] == {"a": [Number(1)]}
    assert grid.cols[0].meta == {"unit": "kW"}


def test_a_column_keeps_nothing_of_what_it_was_made_of() -> None:
    tags = {"unit": "kW"}
    col = Col("a", tags)
    tags["unit"] = "W"
    assert col.meta == {"unit": "kW"}


def test_a_row_is_copied_by_dict() -> None:
    grid = sample()
    row = dict(grid[0])
    row["x"] = 1
    assert "x" not in grid[0]


def test_grids_are_equal_by_tags_columns_and_rows() -> None:
    assert sample() == sample()
    assert sample() != Grid(sample().rows, meta=sample().meta)
    assert sample() != sample().with_meta(x=1)
    assert sample() != Grid([], meta=sample().meta, cols=sample().cols)
    assert sample() != 1


def test_equal_grids_may_differ_in_what_is_written() -> None:
    one, other = Grid([{"a": Ref("a", "A")}]), Grid([{"a": Ref("a", "B")}])
    assert one == other
    assert not same(one, other)


def test_the_order_of_columns_counts() -> None:
    assert not same(Grid(cols=["a", "b"]), Grid(cols=["b", "a"]))


def test_not_a_number_is_the_same_in_two_grids() -> None:
    assert same(Grid([{"a": float("nan")}]), Grid([{"a": float("nan")}]))


def test_a_grid_has_no_hash() -> None:
    with pytest.raises(TypeError):
        hash(sample())


def test_a_grid_is_pickled() -> None:
    back = pickle.loads(pickle.dumps(sample()))
    assert same(back, sample())
    assert back.column("id") == sample().column("id")


def test_a_copy_of_a_grid_is_itself() -> None:
    grid = sample()
    assert copy.copy(grid) is grid
    assert copy.deepcopy(grid) is grid


def test_tags_about_a_grid_are_added_and_taken_away() -> None:
    grid = sample().with_meta(dis=None, x=1)
    assert grid.meta == {"hot": MARKER, "x": Number(1)}
    assert grid.rows == sample().rows
    assert sample().meta["dis"] == "Sites"


def test_a_grid_of_an_error() -> None:
    grid = Grid.error("Gone", "somewhere")
    assert grid.is_error
    assert grid.meta == {"err": MARKER, "dis": "Gone", "errTrace": "somewhere"}
    assert grid.names == ("empty",)
    assert "errTrace" not in Grid.error("Gone").meta
    assert not sample().is_error


def test_a_grid_shows_its_size_and_columns() -> None:
    assert repr(sample()) == "<Grid: 3 rows of id, area>"
    assert repr(Grid()) == "<Grid: 0 rows of no columns>"
    assert "error 'Gone'" in repr(Grid.error("Gone"))


def test_a_draft_takes_the_parts_of_a_grid_one_by_one() -> None:
    draft = GridDraft().meta(dis="Sites").meta(hot=MARKER).col("id").col("area", unit="m²")
    draft.row({"id": Ref("a", "A"), "area": 10}).row({"id": Ref("b")}).row({})
    assert same(draft.grid(), sample())


def test_a_draft_without_columns_takes_those_of_the_rows() -> None:
    assert GridDraft().row({"b": 1}).row({"a": 1}).grid().names == ("b", "a")


def test_a_draft_refuses_what_a_grid_refuses() -> None:
    with pytest.raises(ValueError, match="no such column"):
        GridDraft().col("a").row({"b": 1}).grid()
