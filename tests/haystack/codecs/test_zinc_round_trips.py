"""Zinc: what is written is read the same, and whoever reads or writes by column agrees."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

import phable.kinds as theirs
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from phable.io.ph_zinc import ph_from_zinc, ph_to_zinc

from holdall.core.errors import CodecError
from holdall.haystack import MARKER, NA, REMOVE, Col, Coord, Grid, Number, Ref, Symbol, XStr, same
from holdall.haystack.codecs import zinc_columns, zinc_texts
from holdall.haystack.codecs.contract import NO_LIMITS, Head
from holdall.haystack.codecs.zinc import ZINC, read_value, write_value
from holdall.haystack.codecs.zinc_texts import GridText
from holdall.haystack.codecs.zinc_writing import write_head, write_row
from holdall.haystack.kinds import Uri
from holdall.testing.haystack.strategies import grids, histories, kinds, scalars, texts

if TYPE_CHECKING:
    import random

HEAD = b'ver:"3.0"\na,b\n'

# What once was read in one way by column and in another one exactly, or raised something else.
ONCE_FAILED = [
    b'ver:"3.0"\r\na\r\nN\r',
    b'ver:"3.0"\r\na\r\nN\r\n1\r',
    b'ver:"3.0"\na\n<<ver:"3.0"\nb\n',
    HEAD + b"2024-01-01T00:00:00-05:00 New_York,\n2024-01-01T00:00:00.5-05:00 New_York,\n" * 20,
    HEAD + b'"\n",\n' * 40,
    HEAD + b'"a"b,"c"\n' * 40,
    HEAD + b",\n" * 40,
    HEAD + b",_\n",
    HEAD + b"[1]\t,{a}\n" * 3,
    HEAD + b" 1 , N \n" * 40,
    HEAD + b"2024-W05-3T12:00:00Z UTC,nan\n" * 40,
    HEAD + b"1,2\n\n" * 2,
    HEAD + b"\xef\xbb\xbf1,\0\n",
]

# In whichever way a piece can damage a text.
PIECES = [
    b",", b"\n", b'"', b"N", b"[", b"]", b"{", b"}", b"\r\n", b"\r", b" ", b"\t", b"\\", b"e", b"_",
    b"5", b"\xff", b"<<", b">>", b"`", b"(", b")", b":", b"-", b".", b"Z", b"@", b"\\ud83d", b"\0",
    b"1e999", b"INF", b"24:00:00", b" New_York", b"\xc2\x85", b'<<ver:"3.0"\na\n', b"9" * 5000,
]  # fmt: skip


@pytest.fixture(autouse=True)
def few_rows_are_read_by_column(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zinc_texts, "_FEW", 0)
    monkeypatch.setattr(zinc_columns, "_FEW", 2)


def read(pieces: list[bytes], *, by_column: bool = True) -> Grid | tuple[Any, ...]:
    """The grid, or the mistake and its place."""
    try:
        text = GridText(pieces, NO_LIMITS, by_column=by_column)
        rows = [row for block in text.blocks() for row in block]
        return Grid.of_checked(text.meta, text.cols, rows)
    except CodecError as error:
        return error.line, error.column, str(error)


def agree(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, tuple) else same(one, other)


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(kinds())
def test_a_value_is_read_as_it_was_written(value: Any) -> None:
    assert same(read_value(write_value(value)), value)


@given(grids(max_rows=30) | histories())
def test_a_grid_is_read_as_it_was_written(grid: Grid) -> None:
    assert same(ZINC.decode(ZINC.encode(grid)), grid)


@given(grids(max_rows=30) | histories())
def test_rows_written_by_column_are_those_written_one_by_one(grid: Grid) -> None:
    text = write_head(grid.meta, grid.cols)
    text += "".join(write_row(row, grid.names, "") for row in grid)
    assert ZINC.encode(grid) == text.encode()


@given(grids(max_rows=30) | histories(), st.integers(1, 60))
def test_pieces_are_read_as_the_whole(grid: Grid, size: int) -> None:
    data = b"".join(ZINC.encode_rows(Head(grid.meta, grid.cols), iter(grid)))
    head, rows = ZINC.decode_rows(iter(in_pieces(data, size)))
    assert same(Grid.of_checked(head.meta, head.cols, rows), grid)


@pytest.mark.parametrize("data", ONCE_FAILED)
def test_what_once_failed_is_read_the_same_in_every_way(data: bytes) -> None:
    exact = read([data], by_column=False)
    assert agree(read([data]), exact)
    assert agree(read(in_pieces(data, 3)), exact)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(grids(max_rows=12) | histories(max_rows=12), st.randoms(use_true_random=False))
def test_damaged_text_is_read_or_refused_the_same_in_every_way(
    grid: Grid, chance: random.Random
) -> None:
    data = bytearray(ZINC.encode(grid))
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(data) + 1)
        data[at : at + chance.choice([0, 0, 1, 5])] = chance.choice(PIECES)
    exact = read([bytes(data)], by_column=False)
    assert agree(read([bytes(data)]), exact)
    assert agree(read(in_pieces(bytes(data), chance.choice([1, 7, 50]))), exact)


@given(st.binary(max_size=80))
@example(b"\xff")
@example(b'ver:"3.0"\n')
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for text in (data, b'ver:"3.0"\n' + data, HEAD + data):
        assert agree(read([text]), read([text], by_column=False))


def test_long_grids_are_read_by_column_and_exactly_the_same() -> None:
    lines = [
        f'@p:{n},"P, {n}",M,2024-11-03T0{n % 3}:{n % 60:02}:00-0{4 + n // 1000}:00 New_York,{n}.5kW'
        for n in range(2000)
    ]
    lines[700] = lines[700].replace("M", "{x:[1,2]}")
    lines[1500] = '@a "b",,[{c}],2024-01-01T00:00:00Z,NaN'
    data = ('ver:"3.0"\nid,dis,m,ts,val\n' + "\n".join(lines)).encode()
    exact = read([data], by_column=False)
    assert agree(read([data]), exact)
    assert agree(read(in_pieces(data, 1000)), exact)


# phable, a client by others, makes floats of all numbers and decimals of degrees, takes the first
# of two equal hours for both, and leaves halves of characters as they are.


def ours(value: Any) -> Any:
    """What phable made, as our kinds."""
    if isinstance(value, theirs.Number):
        return Number(float(value.val), value.unit)
    if isinstance(value, theirs.Ref):
        return Ref(value.val, value.dis)
    if isinstance(value, theirs.Coord):
        return Coord(float(value.lat), float(value.lng))
    if isinstance(value, theirs.XStr):
        return XStr(value.type, value.val)
    if isinstance(value, theirs.Symbol):
        return Symbol(value.val)
    if isinstance(value, theirs.Uri):
        return Uri(value.val)
    if isinstance(value, (theirs.Marker, theirs.NA, theirs.Remove)):
        return {"Marker": MARKER, "NA": NA, "Remove": REMOVE}[type(value).__name__]
    if isinstance(value, dict):
        return {name: ours(item) for name, item in value.items() if name != "ver"}
    if isinstance(value, list):
        return [ours(item) for item in value]
    if isinstance(value, theirs.Grid):
        cols = [Col(col.name, ours(col.meta or {})) for col in value.cols]
        return Grid(map(ours, value.rows), meta=ours(dict(value.meta)), cols=cols)
    return value


SHARED = r"""ver:"3.0" dis:"both" list:[1.5,"two",@three "Three"] dict:{a:"b" c} m
id dis:"Id",val unit:"kW" minVal:-1.5,ts
@p:demo:r:1-a "Point, 1",72.5°F,2024-11-03T01:30:00-04:00 New_York
@a,10.6EER,2024-11-03T02:30:00-05:00 New_York
@a,5.0EUR,2010-11-28T18:21:58.123+03:00 GMT-3
@a,-INF,2010-11-28T12:22:27-03:00 GMT+3
@a,5.4e-45kW,2010-01-08T05:00:00Z UTC
^hot-water,"a \"b\" \\ \n \u00b0 \u20ac \$5",2024-01-31
`http://x/?a=b`,C(37.55,-77.45),08:12:05
T,F,NA
R,Color("red"),
,{x:1.0 y:[M,{z}]},<<
ver:"3.0"
a,b
1.0,
,"x"
>>
"""


def test_a_client_of_others_reads_the_same() -> None:
    grid = ZINC.decode(SHARED.encode())
    assert same(ours(ph_from_zinc(SHARED)), grid)
    assert same(ours(ph_from_zinc(ZINC.encode(grid).decode())), grid)


def test_what_a_client_of_others_writes_is_read() -> None:
    rows: list[dict[str, Any]] = [
        {"id": theirs.Ref("a", "it's $5"), "val": theirs.Number(1.5, "kW")},
        {"val": True},
    ]
    cols = [theirs.GridCol("id"), theirs.GridCol("val", {"unit": "kW"})]
    grid = theirs.Grid({"ver": "3.0", "dis": "x"}, cols, rows)
    assert same(ZINC.decode(str(ph_to_zinc(grid)).encode()), ours(grid))


SIMPLE = scalars(exclude=[Number, Coord, datetime])


@given(
    st.lists(st.fixed_dictionaries({"a": SIMPLE}, optional={"b": SIMPLE})),
    st.fixed_dictionaries({"dis": texts()}, optional={"c": SIMPLE, "d": st.lists(SIMPLE)}),
)
def test_a_client_of_others_reads_what_we_write(rows: Any, meta: Any) -> None:
    grid = Grid(rows, meta=meta, cols=[Col("a", meta), Col("b")])
    assert same(ours(ph_from_zinc(ZINC.encode(grid).decode())), grid)
