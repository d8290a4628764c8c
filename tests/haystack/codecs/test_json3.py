"""JSON version 3: what each kind is written as, what is read, and what is refused and where."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

import pytest

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
from holdall.haystack.codecs.contract import Limits
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json3 import JSON3

NEW_YORK = ZoneInfo("America/New_York")


def decode(text: str | bytes, **limits: int) -> Grid:
    data = text if isinstance(text, bytes) else text.encode()
    return JSON3.decode(data, limits=Limits(**limits))


def cell(value: Any) -> Any:
    text = json.dumps({"meta": {"ver": "3.0"}, "cols": [{"name": "a"}], "rows": [{"a": value}]})
    (row,) = decode(text)
    return row.get("a")


def refused(text: str | bytes, **limits: int) -> CodecError:
    with pytest.raises(CodecError) as caught:
        decode(text, **limits)
    error = caught.value
    assert error.line is not None
    assert error.column is not None
    return error


# A kind, and its JSON: these are the standard's own examples and their like.
KINDS: list[tuple[Any, Any]] = [
    (MARKER, "m:"),
    (REMOVE, "-:"),
    (NA, "z:"),
    (True, True),
    (Number(45.5), "n:45.5"),
    (Number(5), "n:5"),
    (Number(5.0), "n:5.0"),
    (Number(1e16), "n:1e+16"),
    (Number(73.2, "°F"), "n:73.2 °F"),
    (Number(10**30, "kW"), f"n:{10**30} kW"),
    (Number(float("-inf")), "n:-INF"),
    (Number(float("inf"), "m"), "n:INF m"),
    (Number(float("nan")), "n:NaN"),
    (Ref("abc-123"), "r:abc-123"),
    (Ref("abc-123", "RTU #3"), "r:abc-123 RTU #3"),
    (Ref("a", ""), "r:a "),
    (Ref("a", " b: c "), "r:a  b: c "),
    (Symbol("lib:ph"), "y:lib:ph"),
    ("hello", "hello"),
    ("", ""),
    ("n:5", "s:n:5"),
    ("http://x", "s:http://x"),
    ("x:", "s:x:"),
    (":", "s::"),
    (date(2014, 1, 3), "d:2014-01-03"),
    (time(23, 59, 1), "h:23:59:01"),
    (
        datetime(2015, 6, 8, 15, 47, 41, tzinfo=NEW_YORK),
        "t:2015-06-08T15:47:41-04:00 New_York",
    ),
    (datetime(2015, 6, 8, 1, 2, 3, 5, ZoneInfo("UTC")), "t:2015-06-08T01:02:03.000005Z UTC"),
    (datetime(2015, 1, 8, tzinfo=ZoneInfo("Europe/London")), "t:2015-01-08T00:00:00+00:00 London"),
    (Uri("http://project-haystack.org/"), "u:http://project-haystack.org/"),
    (Coord(37.545, -77.449), "c:37.545,-77.449"),
    (Coord(1e-7, 0.0), "c:1e-07,0.0"),
    (XStr("Type", "a:b"), "x:Type:a:b"),
    ([Number(1), None, "a:b", [MARKER]], ["n:1", None, "s:a:b", ["m:"]]),
    ({"dis": "Dict!", "foo": MARKER, "n": None}, {"dis": "Dict!", "foo": "m:", "n": None}),
    (
        Grid([{"b": 20}], meta={"dis": "in"}, cols=[Col("b", {"unit": "kW"}), "a"]),
        {
            "meta": {"ver": "3.0", "dis": "in"},
            "cols": [{"name": "b", "unit": "kW"}, {"name": "a"}],
            "rows": [{"b": "n:20"}],
        },
    ),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_kind_is_written_as_the_standard_says(kind: Any, value: Any) -> None:
    # Twice, because what is known of a zone is used from its second moment on.
    assert json.loads(JSON3.encode(Grid([{"a": kind}] * 2)))["rows"] == [{"a": value}] * 2


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_kind_is_read_as_it_was_written(kind: Any, value: Any) -> None:
    assert same(cell(value), kind)


def test_the_tags_of_a_column_stand_beside_its_name() -> None:
    grid = Grid([{"dis": "RTU-1"}], cols=[Col("dis", {"dis": "Equip Name", "m": MARKER}), "equip"])
    assert JSON3.encode(grid) == (
        b'{"meta":{"ver":"3.0"},"cols":[{"name":"dis","dis":"Equip Name","m":"m:"},'
        b'{"name":"equip"}],"rows":[{"dis":"RTU-1"}]}'
    )
    assert same(decode(JSON3.encode(grid)), grid)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("s:hello", "hello"),
        ("s:", ""),
        ("ab: c", "ab: c"),
        ("n:23221.000000", Number(23221.0)),
        ("n:5 ", Number(5)),
        ("n:1e3", Number(1e3)),
        (5, Number(5)),
        (5.5, Number(5.5)),
        ("h:12:30", time(12, 30)),
        ("t:2015-06-08T15:47:41Z", datetime(2015, 6, 8, 15, 47, 41, tzinfo=UTC)),
        ("b:text/plain", XStr("Bin", "text/plain")),
        ({"cols": ["n:1"], "rows": []}, {"cols": [Number(1)], "rows": []}),
    ],
)
def test_what_means_the_same_is_read_the_same(value: Any, kind: Any) -> None:
    assert cell(value) == kind


def test_the_repeated_hour_keeps_its_side() -> None:
    grid = Grid([{"a": datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=at)} for at in (1, 0, 1)])
    assert same(decode(JSON3.encode(grid)), grid)


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("q:x", "'q:' begins no kind"),
        ("C:\\x", "'C:' begins no kind"),
        ("m:x", "end of the string"),
        ("n:", "no number"),
        ("n:five", "no number"),
        ("n:1e400", "larger than a float"),
        ("n:" + "1" * 5000, "4300 digits"),
        ("n:5 k W", "no unit"),
        ("n:NaN kW", "not a number has no unit"),
        ("r:", "ASCII letters"),
        ("r: x", "ASCII letters"),
        ("y:^a", "ASCII letters"),
        ("d:999-07-12", "no date"),
        ("h:25:00:00", "no time"),
        ("t:2015-06-08T15:47:41-05:00 New_York", "not at -05:00"),
        ("t:1971-06-01T12:00:00-00:45 Monrovia", "not at -00:45"),
        ("t:2015-06-08T15:47:41Z Nowhere", "no time zone"),
        ("t:2015-06-08T15:47:41.1234567Z UTC", "microseconds"),
        ("c:1", "no coord"),
        ("c:1_0,2", "no coord"),
        ("c:91,2", "latitude"),
        ("c:1..2,2", "float"),
        ("x:Type", "value of a type"),
        ("x:type:v", "no type"),
        ({"_kind": "marker"}, "HAYSON"),
        ({"No": 1}, "no name"),
        (["m:", ["q:"]], "begins no kind"),
    ],
)
def test_what_is_none_is_refused(value: Any, part: str) -> None:
    assert part in str(refused(json.dumps([{"a": value}])))


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ('[{"a":"m:"},\n {"é":"ü", "b":"m:"}]', (2, 7)),
        ('[{"a":"m:"},\n {"e":"ü", "b":["z:","q:"]}]', (2, 22)),
        ('{"meta":{"a":"d:x"},"cols":[],"rows":[]}', (1, 14)),
        ('{"meta":{},"cols":[{"name":"a","b":"d:x"}],"rows":[]}', (1, 36)),
        ('{"meta":{},"cols":[{"name":"a"}],"rows":[{"b":"m:"}]}', (1, 47)),
        ('{"_kind":"grid","meta":{},"cols":[],"rows":[]}', (1, 10)),
        ('[{"a":"m:"}', (1, 12)),
        ("7", (1, 1)),
    ],
)
def test_the_place_is_that_of_the_fault(text: str, at: tuple[int, int]) -> None:
    error = refused(text)
    assert (error.line, error.column) == at


def test_a_text_of_version_4_is_refused_by_name() -> None:
    assert "HAYSON" in str(refused(HAYSON.encode(Grid([{"a": MARKER}]))))


def test_a_dict_that_reads_as_a_grid_cannot_be_written() -> None:
    bad = {"meta": {"a": "b"}, "cols": ["a"], "rows": []}
    with pytest.raises(CodecError, match=r"row 0, 'a': .*reads as a grid"):
        JSON3.encode(Grid([{"a": bad}]))


def test_a_row_with_the_tags_of_a_grid_is_still_a_row() -> None:
    grid = Grid([{"meta": {"a": "b"}, "cols": ["a"], "rows": []}])
    assert same(decode(JSON3.encode(grid)), grid)


def test_a_column_with_a_tag_name_cannot_be_written() -> None:
    with pytest.raises(CodecError, match=r"column 'a'.*'name'"):
        JSON3.encode(Grid(cols=[Col("a", {"name": "b"})]))


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(CodecError, match=r"row 1, 'b': .*surrogate"):
        JSON3.encode(Grid([{"a": 1}, {"b": "\ud800"}]))
    with pytest.raises(CodecError, match=r"row 0, 'a': .*4300 digits"):
        JSON3.encode(Grid([{"a": 10**5000}]))


def test_a_million_levels_are_refused_without_recursion() -> None:
    assert "deeper" in str(refused('[{"a":' + "[" * 1_000_000))
    assert "deeper" in str(refused('{"a":' * 1_000_000))


def test_the_limits_hold() -> None:
    assert "2 deep" in str(refused('[{"a":[[[]]]}]', depth=2))
    assert "limit, 1" in str(refused("[{},{}]", rows=1))
    assert "limit, 1" in str(refused('[{"a":"m:","b":"m:"}]', columns=1))
    assert "4 bytes" in str(refused("[{} ]", size=4))
