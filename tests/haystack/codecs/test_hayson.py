"""Hayson: what each kind is written as, what is read, and what is refused and where."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta, timezone
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
from holdall.haystack.codecs.hayson import HAYSON, from_hayson, to_hayson

NEW_YORK = ZoneInfo("America/New_York")


def decode(text: str | bytes, **limits: int) -> Grid:
    data = text if isinstance(text, bytes) else text.encode()
    return HAYSON.decode(data, limits=Limits(**limits))


def cell(text: str) -> Any:
    """What the one cell of a row is read as; both ways of reading agree."""
    whole = f'{{"_kind":"grid","meta":{{}},"cols":[{{"name":"a"}}],"rows":[{{"a":{text}}}]}}'
    (row,) = decode(whole)
    value = row.get("a")
    assert same(from_hayson(json.loads(text)), value)
    return value


def refused(text: str | bytes, **limits: int) -> CodecError:
    with pytest.raises(CodecError) as caught:
        decode(text, **limits)
    error = caught.value
    assert error.line is not None
    assert error.column is not None
    return error


def place(text: str | bytes, **limits: int) -> tuple[int | None, int | None]:
    error = refused(text, **limits)
    return error.line, error.column


def bad_cell(text: str) -> str:
    return str(refused(f'[{{"a":{text}}}]'))


# A kind, and its JSON: these are the standard's own examples and their like.
KINDS: list[tuple[Any, Any]] = [
    (MARKER, {"_kind": "marker"}),
    (NA, {"_kind": "na"}),
    (REMOVE, {"_kind": "remove"}),
    (True, True),
    (False, False),
    (Number(123.45), 123.45),
    (Number(123), 123),
    (Number(5.0), 5.0),
    (Number(-0.0), -0.0),
    (Number(2**70), 2**70),
    (Number(123, "m"), {"_kind": "number", "val": 123, "unit": "m"}),
    (Number(float("inf")), {"_kind": "number", "val": "INF"}),
    (Number(float("-inf"), "kW"), {"_kind": "number", "val": "-INF", "unit": "kW"}),
    (Number(float("nan")), {"_kind": "number", "val": "NaN"}),
    ("", ""),
    ('a "b" \\ \n\x00 é 😀 \u2028', 'a "b" \\ \n\x00 é 😀 \u2028'),
    (Uri("https://x.org/`?a=b"), {"_kind": "uri", "val": "https://x.org/`?a=b"}),
    (Ref("abc-def"), {"_kind": "ref", "val": "abc-def"}),
    (Ref("a:b", "Main é"), {"_kind": "ref", "val": "a:b", "dis": "Main é"}),
    (Ref("a", ""), {"_kind": "ref", "val": "a", "dis": ""}),
    (Symbol("hot-water"), {"_kind": "symbol", "val": "hot-water"}),
    (date(2021, 3, 22), {"_kind": "date", "val": "2021-03-22"}),
    (date(12, 3, 4), {"_kind": "date", "val": "0012-03-04"}),
    (time(17, 19, 23), {"_kind": "time", "val": "17:19:23"}),
    (time(0, 0, 0, 4000), {"_kind": "time", "val": "00:00:00.004000"}),
    (
        datetime(2021, 3, 22, 13, 57, 0, 381000, tzinfo=NEW_YORK),
        {"_kind": "dateTime", "val": "2021-03-22T13:57:00.381000-04:00", "tz": "New_York"},
    ),
    (
        datetime(2021, 3, 22, 17, 56, tzinfo=ZoneInfo("UTC")),
        {"_kind": "dateTime", "val": "2021-03-22T17:56:00Z", "tz": "UTC"},
    ),
    (
        datetime(2021, 3, 22, 17, 56, tzinfo=ZoneInfo("Etc/GMT+5")),
        {"_kind": "dateTime", "val": "2021-03-22T17:56:00-05:00", "tz": "GMT+5"},
    ),
    (Coord(50.979603, 10.318789), {"_kind": "coord", "lat": 50.979603, "lng": 10.318789}),
    (XStr("Span", "today"), {"_kind": "xstr", "type": "Span", "val": "today"}),
    ([], []),
    (
        [True, Number(123), None, "a", {"site": MARKER}, [NA]],
        [True, 123, None, "a", {"site": {"_kind": "marker"}}, [{"_kind": "na"}]],
    ),
    ({}, {}),
    ({"a": None, "b": {"c": Number(1)}}, {"a": None, "b": {"c": 1}}),
    (
        Grid([{"a": 1}, {}], meta={"dis": "in"}, cols=[Col("a", {"unit": "kW"})]),
        {
            "_kind": "grid",
            "meta": {"ver": "3.0", "dis": "in"},
            "cols": [{"name": "a", "meta": {"unit": "kW"}}],
            "rows": [{"a": 1}, {}],
        },
    ),
]


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_kind_is_written_as_the_standard_says(kind: Any, value: Any) -> None:
    data = json.loads(HAYSON.encode(Grid([{"a": kind}])))
    assert repr(data["rows"]) == repr([{"a": value}])
    assert repr(to_hayson(kind)) == repr(value)


@pytest.mark.parametrize(("kind", "value"), KINDS)
def test_a_kind_is_read_as_it_was_written(kind: Any, value: Any) -> None:
    assert same(cell(json.dumps(value)), kind)


def test_a_grid_begins_with_its_kind_and_ver() -> None:
    assert HAYSON.encode(Grid([{"a": 1}], meta={"dis": "x"})) == (
        b'{"_kind":"grid","meta":{"ver":"3.0","dis":"x"},"cols":[{"name":"a"}],"rows":[{"a":1}]}'
    )


def test_ver_is_of_the_format_and_no_tag_of_the_grid() -> None:
    grid = decode('{"_kind":"grid","meta":{"ver":"2.0","a":"b"},"cols":[],"rows":[]}')
    assert dict(grid.meta) == {"a": "b"}
    assert b'"meta":{"ver":"3.0"}' in HAYSON.encode(Grid(meta={"ver": "9"}))


def test_an_error_grid_stays_one() -> None:
    grid = Grid.error("It is broken", "at line 1")
    assert same(decode(HAYSON.encode(grid)), grid)
    assert decode(HAYSON.encode(grid)).is_error


def test_a_grid_of_nothing_stays_one() -> None:
    assert same(decode(HAYSON.encode(Grid())), Grid())


def test_the_columns_keep_their_order_whatever_rows_have() -> None:
    grid = Grid([{"b": 1}, {"a": 2}], cols=["a", "c", "b"])
    assert decode(HAYSON.encode(grid)).names == ("a", "c", "b")


def test_the_example_of_the_standard() -> None:
    text = """{
      "_kind": "grid",
      "meta": { "ver": "3.0" },
      "cols": [ { "name": "type" }, { "name": "val" } ],
      "rows": [
        { "type": "list", "val": [1, 2, 3] },
        { "type": "dict", "val": { "dis": "Dict!", "foo": { "_kind": "marker" } } },
        { "type": "grid", "val": {
            "_kind": "grid", "meta": { "ver": "3.0" },
            "cols": [ { "name": "a" }, { "name": "b" } ],
            "rows": [ { "a": 1, "b": 2 }, { "a": 3, "b": 4 } ] } },
        { "type": "scalar", "val": "simple string" } ] }"""
    rows: list[dict[str, Any]] = [
        {"type": "list", "val": [1, 2, 3]},
        {"type": "dict", "val": {"dis": "Dict!", "foo": MARKER}},
        {"type": "grid", "val": Grid([{"a": 1, "b": 2}, {"a": 3, "b": 4}])},
        {"type": "scalar", "val": "simple string"},
    ]
    assert same(decode(text), Grid(rows))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('{"_kind":"number","val":123.45}', Number(123.45)),
        ('{"_kind":"number","val":5,"unit":null}', Number(5)),
        ('{"_kind":"number","val":5,"unit":""}', Number(5)),
        ('{"_kind":"Num","val":3149.0,"unit":"ft²"}', Number(3149.0, "ft²")),
        ('{"_kind":"Ref","val":"a","dis":null}', Ref("a")),
        ('{"val":"a","_kind":"ref","more":[1]}', Ref("a")),
        ('{"_kind":"Marker"}', MARKER),
        ('{"_kind":"NA"}', NA),
        (
            '{"_kind":"DateTime","val":"2024-01-31T12:00:00Z"}',
            datetime(2024, 1, 31, 12, tzinfo=UTC),
        ),
        ('{"_kind":"time","val":"12:30"}', time(12, 30)),
        ('{"_kind":"coord","lat":50,"lng":-7}', Coord(50.0, -7.0)),
        ('{"_kind":"str","val":"x"}', "x"),
        ('{"_kind":"bool","val":true}', True),
        ('{"_kind":"dict","a":1}', {"a": Number(1)}),
        ('{"_kind":"dict"}', {}),
        ('"\\ud83d\\ude00"', "😀"),
        ("1E5", Number(1e5)),
        ("1e-400", Number(0.0)),
        ("-0", Number(0)),
        ("12345678901234567890123", Number(12345678901234567890123)),
    ],
)
def test_what_means_the_same_is_read_the_same(text: str, kind: Any) -> None:
    assert cell(text) == kind


@pytest.mark.parametrize("rest", ["", ',"tz":null', ',"tz":"UTC"'])
@pytest.mark.parametrize("fraction", ["411", "411000", "4110000000"])
def test_a_moment_without_a_zone_is_one_in_utc(fraction: str, rest: str) -> None:
    found = cell(f'{{"_kind":"dateTime","val":"2021-03-22T17:56:05.{fraction}Z"{rest}}}')
    assert found == datetime(2021, 3, 22, 17, 56, 5, 411000, tzinfo=UTC)
    assert str(found.tzinfo) == "UTC"


def test_a_moment_without_a_zone_at_an_offset_keeps_the_offset() -> None:
    found = cell('{"_kind":"dateTime","val":"2024-01-31T12:00:00-05:00"}')
    assert found.isoformat() == "2024-01-31T12:00:00-05:00"


def test_a_zone_may_be_named_whole() -> None:
    found = cell('{"_kind":"dateTime","val":"2024-01-31T12:00:00-05:00","tz":"America/New_York"}')
    assert found.tzinfo is NEW_YORK


@pytest.mark.parametrize("fold", [0, 1])
def test_the_repeated_hour_keeps_its_side(fold: int) -> None:
    moment = datetime(2024, 11, 3, 1, 30, tzinfo=NEW_YORK, fold=fold)
    found = decode(HAYSON.encode(Grid([{"a": moment}])))[0]["a"]
    assert same(found, moment)
    assert found.astimezone(UTC) == moment.astimezone(UTC)  # type: ignore[union-attr]


def test_one_instant_in_two_zones_stays_in_both() -> None:
    utc = datetime(2024, 1, 31, 12, tzinfo=ZoneInfo("UTC"))
    grid = Grid([{"a": utc, "b": utc.astimezone(NEW_YORK), "c": utc}] * 2)
    assert same(decode(HAYSON.encode(grid)), grid)


def test_a_time_that_no_clock_shows_stays_what_it_is() -> None:
    grid = Grid([{"a": datetime(2024, 3, 10, 2, 30, tzinfo=NEW_YORK)}])
    assert same(decode(HAYSON.encode(grid)), grid)


def test_a_moment_of_seconds_before_whole_minutes_is_refused_when_written() -> None:
    moment = datetime(1900, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    later = datetime(2000, 1, 1, tzinfo=ZoneInfo("Europe/Amsterdam"))
    head, rows = HAYSON.decode_rows([b"[]"])
    with pytest.raises(CodecError, match=r"row 1, 'a'.*seconds"):
        list(HAYSON.encode_rows(head, [*rows, {"a": later}, {"a": moment}]))


def test_a_fixed_offset_of_hours_is_a_zone_of_gmt() -> None:
    moment = datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5)))
    assert to_hayson(moment) == {
        "_kind": "dateTime",
        "val": "2024-01-31T12:00:00-05:00",
        "tz": "GMT+5",
    }


def test_a_fixed_offset_without_a_name_is_written_in_utc() -> None:
    moment = datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert from_hayson(to_hayson(moment)) == moment


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('{"_kind":"flag"}', "'flag' is no kind"),
        ('{"_kind":5}', "name of a kind"),
        ('{"_kind":null}', "name of a kind"),
        ('{"_kind":"ref"}', "'val' of a ref"),
        ('{"_kind":"ref","val":5}', "'val' of a ref"),
        ('{"_kind":"ref","val":"a b"}', "ASCII letters"),
        ('{"_kind":"ref","val":""}', "ASCII letters"),
        ('{"_kind":"ref","val":"a","dis":5}', "'dis' of a ref"),
        ('{"_kind":"symbol","val":"^a"}', "ASCII letters"),
        ('{"_kind":"number","val":"5"}', "'val' of a number"),
        ('{"_kind":"number","val":true}', "'val' of a number"),
        ('{"_kind":"number","val":null}', "'val' of a number"),
        ('{"_kind":"number","val":5,"unit":7}', "'unit' of a number"),
        ('{"_kind":"number","val":5,"unit":"k W"}', "no unit"),
        ('{"_kind":"number","val":"NaN","unit":"kW"}', "not a number has no unit"),
        ('{"_kind":"date","val":"2024-02-30"}', "no date"),
        ('{"_kind":"date","val":"20240131"}', "no date"),
        ('{"_kind":"time","val":"24:00:00"}', "no time"),
        ('{"_kind":"time","val":"12:00:00.1234567"}', "microseconds"),
        ('{"_kind":"dateTime","val":"2024-01-31T12:00:00.1234567Z"}', "microseconds"),
        ('{"_kind":"dateTime","val":"2024-01-31T12:00:00-06:00","tz":"New_York"}', "not at -06:00"),
        ('{"_kind":"dateTime","val":"1971-06-01T12:00:00-00:45","tz":"Monrovia"}', "not at -00:45"),
        ('{"_kind":"dateTime","val":"2024-01-31T12:00:00Z","tz":"Nowhere"}', "no time zone"),
        ('{"_kind":"dateTime","val":"2024-01-31T12:00:00","tz":"New_York"}', "no moment"),
        ('{"_kind":"dateTime","val":"2024-01-31x12:00:00-05:00","tz":"New_York"}', "no moment"),
        ('{"_kind":"dateTime","val":"2024-01-31T24:00:00Z","tz":"UTC"}', "no moment"),
        ('{"_kind":"dateTime","val":"0001-01-01T00:00:00+05:00","tz":"UTC"}', "not at"),
        ('{"_kind":"dateTime","val":"2024-01-31T12:00:00Z","tz":5}', "'tz'"),
        ('{"_kind":"coord","lat":"1","lng":2}', "'lat' of a coord"),
        ('{"_kind":"coord","lat":91,"lng":2}', "latitude"),
        ('{"_kind":"xstr","type":"red","val":"a"}', "no type"),
        ('{"_kind":"bool","val":1}', "'val' of a bool"),
        ('{"_kind":"grid"}', "rows"),
        ('{"_kind":"grid","rows":{}}', "rows"),
        ('{"_kind":"grid","rows":[5]}', "expected a dict"),
        ('{"_kind":"grid","rows":[{"_kind":"marker"}]}', "expected a dict"),
        ('{"_kind":"grid","cols":[],"rows":[{"a":1}]}', "no such column"),
        ("1e400", "larger than a float"),
        ("1" * 5000, "4300 digits"),
        ("NaN", "'NaN'"),
        ("Infinity", "'Infinity'"),
        ("01", "no number"),
        ('"\\ud800"', "half of a character"),
        ('"\\ude00\\ud83d"', "half of a character"),
        ('"\\x"', "no escape"),
        ('"\n"', "end of a string"),
        ("nul", "'nul'"),
    ],
)
def test_what_is_none_is_refused(text: str, part: str) -> None:
    assert part in bad_cell(text)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", (1, 1)),
        ("\n\n  x", (3, 3)),
        ('[{"a":1},\n {"é":"ü", "b":tru}]', (2, 16)),
        ('[{"a":1},\n {"é":1, "b":{"_kind":"ref","val":"a b"}}]', (2, 35)),
        ('[{"a":[1,{"b":{"_kind":"what"}}]}]', (1, 24)),
        ('{"_kind":"grid","meta":{"a":{"_kind":"ref"}},"cols":[],"rows":[]}', (1, 29)),
        ('{"_kind":"grid","cols":[{"name":"A"}],"rows":[]}', (1, 33)),
        ('{"_kind":"grid","cols":[{"name":"a"},{"name":"a"}],"rows":[]}', (1, 46)),
        ('{"_kind":"grid","cols":[5],"rows":[]}', (1, 25)),
        ('{"_kind":"grid","cols":[],"rows":[\n{},\n{"b":1}]}', (3, 6)),
        ('{"_kind":"grid","cols":[{"name":"a","meta":{"b":{"_kind":"x"}}}],"rows":[]}', (1, 58)),
        ('{"_kind":"marker"}', (1, 10)),
        ('{"a":1,"a":{"_kind":"ref"}}', (1, 12)),
        ("5", (1, 1)),
        ('[{"a":1}] []', (1, 11)),
        (b'["\xc3\xa9\xff"]', (1, 4)),
        (b'{"_kind":"grid","x":"\xff","rows":[]}', (1, 22)),
        (b"\xef\xbb\xbf[x]", (1, 2)),
        (b"\xff\xfe[\x00]\x00", (1, 1)),
    ],
)
def test_the_place_is_that_of_the_fault(text: str | bytes, at: tuple[int, int]) -> None:
    assert place(text) == at


def test_a_list_of_dicts_is_the_rows_of_a_grid() -> None:
    grid = decode('[{"b":1},{"a":{"_kind":"marker"}},{}]')
    assert same(grid, Grid([{"b": 1}, {"a": MARKER}, {}]))


def test_a_dict_is_the_only_row_of_a_grid() -> None:
    assert same(decode('{"dis":"x","n":5}'), Grid([{"dis": "x", "n": 5}]))
    assert same(decode('{"_kind":"dict","rows":[1]}'), Grid([{"rows": [1]}]))


def test_an_old_grid_does_not_say_what_it_is() -> None:
    text = '{"meta":{"ver":"3.0"},"cols":[{"name":"a"}],"rows":[{"a":{"_kind":"Num","val":1}}]}'
    assert same(decode(text), Grid([{"a": 1}]))


def test_columns_that_nobody_says_are_the_tags_of_the_rows() -> None:
    assert same(decode('{"_kind":"grid","rows":[{"b":1},{"a":2}]}'), Grid([{"b": 1}, {"a": 2}]))


def test_null_in_a_row_is_no_value() -> None:
    grid = decode('{"_kind":"grid","cols":[{"name":"a"},{"name":"b"}],"rows":[{"a":null,"b":1}]}')
    assert [dict(row) for row in grid] == [{"b": Number(1)}]


def test_a_name_that_is_none_of_a_tag_is_skipped() -> None:
    row = '{"a":{"Ignore":1,"b":2},"No":3,"_kind":"dict"}'
    grid = decode(f'{{"_kind":"grid","cols":[{{"name":"a"}}],"rows":[{row}]}}')
    assert same(grid, Grid([{"a": {"b": 2}}]))
    assert same(decode('[{"Up":1,"b":2}]'), Grid([{"b": 2}]))


def test_a_byte_order_mark_is_passed_over() -> None:
    assert len(decode(b'\xef\xbb\xbf[{"a":1}]')) == 1


def test_the_last_of_two_equal_keys_counts() -> None:
    assert cell('{"a":1,"a":2}') == {"a": Number(2)}


@pytest.mark.parametrize(
    "text",
    [
        '{"meta":{"ver":"3.0"},"cols":[{"name":"id"}],"rows":[{"id":"r:a-1 A"}]}',
        '{"meta":{"ver":"2.0"},"cols":[{"name":"a"}],"rows":[{"a":"plain"},{"a":"n:5 kW"}]}',
        '[{"dis":"s:x"}]',
        '{"ts":"t:2024-01-31T12:00:00Z UTC"}',
    ],
)  # fmt: skip
def test_a_text_of_version_3_is_refused_by_name(text: str) -> None:
    assert "JSON3" in str(refused(text))


@pytest.mark.parametrize(
    "text",
    [
        '{"_kind":"grid","cols":[{"name":"a"}],"rows":[{"a":"m:"}]}',
        '[{"a":{"_kind":"marker"},"b":"m:"}]',
        '[{"a":5,"b":"s:x"},{"b":"n:5"}]',
        '[{"a":"note: so it is","b":"q:x","c":"C:\\\\x","d":"m: a","e":"n:none"}]',
    ],
)
def test_a_text_of_version_4_may_have_strings_like_version_3(text: str) -> None:
    assert len(decode(text)) > 0


# Values on their own, as stores take them.


def test_kinds_that_are_made_already_stay() -> None:
    moment = datetime(2024, 1, 31, tzinfo=NEW_YORK)
    entity = {"id": Ref("a", "A"), "at": moment, "l": [Number(5, "kW"), MARKER], "d": {"x": NA}}
    assert same(from_hayson(entity), entity)
    assert same(from_hayson({**entity, "l": [NA, 5]}), {**entity, "l": [NA, Number(5)]})


def test_what_is_handed_in_does_not_change() -> None:
    entity = {"id": {"_kind": "ref", "val": "a"}, "l": [{"_kind": "marker"}], "d": {"n": 5}}
    before = json.dumps(entity)
    from_hayson(entity)
    assert json.dumps(entity) == before


def test_a_name_that_is_none_of_a_tag_is_an_error_in_values() -> None:
    with pytest.raises(CodecError, match="'No' is no name of a tag"):
        from_hayson({"a": {"No": 1}})
    with pytest.raises(CodecError, match="5 is no name of a tag"):
        from_hayson({5: 1})


def test_the_way_to_a_fault_is_said() -> None:
    with pytest.raises(CodecError, match=r"^a\.1\.b\.val: "):
        from_hayson({"a": [1, {"b": {"_kind": "ref", "val": ""}}]})


def test_what_is_of_no_kind_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="no kind"):
        from_hayson({"a": object()})
    with pytest.raises(TypeError, match="no zone"):
        to_hayson(datetime(2024, 1, 31))  # noqa: DTZ001


def test_plain_values_are_written_too() -> None:
    assert to_hayson({"a": 5, "b": [1.5, None], "c": float("inf")}) == {
        "a": 5,
        "b": [1.5, None],
        "c": {"_kind": "number", "val": "INF"},
    }
