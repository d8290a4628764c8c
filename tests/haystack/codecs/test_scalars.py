"""Single values: what the standard writes is read, what is none is refused, and all comes back."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Coord,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    same,
)
from holdall.haystack.codecs.scalars import (
    Misread,
    read_date,
    read_moment,
    read_number,
    read_scalar,
    read_time,
    write_number,
    write_scalar,
    write_str,
    write_uri,
)
from holdall.testing.haystack.strategies import scalars


def at(city: str, *parts: int, fold: int = 0) -> datetime:
    moment: Any = datetime(*parts, tzinfo=ZoneInfo(city), fold=fold)  # type: ignore[arg-type,misc]
    return moment  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("N", None),
        ("M", MARKER),
        ("R", REMOVE),
        ("NA", NA),
        ("T", True),
        ("F", False),
        ("1", Number(1)),
        ("-34", Number(-34)),
        ("10_000", Number(10_000)),
        ("1_0.2_5", Number(10.25)),
        ("5.4e-45", Number(5.4e-45)),
        ("5E3", Number(5000.0)),
        ("9.23kg", Number(9.23, "kg")),
        ("74.2°F", Number(74.2, "°F")),
        ("10.6EER", Number(10.6, "EER")),
        ("5EUR", Number(5, "EUR")),
        ("5e", Number(5, "e")),
        ("5e3kW", Number(5000.0, "kW")),
        ("5.4E+8kW", Number(5.4e8, "kW")),
        ("7_foo", Number(7, "_foo")),
        ("35000ft²", Number(35000, "ft²")),
        ("3$/ft²", Number(3, "$/ft²")),
        ("0.0", Number(0.0)),
        ("-0.0", Number(-0.0)),
        ("INF", Number(float("inf"))),
        ("-INF", Number(float("-inf"))),
        ("-INFkW", Number(float("-inf"), "kW")),
        ("NaN", Number(float("nan"))),
        ('""', ""),
        (r'"foo\nbar\""', 'foo\nbar"'),
        (r'"\b\f\r\t\\\$"', "\b\f\r\t\\$"),
        (r'"\u00B0"', "°"),
        (r'"\ud83d\ude00"', "😀"),
        ('"tab\there, $5"', "tab\there, $5"),
        (r'"it\'s"', "it's"),
        ("`http://x/?a=b`", Uri("http://x/?a=b")),
        (r"`file \#2`", Uri(r"file \#2")),
        (r"`a\`b\u0041\\`", Uri("a`bA\\\\")),
        ("@17eb0f3a-ad607713", Ref("17eb0f3a-ad607713")),
        ('@xyz "Display, Name"', Ref("xyz", "Display, Name")),
        ('@a ""', Ref("a", "")),
        ("^hot-water", Symbol("hot-water")),
        ("2010-03-13", date(2010, 3, 13)),
        ("08:12:05", time(8, 12, 5)),
        ("08:12:05.1", time(8, 12, 5, 100_000)),
        ("08:12:05.123456000", time(8, 12, 5, 123_456)),
        ("12:30", time(12, 30)),
        ("8:05:00", time(8, 5)),
        ("2010-03-11T23:55:00-05:00 New_York", at("America/New_York", 2010, 3, 11, 23, 55)),
        ("2009-11-09T15:39:00Z", at("UTC", 2009, 11, 9, 15, 39)),
        ("2010-01-08T05:00:00Z UTC", at("UTC", 2010, 1, 8, 5)),
        ("2010-01-08T05:00:00Z London", at("Europe/London", 2010, 1, 8, 5)),
        (
            "2010-11-28T07:23:02.773-08:00 Los_Angeles",
            at("America/Los_Angeles", 2010, 11, 28, 7, 23, 2, 773_000),
        ),
        ("2010-11-28T18:21:58+03:00 GMT-3", at("Etc/GMT-3", 2010, 11, 28, 18, 21, 58)),
        ("2010-11-28T12:22:27-03:00 GMT+3", at("Etc/GMT+3", 2010, 11, 28, 12, 22, 27)),
        ("2024-01-01T00:00:00-05:00 Port-au-Prince", at("America/Port-au-Prince", 2024, 1, 1)),
        ("2024-01-01T00:00:00-05:00 Brazil/Acre", at("Brazil/Acre", 2024, 1, 1)),
        ("2024-11-03T01:30:00-04:00 New_York", at("America/New_York", 2024, 11, 3, 1, 30)),
        ("2024-11-03T01:30:00-05:00 New_York", at("America/New_York", 2024, 11, 3, 1, 30, fold=1)),
        ("2024-01-01T00:00:00-05:00", at("Etc/GMT+5", 2024, 1, 1)),
        ("2024-01-01T05:30:00+05:30", at("UTC", 2024, 1, 1)),
        ("C(37.55,-77.45)", Coord(37.55, -77.45)),
        ("C( 1 , -2e-7 )", Coord(1.0, -2e-7)),
        ('Color("red")', XStr("Color", "red")),
        ('C("x")', XStr("C", "x")),
        ('N("x")', XStr("N", "x")),
        ('INF("x")', XStr("INF", "x")),
        ("Bin(text/plain)", XStr("Bin", "text/plain")),
        ('Bin("text/plain")', XStr("Bin", "text/plain")),
    ],
)
def test_a_value_is_read(text: str, value: Any) -> None:
    assert same(read_scalar(text), value)


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        ("", 0, "expected a value, not the end"),
        ("zzz", 0, "expected a value, not 'zzz'"),
        ("Zzz", 0, "'Zzz' is no value"),
        ("T ", 1, "expected the end of the value, not ' '"),
        ("5.", 0, "expected a value"),
        (".5", 0, "expected a value"),
        ("-", 0, "expected a value"),
        ("1-2", 0, "expected a value"),
        ("5kW3", 0, "expected a value"),
        ("1e400", 0, "larger than a float"),
        ("9" * 5000, 0, "more than 4300 digits"),
        ('"abc', 4, 'expected the " at the end of a Str, not the end'),
        ('"a\nb"', 2, "expected the \" at the end of a Str, not '\\n'"),
        (r'"a\q"', 2, "is no escape in a Str"),
        (r'"\ud83d"', 0, "half of a character"),
        (r'"\ude00\ud83d"', 0, "half of a character"),
        ('"\x00"', 1, "at the end of a Str"),
        ("`abc", 4, "expected the ` at the end of a Uri, not the end"),
        ("@", 0, "expected a value"),
        ("^", 0, "expected a value"),
        ("@a/b", 2, "expected the end of the value, not '/b'"),
        ("2024-13-01", 0, "is no date: month must be in 1..12"),
        ("2024-1-1", 0, "expected a value"),
        ("\uff12024-01-01", 0, "expected a value"),
        ("24:00:00", 0, "expected a value"),
        ("12:60:00", 0, "is no time of day"),
        ("08:12:05.1234567", 0, "end at microseconds"),
        ("2024-01-01T00:00:00", 0, "expected a value, not '2024-01-01T00:00:00'"),
        ("2024-01-01T24:00:00Z", 0, "expected a value"),
        ("2024-02-30T00:00:00Z", 0, "is no moment"),
        ("2024-01-01T00:00:00.0000001Z", 0, "end at microseconds"),
        ("2024-01-01T00:00:00Z Nowhere", 0, "is no time zone"),
        ("2024-01-01T00:00:00-04:00 New_York", 0, "New_York is at -05:00 on 2024-01-01T00:00:00"),
        ("2024-01-01T00:00:00+99:00 New_York", 0, "is no offset"),
        ("0001-01-01T00:00:00+05:30", 0, "beyond the years 1 to 9999"),
        ("C(91,0)", 0, "outside -90 to 90"),
        ("C(1)", 0, "expected a value"),
        ("color(5)", 0, "expected a value"),
        ("Abc(5)", 0, "expected a value"),
    ],
)
def test_what_is_no_value_is_refused(text: str, at: int, message: str) -> None:
    with pytest.raises(Misread) as caught:
        read_scalar(text)
    assert message in str(caught.value)
    assert caught.value.at == at


@given(scalars())
@example(Number(5, "e"))
@example(Number(1e16, "kW"))
@example(Coord(1e-7, -5e-324))
@example(Uri(r"a\b\:c\\"))
@example(XStr("C", '"'))
def test_what_is_written_is_read_the_same(value: Any) -> None:
    assert same(read_scalar(write_scalar(value)), value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_float_keeps_every_bit(value: float) -> None:
    assert float(read_number(write_number(value))).hex() == value.hex()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "N"),
        (True, "T"),
        (1, "1"),
        (0.1, "0.1"),
        (Number(5, "kW"), "5kW"),
        (Number(123456.789, "kW"), "123456.789kW"),
        (Number(1e300), "1e+300"),
        (Ref("a", "x$"), r'@a "x\$"'),
        (datetime(2024, 1, 31, 17, tzinfo=UTC), "2024-01-31T17:00:00Z UTC"),
        (at("Europe/London", 2024, 1, 31), "2024-01-31T00:00:00+00:00 London"),
        (at("UTC", 1, 1, 1), "0001-01-01T00:00:00Z UTC"),
        (
            datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5))),
            "2024-01-31T12:00:00-05:00 GMT+5",
        ),
        (
            datetime(2024, 1, 31, 12, tzinfo=timezone(timedelta(hours=5, minutes=30))),
            "2024-01-31T06:30:00Z UTC",
        ),
        (Coord(1e-7, -180.0), "C(0.0000001,-180.0)"),
        (XStr("Color", "red"), 'Color("red")'),
        (time(8, 12), "08:12:00"),
    ],
)
def test_a_value_is_written(value: Any, text: str) -> None:
    assert write_scalar(value) == text


def test_control_characters_and_ends_of_lines_are_escaped() -> None:
    assert write_str("a\0\n\x85\u2028$\\é😀") == r'"a\u0000\n\u0085\u2028\$\\é😀"'


def test_a_backslash_of_a_uri_stays_as_it_is() -> None:
    assert write_uri(Uri(r"file \#2")) == r"`file \#2`"
    assert write_uri(Uri("a\\b`")) == r"`a\u005cb\``"


@pytest.mark.parametrize(
    "value",
    [
        datetime(2024, 1, 1),  # noqa: DTZ001
        datetime(1800, 1, 1, tzinfo=ZoneInfo("America/New_York")),
        pytest.param(10**4300, id="long"),
        pytest.param(-(10**5000), id="long-negative"),
        datetime(9999, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5, minutes=-30))),
    ],
)
def test_what_has_no_text_is_not_written(value: Any) -> None:
    with pytest.raises(ValueError, match=r"zone|offset of seconds|digits|beyond the years"):
        write_scalar(value)


def test_what_is_of_no_kind_is_not_written() -> None:
    with pytest.raises(TypeError, match="bytes is no kind"):
        write_scalar(b"a")  # type: ignore[arg-type]


def test_the_limit_of_digits_is_our_own() -> None:
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        with pytest.raises(ValueError, match="more than 4300 digits"):
            read_number("9" * 4301)
    finally:
        sys.set_int_max_str_digits(before)
    assert read_number("9" * 4300).val == 10**4300 - 1


@pytest.mark.parametrize("read", [read_number, read_date, read_time, read_moment])
@given(text=st.text(max_size=30))
def test_any_text_is_read_or_refused(read: Any, text: str) -> None:
    with suppress(ValueError):
        assert read(text) is not None
