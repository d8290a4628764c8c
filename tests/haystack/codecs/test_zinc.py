"""Zinc: the standard's own shapes, nesting, limits, and where a mistake is."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from holdall.core.errors import CodecError
from holdall.haystack import MARKER, Col, Grid, Number, Ref, Uri, XStr, same
from holdall.haystack.codecs.contract import Head, Limits
from holdall.haystack.codecs.zinc import ZINC, read_value, write_value

TWO = 'ver:"3.0"\na,b\n'


def decoded(text: str) -> Grid:
    return ZINC.decode(text.encode())


def test_two_columns_and_two_rows() -> None:
    grid = decoded('ver:"3.0"\nfirstName,bday\n"Jack",1973-07-23\n"Jill",1975-11-15\n')
    rows = [
        {"firstName": "Jack", "bday": date(1973, 7, 23)},
        {"firstName": "Jill", "bday": date(1975, 11, 15)},
    ]
    assert same(grid, Grid(rows))


def test_tags_about_the_grid_and_its_columns() -> None:
    grid = decoded(
        'ver:"3.0" database:"test" err dis: "Site Energy"\n'
        'siteName dis:"Sites", val dis:"Value" unit:"kW" foo\n'
        '"Site 1", 356.214kW\n'
    )
    cols = [
        Col("siteName", {"dis": "Sites"}),
        Col("val", {"dis": "Value", "unit": "kW", "foo": MARKER}),
    ]
    meta = {"database": "test", "err": MARKER, "dis": "Site Energy"}
    rows = [{"siteName": "Site 1", "val": Number(356.214, "kW")}]
    assert same(grid, Grid(rows, meta=meta, cols=cols))


def test_null_and_an_empty_cell_are_no_value() -> None:
    grid = decoded('ver:"3.0"\na,b,c,d,e,f\n"a",N,2,N,N,"z"\n"a",,2,,,"z"\n,,,,,\n')
    assert [dict(row) for row in grid] == [{"a": "a", "c": Number(2), "f": "z"}] * 2 + [{}]


def test_a_row_of_one_column_without_a_value_is_written_as_null() -> None:
    grid = Grid([{}, {"a": 1}, {}], cols=["a"])
    assert ZINC.encode(grid) == b'ver:"3.0"\na\nN\n1\nN\n'
    assert same(ZINC.decode(ZINC.encode(grid)), grid)


def test_lists_dicts_and_grids_in_cells() -> None:
    grid = decoded(
        'ver:"3.0"\ntype,val\n"list",[1,2,3]\n"dict",{dis:"Dict!" foo}\n'
        '"grid",<<\n  ver:"2.0"\n  a,b\n  1,2\n  3,4\n  >>\n"scalar","simple string"\n'
    )
    assert grid[0]["val"] == [Number(1), Number(2), Number(3)]
    assert grid[1]["val"] == {"dis": "Dict!", "foo": MARKER}
    assert same(grid[2]["val"], Grid([{"a": 1, "b": 2}, {"a": 3, "b": 4}]))
    assert grid[3]["val"] == "simple string"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", []),
        ("[ 1 , N ,]", [Number(1), None]),
        ("[\n  1,\r\n\t2\n]", [Number(1), Number(2)]),
        ("{}", {}),
        ("{a, b:1,}", {"a": MARKER, "b": Number(1)}),
        ("{a:N b}", {"a": None, "b": MARKER}),
        ("{\n  a: 1\n  b\n}", {"a": Number(1), "b": MARKER}),
        ('{id:@a "x, y" b:[{c:{d}}]}', {"id": Ref("a"), "b": [{"c": {"d": MARKER}}]}),
        ('<<ver:"3.0"\na\n>>', Grid(cols=["a"])),
        ('<<ver:"3.0" m:[1]\na x, b\n1,>>', None),
        ("\n 5kW \n", Number(5, "kW")),
    ],
)
def test_a_value_with_others_in_it_is_read(text: str, value: Any) -> None:
    read = read_value(text)
    assert value is None or read == value
    assert same(read_value(write_value(read)), read)


def test_lines_may_end_in_carriage_returns() -> None:
    text = 'ver:"3.0" a\r\na,b\r\n1,\r\n,"x"\r\n[1],<<\r\nver:"3.0"\r\nc\r\n1\r\n>>\r\n\r\n'
    assert same(decoded(text), decoded(text.replace("\r", "")))
    assert [dict(row) for row in decoded(text)][:2] == [{"a": Number(1)}, {"b": "x"}]


def test_version_two_with_its_binary_type() -> None:
    grid = decoded('ver:"2.0"\na,b\nBin(text/plain),`x`\n')
    assert [dict(row) for row in grid] == [{"a": XStr("Bin", "text/plain"), "b": Uri("x")}]


def test_names_of_zones_end_where_the_cell_ends() -> None:
    grid = decoded(
        'ver:"2.0"\nts,val,m\n'
        "2015-01-01T00:00:00-10:00 GMT+10,5°C,M\n"
        "2015-01-01T00:00:00+10:00 GMT-10,5EUR,M\n"
        "2015-01-01T00:00:00-05:00 Port-au-Prince,10.6EER,\n"
    )
    zones = [str(row["ts"].tzinfo) for row in grid]  # type: ignore[union-attr]
    assert zones == ["Etc/GMT+10", "Etc/GMT-10", "America/Port-au-Prince"]
    assert grid.column("val") == [Number(5, "°C"), Number(5, "EUR"), Number(10.6, "EER")]
    assert grid.column("m") == [MARKER, MARKER, None]


def test_a_moment_without_a_zone_name_may_stand_before_a_tag() -> None:
    assert set(decoded('ver:"3.0" ts:2024-01-01T00:00:00Z foo\na\n').meta) == {"ts", "foo"}


def test_an_error_grid_is_read_the_same() -> None:
    grid = Grid.error("It broke", "line 1\nline 2")
    assert ZINC.decode(ZINC.encode(grid)).is_error
    assert same(ZINC.decode(ZINC.encode(grid)), grid)


def test_a_grid_without_columns_is_written_with_one_that_is_called_empty() -> None:
    assert ZINC.encode(Grid()) == b'ver:"3.0"\nempty\n'
    assert ZINC.decode(ZINC.encode(Grid(meta={"a": 1}))).meta == {"a": Number(1)}


@pytest.mark.parametrize("end", ["", "\n", "\n\n \n"])
def test_a_grid_may_end_without_or_with_empty_lines(end: str) -> None:
    assert len(decoded(f"{TWO}1,2\n3,4{end}")) == 2
    assert len(decoded(f'ver:"3.0"\na{end}')) == 0


def test_a_byte_order_mark_is_skipped() -> None:
    assert ZINC.decode(b'\xef\xbb\xbfver:"3.0"\na\n1\n').names == ("a",)


def test_the_version_is_no_tag_even_when_it_comes_twice() -> None:
    assert decoded('ver:"3.0" ver:"3.0" a\nb\n').meta == {"a": MARKER}


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("", 1, 1, 'expected ver:"3.0", not the end'),
        ('ver:"4.0"\na\n', 1, 5, 'not "4.0"'),
        ("ver:3\na\n", 1, 5, "not 3"),
        ('ver:"3.0"', 1, 10, "expected the columns"),
        ('ver:"3.0"a\nb\n', 1, 10, "expected a space before the next tag"),
        ('ver:"3.0" a:1,b\nc\n', 1, 14, "expected a space and a tag, or the end of the line"),
        ('ver:"3.0" a:1 a:2\nb\n', 1, 15, "the tag 'a' comes twice"),
        ('ver:"3.0"\na,,b\n', 2, 3, "expected the name of a column, not ','"),
        ('ver:"3.0"\na,B\n', 2, 3, "expected the name of a column, not 'B'"),
        ('ver:"3.0"\na,a\n', 2, 3, "the column 'a' comes twice"),
        ('ver:"3.0"\na b c:\n', 2, 7, "expected a value, not '\\n'"),
        (TWO + "1\n", 3, 2, "expected 2 cells, and the row has 1"),
        (TWO + "1,2,3\n", 3, 4, "expected the end of the row after 2 cells"),
        (TWO + '"x" zzz,2\n', 3, 5, "expected a comma, not 'zzz'"),
        (TWO + "zzz,2\n", 3, 1, "expected a value, not 'zzz'"),
        (TWO + "1,2\n3,4x5\n", 4, 3, "expected a value, not '4x5'"),
        (TWO + "1,2\n\n3,4\n", 5, 1, "because an empty line ends a grid"),
        (TWO + "1,2\r3,4\n", 3, 4, "expected the end of the row"),
        (TWO + '1,"ä😀\n', 3, 6, 'expected the " at the end of a Str'),
        (TWO + "1,[1,2\n", 4, 1, "expected a comma or ], not the end"),
        (TWO + "1,{a:1b c:d}\n", 3, 11, "expected a value, not 'd'"),
        (TWO + "1,{a:1,,b}\n", 3, 8, "expected the name of a tag or }"),
        (TWO + '1,<<\nver:"3.0"\nc\n1,2>>\n', 6, 2, "expected the end of the row after 1 cells"),
        (TWO + '1,<<\nver:"3.0"\nc\n1\n\n2\n>>\n', 8, 1, "expected >>"),
        (TWO + '1,<<\nver:"3.0"\nc\n1\n', 7, 1, "expected a row or >>, not the end"),
        (TWO + "1,2024-01-01T00:00:00-04:00 New_York\n", 3, 3, "New_York is at -05:00"),
    ],
)
def test_a_mistake_is_refused_with_its_place(
    text: str, line: int, column: int, message: str
) -> None:
    with pytest.raises(CodecError) as caught:
        decoded(text)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert message in str(caught.value)


def test_bytes_that_are_no_utf8_are_refused_with_their_place() -> None:
    with pytest.raises(CodecError, match="line 4, column 4: 0xff is no UTF-8"):
        ZINC.decode(TWO.encode() + "1,2\nä,b".encode() + b"\xff,1\n")
    with pytest.raises(CodecError, match="line 3, column 1: expected a value"):
        ZINC.decode(TWO.encode() + b"zzz,\n\xff\n")


def test_a_value_begins_where_the_caller_says() -> None:
    with pytest.raises(CodecError) as caught:
        read_value("[1,\n zzz]", line=7, column=5)
    assert (caught.value.line, caught.value.column) == (8, 2)
    with pytest.raises(CodecError) as caught:
        read_value("[zzz]", line=7, column=5)
    assert (caught.value.line, caught.value.column) == (7, 6)


def test_depth_is_limited_and_takes_no_stack() -> None:
    deep = "[" * 100 + "]" * 100
    assert write_value(read_value(deep)) == deep
    with pytest.raises(CodecError, match="line 1, column 101: expected at most 100 lists"):
        read_value(f"[{deep}]")
    deeper = "[" * 50_000 + "]" * 50_000
    assert write_value(read_value(deeper, limits=Limits(depth=0))) == deeper
    nested = '<<ver:"3.0"\na\n' * 101
    with pytest.raises(CodecError, match="expected at most 100 lists, dicts and grids"):
        read_value(nested)
    with pytest.raises(CodecError, match="expected a row or >>"):
        read_value(nested, limits=Limits(depth=0))


def test_rows_columns_and_size_are_limited() -> None:
    data = b'ver:"3.0"\na,b\n' + b"1,2\n" * 100
    assert len(ZINC.decode(data, limits=Limits(rows=100, columns=2, size=len(data)))) == 100
    with pytest.raises(CodecError, match="line 102, column 1: expected at most 99 rows"):
        ZINC.decode(data, limits=Limits(rows=99))
    with pytest.raises(CodecError, match="line 2, column 3: expected at most 1 columns"):
        ZINC.decode(data, limits=Limits(columns=1))
    with pytest.raises(CodecError, match=f"expected at most {len(data) - 1} bytes"):
        ZINC.decode(data, limits=Limits(size=len(data) - 1))
    nested = b'ver:"3.0"\na\n<<ver:"3.0"\nb\n1\n2\n>>\n'
    with pytest.raises(CodecError, match="line 6, column 1: expected at most 1 rows"):
        ZINC.decode(nested, limits=Limits(rows=1))


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1}, {"b": "\ud800"}], "row 1, column 'b': .*half of a character"),
        ([{"a": [{"x": "\udfff"}]}], "row 0, column 'a': .*half of a character"),
        ([{"a": Number(10**5000)}], "row 0, column 'a': a whole number of more than"),
        ([{"a": b"x"}], "row 0, column 'a': bytes is no kind"),
        ([{"a": 1, "z": 2}], "row 0 has the tag 'z', and the grid no such column"),
    ],
)
def test_what_cannot_be_written_is_named(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(CodecError, match=message):
        list(ZINC.encode_rows(Head({}, (Col("a"), Col("b"))), rows))


def test_a_tag_that_cannot_be_written_is_named() -> None:
    with pytest.raises(CodecError, match=r"the grid, tag 'x': .*half of a character"):
        ZINC.encode(Grid(meta={"x": "\ud800"}, cols=["a"]))
    with pytest.raises(CodecError, match=r"column 'a', tag 'x': .*half of a character"):
        ZINC.encode(Grid(cols=[Col("a", {"x": ["\ud800"]})]))
    with pytest.raises(CodecError, match="no tag 'ver' of its own"):
        ZINC.encode(Grid(meta={"ver": "3.0"}, cols=["a"]))


def test_rows_are_read_before_all_pieces_are_there() -> None:
    asked = []

    def pieces() -> Any:
        for text in ('ver:"3.0"\na,b\n', "1,2\n3,", "4\n", "zzz,\n"):
            asked.append(text)
            yield text.encode()

    head, rows = ZINC.decode_rows(pieces())
    assert [col.name for col in head.cols] == ["a", "b"]
    assert next(rows) == {"a": Number(1), "b": Number(2)}
    assert next(rows) == {"a": Number(3), "b": Number(4)}
    assert "zzz,\n" not in asked
    with pytest.raises(CodecError, match="line 5, column 1"):
        list(rows)


def test_rows_are_written_before_all_of_them_are_there() -> None:
    def rows() -> Any:
        yield from ({"a": Number(n)} for n in range(5000))
        raise RuntimeError("no more")

    pieces = ZINC.encode_rows(Head({}, (Col("a"),)), rows())
    assert next(pieces) == b'ver:"3.0"\na\n'
    assert next(pieces).startswith(b"0\n1\n")
    with pytest.raises(RuntimeError, match="no more"):
        list(pieces)


def test_what_the_codec_says_of_itself() -> None:
    assert (ZINC.name, ZINC.media_type, ZINC.suffix) == ("zinc", "text/zinc", ".zinc")
    assert ZINC.lossless
