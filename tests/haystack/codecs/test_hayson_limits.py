"""Hayson: what hostile input does not do, and what a grid cannot be written for."""

from __future__ import annotations

from typing import Any

import pytest

from holdall.core.errors import CodecError
from holdall.haystack import Col, Grid, Ref
from holdall.haystack.codecs.contract import Limits
from holdall.haystack.codecs.hayson import HAYSON


def decode(text: str | bytes, **limits: int) -> Grid:
    data = text if isinstance(text, bytes) else text.encode()
    return HAYSON.decode(data, limits=Limits(**limits))


def refused(text: str | bytes, **limits: int) -> CodecError:
    with pytest.raises(CodecError) as caught:
        decode(text, **limits)
    return caught.value


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '{"_kind":"grid","rows":[{"a":'])
def test_a_million_levels_are_refused_without_recursion(opening: str) -> None:
    assert "deeper" in str(refused(opening * 1_000_000))


def nested(levels: int) -> str:
    return '[{"a":' + "[" * levels + "]" * levels + "}]"


def test_the_limit_of_depth_counts_lists_and_dicts() -> None:
    assert len(decode(nested(100))) == 1
    assert "100 deep" in str(refused(nested(101)))
    assert "2 deep" in str(refused('[{"a":{"b":{"c":{}}}}]', depth=2))


def test_the_limit_of_depth_counts_grids() -> None:
    grid = Grid([{"a": 1}])
    for _ in range(3):
        grid = Grid([{"a": grid}])
    data = HAYSON.encode(grid)
    assert len(decode(data, depth=3)) == 1
    assert "2 deep" in str(refused(data, depth=2))


def test_without_a_limit_what_is_too_deep_is_still_refused() -> None:
    assert "too deep" in str(refused(nested(100_000), depth=0))


def test_the_limit_of_size_counts_bytes() -> None:
    assert len(decode("[{}]", size=4)) == 1
    assert "4 bytes" in str(refused("[{} ]", size=4))


@pytest.mark.parametrize(
    "text",
    [
        '{"_kind":"grid","cols":[{"name":"a"},{"name":"b"},{"name":"c"}],"rows":[]}',
        '[{"a":1,"b":2,"c":3}]',
        '[{"a":1},{"b":2},{"c":3}]',
        '[{"a":{"_kind":"grid","rows":[{"a":1,"b":2,"c":3}]}}]',
    ],
)
def test_the_limit_of_columns_holds(text: str) -> None:
    assert len(decode(text, columns=3)) < 4
    assert "limit, 2" in str(refused(text, columns=2))


def test_the_limit_of_rows_counts_nested_ones() -> None:
    text = '[{"a":{"_kind":"grid","rows":[{},{}]}},{}]'
    assert len(decode(text, rows=4)) == 2
    assert "limit, 3" in str(refused(text, rows=3))


@pytest.mark.parametrize(
    ("grid", "part"),
    [
        (Grid([{"a": 1}, {"a": "x", "b": "\ud800"}]), "row 1, 'b': .*surrogate"),
        (Grid([{"a": Ref("a", "\udfff")}]), "row 0, 'a': .*surrogate"),
        (Grid([{"a": [{"b": "\ud800"}]}]), "row 0, 'a': .*surrogate"),
        (Grid([{"a": 10**5000}]), "row 0, 'a': .*4300 digits"),
        (Grid(meta={"dis": "\ud800"}), "tags of the grid, 'dis': .*surrogate"),
        (Grid(cols=[Col("a", {"b": "\ud800"})]), "column 'a', 'b': .*surrogate"),
    ],
)
def test_what_cannot_be_written_is_named(grid: Grid, part: str) -> None:
    with pytest.raises(CodecError, match=part):
        HAYSON.encode(grid)


def test_the_row_is_named_among_thousands() -> None:
    rows: list[dict[str, Any]] = [{"a": at} for at in range(2000)]
    rows[1500]["a"] = "\ud800"
    with pytest.raises(CodecError, match="row 1500, 'a'"):
        HAYSON.encode(Grid(rows))
