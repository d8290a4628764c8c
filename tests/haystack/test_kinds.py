"""Kinds: equality, order, hashes, what they refuse, and what is taken in from Python."""

from __future__ import annotations

import copy
import enum
import pickle
from datetime import UTC, date, datetime, time, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.haystack import (
    MARKER,
    NA,
    REMOVE,
    Coord,
    Grid,
    Number,
    Ref,
    Symbol,
    Uri,
    XStr,
    adopt,
    same,
)
from holdall.haystack.kinds import MAX_DEPTH, Marker, NAType, Remove, checked_name, is_name

NAN = float("nan")
SINGLETONS = [MARKER, NA, REMOVE]
VALUES: list[Any] = [
    *SINGLETONS,
    Number(1),
    Number(2.5, "kW"),
    Ref("a"),
    Ref("a-b.c:d~e_f", "A"),
    Symbol("elec-meter"),
    Uri("http://x/#y"),
    Coord(37.5, -77.4),
    XStr("Color", "red"),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_pickled(value: Any) -> None:
    back = pickle.loads(pickle.dumps(value))
    assert type(back) is type(value)
    assert same(back, value)


@pytest.mark.parametrize("value", SINGLETONS, ids=repr)
def test_a_singleton_is_itself_after_any_copy(value: Any) -> None:
    assert pickle.loads(pickle.dumps(value)) is value
    assert copy.copy(value) is value
    assert copy.deepcopy(value) is value
    assert type(value)() is value


@pytest.mark.parametrize("value", SINGLETONS, ids=repr)
def test_a_singleton_is_true_as_a_condition(value: Any) -> None:
    assert value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (MARKER, "MARKER"),
        (NA, "NA"),
        (REMOVE, "REMOVE"),
        (Number(1), "Number(1)"),
        (Number(1.5, "kW"), "Number(1.5, 'kW')"),
        (Ref("a"), "Ref('a')"),
        (Ref("a", "A"), "Ref('a', 'A')"),
        (Symbol("a"), "Symbol('a')"),
        (Uri("u"), "Uri('u')"),
        (Coord(1.0, 2.0), "Coord(1.0, 2.0)"),
        (XStr("T", "v"), "XStr('T', 'v')"),
    ],
)
def test_a_value_shows_how_to_make_it(value: Any, text: str) -> None:
    assert repr(value) == text


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_equal_values_have_one_hash(value: Any) -> None:
    assert hash(copy.deepcopy(value)) == hash(value)
    assert {value: 1}[copy.deepcopy(value)] == 1


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_nothing_can_be_set_on_a_value(value: Any) -> None:
    for name in ("val", "lat", "dis", "other"):
        with pytest.raises(AttributeError):
            setattr(value, name, "x")


def test_values_of_two_kinds_are_never_equal() -> None:
    texts = ["a", Ref("a"), Symbol("a"), Uri("a"), XStr("A", "a"), MARKER, NA, REMOVE]
    for at, one in enumerate(texts):
        assert all(one != other for other in texts[at + 1 :])


@pytest.mark.parametrize("value", [1, 1.0, True], ids=repr)
def test_a_number_is_no_plain_number_and_no_bool(value: Any) -> None:
    assert Number(1) != value


@pytest.mark.parametrize("value", ["5", True, None, 1j, Number(1)], ids=repr)
def test_a_number_takes_ints_and_floats_alone(value: Any) -> None:
    with pytest.raises(TypeError):
        Number(value)


def test_a_number_keeps_its_type() -> None:
    assert type(Number(1).val) is int
    assert type(Number(1.0).val) is float


def test_a_large_int_stays_exact() -> None:
    assert Number(2**53 + 1).val == 2**53 + 1


def test_int_and_float_of_one_value_are_equal() -> None:
    assert Number(1) == Number(1.0)
    assert hash(Number(1)) == hash(Number(1.0))


@pytest.mark.parametrize(("one", "other"), [("kW", "kilowatt"), ("h", "hr"), ("hour", "h")])
def test_names_of_one_unit_are_equal(one: str, other: str) -> None:
    assert Number(1, one) == Number(1.0, other)
    assert hash(Number(1, one)) == hash(Number(1.0, other))


def test_nothing_is_converted() -> None:
    assert Number(1, "min") != Number(60, "sec")


def test_a_unit_that_is_not_in_the_database_is_equal_to_itself() -> None:
    assert Number(1, "_frobs") == Number(1, "_frobs")
    assert Number(1, "_frobs") != Number(1, "_frob")


def test_a_number_with_a_unit_is_not_one_without() -> None:
    assert Number(1, "kW") != Number(1)


def test_an_empty_unit_is_none() -> None:
    assert Number(1, "").unit is None


def test_not_a_number_has_no_unit() -> None:
    with pytest.raises(ValueError, match="not a number has no unit"):
        Number(NAN, "kW")


def test_infinity_may_have_a_unit() -> None:
    assert Number(float("inf"), "kW").unit == "kW"


@pytest.mark.parametrize("unit", ["k W", "m2", "m²\n", "kW-h", "a.b", '"', "\x7f"])
def test_a_unit_holds_letters_and_few_signs(unit: str) -> None:
    with pytest.raises(ValueError, match="is no unit"):
        Number(1, unit)


@pytest.mark.parametrize("unit", ["kW", "m²", "°F", "$", "%", "_x", "L/s", "Δ°C", "元", "EER"])
def test_units_of_any_letters_are_taken(unit: str) -> None:
    assert Number(1, unit).unit == unit


def test_not_a_number_is_not_equal_to_itself_and_is_the_same() -> None:
    assert Number(NAN) != Number(NAN)
    assert same(Number(NAN), Number(NAN))


def test_numbers_of_one_unit_order() -> None:
    assert Number(1, "kW") < Number(2.5, "kilowatt")
    assert Number(2) >= Number(2.0)
    assert Number(2) <= Number(2.0)
    assert Number(3) > Number(2)
    assert sorted([Number(3), Number(1.5)]) == [Number(1.5), Number(3)]


@pytest.mark.parametrize("other", [Number(1), Number(1, "W"), 1, 1.0, "1"], ids=repr)
def test_numbers_order_with_nothing_else(other: Any) -> None:
    for compare in ("__lt__", "__le__", "__gt__", "__ge__"):
        with pytest.raises(TypeError, match="does not order"):
            getattr(Number(1, "kW"), compare)(other)


def test_a_number_is_a_float_for_python() -> None:
    assert float(Number(2, "kW")) == 2.0


def test_refs_are_equal_by_their_ids() -> None:
    assert Ref("a", "A") == Ref("a")
    assert hash(Ref("a", "A")) == hash(Ref("a"))
    assert Ref("a") != Ref("A")
    assert not same(Ref("a", "A"), Ref("a"))


@pytest.mark.parametrize("kind", [Ref, Symbol])
@pytest.mark.parametrize("text", ["", "a\n", "a b", "@a", "ä", "a/b", "a,b", "²"])
def test_an_id_holds_no_other_characters(kind: Any, text: str) -> None:
    with pytest.raises(ValueError, match="ASCII letters"):
        kind(text)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Ref(5),  # type: ignore[arg-type]
        lambda: Ref("a", 5),  # type: ignore[arg-type]
        lambda: Symbol(5),  # type: ignore[arg-type]
        lambda: Uri(5),  # type: ignore[arg-type]
        lambda: Uri(None),  # type: ignore[arg-type]
        lambda: XStr("T", 5),  # type: ignore[arg-type]
        lambda: Number(1, 5),  # type: ignore[arg-type]
        lambda: Coord("1", 2.0),  # type: ignore[arg-type]
        lambda: Coord(True, 2.0),
    ],
)
def test_a_value_of_another_type_is_refused(make: Any) -> None:
    with pytest.raises(TypeError):
        make()


@pytest.mark.parametrize(
    ("lat", "lng"), [(90.1, 0.0), (-90.1, 0.0), (0.0, 180.1), (0.0, -180.1), (NAN, 0.0)]
)
def test_degrees_outside_of_the_earth_are_refused(lat: float, lng: float) -> None:
    with pytest.raises(ValueError, match="outside"):
        Coord(lat, lng)


@pytest.mark.parametrize(("lat", "lng"), [(90, 180), (-90, -180), (0.0, 0.0)])
def test_degrees_to_the_edge_are_taken(lat: float, lng: float) -> None:
    assert Coord(lat, lng).lat == lat


@pytest.mark.parametrize("kind", ["", "color", "9", "A b", "Ä", "A\n"])
def test_a_type_of_an_xstr_begins_with_a_capital(kind: str) -> None:
    with pytest.raises(ValueError, match="no type of an XStr"):
        XStr(kind, "x")


def test_what_texts_display() -> None:
    assert str(Ref("a", "A")) == "@a"
    assert str(Symbol("a")) == "^a"
    assert str(Uri("http://x")) == "http://x"


@pytest.mark.parametrize("name", ["a", "siteRef", "a_1", "v0"])
def test_names(name: str) -> None:
    assert is_name(name)
    assert checked_name(name) == name


@pytest.mark.parametrize("name", ["", "A", "_a", "1a", "a b", "a\n", "ä", "a-b"])
def test_no_names(name: str) -> None:
    assert not is_name(name)
    with pytest.raises(ValueError, match="no name of a tag"):
        checked_name(name)


class Colour(str, enum.Enum):  # noqa: UP042  # it shows itself as Colour.RED
    RED = "red"


class Level(enum.IntEnum):
    ONE = 1


class Text(str):
    __slots__ = ()


class Day(date):
    pass


class Moment(datetime):
    pass


class Clock(time):
    pass


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        (1, Number(1)),
        (1.5, Number(1.5)),
        (Level.ONE, Number(1)),
        (True, True),
        ("x", "x"),
        (Text("x"), "x"),
        (Colour.RED, "red"),
        ((1, "x"), [Number(1), "x"]),
        ({"a": {"b": [1]}}, {"a": {"b": [Number(1)]}}),
        (date(2024, 1, 31), date(2024, 1, 31)),
        (Day(2024, 1, 31), date(2024, 1, 31)),
        (time(12), time(12)),
        (Clock(12, 1, 2, 3), time(12, 1, 2, 3)),
        (datetime(2024, 1, 31, tzinfo=UTC), datetime(2024, 1, 31, tzinfo=UTC)),
        (Moment(2024, 1, 31, tzinfo=UTC), datetime(2024, 1, 31, tzinfo=UTC)),
        (None, None),
        (MARKER, MARKER),
    ],
)
def test_what_is_taken_in(given: Any, taken: Any) -> None:
    adopted = adopt(given)
    assert same(adopted, taken)
    assert type(adopted) is type(taken)


def test_the_fold_of_a_datetime_is_kept() -> None:
    moment = Moment(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)
    assert adopt(moment).utcoffset() == timedelta(hours=1)


def test_lists_and_dicts_are_copied() -> None:
    inner: list[Any] = [1]
    outer = {"a": inner}
    adopted = adopt(outer)
    inner.append(2)
    outer["b"] = inner
    assert adopted == {"a": [Number(1)]}


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (b"x", "of no kind"),
        ({1}, "of no kind"),
        (object, "of no kind"),
        (1j, "of no kind"),
        (timedelta(1), "of no kind"),
        (datetime(2024, 1, 31), "has no zone"),  # noqa: DTZ001
        (time(12, tzinfo=UTC), "a time of day has none"),
    ],
)
def test_what_is_of_no_kind(value: Any, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        adopt(value, "row 3, a")


def test_an_error_names_the_place() -> None:
    with pytest.raises(TypeError, match=r"row 3, a\.b\[1\]: "):
        adopt({"b": [1, b""]}, "row 3, a")


def test_a_name_of_a_nested_dict_is_checked() -> None:
    with pytest.raises(ValueError, match="no name of a tag"):
        adopt({"a": {"B": 1}})


def test_an_offset_of_seconds_is_refused() -> None:
    odd = timezone(timedelta(hours=1, seconds=1))
    with pytest.raises(ValueError, match="offset of seconds"):
        adopt(datetime(2024, 1, 31, tzinfo=odd))


def test_what_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match=f"more than {MAX_DEPTH} lists and dicts deep"):
        adopt(endless)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Number(1), Number(1.0)),
        (Number(1, "kW"), Number(1, "kilowatt")),
        (Ref("a"), Ref("a", "A")),
        (True, Number(1)),
        ([Number(1)], [Number(1.0)]),
        ({"a": Number(1)}, {"a": Number(1.0)}),
        ({"a": None}, {}),
        ([], {}),
        (date(2024, 1, 31), datetime(2024, 1, 31, tzinfo=UTC)),
        (
            datetime(2024, 1, 31, 12, tzinfo=UTC),
            datetime(2024, 1, 31, 13, tzinfo=ZoneInfo("Europe/Berlin")),
        ),
        (
            datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")),
            datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1),
        ),
    ],
)
def test_what_is_not_the_same(one: Any, other: Any) -> None:
    assert not same(one, other)
    assert not same(other, one)


def test_the_types_of_the_singletons_make_no_others() -> None:
    assert Marker() is MARKER
    assert NAType() is NA
    assert Remove() is REMOVE


@given(st.recursive(st.booleans() | st.text() | st.integers(), st.lists))
def test_what_was_taken_in_is_taken_in_as_it_is(value: Any) -> None:
    adopted = adopt(value)
    assert same(adopt(adopted), adopted)


def test_a_grid_is_taken_in_as_it_is() -> None:
    grid = Grid([{"a": 1}])
    assert adopt(grid) is grid
