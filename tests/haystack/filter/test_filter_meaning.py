"""What filters mean: one rule of the standard, or of ours where it is silent, at a time."""

from __future__ import annotations

import sys
from datetime import date, datetime, time
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest

from holdall.core.errors import InvalidQuery, Unsupported
from holdall.haystack import MARKER, NA, REMOVE, Coord, Grid, Number, Ref, Symbol, Uri, XStr
from holdall.haystack.filter import AnyUnit, compiled, matches, parse_filter, paths_of
from holdall.haystack.filter.meaning import DEEPEST
from holdall.records.predicate import (
    ALL,
    And,
    Begins,
    Between,
    Compares,
    Differs,
    Equals,
    Has,
    In,
    Like,
    Missing,
    Node,
    Not,
    NotIn,
    Or,
    Regex,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BERLIN = ZoneInfo("Europe/Berlin")
UTC = ZoneInfo("UTC")


def answer(
    text: str, entity: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]] | None = None
) -> bool:
    return matches(parse_filter(text), entity, None if others is None else others.get)


@pytest.mark.parametrize(
    ("value", "literal", "equal"),
    [
        # The table of the standard; a literal without a unit is ours: it means any unit.
        (Number(75), "75", True),
        (Number(75, "°F"), "75°F", True),
        (Number(75), "75°F", False),
        (Number(75, "°F"), "75°C", False),
        (Number(60, "s"), "1min", False),
        (Number(75, "°F"), "75", True),
        (Number(75, "fahrenheit"), "75°F", True),
        (Number(75, "_own"), "75_own", True),
        (Number(75, "_own"), "75_other", False),
        (75, "75", True),
        (75.0, "75", True),
        (75, "75°F", False),
        (Number(2**53 + 1), "9007199254740992", False),
        (Number(2**53 + 1), "9007199254740993", True),
        (Number(10_000), "10_000", True),
        (Number(float("inf")), "INF", True),
        (Number(float("nan")), "NaN", False),
        (float("nan"), "NaN", False),
        (True, "1", False),
        (1, "true", False),
        (Number(1), "true", False),
        (True, "true", True),
        (False, "false", True),
        (False, "true", False),
        ("x", '"x"', True),
        ("X", '"x"', False),
        ("e\u0301", '"\u00e9"', False),
        ("x", "`x`", False),
        (Uri("x"), "`x`", True),
        (Uri("x"), '"x"', False),
        (Ref("x"), "@x", True),
        (Ref("x", "One"), "@x", True),
        (Ref("x"), '@x "Two"', True),
        (Ref("x"), "@X", False),
        (Ref("x"), '"x"', False),
        ("x", "@x", False),
        (Symbol("x"), "^x", True),
        (Symbol("x"), '"x"', False),
        (date(2024, 1, 31), "2024-01-31", True),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-31", False),
        (date(2024, 1, 31), "2024-01-31T00:00:00Z", False),
        (time(12, 30), "12:30:00", True),
        (datetime(2024, 1, 31, 12, 30, tzinfo=UTC), "12:30:00", False),
        (datetime(2024, 1, 31, 13, tzinfo=BERLIN), "2024-01-31T12:00:00Z", True),
        (datetime(2024, 1, 31, 12, tzinfo=BERLIN), "2024-01-31T12:00:00Z", False),
        (Coord(1.0, 2.0), "C(1,2)", True),
        (Coord(1.0, 2.5), "C(1,2)", False),
        (XStr("Color", "x"), 'Color("x")', True),
        (XStr("Other", "x"), 'Color("x")', False),
        (MARKER, "true", False),
        (NA, '"NA"', False),
        (Grid([{"x": 1}]), "1", False),
        ({"x": 1}, "1", False),
    ],
)
def test_equals(value: Any, literal: str, equal: bool) -> None:
    entity = {"a": value}
    assert answer(f"a == {literal}", entity) is equal
    assert answer(f"a != {literal}", entity) is not equal
    assert answer(f"not (a == {literal})", entity) is not equal


LOWER_AND_HIGHER = [
    (Number(4), "5"),
    (Number(4, "kW"), "5kW"),
    (Number(4, "kilowatt"), "5kW"),
    (Number(4, "kW"), "5"),
    (4, "5"),
    (4.5, "5"),
    (Number(float("-inf")), "-5"),
    (Number(2**53), "9007199254740993"),
    ("abc", '"abd"'),
    ("Z", '"a"'),
    ("", '"a"'),
    ("\uffff", '"😀"'),  # by code point, not by UTF-16
    (date(2024, 1, 30), "2024-01-31"),
    (time(8, 0), "08:00:00.001"),
    (datetime(2024, 1, 31, 12, 30, tzinfo=BERLIN), "2024-01-31T12:00:00Z"),
    (False, "true"),
]


@pytest.mark.parametrize(("lower", "literal"), LOWER_AND_HIGHER)
def test_order(lower: Any, literal: str) -> None:
    entity = {"a": lower}
    signs = [sign for sign in ("<", "<=", ">", ">=") if answer(f"a {sign} {literal}", entity)]
    assert signs == ["<", "<="]


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (Number(4), "4"),
        (4.0, "4kW"),
        (Number(4, "kW"), "4"),
        (Number(4, "kilowatt"), "4kW"),
        ("a", '"a"'),
        (True, "true"),
        (date(2024, 1, 31), "2024-01-31"),
        (time(12), "12:00:00"),
        (datetime(2024, 1, 31, 13, tzinfo=BERLIN), "2024-01-31T12:00:00Z"),
    ],
)
def test_what_is_equal_stands_neither_before_nor_after(value: Any, literal: str) -> None:
    entity = {"a": value}
    equal = answer(f"a == {literal}", entity)
    signs = [sign for sign in ("<", "<=", ">", ">=") if answer(f"a {sign} {literal}", entity)]
    assert signs == (["<=", ">="] if equal else [])


@pytest.mark.parametrize(
    ("value", "literal"),
    [
        (Number(5), "4°F"),
        (Number(5, "°C"), "4°F"),
        (Number(5, "min"), "4sec"),
        (5, "4kW"),
        (Number(float("nan")), "4"),
        (Number(4), "NaN"),
        (True, "0"),
        (1, "false"),
        ("5", "4"),
        (Number(5), '"4"'),
        (Ref("b"), "@a"),
        (Ref("b"), '"a"'),
        (Uri("b"), "`a`"),
        (Symbol("b"), "^a"),
        (Coord(2.0, 2.0), "C(1,1)"),
        (XStr("Color", "b"), 'Color("a")'),
        (date(2024, 1, 31), "2024-01-30T00:00:00Z"),
        (datetime(2024, 1, 31, tzinfo=UTC), "2024-01-30"),
        (time(12), "2024-01-30"),
        (datetime(2024, 1, 31), "2024-01-30T00:00:00Z"),  # noqa: DTZ001
        (time(12, tzinfo=UTC), "11:00:00"),
        (MARKER, "true"),
        (NA, "0"),
        ({"x": 5}, "4"),
        (None, "4"),
        ([], "4"),
    ],
)
@pytest.mark.parametrize("sign", ["<", "<=", ">", ">="])
def test_no_order(value: Any, literal: str, sign: str) -> None:
    assert not answer(f"a {sign} {literal}", {"a": value})


@pytest.mark.parametrize("entity", [{}, {"a": None}])
def test_what_is_absent_is_only_missing(entity: dict[str, Any]) -> None:
    assert not answer("a", entity)
    assert answer("not a", entity)
    for sign in ("==", "!=", "<", "<=", ">", ">="):
        assert not answer(f"a {sign} 1", entity)
    assert answer("not (a == 1)", entity)
    assert answer("not (a != 1)", entity)


@pytest.mark.parametrize("value", [False, 0, "", NA, REMOVE, MARKER, [], {}, Grid()])
def test_every_value_but_none_is_there(value: Any) -> None:
    assert answer("a", {"a": value})
    assert not answer("not a", {"a": value})
    assert answer("a != 5", {"a": value})


@pytest.mark.parametrize("value", [True, "5", None, Number(5)])
def test_any_unit_takes_a_plain_number(value: Any) -> None:
    with pytest.raises(TypeError, match="no int or float"):
        AnyUnit(value)


def test_none_as_a_wanted_value_equals_nothing() -> None:
    for value in (None, [None], "x"):
        assert not matches(Equals(("a",), None), {"a": value})
    assert matches(Differs(("a",), None), {"a": "x"})


def test_a_list_matches_when_any_item_does() -> None:
    entity = {"a": [Number(1), Number(5, "kW"), "x", None]}
    for text in ('a == "x"', "a == 5", "a == 5kW", "a < 2", "a > 4", "a <= 1", "a >= 5kW"):
        assert answer(text, entity), text
    for text in ("a == 2", "a > 5", 'a < "x"', "a < 5kW"):
        assert not answer(text, entity), text


def test_a_list_differs_when_no_item_equals() -> None:
    assert answer("a != 2", {"a": [1, 3]})
    assert not answer("a != 1", {"a": [1, 3]})
    assert answer("a != 1", {"a": []})


def test_a_list_equals_an_equal_list() -> None:
    node = Equals(("a",), [1, {"b": [Ref("x")]}])
    assert matches(node, {"a": [Number(1), {"b": [Ref("x", "X")]}]})
    assert matches(node, {"a": [[1, {"b": [Ref("x")]}], 2]})
    assert not matches(node, {"a": [Number(1, "kW"), {"b": [Ref("x")]}]})
    assert not matches(node, {"a": [1]})


@pytest.mark.parametrize(
    "value", [{"b": 1}, {"b": 1, "c": 2, "d": 3}, {"b": 1, "c": None}, {"b": 1, "d": 2}, [1], None]
)
def test_a_dict_equals_one_of_the_same_tags(value: Any) -> None:
    node = Equals(("a",), {"b": 1, "c": 2})
    assert matches(node, {"a": {"c": 2, "b": Number(1)}})
    assert not matches(node, {"a": value})


def test_none_within_a_list_equals_none_there() -> None:
    node = Equals(("a",), [None, 1])
    assert matches(node, {"a": [None, 1]})
    assert not matches(node, {"a": [2, 1]})
    assert not matches(node, {"a": [None, None]})


def test_lists_in_lists_are_not_opened() -> None:
    assert not answer("a == 1", {"a": [[1]]})


AHUS: dict[str, dict[str, Any]] = {
    "ahu1": {"id": Ref("ahu1"), "dis": "AHU-1", "area": Number(100, "ft²"), "siteRef": Ref("s")},
    "ahu2": {"id": Ref("ahu2"), "dis": "AHU-2", "fan": {"speed": 5, "siteRef": [Ref("s")]}},
    "s": {"id": Ref("s"), "geoCity": "Chicago", "siteRef": Ref("s")},
}


@pytest.mark.parametrize(
    "text",
    [
        "airRef == @ahu1",
        "airRef == @ahu2",
        'airRef->dis == "AHU-1"',
        'airRef->dis == "AHU-2"',
        "airRef->area",
        "airRef->area > 99",
        'airRef->siteRef->geoCity == "Chicago"',
        "airRef->fan->speed == 5",
        'airRef->fan->siteRef->geoCity == "Chicago"',
        'not (airRef->dis == "AHU-3")',
        'airRef->dis != "AHU-3"',
        "not airRef->geoCity",
    ],
)
def test_a_list_of_refs_matches_when_any_does(text: str) -> None:
    assert answer(text, {"airRef": [Ref("ahu1"), Ref("ahu2")]}, AHUS)


@pytest.mark.parametrize(
    "text",
    [
        "airRef == @ahu3",
        "airRef != @ahu1",
        'airRef->dis != "AHU-1"',
        "not airRef->area",
        "airRef->area > 100",
        "airRef->geoCity",
        'airRef->geoCity != "Boston"',
    ],
)
def test_what_some_ref_of_a_list_says_no_other_takes_back(text: str) -> None:
    assert not answer(text, {"airRef": [Ref("ahu1"), Ref("ahu2")]}, AHUS)


def test_an_arrow_leads_through_a_nested_dict() -> None:
    entity = {"a": {"b": {"c": 3}, "r": Ref("s")}}
    assert answer("a->b->c == 3", entity)
    assert answer("a->b", entity)
    assert not answer("a->b->d", entity)
    assert answer('a->r->geoCity == "Chicago"', entity, AHUS)


@pytest.mark.parametrize(
    "value", [Grid([{"b": 1}]), "text", Number(1), MARKER, [{"b": 1}], [[Ref("s")]], Uri("s"), None]
)
def test_an_arrow_leads_nowhere_else(value: Any) -> None:
    others = {"s": {"b": 1}}
    assert not answer("a->b", {"a": value}, others)
    assert answer("not a->b", {"a": value}, others)
    assert not answer("a->b != 2", {"a": value}, others)


@pytest.mark.parametrize("others", [None, {}])
def test_a_ref_that_nobody_resolves_leads_nowhere(others: dict[str, Any] | None) -> None:
    for entity in ({"x": Ref("gone")}, {"x": [Ref("gone")]}):
        assert not answer("x->area", entity, others)
        assert answer("not x->area", entity, others)
        assert not answer("x->area != 3", entity, others)
        assert answer("x", entity, others)


def test_a_cycle_is_walked_as_far_as_the_path_goes() -> None:
    others: dict[str, dict[str, Any]] = {"a": {"n": Ref("b")}, "b": {"n": Ref("a"), "area": 5}}
    assert answer("n->n->n->area > 4", {"n": Ref("a")}, others) is False
    assert answer("n->n->n->n->area > 4", {"n": Ref("a")}, others) is True


def test_refs_that_meet_again_are_followed_once() -> None:
    both = [Ref("a"), Ref("b")]
    others: dict[str, dict[str, Any]] = {"a": {"n": both}, "b": {"n": both, "area": 5}}
    asked: list[str] = []

    def resolve(one: str) -> dict[str, Any] | None:
        asked.append(one)
        return others.get(one)

    path = ("n",) * 60 + ("area",)
    assert matches(Equals(path, AnyUnit(5)), others["a"], resolve)
    assert len(asked) == 120


def test_an_hour_that_the_clocks_show_twice_is_two_hours() -> None:
    first = datetime(2024, 10, 27, 2, 30, tzinfo=BERLIN)
    second = first.replace(fold=1)
    early = "2024-10-27T02:30:00+02:00 Berlin"
    late = "2024-10-27T02:30:00+01:00 Berlin"
    assert answer(f"a == {early}", {"a": first})
    assert answer(f"a == {late}", {"a": second})
    assert not answer(f"a == {early}", {"a": second})
    assert answer(f"a > {early}", {"a": second})
    assert answer("a == 2024-10-27T01:30:00Z", {"a": second})


def test_moments_at_the_ends_of_the_calendar_compare() -> None:
    first = datetime(1, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo"))
    last = datetime(9999, 12, 31, 23, tzinfo=ZoneInfo("America/New_York"))
    assert answer("a < 2024-01-31T12:00:00Z", {"a": first})
    assert answer("a > 2024-01-31T12:00:00Z", {"a": last})
    assert matches(Equals(("a",), first), {"a": first})
    assert matches(Compares(("a",), "lt", last), {"a": first})


NUMBERS = [Number(1), Number(2), Number(2, "kW"), 2, Ref("x"), "x", None]


@pytest.mark.parametrize("value", [*NUMBERS, NUMBERS])
def test_in_is_any_of_several_equals(value: Any) -> None:
    wanted = (Number(2), "x", Ref("x"))
    some = Or(tuple([Equals(("a",), one) for one in wanted]))
    none = And(tuple([Differs(("a",), one) for one in wanted]))
    assert matches(In(("a",), wanted), {"a": value}) is matches(some, {"a": value})
    assert matches(NotIn(("a",), wanted), {"a": value}) is matches(none, {"a": value})


def test_in_nothing_is_never_and_not_in_nothing_is_there() -> None:
    assert not matches(In(("a",), ()), {"a": 1})
    assert matches(NotIn(("a",), ()), {"a": 1})
    assert not matches(NotIn(("a",), ()), {})


def test_in_many_refs_ignores_what_they_display() -> None:
    node = In(("a",), tuple([Ref(f"r{at}", "R") for at in range(100)]))
    assert matches(node, {"a": Ref("r99")})
    assert matches(node, {"a": [Ref("q"), Ref("r0", "Other")]})
    assert not matches(node, {"a": "r0"})


def test_between_asks_of_one_item_that_it_is() -> None:
    node = Between(("a",), AnyUnit(2), AnyUnit(3))
    assert matches(node, {"a": [1, Number(2.5, "kW")]})
    assert not matches(node, {"a": [1, 4]})


def test_joining_nothing() -> None:
    assert matches(ALL, {})
    assert not matches(Or(()), {})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
def test_and_wants_all_and_or_wants_one(count: int) -> None:
    names = [f"a{at}" for at in range(count)]
    all_of, one_of = parse_filter(" and ".join(names)), parse_filter(" or ".join(names))
    assert matches(all_of, dict.fromkeys(names, MARKER))
    assert not matches(one_of, {})
    for name in names:
        assert not matches(all_of, {one: MARKER for one in names if one != name})
        assert matches(one_of, {name: MARKER})


def test_ten_thousand_terms_are_answered() -> None:
    names = [f"a{at}" for at in range(10_000)]
    assert answer(" or ".join(names), {"a9999": MARKER})
    assert answer(" and ".join(names), dict.fromkeys(names, MARKER))
    assert not answer(" and ".join([*names, "b"]), dict.fromkeys(names, MARKER))


def test_the_deepest_filter_is_answered_on_half_the_stack() -> None:
    text = "(b or a and not " * 99 + "(a)" + ")" * 99
    node = parse_filter(text)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(_depth() + before // 2)
    try:
        assert matches(node, {"a": MARKER}) is False
    finally:
        sys.setrecursionlimit(before)


def _depth() -> int:
    frame, depth = sys._getframe(), 0
    while frame.f_back is not None:
        frame, depth = frame.f_back, depth + 1
    return depth


@pytest.mark.parametrize("join", [Not, lambda node: And((Has(("a",)), node))])
def test_a_tree_that_is_too_deep_is_refused(join: Callable[[Node], Node]) -> None:
    node: Node = Has(("a",))
    for _ in range(DEEPEST):
        node = join(node)
    compiled(node)
    with pytest.raises(InvalidQuery, match="310"):
        compiled(join(node))


@pytest.mark.parametrize(
    "node",
    [Like(("a",), "x%"), Regex(("a",), "x"), Begins(("a",), "x"), Not(And((Like(("a",), "x"),)))],
)
def test_conditions_that_filters_do_not_have_are_refused_by_name(node: Node) -> None:
    with pytest.raises(Unsupported, match=r"condition (Like|Regex|Begins)"):
        compiled(node)


def test_a_row_of_a_grid_is_an_entity() -> None:
    grid = Grid([{"a": 1, "b": MARKER}, {"b": MARKER}])
    test = compiled(parse_filter("a >= 1 and b"))
    assert [test(row) for row in grid] == [True, False]


def test_paths_are_told_once_in_order() -> None:
    node = parse_filter("b and (not (a->c == 1) or b < 2) and not d")
    assert paths_of(node) == (("b",), ("a", "c"), ("d",))
    assert paths_of(ALL) == ()
    assert paths_of(Missing(("a",))) == (("a",),)


def test_paths_are_told_of_ten_thousand_terms_and_levels() -> None:
    node: Node = parse_filter(" or ".join(f"a{at}" for at in range(10_000)))
    for _ in range(10_000):
        node = Not(node)
    assert len(paths_of(node)) == 10_000
