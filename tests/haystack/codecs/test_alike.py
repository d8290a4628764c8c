"""Columns of one kind are read and written together, which comes to the same as one by one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import CodecError
from holdall.haystack import MARKER, NA, Col, Grid, Number, Ref, Symbol, same
from holdall.haystack.codecs import zinc_columns, zinc_texts
from holdall.haystack.codecs.contract import NO_LIMITS, Codec, Head, Limits
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.hayson_reading import HaysonReading
from holdall.haystack.codecs.hayson_writing import HaysonWriting
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.codecs.zinc_texts import GridText
from holdall.haystack.codecs.zinc_writing import write_head, write_row
from holdall.haystack.kinds import Uri
from holdall.haystack.zones import zone
from holdall.testing.haystack.samples import nameless_zone
from holdall.testing.haystack.strategies import moments, numbers, refs, texts, units

if TYPE_CHECKING:
    import random

NEW_YORK = zone("New_York")
SPRING = datetime(1973, 4, 29, 1, 55, tzinfo=NEW_YORK)  # a clock jumps five minutes later


@pytest.fixture(autouse=True)
def few_rows_are_read_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zinc_texts, "_FEW", 0)
    monkeypatch.setattr(zinc_columns, "_FEW", 2)


def plain_numbers(unit: str | None) -> st.SearchStrategy[Number]:
    values = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    return st.builds(Number, values | st.sampled_from([5e-5, 10.00001, 1e16, -0.0, 10**30, 0]),
                     st.just(unit))  # fmt: skip


def clocks(city: str) -> st.SearchStrategy[datetime]:
    at = zone(city)
    steps = st.integers(0, 300) | st.integers(0, 8_000_000)
    return steps.map(lambda step: (SPRING + timedelta(minutes=5 * step)).replace(tzinfo=at))


def columns() -> st.SearchStrategy[st.SearchStrategy[Any]]:
    """Ways to fill a column with values of one kind."""
    return st.one_of(
        st.just(st.just(MARKER)),
        st.just(st.booleans()),
        st.just(texts()),
        st.just(st.text("ab ,(°", max_size=4)),
        st.just(refs()),
        st.just(st.from_regex("[a-z0-9:.~-]{1,6}", fullmatch=True).map(Ref)),
        st.just(numbers()),
        st.builds(plain_numbers, st.none() | units()),
        st.just(moments()),
        st.builds(clocks, st.sampled_from(["New_York", "UTC", "London", "GMT+5", "Lord_Howe"])),
        st.just(st.sampled_from([NA, Symbol("a"), Uri("b"), [], {}])),
    )


@st.composite
def alike_grids(draw: st.DrawFn) -> Grid:
    count = draw(st.integers(2, 8))
    ways = draw(st.lists(columns(), min_size=1, max_size=5))
    cols = [draw(st.lists(way, min_size=count, max_size=count)) for way in ways]
    names = [f"c{at}" for at in range(len(ways))]
    return Grid((dict(zip(names, row, strict=True)) for row in zip(*cols, strict=True)), cols=names)


def outcome(codec: Codec, data: bytes, limits: Limits = NO_LIMITS) -> Grid | tuple[Any, ...]:
    """The grid, or the mistake and its place."""
    try:
        return codec.decode(data, limits=limits)
    except CodecError as error:
        return error.line, error.column, str(error)


def exactly(codec: Codec, data: bytes) -> Grid | tuple[Any, ...]:
    """The same, value by value."""
    if codec is HAYSON:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(HaysonReading, "alike", lambda *_: None)
            return outcome(codec, data)
    try:
        text = GridText([data], NO_LIMITS, by_column=False)
        return Grid.of_checked(
            text.meta, text.cols, (row for rows in text.blocks() for row in rows)
        )
    except CodecError as error:
        return error.line, error.column, str(error)


def agree(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, tuple) else same(one, other)


BOTH = pytest.mark.parametrize("codec", [ZINC, HAYSON], ids=["zinc", "hayson"])


@BOTH
@given(grid=alike_grids())
def test_columns_of_one_kind_are_read_as_they_were_written(codec: Codec, grid: Grid) -> None:
    data = codec.encode(grid)
    assert same(codec.decode(data), grid)
    assert agree(codec.decode(data), exactly(codec, data))


@given(alike_grids())
def test_zinc_of_columns_of_one_kind_is_that_of_single_values(grid: Grid) -> None:
    text = write_head(grid.meta, grid.cols)
    text += "".join(write_row(row, grid.names, "") for row in grid)
    assert ZINC.encode(grid) == text.encode()


@given(alike_grids())
def test_hayson_of_columns_of_one_kind_is_that_of_single_values(grid: Grid) -> None:
    data = HAYSON.encode(grid)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HaysonWriting, "alike", lambda *_: None)
        one_by_one = HAYSON.encode(grid)
    assert data.replace(b'+00:00"', b'Z"') == one_by_one.replace(b'+00:00"', b'Z"')


# In whichever way a piece can damage a text.
PIECES = [
    b",", b"\n", b'"', b"N", b"[", b"{", b"}", b" ", b"\t", b"\\", b"e", b"_", b"5", b"\xff", b"`",
    b"(", b":", b"-", b".", b"Z", b"@", b"1e999", b"INF", b"24:00:00", b" New_York", b"9" * 5000,
    b"0", b"null", b"true", b'"tz":null,', b'"unit":5,', b"T", b"-05:00", b"kW", b".123", b"\r",
]  # fmt: skip


@BOTH
@given(grid=alike_grids(), chance=st.randoms(use_true_random=False))
def test_damaged_columns_are_read_or_refused_as_value_by_value(
    codec: Codec, grid: Grid, chance: random.Random
) -> None:
    data = bytearray(codec.encode(grid))
    start = data.index(b'"rows"' if codec is HAYSON else b"\n")
    for _ in range(chance.randint(1, 3)):
        at = chance.randint(start, len(data))
        data[at : at + chance.choice([0, 0, 1, 5])] = chance.choice(PIECES)
    assert agree(outcome(codec, bytes(data)), exactly(codec, bytes(data)))


HEAD = 'ver:"3.0"\nts,val\n'
CELLS = {
    "an offset that the zone has not": "2024-01-01T00:05:00-04:00 New_York,1kW",
    "a second offset after the name": "2024-01-01T00:05:00Z-05:00 New_York,1kW",
    "letters for an offset": "2024-01-01T00:05:00xy,1kW",
    "no name": "2024-01-01T00:05:00-05:00,1kW",
    "an hour that comes twice": "2024-11-03T01:30:00-05:00 New_York,1kW",
    "an hour that never comes": "2024-03-10T02:30:00-05:00 New_York,1kW",
    "a fraction": "2024-01-01T00:05:00.125-05:00 New_York,1kW",
    "a fraction that is too fine": "2024-01-01T00:05:00.1234567-05:00 New_York,1kW",
    "a fraction of one digit": "2024-01-01T00:05:00.1-05:00 New_York,1kW",
    "a space for the T": "2024-01-01 00:05:00-05:00 New_York,1kW",
    "a small t": "2024-01-01t00:05:00-05:00 New_York,1kW",
    "another unit": "2024-01-01T00:05:00-05:00 New_York,1kWh",
    "no unit": "2024-01-01T00:05:00-05:00 New_York,1",
    "a space before the unit": "2024-01-01T00:05:00-05:00 New_York,1 kW",
    "an int": "2024-01-01T00:05:00-05:00 New_York,1kW",
    "zeros before a number": "2024-01-01T00:05:00-05:00 New_York,007kW",
    "underscores": "2024-01-01T00:05:00-05:00 New_York,1_000kW",
    "an exponent": "2024-01-01T00:05:00-05:00 New_York,1e-7kW",
    "no float": "2024-01-01T00:05:00-05:00 New_York,1e999kW",
    "a minus alone": "2024-01-01T00:05:00-05:00 New_York,-kW",
    "a point alone": "2024-01-01T00:05:00-05:00 New_York,1.kW",
    "nothing": "2024-01-01T00:05:00-05:00 New_York,",
    "three cells": "2024-01-01T00:05:00-05:00 New_York,1kW,2kW",
    "one cell": "2024-01-01T00:05:00-05:00 New_York",
    "a tab": "2024-01-01T00:05:00-05:00 New_York,1kW\t",
}


@pytest.mark.parametrize("line", CELLS.values(), ids=CELLS)
def test_an_odd_line_in_a_history_is_read_or_refused_as_it_is_alone(line: str) -> None:
    lines = [f"2024-01-01T{at // 12:02}:{at % 12 * 5:02}:00-05:00 New_York,{at}.5kW"
             for at in range(200)]  # fmt: skip
    for at in (0, 1, 150, 199):
        some = [*lines[:at], line, *lines[at + 1 :]]
        data = (HEAD + "\n".join(some) + "\n").encode()
        assert agree(outcome(ZINC, data), exactly(ZINC, data))


ODD_CELLS = [
    *(
        ("1 2 4 5", cell)
        for cell in ["3\t", "\t3", "3 ", "3,4", "[3]", "03", "3kW", "N", "", "nan"]
    ),
    *(("@a @b @c @d", cell) for cell in ["@", "@e f", "@é", '@e "E"', "@@e", "e", "@e@", "@e,@f"]),
    *(
        ('"a" "b" "c" "d"', cell)
        for cell in ['"', '""', '"e"f', '"e" "f"', '"\\n"', '"\t"', '"\x01"', '"e\nf"', "e"]
    ),
]


@pytest.mark.parametrize(("others", "cell"), ODD_CELLS)
def test_an_odd_cell_in_a_column_is_read_or_refused_as_it_is_alone(others: str, cell: str) -> None:
    cells = others.split(" ")
    for column in ([*cells[:3], cell, cells[3]], [*cells, cell], [cell, *cells]):
        for line in ("{}\n", "{},1\n", '{},"\\n"\n'):
            head = 'ver:"3.0"\nval\n' if line == "{}\n" else 'ver:"3.0"\nval,b\n'
            data = (head + "".join(map(line.format, column))).encode()
            assert agree(outcome(ZINC, data), exactly(ZINC, data))


ODD_SECONDS: dict[str, list[dict[str, Any]]] = {
    "one tag more": [{"a": "x"}, {"a": "x", "b": "y"}],
    "another tag": [{"a": "x"}, {"b": "y"}],
    "another kind": [{"a": "x"}, {"a": Ref("x")}],
    "no number that is finite": [{"a": Number(1.5)}, {"a": Number(float("inf"))}],
    "another unit": [{"a": Number(1.5, "kW")}, {"a": Number(1.5, "kWh")}],
    "a name to display": [{"a": Ref("x")}, {"a": Ref("x", "X")}],
    "another zone": [{"a": SPRING}, {"a": SPRING.replace(tzinfo=zone("GMT+5"))}],
    "years ago": [{"a": SPRING}, {"a": SPRING.replace(year=1972)}],
}


@BOTH
@pytest.mark.parametrize("rows", ODD_SECONDS.values(), ids=ODD_SECONDS)
def test_a_second_row_unlike_the_first_is_written_and_read(codec: Codec, rows: list[Any]) -> None:
    for some in (rows, rows[::-1], rows * 3):
        grid = Grid(some, cols=["a", "b"])
        assert same(codec.decode(codec.encode(grid)), grid)


@pytest.mark.parametrize("codec", [ZINC, HAYSON, JSON3], ids=["zinc", "hayson", "json3"])
@pytest.mark.parametrize("city", ["Europe/Berlin", "Europe/London", "Asia/Kolkata"])
def test_moments_of_a_zone_without_a_name_stay_those_moments(codec: Codec, city: str) -> None:
    at = nameless_zone(city)
    rows = [{"ts": datetime(2024, month, 15, 12, tzinfo=at)} for month in (1, 7, 1)]
    for some in (rows, rows[1:]):
        assert codec.decode(codec.encode(Grid(some))) == Grid(some)


@pytest.mark.parametrize("row", [b'{"a":"x","c":5}', b'{"a":"x","b":5,"c":5}', b'{"c":"x"}'])
def test_a_tag_without_a_column_in_a_later_row_is_refused(row: bytes) -> None:
    rows = b'{"a":"x","b":5},' * 3 + row
    with pytest.raises(CodecError, match="'c'"):
        HAYSON.decode(b'{"_kind":"grid","cols":[{"name":"a"},{"name":"b"}],"rows":[' + rows + b"]}")


def test_a_tag_without_a_column_in_all_rows_is_refused() -> None:
    rows = b",".join([b'{"a":"x","c":5}'] * 3)
    with pytest.raises(CodecError, match="'c'"):
        HAYSON.decode(b'{"_kind":"grid","cols":[{"name":"a"}],"rows":[' + rows + b"]}")


@BOTH
def test_moments_at_an_offset_of_seconds_are_refused(codec: Codec) -> None:
    rows = [{"ts": datetime(1960, 1, day, tzinfo=zone("Monrovia"))} for day in (1, 2, 3)]
    with pytest.raises(CodecError, match="seconds"):
        list(codec.encode_rows(Head(cols=[Col("ts")]), rows))


def test_cells_that_moved_to_the_line_before_are_refused() -> None:
    data = b'ver:"3.0"\na,b\n' + b"1,2\n3,4,5\n6\n" * 20
    assert agree(outcome(ZINC, data), exactly(ZINC, data))
    with pytest.raises(CodecError, match="after 2 cells") as found:
        ZINC.decode(data)
    assert (found.value.line, found.value.column) == (4, 4)


@pytest.mark.parametrize("value", [5e-5, 1e-4, 1e-7, 1e16, 1e15, 10.00001, -0.0, 10**30])
def test_a_number_is_written_alike_in_a_column_and_alone(value: float) -> None:
    grid = Grid([{"a": Number(0.5)}, {"a": Number(value)}])
    assert ZINC.encode(grid) == b'ver:"3.0"\na\n0.5\n' + repr(value).encode() + b"\n"


def test_commas_and_brackets_in_texts_are_part_of_them() -> None:
    grid = Grid({"a": f"x, {at} (°F) [1] {{b}} <<", "b": Number(at + 0.5)} for at in range(200))
    assert same(ZINC.decode(ZINC.encode(grid)), grid)


def test_an_unknown_zone_of_a_column_is_refused_where_it_stands() -> None:
    row = '{"ts":{"_kind":"dateTime","val":"2024-01-01T00:00:00Z","tz":"Atlantis"}}'
    data = f'{{"_kind":"grid","cols":[{{"name":"ts"}}],"rows":[\n{row},\n{row}]}}'.encode()
    with pytest.raises(CodecError, match="Atlantis") as found:
        HAYSON.decode(data)
    assert found.value.line == 2
