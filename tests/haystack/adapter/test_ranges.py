"""Ranges of time: which moments a text means, in the zone of the point."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from holdall.core.errors import InvalidQuery
from holdall.haystack.adapter.ranges import micros, moment, read_range
from holdall.haystack.stores.histories import END, EVERYTHING, Span

NEW_YORK = ZoneInfo("America/New_York")
NOW = datetime(2024, 6, 13, 2, 30, tzinfo=UTC)  # the evening of Wednesday the 12th there


def at(text: str) -> int:
    return micros(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("today", "2024-06-12T00:00-04:00", "2024-06-13T00:00-04:00"),
        ("yesterday", "2024-06-11T00:00-04:00", "2024-06-12T00:00-04:00"),
        ("thisWeek", "2024-06-10T00:00-04:00", "2024-06-17T00:00-04:00"),
        ("lastWeek", "2024-06-03T00:00-04:00", "2024-06-10T00:00-04:00"),
        ("thisMonth", "2024-06-01T00:00-04:00", "2024-07-01T00:00-04:00"),
        ("lastMonth", "2024-05-01T00:00-04:00", "2024-06-01T00:00-04:00"),
        ("thisYear", "2024-01-01T00:00-05:00", "2025-01-01T00:00-05:00"),
        ("lastYear", "2023-01-01T00:00-05:00", "2024-01-01T00:00-05:00"),
        ("2024-06-15", "2024-06-15T00:00-04:00", "2024-06-16T00:00-04:00"),
        (" 2024-06-01 , 2024-06-30 ", "2024-06-01T00:00-04:00", "2024-07-01T00:00-04:00"),
        ("2024-02-29,2024-02-29", "2024-02-29T00:00-05:00", "2024-03-01T00:00-05:00"),
        (
            "2024-06-01T00:00:00Z,2024-06-02T12:00:00Z",
            "2024-06-01T00:00+00:00", "2024-06-02T12:00+00:00",
        ),
        (
            "2024-06-01T01:00:00+02:00 Berlin,2024-06-02T00:00:00-04:00 New_York",
            "2024-05-31T23:00+00:00", "2024-06-02T04:00+00:00",
        ),
        ("2024-06-01,2024-06-02T00:00:00Z", "2024-06-01T00:00-04:00", "2024-06-02T00:00+00:00"),
        ("2024-06-01T00:00:00Z,2024-06-02", "2024-06-01T00:00+00:00", "2024-06-03T00:00-04:00"),
    ],
)  # fmt: skip
def test_a_text_means_these_moments(text: str, start: str, end: str) -> None:
    assert read_range(text, NEW_YORK, NOW) == Span(at(start), at(end))


@pytest.mark.parametrize(
    "text", ["2024-06-01T12:00:00-04:00 New_York", "2024-06-01T12:00:00-04:00 New_York,"]
)
def test_a_moment_alone_has_no_end(text: str) -> None:
    assert read_range(text, NEW_YORK, NOW) == Span(at("2024-06-01T12:00-04:00"), END)


def test_a_day_with_a_comma_has_no_end() -> None:
    assert read_range("2024-06-01,", NEW_YORK, NOW) == Span(at("2024-06-01T00:00-04:00"), END)


def test_no_text_is_everything() -> None:
    assert read_range(None, NEW_YORK, NOW) == EVERYTHING


@pytest.mark.parametrize(
    ("day", "hours"), [("2024-03-10", 23), ("2024-11-03", 25), ("2024-06-01", 24)]
)
def test_a_day_has_as_many_hours_as_the_clock_says(day: str, hours: int) -> None:
    span = read_range(day, NEW_YORK, NOW)
    assert (span.end - span.start) // 3_600_000_000 == hours


def test_a_day_without_a_midnight_begins_when_it_comes_to_be() -> None:
    span = read_range("2018-11-04", ZoneInfo("America/Sao_Paulo"), NOW)
    assert span == Span(at("2018-11-04T03:00+00:00"), at("2018-11-05T02:00+00:00"))


@pytest.mark.parametrize(
    "text",
    ["", ",", "tomorrowish", "2024-13-01", "2024-1-1", "2024-06-02,2024-06-01", "2024-06-01,x",
     "2024-06-01T00:00:00Z,2024-06-01T00:00:00Z", "2024-06-01T00:00:00", "9999-12-31",
     "2024-06-01,2024-06-02,2024-06-03"],
)  # fmt: skip
def test_what_means_nothing_is_refused_and_says_what_is_taken(text: str) -> None:
    with pytest.raises(InvalidQuery, match="yesterday"):
        read_range(text, NEW_YORK, NOW)


def test_a_moment_is_kept_to_the_microsecond() -> None:
    given = datetime(2024, 11, 3, 1, 30, 0, 123457, NEW_YORK, fold=1)
    back = moment(micros(given), NEW_YORK)
    assert back.utcoffset() == given.utcoffset()
    assert (back, back.microsecond, back.fold) == (given, 123457, 1)
