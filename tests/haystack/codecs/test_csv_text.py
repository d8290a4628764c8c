"""CSV: what is written, what is read back, and what is refused."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import CodecError
from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Col,
    Coord,
    Grid,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    same,
)
from holdall.haystack.codecs.contract import Head, Limits
from holdall.haystack.codecs.csv_text import CSV, CsvCodec

NEW_YORK = ZoneInfo("America/New_York")
GUARDED = CsvCodec(guard=True)


def cell(value: Any, codec: CsvCodec = CSV) -> str:
    """A value as the one cell of a row, without the end of the line."""
    text = codec.encode(Grid([{"a": value, "b": 1}])).decode()
    assert text.startswith("a,b\r\n")
    assert text.endswith(",1\r\n")
    return text[5:-4]


def read(text: str, codec: CsvCodec = CSV) -> Any:
    """The value that the one cell of a row is read as."""
    quoted = '"' + text.replace('"', '""') + '"'
    (row,) = codec.decode(f"a\n{quoted}\n".encode())
    return row.get("a")


def refused(text: str | bytes, **limits: int) -> CodecError:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(CodecError) as caught:
        CSV.decode(data, limits=Limits(**limits))
    return caught.value


def test_the_example_of_the_standard() -> None:
    hq = Ref("153c600e-699a1886", "HQ")
    grid = Grid(
        [
            {"dis": "RTU-1", "equip": MARKER, "siteRef": hq, "installed": date(2005, 6, 1)},
            {"dis": "RTU-2", "equip": MARKER, "siteRef": hq, "installed": date(1999, 7, 12)},
        ],
        meta={"projName": "test"},
        cols=[Col("dis", {"dis": "Equip Name"}), "equip", "siteRef", "installed"],
    )
    text = (
        "Equip Name,equip,siteRef,installed\r\n"
        "RTU-1,✓,@153c600e-699a1886 HQ,2005-06-01\r\n"
        "RTU-2,✓,@153c600e-699a1886 HQ,1999-07-12\r\n"
    )
    assert CSV.encode(grid).decode() == text
    back = CSV.decode(text.encode())
    assert back.cols == (
        Col("equipName", {"dis": "Equip Name"}), Col("equip"), Col("siteRef"), Col("installed"),
    )  # fmt: skip
    assert back.column("siteRef") == [hq, hq]
    assert [ref.dis for ref in back.column("siteRef")] == ["HQ", "HQ"]  # type: ignore[union-attr]
    assert back.column("installed") == [date(2005, 6, 1), date(1999, 7, 12)]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MARKER, "✓"),
        (NA, "NA"),
        (True, "true"),
        (False, "false"),
        (Number(45), "45"),
        (Number(-23.45, "m²"), "-23.45m²"),
        (Number(10.6, "EER"), "10.6EER"),
        (Number(5, "EUR"), "5EUR"),
        (Number(5e300), "5e+300"),
        (Number(123456.789, "kW"), "123456.789kW"),
        (Number(2**60), str(2**60)),
        (Number(float("inf")), "INF"),
        (Number(float("-inf")), "-INF"),
        (Number(float("nan")), "NaN"),
        ("plain", "plain"),
        ("x, y", '"x, y"'),
        ('say "hi"', '"say ""hi"""'),
        ("two\nlines\r\nand more", '"two\nlines\r\nand more"'),
        (" spaces ", " spaces "),
        (Ref("a.b"), "@a.b"),
        (Ref("a", "Main, 1"), '"@a Main, 1"'),
        (Ref("a", "two\nlines"), '"@a two\nlines"'),
        (Symbol("elec-meter"), "^elec-meter"),
        (date(2024, 1, 31), "2024-01-31"),
        (time(12, 0, 5, 250000), "12:00:05.250000"),
        (
            datetime(2024, 1, 31, 12, tzinfo=NEW_YORK),
            "2024-01-31T12:00:00-05:00 New_York",
        ),
        (datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("UTC")), "2024-01-31T12:00:00Z UTC"),
        (Coord(37.55, -77.45), '"C(37.55,-77.45)"'),
    ],
)
def test_a_value_is_written_as_a_cell_and_read_back(value: Any, text: str) -> None:
    assert cell(value) == text
    (row,) = CSV.decode(CSV.encode(Grid([{"a": value}])))
    assert same(row["a"], value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Uri("http://x/?a=b"), "http://x/?a=b"),
        (XStr("Color", "red"), '"Color(""red"")"'),
        (REMOVE, "R"),
    ],
)
def test_of_other_kinds_the_text_is_left(value: Any, text: str) -> None:
    assert cell(value) == text
    (row,) = CSV.decode(CSV.encode(Grid([{"a": value}])))
    assert isinstance(row["a"], str)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ([1, "x"], '"[1,""x""]"'),
        ({"dis": "x", "site": MARKER}, '"{dis:""x"" site}"'),
    ],
)
def test_lists_and_dicts_are_written_as_in_zinc(value: Any, text: str) -> None:
    assert cell(value).replace(", ", ",") == text


def test_no_value_and_the_empty_text_are_empty_cells() -> None:
    text = CSV.encode(Grid([{"b": 1}, {"a": "", "b": 1}], cols=["a", "b"])).decode()
    assert text == "a,b\r\n,1\r\n,1\r\n"
    assert [dict(row) for row in CSV.decode(text.encode())] == [{"b": Number(1)}] * 2


@pytest.mark.parametrize(
    "text",
    [
        "001",
        "+1",
        "804.552.2222",
        "1,5",
        "1.",
        ".5",
        "1e",
        "1e999",
        "10_000",
        "9" * 5000,
        "2nd",
        "2 kW",
        "12kWx",
        "٣",
        "2024-13-45",
        "2024-01-31T12:00:00",
        "2024-01-31T12:00:00-05:00 Nowhere",
        "2024-01-31T12:00:00-09:00 New_York",
        "25:00:00",
        "C(91,0)",
        "C(1,2",
        "M",
        "T",
        "N",
        "R",
        "True",
        "@",
        "@a/b",
        "@ a",
        "^",
        "^a b",
        "a\x00b",
        " 1",
        "✓✓",
        '"',
        "[1,2]",
    ],
)
def test_anything_else_is_text(text: str) -> None:
    value = read(text)
    assert type(value) is str
    assert value == text


def test_quotes_around_a_cell_say_nothing_about_its_kind() -> None:
    assert CSV.decode(b'a,b\n"1",1\n')[0] == {"a": Number(1), "b": Number(1)}


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_end_in_lf_or_cr_lf(end: str) -> None:
    grid = CSV.decode(end.join(["a,b", "1,x", "", "2,y", ""]).encode())
    assert grid.column("a") == [Number(1), Number(2)]
    assert grid.column("b") == ["x", "y"]


def test_the_last_line_needs_no_end() -> None:
    assert CSV.decode(b"a\n1")[0] == {"a": Number(1)}


def test_a_byte_order_mark_is_left_out() -> None:
    assert CSV.decode(b"\xef\xbb\xbfa\r\n1").names == ("a",)


def test_a_short_row_has_no_values_at_its_end() -> None:
    assert CSV.decode(b"a,b\n1\n")[0] == {"a": Number(1)}


def test_nothing_is_the_grid_without_columns() -> None:
    assert same(CSV.decode(b""), Grid())
    assert CSV.encode(Grid()) == b""


def test_an_empty_row_of_one_column_is_a_row() -> None:
    data = CSV.encode(Grid([{}, {"a": 1}, {}], cols=["a"]))
    assert data == b'a\r\n""\r\n1\r\n""\r\n'
    assert len(CSV.decode(data)) == 3


def test_a_row_without_columns_is_refused() -> None:
    with pytest.raises(CodecError, match="without columns"):
        CSV.encode(Grid([{}]))


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("Equip Name,siteRef", ["equipName", "siteRef"]),
        ("ID,°C,2nd floor", ["iD", "c", "v2ndFloor"]),
        (",x,", ["v1", "x", "v3"]),
        ("a,a,A", ["a", "a_2", "a_3"]),
        ("a,a_2,a", ["a", "a_2", "a_3"]),
        ("温度,_x", ["v1", "x"]),
    ],
)
def test_headers_become_names(header: str, names: list[str]) -> None:
    assert list(CSV.decode(header.encode()).names) == names


def test_a_header_that_was_no_name_is_what_the_column_displays() -> None:
    cols = CSV.decode("Équip,a,".encode()).cols
    assert cols == (Col("quip", {"dis": "Équip"}), Col("a"), Col("v3"))


def test_headers_with_what_they_display_come_back_as_they_were() -> None:
    cols = [Col("equipName", {"dis": "Equip Name"}), Col("x", {"dis": "x, y"}), Col("z")]
    data = CSV.encode(Grid(cols=cols))
    assert data == b'Equip Name,"x, y",z\r\n'
    assert CSV.encode(CSV.decode(data)) == data


def test_the_header_can_be_the_names() -> None:
    grid = Grid(cols=[Col("a", {"dis": "Equip Name"})])
    assert CsvCodec(names=True).encode(grid) == b"a\r\n"


FORMULAS = ["=1+1", "+1", "-cmd", "@SUM(1)", "\tx", "\rx"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_looks_like_a_formula_is_written_as_it_is(text: str) -> None:
    data = CSV.encode(Grid([{"a": text}]))
    assert text.encode() in data
    assert "'" not in data.decode()


@pytest.mark.parametrize("text", [*FORMULAS, "'=x", "''=x"])
def test_a_guard_keeps_spreadsheets_from_running_a_cell(text: str) -> None:
    written = cell(text, GUARDED).removeprefix('"')
    assert written.startswith("'")
    (row,) = GUARDED.decode(GUARDED.encode(Grid([{"a": text}])))
    assert row["a"] == text


@pytest.mark.parametrize(
    "value", [Number(-5), Number(-5.5, "kW"), "it's", "'quoted'", "x=1", MARKER]
)
def test_a_guard_leaves_alone_what_no_spreadsheet_runs(value: Any) -> None:
    assert cell(value, GUARDED) == cell(value)


def test_a_guarded_ref_is_read_back() -> None:
    grid = Grid([{"a": Ref("x", "X"), "b": Uri("=x")}])
    data = GUARDED.encode(grid)
    assert data == b"a,b\r\n'@x X,'=x\r\n"
    assert same(dict(GUARDED.decode(data)[0]), {"a": Ref("x", "X"), "b": "=x"})


def test_a_guard_is_for_headers_too() -> None:
    grid = Grid(cols=[Col("a", {"dis": "=1+1"})])
    assert GUARDED.encode(grid) == b"'=1+1\r\n"
    assert GUARDED.decode(b"'=1+1\r\n").cols[0].meta == {"dis": "=1+1"}


def test_large_cells_are_read() -> None:
    text = "x" * 300_000
    assert CSV.decode(f"a\n{text}\n".encode())[0]["a"] == text
    assert CSV.decode(f'a\n"{text}\n{text}"\n'.encode())[0]["a"] == f"{text}\n{text}"


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a,b\n1,2,3\n", 2, 5, "a row of 3 cells under a header of 2"),
        ('a\n"x\n', 2, 1, "opened and not closed"),
        ('a,b\n1,"x"y\n', 2, 3, "is none"),
        ('a,b\n1,x"y"\n', 2, 3, "is none"),
        ('a,b\n"1\n2","x"y\n', 3, 4, "is none"),
        ("a,b\n1,x\ry\n", 2, 3, "is none"),
        ('a\n"""\n', 2, 1, "opened and not closed"),
        (b"a\nb\n\xc3\xa4\xff\n", 3, 2, "no UTF-8"),
        (b"\xef\xbb\xbf\xff", 1, 1, "no UTF-8"),
        (b"a\n\xed\xa0\x80\n", 2, 1, "no UTF-8"),
    ],
)
def test_what_is_no_csv(text: str | bytes, line: int, column: int, says: str) -> None:
    error = refused(text)
    assert (error.line, error.column) == (line, column)
    assert says in str(error)


@pytest.mark.parametrize(
    ("limits", "line"), [({"rows": 2}, 4), ({"columns": 1}, 1), ({"size": 10}, 1)]
)
def test_limits(limits: dict[str, int], line: int) -> None:
    text = "a,b\n1,2\n3,4\n5,6\n"
    assert refused(text, **limits).line == line
    assert len(CSV.decode(text.encode(), limits=Limits(rows=3, columns=2, size=16))) == 3


def test_half_a_character_is_refused_with_its_place() -> None:
    rows = [{"a": "x", "b": "y"}] * 300 + [{"a": "x", "b": "\ud800"}]
    with pytest.raises(CodecError, match="row 301, column b: a lone surrogate"):
        CSV.encode(Grid(rows))
    with pytest.raises(CodecError, match="the header of column a: a lone surrogate"):
        CSV.encode(Grid(cols=[Col("a", {"dis": "\ud800"})]))


def test_a_number_that_cannot_be_written_is_refused_with_its_place() -> None:
    with pytest.raises(CodecError, match=r"row 2, column a: .*digits"):
        CSV.encode(Grid([{"a": 1}, {"a": 10**5000}]))


def test_rows_are_read_one_after_another() -> None:
    seen = []

    def pieces() -> Any:
        for piece in [b"a,", b"b\n1,", b"2\n3", b",4\n", b"\xff"]:
            seen.append(piece)
            yield piece

    head, rows = CSV.decode_rows(pieces())
    assert [col.name for col in head.cols] == ["a", "b"]
    assert next(rows) == {"a": Number(1), "b": Number(2)}
    assert len(seen) < 5
    assert next(rows) == {"a": Number(3), "b": Number(4)}
    with pytest.raises(CodecError):
        next(rows)


def test_rows_are_written_one_after_another() -> None:
    asked = []

    def rows() -> Any:
        for number in range(10_000):
            asked.append(number)
            yield {"a": Number(number)}

    pieces = CSV.encode_rows(Head(cols=[Col("a")]), rows())
    assert next(pieces) == b"a\r\n"
    assert next(pieces).startswith(b"0\r\n1\r\n")
    assert len(asked) < 1000
    assert len(CSV.decode(b"a\r\n" + b"".join(pieces))) > 9000


texts = st.text(st.characters(codec="utf-8"), min_size=1)


@given(st.lists(st.lists(texts, min_size=2, max_size=2)))
@example([["a\r", "\n"], ['"', '""'], [",", "'"], ["\x00", "\x85\u2028"]])
@example([["0E0", "1.50"]])
def test_the_text_of_a_cell_is_kept(rows: list[list[str]]) -> None:
    grid = Grid([dict(zip("ab", row, strict=True)) for row in rows], cols=["a", "b"])
    for codec in (CSV, GUARDED):
        back = codec.decode(codec.encode(grid))
        assert same(codec.decode(codec.encode(back)), back)
        assert len(back) == len(grid)
        for one, other in zip(grid, back, strict=True):
            for name, value in other.items():
                assert value == one[name] or not isinstance(value, str)


@given(st.binary() | st.text('a,"\r\n✓@^1.eE-:TC()').map(str.encode))
@example(b"\xef\xbb\xbf\xef\xbb\xbfa")
@example(b"\n\xef\xbb\xbf=\n")
@example(b'"\n"')
@example(b'a\n"\r"')
@example(b'a\n\r"')
def test_any_bytes_are_a_grid_or_refused(data: bytes) -> None:
    try:
        grid = CSV.decode(data)
    except CodecError as error:
        place = (error.line, error.column)
        assert None not in place
    else:
        assert same(CSV.decode(CSV.encode(grid)), grid)


@given(st.text('a,"\r\n1').map(str.encode), st.integers(1, 5))
def test_where_pieces_are_cut_does_not_matter(data: bytes, size: int) -> None:
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def answer(pieces: list[bytes]) -> Any:
        try:
            head, rows = CSV.decode_rows(pieces)
            found = [*rows]
        except CodecError as error:
            return str(error)
        return head, found

    assert answer(pieces) == answer([data])


def test_more_values_than_are_remembered_are_read() -> None:
    text = "a,b\n" + "".join(f"{number},true\n" for number in range(9000))
    grid = CSV.decode(text.encode())
    assert grid.column("a") == [Number(number) for number in range(9000)]
    assert {*grid.column("b")} == {True}
