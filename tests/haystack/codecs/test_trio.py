"""Trio: what is read, what is written, and what is refused."""

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
from holdall.haystack.codecs.trio import TRIO
from holdall.testing.haystack.strategies import grids, kinds


def rows(text: str) -> list[dict[str, Any]]:
    return [dict(row) for row in TRIO.decode(text.encode())]


def one(text: str) -> Any:
    """The value of the tag `a`, which a text holds alone."""
    (row,) = rows(text)
    return row["a"]


def refused(text: str | bytes, limits: Limits | None = None) -> CodecError:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(CodecError) as caught:
        TRIO.decode(data, limits=limits or Limits())
    return caught.value


def written(value: Any) -> str:
    """A value as Trio has it: all of the text, of one entity with the tag `a`."""
    return TRIO.encode(Grid([{"a": value}])).decode()


def test_the_example_of_the_standard() -> None:
    text = """dis: "Site 1"
site
area: 3702ft²
geoAddr: "100 Main St, Richmond, VA"
geoCoord: C(37.5458,-77.4491)
strTag: OK if unquoted if only safe chars
summary:
  This is a string value that spans multiple
  lines with two or more space characters
---
name: "Site 2"
site
summary:
  Entities are separated by one more dashes
"""
    first, second = rows(text)
    assert same(
        first,
        {
            "dis": "Site 1",
            "site": MARKER,
            "area": Number(3702, "ft²"),
            "geoAddr": "100 Main St, Richmond, VA",
            "geoCoord": Coord(37.5458, -77.4491),
            "strTag": "OK if unquoted if only safe chars",
            "summary": "This is a string value that spans multiple\n"
            "lines with two or more space characters",
        },
    )
    assert second["summary"] == "Entities are separated by one more dashes"


def test_the_nested_values_of_the_standard() -> None:
    text = """type:list
val:[1,2,3]
---
type:dict
val:{ dis:"Dict!" foo}
---
type:grid
val:Zinc:
  ver:"3.0"
  b,a
  20,10
---
def: ^myEquip
children: [
  {fan, motor, equip},
  {damper, actuator, equip},
  ]
"""
    values = [row.get("val") for row in rows(text)]
    assert same(values[0], [Number(1), Number(2), Number(3)])
    assert same(values[1], {"dis": "Dict!", "foo": MARKER})
    assert same(values[2], Grid([{"b": 20, "a": 10}]))
    assert same(
        rows(text)[3],
        {
            "def": Symbol("myEquip"),
            "children": [
                {"fan": MARKER, "motor": MARKER, "equip": MARKER},
                {"damper": MARKER, "actuator": MARKER, "equip": MARKER},
            ],
        },
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a", MARKER),
        ("a  ", MARKER),
        ("a: M", MARKER),
        ("a: NA", NA),
        ("a: R", REMOVE),
        ("a: true", True),
        ("a:false", False),
        ("a: T", True),
        ("a: F", False),
        ("a: 45", Number(45)),
        ("a:-23.45m²", Number(-23.45, "m²")),
        ("a: 10_000", Number(10_000)),
        ("a: 10.6EER", Number(10.6, "EER")),
        ("a: INF", Number(float("inf"))),
        ("a: -INF", Number(-float("inf"))),
        ("a: NaN", Number(float("nan"))),
        ('a: "x\\n\\$5 \\u00e9"', "x\n$5 é"),
        ('a   :   "x"   ', "x"),
        ('a:\t"x"\t', "x"),
        ("a: @p-1", Ref("p-1")),
        ('a: @p-1 "Main // Plant"', Ref("p-1", "Main // Plant")),
        ("a: ^elec-meter", Symbol("elec-meter")),
        ("a: `http://x/y//z`", Uri("http://x/y//z")),
        ("a: 2024-01-31", date(2024, 1, 31)),
        ("a: 08:12:05", time(8, 12, 5)),
        (
            "a: 2024-01-31T12:00:00-05:00 New_York",
            datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("America/New_York")),
        ),
        ("a: 2024-01-31T12:00:00Z", datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("UTC"))),
        ("a: C(37.5,-77.4)", Coord(37.5, -77.4)),
        ('a: Color("red")', XStr("Color", "red")),
        ("a: Bin(text/plain)", XStr("Bin", "text/plain")),
        ("a: []", []),
        ("a: {}", {}),
        ("a: {x:1 y}", {"x": Number(1), "y": MARKER}),
    ],
)
def test_a_line_is_a_tag(text: str, value: Any) -> None:
    assert same(one(text), value)


@pytest.mark.parametrize(
    "text",
    [
        "plain",
        "http://x/y",
        "x // no comment",
        "See `chapter` for more",
        'with "quotes" in it',
        "two: colons: here:",
        "°F",
        "Δ°C of ft²",
        "INFORMATION",
        "INFkW",
        "NAN",
        "Tx",
        "AHU-1 (north)",
        "Fan(old)",
        "Type()",
        "123 Main St",
        "2nd floor",
        "24 hours",
        "-",
        "- x",
        "+1 804 555",
        ".5",
        "<b>",
        "(x)",
        "$5",
        "a\\nb",
        "null",
        "🏠",
    ],
)
def test_anything_that_begins_no_literal_is_text(text: str) -> None:
    assert one(f"a: {text}  \n") == text


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ('"x', 6),
        ('"x" y', 7),
        ('"\\q"', 5),
        ("`x", 6),
        ("@", 4),
        ("@a/b", 6),
        ("^", 4),
        ("^a b", 6),
        ("[1,2", 8),
        ("[1 2]", 7),
        ("{x:}", 7),
        ("<<x", 6),
        ("C(91,0)", 4),
        ("C(1", 4),
        ('Color("red"', 4),
        ("804.552.2222", 4),
        ("2024-13-45", 4),
        ("2024-01-31T12:00:00-09:00 New_York", 4),
        ("2024-01-31 or so", 14),
        ("12:99:00", 4),
        ("1-2", 4),
        ("5 kW", 4),
    ],
)
def test_a_broken_literal_is_refused(text: str, column: int) -> None:
    error = refused(f"b\na: {text}\n")
    assert (error.line, error.column) == (2, column)


def test_null_is_no_tag() -> None:
    assert rows("a: N\nb: 1\n") == [{"b": Number(1)}]


def test_an_entity_whose_tags_are_null_is_one() -> None:
    assert rows("id: N\n---\nb\n---\nb: N\n") == [{}, {"b": MARKER}, {}]


@pytest.mark.parametrize(
    "text",
    [
        "a\n---\nb\n",
        "-\na\n-\nb\n-\n",
        "---------\n\n\na\n\n---   \n---\n// x\n---\nb",
        "// comment\n  // indented\na\n// comment\n---\n//\nb\n",
        "a\r\n---\r\nb\r\n",
        "\ufeffa\n---\nb",
    ],
)
def test_lines_of_dashes_stand_between_entities(text: str) -> None:
    assert rows(text) == [{"a": MARKER}, {"b": MARKER}]


@pytest.mark.parametrize("text", ["", "\n", "---\n---\n", "// nothing\n", "\ufeff"])
def test_a_text_may_hold_no_entity(text: str) -> None:
    assert same(TRIO.decode(text.encode()), Grid())


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ("  x\n  y\n", "x\ny"),
        ("  x\n    y\n  z\n", "x\n  y\nz"),
        ("    x\n  y\n", "  x\ny"),
        ("\tx\n\t\ty\n", "x\n\ty"),
        ("  x\n\n\n  y\n", "x\n\n\ny"),
        ("  x\n  \n     \n  y\n", "x\n\n   \ny"),
        ("\n  x\n", "\nx"),
        ("  x\n\n\n", "x"),
        ("  // no comment\n  ---\n  b: 1\n", "// no comment\n---\nb: 1"),
        ('  "x"\n  \\n $\n', '"x"\n\\n $'),
        ("  x  \n", "x  "),
        (" x\r\n y\r\n", "x\ny"),
        ("", ""),
        ("\n\n", ""),
    ],
)
@pytest.mark.parametrize("after", ["", "---\n", "b: 1\n", "// comment\n"])
def test_indented_lines_are_a_text(lines: str, text: str, after: str) -> None:
    row = rows(f"a:\n{lines}{after}")[0]
    assert row["a"] == text


def test_a_line_without_indent_ends_a_text() -> None:
    assert rows("a:\n  x\n// comment\nb\n") == [{"a": "x", "b": MARKER}]


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n  {x},\n  {y}\n  ]\n",
        "a: [\n  // comment\n  {x},\n\n  // another\n  {y},\n]\n",
        "a: [{x},\n {y}]\n",
        "a: [\n\t{x},\n\t{\n\ty}\n\t]\nb\n",
        "a: [{x}, {y}]\n",
        "a: [\r\n  {x},\r\n  {y}\r\n]\r\n",
    ],
)
def test_a_list_goes_on_over_lines(text: str) -> None:
    assert same(rows(text)[0]["a"], [{"x": MARKER}, {"y": MARKER}])


def test_a_dict_goes_on_over_lines() -> None:
    text = "a: {\n  // comment\n  x:1\n  y,\n}\nb"
    assert same(rows(text), [{"a": {"x": Number(1), "y": MARKER}, "b": MARKER}])


def test_a_grid_goes_on_over_lines() -> None:
    text = 'a: <<\n  ver:"3.0"\n  x\n  1\n  >>\n'
    assert same(one(text), Grid([{"x": 1}]))


def test_zinc_may_be_any_value() -> None:
    assert one("a: Zinc:\n  [1,\n  2]\n") == [Number(1), Number(2)]
    assert one("a: Zinc:\n  INFkW\n") == Number(float("inf"), "kW")


def test_one_entity_of_trio_is_a_dict() -> None:
    text = "a: Trio:\n  x: 1\n  y: Trio:\n    z:\n      two\n      lines\nb\n"
    nested = {"x": Number(1), "y": {"z": "two\nlines"}}
    assert same(rows(text), [{"a": nested, "b": MARKER}])


def test_several_entities_of_trio_are_a_grid() -> None:
    assert same(one("a: Trio:\n  x: 1\n  ---\n  y\n"), Grid([{"x": 1}, {"y": MARKER}]))


@pytest.mark.parametrize(
    ("text", "line", "column", "says"),
    [
        ("a\n  b\n", 2, 1, "an indented line"),
        ("a\nB: 1\n", 2, 1, "expected a tag"),
        ("a b\n", 1, 1, "expected a tag"),
        ("_a\n", 1, 1, "expected a tag"),
        (": 1\n", 1, 1, "expected a tag"),
        ("a\n--- x\n", 2, 1, "begins with a dash"),
        ("a\nb\na: 1\n", 3, 1, "'a' comes twice"),
        ("a: [\n  1,\n  x\n]\n", 3, 3, "expected a value"),
        ("a: [\n  // [\n\n  1 2\n]\n", 4, 5, "expected a comma"),
        ('b\na: Zinc:\n  ver:"3.0"\n  x,y\n  1,2,3\n', 5, 6, "after 2 cells"),
        ('a: Zinc:\n\n  ver:"9.0"\n  x\n', 3, 7, "ver"),
        ("a: Zinc:\n  [1,\n  x]\n", 3, 3, "expected a value"),
        ("a: Zinc:\nb\n", 1, 1, "indented lines of Zinc"),
        ("a: Trio:\nb\n", 1, 1, "indented lines of Trio"),
        ("a: Trio:\n  b: Trio:\n    c: @\n", 3, 8, "expected a value"),
        ("a: Trio:\n  b\n  b\n", 3, 3, "'b' comes twice"),
        (b"a\nb: \xc3\xa4\xff\n", 2, 5, "no UTF-8"),
        (b"\xff\xfea\x00", 1, 1, "no UTF-8"),
    ],
)
def test_what_is_no_trio(text: str | bytes, line: int, column: int, says: str) -> None:
    error = refused(text)
    assert says in str(error)
    assert (error.line, error.column) == (line, column)


@pytest.mark.parametrize(
    ("limits", "line"),
    [
        (Limits(rows=2), 6),
        (Limits(columns=1), 2),
        (Limits(size=9), 1),
    ],
)
def test_limits(limits: Limits, line: int) -> None:
    text = "a\nb\n---\na\n---\na\n"
    assert refused(text, limits).line == line
    assert len(TRIO.decode(text.encode(), limits=Limits(rows=3, columns=2, size=16))) == 3


def test_the_columns_of_all_entities_are_limited() -> None:
    assert "3 tags" in str(refused("a\n---\nb\n---\nc\n", Limits(columns=2)))


@pytest.mark.parametrize("depth", [0, 10, 100, 5000])
def test_nested_trio_is_limited(depth: int) -> None:
    text = "".join(" " * at + "a: Trio:\n" for at in range(500)) + " " * 500 + "a\n"
    assert "in one another" in str(refused(text, Limits(depth=depth)))


@pytest.mark.parametrize("depth", [3, 50])
def test_all_that_nests_counts_together(depth: int) -> None:
    trio = "".join(" " * at + "a: Trio:\n" for at in range(depth - 1)) + " " * depth
    assert len(TRIO.decode(f"{trio}a: []\n".encode(), limits=Limits(depth=depth))) == 1
    refused(f"{trio}a: [[]]\n", Limits(depth=depth))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MARKER, "a\n"),
        (NA, "a: NA\n"),
        (REMOVE, "a: R\n"),
        (True, "a: true\n"),
        (False, "a: false\n"),
        (45, "a: 45\n"),
        (Number(-23.45, "m²"), "a: -23.45m²\n"),
        (Number(float("inf"), "kW"), "a: Zinc:\n  INFkW\n"),
        ("Denver", "a: Denver\n"),
        ("New_York", "a: New_York\n"),
        ("AHU 1", 'a: "AHU 1"\n'),
        ("", 'a: ""\n'),
        ("true", 'a: "true"\n'),
        ("T", 'a: "T"\n'),
        ("N", 'a: "N"\n'),
        ("NaN", 'a: "NaN"\n'),
        ("Zinc:", 'a: "Zinc:"\n'),
        ("_x", 'a: "_x"\n'),
        ("°F", 'a: "°F"\n'),
        ("$5", 'a: "\\$5"\n'),
        ("one\ntwo", "a:\n  one\n  two\n"),
        ("one\n\n\n  two\nthree", "a:\n  one\n  \n  \n    two\n  three\n"),
        ("one\n  // two\nthree", 'a: "one\\n  // two\\nthree"\n'),
        ("one\n", 'a: "one\\n"\n'),
        ("\none", 'a: "\\none"\n'),
        (" one\ntwo", 'a: " one\\ntwo"\n'),
        ("one \ntwo", 'a: "one \\ntwo"\n'),
        ("one\n \ntwo", 'a: "one\\n \\ntwo"\n'),
        ("one\r\ntwo", 'a: "one\\r\\ntwo"\n'),
        (Ref("x", "X"), 'a: @x "X"\n'),
        (Symbol("x"), "a: ^x\n"),
        (Uri("http://x"), "a: `http://x`\n"),
        ([1, "x"], 'a: [1,"x"]\n'),
        ({"x": MARKER, "y": 1}, "a: {x y:1}\n"),
        (Grid([{"x": 1}]), 'a: Zinc:\n  ver:"3.0"\n  x\n  1\n'),
        ([Grid([{"x": 1}])], 'a: Zinc:\n  [<<\n  ver:"3.0"\n  x\n  1\n  >>]\n'),
        (date(2024, 1, 31), "a: 2024-01-31\n"),
        (XStr("Color", "red"), 'a: Color("red")\n'),
    ],
)
def test_a_value_is_written_so_that_it_is_read(value: Any, text: str) -> None:
    assert written(value) == text
    assert same(TRIO.decode(text.encode()), Grid([{"a": value}]))


def test_entities_are_written_with_dashes_between() -> None:
    grid = Grid([{"id": Ref("a"), "site": MARKER}, {"id": Ref("b")}])
    assert TRIO.encode(grid) == b"id: @a\nsite\n---\nid: @b\n"


def test_a_row_without_tags_is_written_as_a_tag_that_is_null() -> None:
    data = TRIO.encode(Grid([{}, {"x": 1}, {}], cols=["x"]))
    assert data == b"x: N\n---\nx: 1\n---\nx: N\n"
    assert len(TRIO.decode(data)) == 3
    assert TRIO.encode(Grid([{}])) == b"id: N\n"


def test_a_grid_without_rows_is_nothing() -> None:
    assert TRIO.encode(Grid(meta={"dis": "x"}, cols=["a"])) == b""


def test_half_a_character_is_refused_with_its_place() -> None:
    grid = Grid([{"a": 1}] * 300 + [{"a": 1, "b": "\ud800"}])
    with pytest.raises(CodecError, match="row 301, column b: "):
        TRIO.encode(grid)


def test_a_number_that_cannot_be_written_is_refused_with_its_place() -> None:
    with pytest.raises(CodecError, match=r"row 2, column b: .*digits"):
        TRIO.encode(Grid([{}, {"b": 10**5000}]))


def test_entities_are_read_one_after_another() -> None:
    seen = []

    def pieces() -> Any:
        for piece in [b"a: ", b"1\n--", b"-\na: 2\n---\na: 3\n", b"---\n", b"\xff\n"]:
            seen.append(piece)
            yield piece

    head, entities = TRIO.decode_rows(pieces())
    assert head == Head()
    assert next(entities) == {"a": Number(1)}
    assert len(seen) == 3
    assert [next(entities), next(entities)] == [{"a": Number(2)}, {"a": Number(3)}]
    with pytest.raises(CodecError, match="line 7"):
        next(entities)


def test_entities_are_written_one_after_another() -> None:
    asked = []

    def endless() -> Any:
        for number in range(100_000):
            asked.append(number)
            yield {"a": Number(number)}

    pieces = TRIO.encode_rows(Head(), endless())
    assert next(pieces).startswith(b"a: 0\n---\na: 1\n")
    assert next(pieces).startswith(b"---\n")
    assert len(asked) < 2000


def plain(grid: Grid) -> Grid:
    """A grid without what Trio leaves out: tags about it and its columns, and unused columns."""
    names = dict.fromkeys(name for row in grid for name in row)
    return Grid(grid.rows, cols=[Col(name) for name in names])


@given(grids())
@example(Grid([{"a": "one\n\u00a0two"}, {"a": "\u00a0one\ntwo"}, {"a": "one\n\u2028"}]))
@example(Grid([{"a": Grid(cols=["x"])}, {"a": [Grid([{}], cols=["x"])]}]))
@example(Grid([{"a": {"b": Grid([{"x": "\n"}])}}]))
def test_a_grid_is_read_as_it_was_written(grid: Grid) -> None:
    assert same(TRIO.decode(TRIO.encode(grid)), plain(grid))


@given(kinds())
def test_a_value_is_read_as_it_was_written(value: Any) -> None:
    assert same(one(written(value)), value)


@given(st.text("ab \n\t-/:_\"'°é\x85\u2028\r", max_size=30))
@example("a\n  b")
@example("a\n\n\nb")
@example("a\n\n")
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert one(written(text)) == text


PARTS = st.sampled_from(
    ["a", "b", ":", ": ", "\n", "\n  ", "\n    ", "\r\n", "---", "//", "[", "]", "{", "}", "<<",
     ">>", "Zinc:", "Trio:", 'ver:"3.0"', '"', "`", "@", "^", "1", "-", ".", "kW", ",", "T", "INF",
     "C(", "2024-01-31", "T12:00:00Z", "\t", " ", "\\", "é", "\x00", "\u2028"]
)  # fmt: skip


@given(st.binary() | st.lists(PARTS, max_size=30).map(lambda parts: "".join(parts).encode()))
def test_any_bytes_are_a_grid_or_refused(data: bytes) -> None:
    try:
        grid = TRIO.decode(data)
    except CodecError as error:
        place = (error.line, error.column)
        assert None not in place
    else:
        assert same(TRIO.decode(TRIO.encode(grid)), grid)


@given(st.lists(PARTS, max_size=20), st.integers(1, 5))
def test_where_pieces_are_cut_does_not_matter(parts: list[str], size: int) -> None:
    data = "".join(parts).encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def answer(pieces: list[bytes]) -> Any:
        try:
            return repr([*TRIO.decode_rows(pieces)[1]])
        except CodecError as error:
            return str(error)

    assert answer(pieces) == answer([data])


def test_more_values_than_are_remembered_are_read() -> None:
    text = "---\n".join(f"a: x{number}\nb: true\n" for number in range(9000))
    grid = TRIO.decode(text.encode())
    assert grid.column("a") == [f"x{number}" for number in range(9000)]
    assert {*grid.column("b")} == {True}
