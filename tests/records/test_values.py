"""What a record may hold, what equals what, and what comes first."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from holdall.records import values
from holdall.records.values import adopt, equal, kind_of, place
from holdall.testing.records.samples import VALUES


class Colour(enum.StrEnum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Ratio(float):
    pass


class Moment(datetime):
    nanosecond = 0


class Nowhere(tzinfo):
    def tzname(self, moment: datetime | None) -> str | None:
        return None

    def dst(self, moment: datetime | None) -> timedelta | None:
        return None

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None


@pytest.mark.parametrize("name", VALUES)
def test_a_value_that_is_kept_is_adopted_as_it_is(name: str) -> None:
    adopted = adopt(VALUES[name], "x")
    assert (type(adopted), adopted) == (type(VALUES[name]), VALUES[name])


def test_what_can_change_is_copied() -> None:
    given: dict[str, Any] = {"a": [1, {"b": 2}]}
    adopted = adopt(given, "x")
    given["a"][1]["b"] = 3
    assert adopted == {"a": [1, {"b": 2}]}


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        (Ratio(0.5), 0.5),
        ((1, (2,)), [1, [2]]),
        (bytearray(b"ab"), b"ab"),
        (Moment(2024, 1, 2, 3, 4, 5, 6, UTC), datetime(2024, 1, 2, 3, 4, 5, 6, UTC)),
        (time(1, 2, fold=1), time(1, 2, fold=1)),
    ],
)
def test_a_subclass_becomes_its_plain_type(given: Any, plain: Any) -> None:
    adopted = adopt(given, "x")
    assert (type(adopted), adopted) == (type(plain), plain)


def test_an_hour_that_the_clocks_leap_over_becomes_the_one_they_show() -> None:
    zone = ZoneInfo("Europe/Athens")
    adopted = adopt(datetime(2000, 3, 26, 3, tzinfo=zone), "x")
    assert adopted.isoformat() == "2000-03-26T04:00:00+03:00"
    assert adopted.tzinfo is zone


def test_a_zone_without_a_name_becomes_its_offset() -> None:
    class Here(Nowhere):
        def utcoffset(self, moment: datetime | None) -> timedelta | None:
            return timedelta(hours=2)

    adopted = adopt(datetime(2024, 1, 1, tzinfo=Here()), "x")
    assert adopted.tzinfo == timezone(timedelta(hours=2))
    assert adopted.isoformat() == "2024-01-01T00:00:00+02:00"


@pytest.mark.parametrize("value", [{1}, object(), 1j, timedelta(1), range(3), [1, {2}]])
def test_another_type_is_refused_by_its_path(value: Any) -> None:
    with pytest.raises(TypeError, match="field"):
        adopt(value, "field")


def test_the_error_names_the_place_inside() -> None:
    with pytest.raises(TypeError, match=r"field\.a\[1\] holds a set"):
        adopt({"a": [1, {2}]}, "field")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Decimal("sNaN"), "signaling"),
        (time(1, tzinfo=UTC), "zone"),
        (datetime(2024, 1, 1, tzinfo=Nowhere()), "no offset"),
        (datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=1))), "no year"),
        ({"a\0": 1}, "NUL"),
        ({"a\ud800": 1}, "surrogate"),
    ],
)
def test_what_cannot_be_kept_as_it_is_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        adopt(value, "x")


def test_a_datetime_finer_than_a_microsecond_is_refused() -> None:
    class Fine(datetime):
        nanosecond = 1

    with pytest.raises(ValueError, match="microsecond"):
        adopt(Fine(2024, 1, 1, tzinfo=UTC), "x")


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a name is text"):
        adopt({1: 2}, "x")


def test_what_lies_too_deep_is_refused() -> None:
    deep: Any = 1
    for _ in range(values.MAX_DEPTH):
        deep = [deep]
    adopt(deep, "x")
    with pytest.raises(ValueError, match="100 levels"):
        adopt([[deep]], "x")


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="levels"):
        adopt(endless, "x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, Decimal("1.00")),
        ([1, {"a": 2}], [1.0, {"a": Decimal(2)}]),
        (
            datetime(2024, 1, 1, 12, tzinfo=UTC),
            datetime(2024, 1, 1, 13, tzinfo=timezone(timedelta(hours=1))),
        ),
        (None, None),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}),
    ],
)
def test_what_is_equal(one: Any, other: Any) -> None:
    assert equal(one, other)
    assert equal(other, one)


def test_an_hour_that_the_clocks_show_twice_is_a_moment_like_others() -> None:
    moment = datetime(2024, 10, 27, 1, 30, tzinfo=UTC)
    shown = moment.astimezone(ZoneInfo("Europe/Berlin"))
    assert shown.fold == 1
    assert equal(shown, moment)
    assert place(shown) == place(moment)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (True, 1),
        (False, 0),
        ("1", 1),
        (None, False),
        (float("nan"), float("nan")),
        (b"a", "a"),
        (date(2024, 1, 1), datetime(2024, 1, 1)),  # noqa: DTZ001
        (datetime(2024, 1, 1), datetime(2024, 1, 1, tzinfo=UTC)),  # noqa: DTZ001
        ([True], [1]),
        ({"a": True}, {"a": 1}),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1], [1, 2]),
        (UUID(int=1), str(UUID(int=1))),
        ("\u00e9", "e\u0301"),
    ],
)
def test_what_is_not_equal(one: Any, other: Any) -> None:
    assert not equal(one, other)
    assert not equal(other, one)


def test_kinds_follow_one_another() -> None:
    in_order: list[Any] = [
        None, False, True, float("nan"), float("-inf"), -1, Decimal("0.5"), 1, 2**70, float("inf"),
        "", "A", "a", "\u00e9", "\uffff", "\U0001f511", b"", b"a", date(2024, 1, 1),
        VALUES["a naive datetime"], datetime(2024, 1, 1, tzinfo=UTC), time(1), UUID(int=1), [], {},
    ]  # fmt: skip
    mixed = in_order[::2] + in_order[1::2]
    assert sorted(mixed, key=place) == in_order


@pytest.mark.parametrize("value", VALUES.values())
def test_every_kind_has_a_name(value: Any) -> None:
    assert values.NAMES[kind_of(value)]
