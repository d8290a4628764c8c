"""Ranges of time as patterns of partitions: what is in them, and what is not."""

from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from holdall.core.errors import InvalidQuery
from holdall.objects import partitions
from objects.addresses import BUCKET, utc

NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC
NOW = utc(2025, 11, 25, 16)


def patterns(start: datetime, end: datetime, **options: Any) -> list[str]:
    """The patterns of a range, without what is the same in all of them."""
    paths = partitions.query_paths(BUCKET, "db", "m", start, end, **options)
    assert all(path.startswith("s3://bucket/db/m/") for path in paths)
    return [path.removeprefix("s3://bucket/db/m/").removesuffix(".parquet") for path in paths]


def test_a_range_ends_before_its_end() -> None:
    assert patterns(utc(2025, 11, 25, 10), utc(2025, 11, 25, 12)) == [
        "2025/11/25/10/*",
        "2025/11/25/11/*",
    ]


def test_an_hour_that_a_range_only_touches_is_in_it() -> None:
    assert patterns(utc(2025, 11, 25, 10, 59), utc(2025, 11, 25, 11, 0, 0, 1)) == [
        "2025/11/25/10/*",
        "2025/11/25/11/*",
    ]


@pytest.mark.parametrize("minute", [0, 30])
def test_a_range_of_no_time_has_no_partitions(minute: int) -> None:
    assert patterns(utc(2025, 11, 25, 10, minute), utc(2025, 11, 25, 10, minute)) == []


def test_a_range_crosses_midnight_and_the_year() -> None:
    assert patterns(utc(2024, 12, 31, 23), utc(2025, 1, 1, 1)) == [
        "2024/12/31/23/*",
        "2025/01/01/00/*",
    ]


def test_a_range_crosses_the_end_of_february_in_a_leap_year() -> None:
    assert patterns(utc(2024, 2, 28, 23), utc(2024, 3, 1, 1)) == [
        "2024/02/28/23/*",
        "2024/02/29/[0-2][0-9]/*",
        "2024/03/01/00/*",
    ]


def test_a_range_crosses_the_end_of_february_in_another_year() -> None:
    assert patterns(utc(1900, 2, 28, 23), utc(1900, 3, 1, 1)) == [
        "1900/02/28/23/*",
        "1900/03/01/00/*",
    ]


def test_whole_years_months_and_days_are_one_pattern_each() -> None:
    assert patterns(utc(2023, 11, 29, 23), utc(2025, 2, 2, 1)) == [
        "2023/11/29/23/*",
        "2023/11/30/[0-2][0-9]/*",
        "2023/12/[0-3][0-9]/[0-2][0-9]/*",
        "2024/[0-1][0-9]/[0-3][0-9]/[0-2][0-9]/*",
        "2025/01/[0-3][0-9]/[0-2][0-9]/*",
        "2025/02/01/[0-2][0-9]/*",
        "2025/02/02/00/*",
    ]


def test_one_whole_day_is_one_pattern() -> None:
    assert patterns(utc(2025, 11, 25), utc(2025, 11, 26)) == ["2025/11/25/[0-2][0-9]/*"]


def test_the_day_on_which_clocks_are_set_forward_has_23_hours() -> None:
    start = datetime(2025, 3, 9, tzinfo=NEW_YORK)
    assert len(patterns(start, start + timedelta(days=1))) == 23


def test_the_day_on_which_clocks_are_set_back_has_25_hours() -> None:
    start = datetime(2025, 11, 2, tzinfo=NEW_YORK)
    assert len(patterns(start, start + timedelta(days=1))) == 25


def test_a_zone_of_quarter_hours_touches_the_hours_at_both_ends() -> None:
    start = datetime(2025, 11, 25, 12, tzinfo=KATHMANDU)
    assert patterns(start, start + timedelta(hours=1)) == ["2025/11/25/06/*", "2025/11/25/07/*"]


def test_start_and_end_may_be_in_two_zones() -> None:
    start = datetime(2025, 11, 25, 5, tzinfo=NEW_YORK)
    assert patterns(start, utc(2025, 11, 25, 11)) == ["2025/11/25/10/*"]


def test_the_last_hour_that_a_datetime_can_hold_is_reached() -> None:
    assert patterns(utc(9999, 12, 31, 23), datetime.max.replace(tzinfo=UTC)) == ["9999/12/31/23/*"]


def test_the_compacted_files_of_each_day_that_is_touched_are_one_pattern() -> None:
    assert patterns(utc(2025, 11, 24, 22), utc(2025, 11, 26, 1), compacted=True) == [
        "2025/11/24/22/*",
        "2025/11/24/23/*",
        "2025/11/24/*",
        "2025/11/25/[0-2][0-9]/*",
        "2025/11/25/*",
        "2025/11/26/00/*",
        "2025/11/26/*",
    ]


def test_the_compacted_files_of_a_whole_month_are_one_pattern() -> None:
    assert patterns(utc(2025, 11, 1), utc(2025, 12, 1), compacted=True) == [
        "2025/11/[0-3][0-9]/[0-2][0-9]/*",
        "2025/11/[0-3][0-9]/*",
    ]


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="before it starts"):
        patterns(utc(2025, 11, 25, 10, 30), utc(2025, 11, 25, 10, 29))


@pytest.mark.parametrize("naive", ["start", "end"])
def test_a_time_without_a_zone_is_refused(naive: str) -> None:
    times = {"start": NOW, "end": NOW}
    times[naive] = times[naive].replace(tzinfo=None)
    with pytest.raises(InvalidQuery, match=f"{naive} is .* no zone"):
        patterns(**times)


class Nowhere(tzinfo):
    """A zone that does not know how far it is from UTC, which is no zone."""

    def utcoffset(self, moment: datetime | None) -> None:
        return None

    dst = utcoffset

    def tzname(self, moment: datetime | None) -> str:
        return "nowhere"


def test_a_time_in_a_zone_that_knows_no_offset_is_refused() -> None:
    with pytest.raises(InvalidQuery, match="no zone"):
        partitions.partition_key("mydb", "cpu", NOW.replace(tzinfo=Nowhere()))


@pytest.mark.parametrize("value", [date(2025, 11, 25), "2025-11-25T00:00Z", 0])
def test_what_is_no_datetime_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match="must be a datetime with a zone"):
        partitions.partition_key("mydb", "cpu", value)


def test_a_time_that_utc_cannot_hold_is_refused() -> None:
    late = datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))
    with pytest.raises(InvalidQuery, match="no datetime in UTC"):
        patterns(NOW, late)


# What a range holds, by another and much simpler way

ZONES = [UTC, NEW_YORK, KATHMANDU, ZoneInfo("Pacific/Apia"), timezone(timedelta(seconds=-4501))]
MOMENTS = st.datetimes(
    utc(2011, 12, 20).replace(tzinfo=None),
    utc(2028, 3, 5).replace(tzinfo=None),
    timezones=st.sampled_from(ZONES),
)
LENGTHS = st.one_of(
    st.timedeltas(timedelta(0), timedelta(hours=3)),
    st.timedeltas(timedelta(0), timedelta(days=40)),
    st.integers(0, 24 * 800).map(lambda hours: timedelta(hours=hours)),
)


def hours_of(start: datetime, end: datetime) -> list[str]:
    """Each UTC hour that shares a moment with the range, one after the other."""
    hour = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    found = []
    while hour < end and start < end:
        found.append(f"{hour:%Y/%m/%d/%H}")
        hour += timedelta(hours=1)
    return found


def matched_by(pattern: str) -> list[str]:
    """Each hour that a pattern stands for."""
    known = [part for part in pattern.removesuffix("/*").split("/") if not part.startswith("[")]
    first = [int(part) for part in known] + [1, 1, 0][len(known) - 1 :]
    hour = datetime(first[0], first[1], first[2], first[3], tzinfo=UTC)
    found = []
    while f"{hour:%Y/%m/%d/%H}".split("/")[: len(known)] == known:
        found.append(f"{hour:%Y/%m/%d/%H}")
        hour += timedelta(hours=1)
    return found


@given(MOMENTS, LENGTHS, st.sampled_from(ZONES))
@example(utc(2024, 1, 1), timedelta(days=366), NEW_YORK)
@example(utc(2023, 12, 31, 23, 59), timedelta(days=367), UTC)
def test_the_hours_of_a_range_are_those_that_share_a_moment_with_it_each_once(
    start: datetime, length: timedelta, zone: Any
) -> None:
    end = (start.astimezone(UTC) + length).astimezone(zone)
    hours = [hour for pattern in patterns(start, end) for hour in matched_by(pattern)]
    assert hours == hours_of(start, end)


@given(MOMENTS, LENGTHS)
def test_the_compacted_days_of_a_range_are_those_of_its_hours_each_once(
    start: datetime, length: timedelta
) -> None:
    end = start.astimezone(UTC) + length
    added = set(patterns(start, end, compacted=True)) - set(patterns(start, end))
    days = sorted(
        hour.rpartition("/")[0]
        for pattern in added
        # Its hours are one level down.
        for hour in matched_by(f"{pattern.removesuffix('*')}[0-2][0-9]/*")
        if hour.endswith("/00")
    )
    assert days == sorted({hour.rpartition("/")[0] for hour in hours_of(start, end)})
