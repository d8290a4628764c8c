"""Filters read."""

from __future__ import annotations

from datetime import date, datetime, time
from threading import Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdall.core.errors import InvalidQuery
from holdall.haystack import Coord, Number, Ref, Symbol, Uri, XStr, same
from holdall.haystack.filter import MAX_NESTING, AnyUnit, parse_filter
from holdall.haystack.filter.parsing import _kept
from holdall.records.predicate import (
    And,
    Compares,
    Differs,
    Equals,
    Has,
    Missing,
    Node,
    Not,
    Or,
)

A, B, C, D = Has(("a",)), Has(("b",)), Has(("c",)), Has(("d",))
AT = datetime(2016, 2, 22, 8, 43, 12, tzinfo=ZoneInfo("America/New_York"))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("a", A),
        (" \t\r\n a \n", A),
        ("fooBar_9", Has(("fooBar_9",))),
        ("a->b->c", Has(("a", "b", "c"))),
        ("a -> b\n->c", Has(("a", "b", "c"))),
        ("not a", Missing(("a",))),
        ("not a->b", Missing(("a", "b"))),
        ("a == 1", Equals(("a",), AnyUnit(1))),
        ("a==1", Equals(("a",), AnyUnit(1))),
        ("a != 1", Differs(("a",), AnyUnit(1))),
        ("a < 1", Compares(("a",), "lt", AnyUnit(1))),
        ("a<=1", Compares(("a",), "le", AnyUnit(1))),
        ("a > 1", Compares(("a",), "gt", AnyUnit(1))),
        ("a>=1", Compares(("a",), "ge", AnyUnit(1))),
        ("a<-1", Compares(("a",), "lt", AnyUnit(-1))),
        ("a->b == 1", Equals(("a", "b"), AnyUnit(1))),
        ("a and b", And((A, B))),
        ("a or b", Or((A, B))),
        ("a and b or c", Or((And((A, B)), C))),
        ("a or b and c", Or((A, And((B, C))))),
        ("a and b or c and d", Or((And((A, B)), And((C, D))))),
        ("(a or b) and c", And((Or((A, B)), C))),
        ("a and(b or c)and d", And((A, Or((B, C)), D))),
        ("not a and b", And((Missing(("a",)), B))),
        ("not (a and b)", Not(And((A, B)))),
        ("not(a)", Not(A)),
        ("not (not (a)) or b", Or((Not(Not(A)), B))),
        ('a == "x"and b', And((Equals(("a",), "x"), B))),
    ],
)
def test_a_text_is_a_tree(text: str, node: Node) -> None:
    assert parse_filter(text) == node


@pytest.mark.parametrize(
    "text", ["a and b and c", "(a and b) and c", "a and (b and c)", "((a)) and ((b and (c)))"]
)
def test_parentheses_that_change_nothing_leave_no_trace(text: str) -> None:
    assert parse_filter(text) == And((A, B, C))
    assert parse_filter(text.replace("and", "or")) == Or((A, B, C))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("false", False),
        ('""', ""),
        ('"x y"', "x y"),
        (r'"a\"b\\c\$d\n\u00e9"', 'a"b\\c$d\né'),
        (r'"\uD83D\uDE00"', "😀"),
        ('"$5"', "$5"),
        ("`http://foo/?bar`", Uri("http://foo/?bar")),
        ("`file name`", Uri("file name")),
        ("@a-b:c.d~e_f", Ref("a-b:c.d~e_f")),
        ('@a "Site A"', Ref("a", "Site A")),
        ('@a   "Site A"', Ref("a", "Site A")),
        ("^elec", Symbol("elec")),
        ("^elec-meter", Symbol("elec-meter")),
        ("5", AnyUnit(5)),
        ("-5", AnyUnit(-5)),
        ("5.0", AnyUnit(5.0)),
        ("10_000", AnyUnit(10_000)),
        ("1e3", AnyUnit(1000.0)),
        ("5.4e-45", AnyUnit(5.4e-45)),
        ("123456789012345678901", AnyUnit(123456789012345678901)),
        ("INF", AnyUnit(float("inf"))),
        ("-INF", AnyUnit(float("-inf"))),
        ("5EUR", Number(5, "EUR")),
        ("5E", Number(5, "E")),
        ("10.6EER", Number(10.6, "EER")),
        ("1e3kW", Number(1000.0, "kW")),
        ("74.2°F", Number(74.2, "°F")),
        ("5%", Number(5, "%")),
        ("5kW/ft²", Number(5, "kW/ft²")),
        ("2009-10-30", date(2009, 10, 30)),
        ("08:30:00", time(8, 30)),
        ("08:30:00.250", time(8, 30, 0, 250_000)),
        ("8:30", time(8, 30)),
        ("2016-02-22T08:43:12.905-05:00 New_York", AT.replace(microsecond=905_000)),
        ("2016-02-22T13:43:12Z", AT.astimezone(ZoneInfo("UTC"))),
        ("2016-02-22T13:43:12Z UTC", AT.astimezone(ZoneInfo("UTC"))),
        ("2016-02-22T16:43:12+03:00 GMT-3", AT.astimezone(ZoneInfo("Etc/GMT-3"))),
        ("C(37.55,-77.45)", Coord(37.55, -77.45)),
        ('Color("red")', XStr("Color", "red")),
    ],
)  # fmt: skip
@pytest.mark.parametrize("frame", ["a == {}", "a=={} and b", "(b or a== {})", "not (a=={}\n)"])
def test_a_value_is_a_kind(frame: str, text: str, value: Any) -> None:
    node: Any = parse_filter(frame.format(text))
    while not isinstance(node, Equals):
        node = node.node if isinstance(node, Not) else node.nodes["or" in frame]
    assert type(node.value) is type(value)
    assert same(getattr(node.value, "val", node.value), getattr(value, "val", value))
    assert repr(node.value) == repr(value)


def test_not_a_number_is_a_value() -> None:
    node = parse_filter("a == NaN")
    assert repr(node) == repr(Equals(("a",), AnyUnit(float("nan"))))


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("not", Has(("not",))),
        ("not not", Missing(("not",))),
        ("not == 1", Equals(("not",), AnyUnit(1))),
        ("not->not", Has(("not", "not"))),
        ("(not) and a", And((Has(("not",)), A))),
        ("not (not)", Not(Has(("not",)))),
        ("and and or", And((Has(("and",)), Has(("or",))))),
        ("true or false", Or((Has(("true",)), Has(("false",))))),
        ("notes or android", Or((Has(("notes",)), Has(("android",))))),
    ],
)
def test_no_word_is_kept_from_being_a_name(text: str, node: Node) -> None:
    assert parse_filter(text) == node


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a tag, 'not' or '\\(', and found the end"),
        ("  ", 3, "expected a tag"),
        ("a b", 3, "expected 'and', 'or' or the end, and found 'b'"),
        ("a android", 3, "found 'android'"),
        ("a orb", 3, "found 'orb'"),
        ("(a b", 4, r"expected 'and', 'or' or '\)', and found 'b'"),
        ("a=5", 2, "expected '==', and found '='"),
        ("a->", 4, "expected the name of a tag after '->', and found the end"),
        ("a->->b", 4, "expected the name of a tag after '->'"),
        ("a->5", 4, "found '5'"),
        ("(a", 1, r"this parenthesis has no end: expected '\)'"),
        ("a and (b or (c)", 7, "this parenthesis has no end"),
        ("a)", 2, r"found '\)'"),
        ("()", 2, r"found '\)'"),
        ("a and", 6, "expected a tag, 'not' or '\\(', and found the end"),
        ("a or or or", 11, "found the end"),
        ("not a == 5", 7, "'not' takes a tag or parentheses"),
        ("not 5", 5, "found '5'"),
        ("a==", 4, "expected a value, not the end"),
        ("a== and b", 5, "expected a value, not 'and'"),
        ("a==@", 4, "expected a value, not '@'"),
        ("a==b", 4, "expected a value, not 'b'"),
        ("a==trueish", 4, "expected a value, not 'trueish'"),
        ("a==2024-13-45", 4, "2024-13-45"),
        ("a==25:00:00", 4, "25:00:00"),
        ("a==2024-01-31T12:00:00-05:00 Nowhere", 4, "Nowhere"),
        ("a==2024-01-31T12:00:00+07:00 New_York", 4, "New_York"),
        ("a==M", 4, "M is no value of a filter"),
        ("a==NA", 4, "NA is no value of a filter"),
        ("a==T", 4, "bools are written true and false"),
        ("a==N and b", 4, "N is no value"),
        ("a==Foo", 4, "Foo"),
        ("a==[1]", 4, r"expected a value, not '\['"),
        ("a=={x}", 4, "expected a value"),
        ('a=="x', 6, 'expected the "'),
        ("a==`x", 6, "expected the `"),
        (r'a=="\x"', 5, "no escape"),
        (r'a=="\ud83d"', 4, r"\\ud83d"),
        ("a==3x5", 4, "3x5"),
        ("a==1-2", 4, "1-2"),
        ("a==1" + "0" * 5000, 4, "digits"),
        ("a==1e999", 4, "1e999"),
        ("a *== @b", 3, r"found '\*=="),
        ("site?", 5, r"found '\?'"),
        ("a \u00a0b", 3, "expected 'and'"),
        ("A", 1, "needs definitions"),
        ("a and Meter", 7, "a filter by type, such as Meter or ph::Meter, needs definitions"),
        ("ph::Meter", 3, "needs definitions"),
        ("b or ph.points::OutsideAirTempSensor", 8, "needs definitions"),
        ("not Meter", 5, "needs definitions"),
        ("^site", 1, "needs definitions"),
    ],
)  # fmt: skip
def test_an_error_says_where_and_what(text: str, column: int, message: str) -> None:
    with pytest.raises(InvalidQuery, match=message) as caught:
        parse_filter(text)
    assert (caught.value.line, caught.value.column) == (1, column)


def test_an_error_knows_its_line() -> None:
    with pytest.raises(InvalidQuery, match="line 3, column 5: expected a tag"):
        parse_filter('a == "x" and\nb or\n    ?')


def place_of_error(text: str) -> tuple[int, int] | None:
    try:
        parse_filter(text)
    except InvalidQuery as error:
        assert error.line is not None and error.column is not None  # noqa: PT017, PT018
        return error.line, error.column
    return None


def nested(levels: int) -> str:
    return "(" * levels + "a" + ")" * levels


@pytest.mark.parametrize("word", ["", "not "])
def test_parentheses_nest_a_hundred_deep(word: str) -> None:
    parse_filter("".join([f"{word}("] * MAX_NESTING) + "a" + ")" * MAX_NESTING)
    with pytest.raises(InvalidQuery, match="more than 100 parentheses") as caught:
        parse_filter("".join([f"{word}("] * (MAX_NESTING + 1)) + "a" + ")" * (MAX_NESTING + 1))
    assert caught.value.column == MAX_NESTING * len(f"{word}(") + len(f"{word}(")


@pytest.mark.parametrize(
    "text",
    ["(" * 1_000_000, nested(500_000), "not (" * 200_000, "not " * 200_001, "(a and " * 150_000],
)
def test_a_million_letters_of_nesting_are_an_error(text: str) -> None:
    with pytest.raises(InvalidQuery):
        parse_filter(text)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        '"' * 1_000_000,
        'a=="' + "\\" * 1_000_001,
        'a=="' + "x" * 1_000_000,
        "a==@b" + " " * 1_000_000 + "@",
        "a->" * 300_000,
        "a" + " " * 1_000_000 + "?",
        "a==1" + "_" * 1_000_000,
        "a==" + "1_" * 500_000 + "?",
        "a==" + "A" * 1_000_000 + "(",
        "a==1." + "5" * 1_000_000 + ".",
        "a==C(" + "1" * 1_000_000,
        "a==2024-01-31T00:00:00." + "0" * 1_000_000,
    ],
    ids=lambda text: text[:12],
)
def test_a_long_text_is_read_in_one_go(text: str) -> None:
    """One that tried each place anew would need hours for these."""
    place = place_of_error(text)
    assert place is None or place[0] == 1


def test_ten_thousand_terms_are_one_node() -> None:
    node = parse_filter(" or ".join(f"a{at} == {at}" for at in range(10_000)))
    assert isinstance(node, Or)
    assert len(node.nodes) == 10_000
    assert node.nodes[-1] == Equals(("a9999",), AnyUnit(9999))


def test_what_is_kept_is_bounded() -> None:
    bound = _kept.cache_parameters()["maxsize"]
    assert bound == 512
    _kept.cache_clear()
    for at in range(600):
        parse_filter(f"a{at}")
    assert _kept.cache_info().currsize == 512


def test_long_texts_are_not_kept() -> None:
    _kept.cache_clear()
    parse_filter("a" * 1024)
    parse_filter("a" * 1025)
    assert _kept.cache_info().currsize == 1


def test_threads_read_the_same() -> None:
    wrong: list[str] = []

    def read(first: int) -> None:
        for at in range(first, first + 700):
            if parse_filter(f"a == {at % 600}") != Equals(("a",), AnyUnit(at % 600)):
                wrong.append(f"a == {at}")

    threads = [Thread(target=read, args=(at * 100,)) for at in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


_PIECES = (
    "a", "not", "and", "or", "(", ")", "->", "==", "!=", "<", "<=", ">", ">=", "=", " ", "\n", "5",
    "5kW", "-", "_", "1e", "@x", '"', "\\", '"x"', "`", "`u`", "^s", "true", "T", "NA", "INF",
    "2024-01-31", "T12:00:00", "Z", "-05:00", " New_York", "12:30", "C(", "1,2)", 'X("', "::", ".",
    "Meter", "é", "\ud800", "\0", "\u2028", "\\u", "00e9", "9" * 400,
)  # fmt: skip
texts = st.text() | st.lists(st.sampled_from(_PIECES), max_size=12).map("".join)


@settings(max_examples=300)
@given(texts)
@example("a==\ud800")
@example('a=="\ud800"')
def test_any_text_is_a_filter_or_an_error_with_a_place(text: str) -> None:
    place = place_of_error(text)
    assert place is None or (1 <= place[0] <= text.count("\n") + 1)
    assert place is None or (1 <= place[1] <= len(text) + 1)
