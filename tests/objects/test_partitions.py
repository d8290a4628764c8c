"""Partitions by the hour: keys, patterns and listings, without any Parquet."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import Struct

import holdall
from holdall.core.errors import InvalidKey, InvalidQuery
from holdall.core.reference import Reference
from holdall.objects import partitions
from holdall.objects.options import ListOptions
from holdall.objects.results import Capabilities, Page

NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC


class Stand(Struct):
    """What a store, a face or a layer shows of itself, without a service behind it."""

    root: Reference
    capabilities: Capabilities = Capabilities()


def at(url: str) -> Stand:
    """A store opened at an address."""
    return Stand(Reference.parse(url, folder=True))


BUCKET = at("s3://bucket")


def utc(
    year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: int = 0, micro: int = 0
) -> datetime:
    return datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)


def patterns(start: datetime, end: datetime, **options: Any) -> list[str]:
    """The patterns of a range, without what is the same in all of them."""
    paths = partitions.query_paths(BUCKET, "db", "m", start, end, **options)
    assert all(path.startswith("s3://bucket/db/m/") for path in paths)
    return [path.removeprefix("s3://bucket/db/m/").removesuffix(".parquet") for path in paths]


# One pattern


def test_a_month_is_asked_for() -> None:
    path = partitions.query_path(BUCKET, "mydb", "cpu", 2025, 11, None, None)
    assert path == "s3://bucket/mydb/cpu/2025/11/*/*/*.parquet"


def test_a_day_is_asked_for() -> None:
    path = partitions.query_path(BUCKET, "mydb", "cpu", 2025, 11, 25, None)
    assert path == "s3://bucket/mydb/cpu/2025/11/25/*/*.parquet"


def test_an_hour_is_asked_for() -> None:
    path = partitions.query_path(BUCKET, "mydb", "cpu", 2025, 11, 25, 16)
    assert path == "s3://bucket/mydb/cpu/2025/11/25/16/*.parquet"


def test_hour_0_is_an_hour() -> None:
    path = partitions.query_path(BUCKET, "mydb", "cpu", 2025, 1, 2, 0)
    assert path == "s3://bucket/mydb/cpu/2025/01/02/00/*.parquet"


def test_nothing_named_is_every_hour() -> None:
    assert partitions.query_path(BUCKET, "mydb", "cpu") == "s3://bucket/mydb/cpu/*/*/*/*/*.parquet"


def test_one_hour_of_every_day_is_asked_for() -> None:
    path = partitions.query_path(BUCKET, "mydb", "cpu", 2025, hour=7)
    assert path == "s3://bucket/mydb/cpu/2025/*/*/07/*.parquet"


@pytest.mark.parametrize(
    "time",
    [
        {"year": 0},
        {"month": 0},
        {"month": 13},
        {"day": 0},
        {"day": 32},
        {"hour": 24},
        {"hour": -1},
        {"month": 4, "day": 31},
        {"year": 2025, "month": 2, "day": 29},
    ],
    ids=str,
)
def test_a_time_that_is_none_is_refused(time: dict[str, int]) -> None:
    with pytest.raises(InvalidQuery, match="None stands for any"):
        partitions.query_path(BUCKET, "mydb", "cpu", **time)


@pytest.mark.parametrize(
    "time", [{"month": 2, "day": 29}, {"day": 31}, {"year": 2024, "month": 2, "day": 29}], ids=str
)
def test_a_day_that_some_year_or_month_has_is_taken(time: dict[str, int]) -> None:
    assert f"/{time['day']}/*/" in partitions.query_path(BUCKET, "mydb", "cpu", **time)


# The form that DuckDB reads


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///srv/data", "/srv/data/mydb/cpu/**/*.parquet"),
        ("file:///", "/mydb/cpu/**/*.parquet"),
        ("s3://bucket", "s3://bucket/mydb/cpu/**/*.parquet"),
        ("s3://bucket/plants/7/", "s3://bucket/plants/7/mydb/cpu/**/*.parquet"),
        ("gs://bucket/plants", "gs://bucket/plants/mydb/cpu/**/*.parquet"),
        ("az://container/plants", "az://container/plants/mydb/cpu/**/*.parquet"),
        ("abfs://container/plants", "az://container/plants/mydb/cpu/**/*.parquet"),
        (
            "abfss://container@account.dfs.core.windows.net/plants",
            "az://account.blob.core.windows.net/container/plants/mydb/cpu/**/*.parquet",
        ),
        ("memory://name", "memory://name/mydb/cpu/**/*.parquet"),
    ],
)
def test_the_storage_path_is_written_as_duckdb_reads_it(url: str, path: str) -> None:
    assert partitions.storage_path(at(url), "mydb", "cpu") == path


def test_the_storage_path_of_a_local_store_is_in_its_folder(tmp_path: Path) -> None:
    with holdall.open(tmp_path / "data") as store:
        path = partitions.storage_path(store, "mydb", "cpu")
    assert path == f"{tmp_path}/data/mydb/cpu/**/*.parquet"


def test_a_secret_in_an_address_is_in_no_path() -> None:
    path = partitions.storage_path(at("s3://user:hunter2@bucket/p"), "mydb", "cpu")
    assert path == "s3://bucket/p/mydb/cpu/**/*.parquet"


def test_a_wildcard_in_a_folders_name_stands_for_itself() -> None:
    path = partitions.query_path(at("file:///a[1]/b*/c?"), "db", "m", 2025)
    assert path == "/a[[]1]/b[*]/c[?]/db/m/2025/*/*/*/*.parquet"


def test_a_wildcard_in_a_files_name_stands_for_itself() -> None:
    assert partitions.duckdb_path(Reference.parse("s3://b/x[1].parquet")) == "s3://b/x[[]1].parquet"


@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_a_question_mark_that_duckdb_cuts_a_url_at_is_refused(scheme: str) -> None:
    with pytest.raises(InvalidKey, match="parameters"):
        partitions.storage_path(at(f"{scheme}://bucket/why?"), "mydb", "cpu")


# Names


@pytest.mark.parametrize("name", ["a*", "a?", "a[b", "a]b", "{a", "a}", "a/b"])
@pytest.mark.parametrize("what", ["database", "measurement"])
def test_a_wildcard_or_a_slash_in_a_name_is_refused(name: str, what: str) -> None:
    names = {"database": "mydb", "measurement": "cpu"} | {what: name}
    with pytest.raises(InvalidKey, match=f"cannot name a {what}"):
        partitions.storage_path(BUCKET, **names)


@pytest.mark.parametrize("name", ["", ".", "..", ".holdall", "a\\b", "a\nb", "n" * 251])
@pytest.mark.parametrize("what", ["database", "measurement"])
def test_a_name_that_is_no_segment_of_a_key_is_refused(name: str, what: str) -> None:
    names = {"database": "mydb", "measurement": "cpu"} | {what: name}
    with pytest.raises(InvalidKey, match=f"the name of a {what}"):
        partitions.storage_path(BUCKET, **names)


def test_a_name_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="a measurement is named by text"):
        partitions.storage_path(BUCKET, "mydb", None)  # type: ignore[arg-type]


NOW = utc(2025, 11, 25, 16)
MEMORY = holdall.open("memory://")
ASKED: list[Callable[[str, str], object]] = [
    lambda database, measurement: partitions.query_path(BUCKET, database, measurement),
    lambda database, measurement: partitions.query_paths(BUCKET, database, measurement, NOW, NOW),
    lambda database, measurement: partitions.partition_key(database, measurement, NOW),
    lambda database, measurement: partitions.partition_files(
        MEMORY, database, measurement, NOW, NOW
    ),
]


@pytest.mark.parametrize(
    "ask", ASKED, ids=["query_path", "query_paths", "partition_key", "partition_files"]
)
@pytest.mark.parametrize("names", [("a*", "cpu"), ("mydb", "../x")])
def test_names_are_checked_whatever_is_asked(
    ask: Callable[[str, str], object], names: tuple[str, str]
) -> None:
    with pytest.raises(InvalidKey):
        ask(*names)


# Where to write


def test_the_key_of_a_time_is_its_hour() -> None:
    key = partitions.partition_key("mydb", "cpu", utc(2025, 1, 2, 3, 59, 59, 999999))
    assert key == "mydb/cpu/2025/01/02/03"


def test_the_key_of_a_time_in_a_zone_is_its_hour_in_utc() -> None:
    key = partitions.partition_key("mydb", "cpu", datetime(2024, 12, 31, 20, 5, tzinfo=NEW_YORK))
    assert key == "mydb/cpu/2025/01/01/01"


def test_the_two_hours_of_a_clock_set_back_have_two_keys() -> None:
    twice = datetime(2025, 11, 2, 1, 30, tzinfo=NEW_YORK)
    keys = [partitions.partition_key("mydb", "cpu", twice.replace(fold=fold)) for fold in (0, 1)]
    assert keys == ["mydb/cpu/2025/11/02/05", "mydb/cpu/2025/11/02/06"]


def test_the_key_of_a_compacted_file_is_the_day() -> None:
    moment = datetime(2025, 11, 25, 23, tzinfo=NEW_YORK)
    assert partitions.partition_key("mydb", "cpu", moment, compacted=True) == "mydb/cpu/2025/11/26"


# Ranges


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
        "2025/11/24/*",
        "2025/11/24/22/*",
        "2025/11/24/23/*",
        "2025/11/25/*",
        "2025/11/25/[0-2][0-9]/*",
        "2025/11/26/*",
        "2025/11/26/00/*",
    ]


def test_the_compacted_files_of_a_whole_month_are_one_pattern() -> None:
    assert patterns(utc(2025, 11, 1), utc(2025, 12, 1), compacted=True) == [
        "2025/11/[0-3][0-9]/*",
        "2025/11/[0-3][0-9]/[0-2][0-9]/*",
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


# What is there


def stored(*keys: str) -> holdall.DataStore:
    """A store with an empty object under each key below `db/m`."""
    store = holdall.open("memory://")
    for key in keys:
        store.write(f"db/m/{key}", b"")
    return store


def found(store: holdall.DataStore, start: datetime, end: datetime, **options: Any) -> list[str]:
    files = partitions.partition_files(store, "db", "m", start, end, **options)
    return [meta.key.removeprefix("db/m/") for meta in files]


def test_the_files_of_a_range_are_listed_in_order_of_time() -> None:
    keys = [
        "2024/12/31/23/a.parquet",
        "2025/01/01/00/a.parquet",
        "2025/01/01/00/b.parquet",
        "2025/01/01/23/a.parquet",
        "2025/01/02/00/a.parquet",
    ]
    store = stored("2024/12/31/22/a.parquet", *reversed(keys), "2025/01/02/01/a.parquet")
    assert found(store, utc(2024, 12, 31, 23), utc(2025, 1, 2, 1)) == keys


@pytest.mark.parametrize(
    "key",
    [
        "2025/11/25/a.parquet",
        "2025/11/25/10/a.csv",
        "2025/11/25/10/a.parquet.part",
        "2025/11/25/10/deeper/a.parquet",
        "2025/11/25/tmp/a.parquet",
        "2025/11/25/1/a.parquet",
        "2025/11/a.parquet",
    ],
)
@pytest.mark.parametrize("days", [1, 5])
def test_what_is_no_file_of_an_hour_is_not_listed(key: str, days: int) -> None:
    end = utc(2025, 11, 25) + timedelta(days=days)
    assert found(stored(key), utc(2025, 11, 1), end) == []


@pytest.mark.parametrize("hours", [2, 24, 24 * 31])
def test_compacted_files_are_listed_when_asked_for(hours: int) -> None:
    keys = ["2025/12/01/00/a.parquet", "2025/12/01/day.parquet"]
    start = utc(2025, 12, 1)
    files = found(stored(*keys), start, start + timedelta(hours=hours), compacted=True)
    assert sorted(files) == keys


def test_a_compacted_day_that_a_range_touches_twice_is_listed_once() -> None:
    store = stored("2025/12/01/day.parquet")
    assert found(store, utc(2025, 12, 1, 5), utc(2025, 12, 1, 9), compacted=True) == [
        "2025/12/01/day.parquet"
    ]


def test_compacted_files_of_other_days_are_not_listed() -> None:
    store = stored("2025/12/01/day.parquet", "2025/12/03/day.parquet")
    assert found(store, utc(2025, 12, 2), utc(2025, 12, 3), compacted=True) == []


def test_a_measurement_whose_name_begins_like_another_is_not_listed() -> None:
    store = holdall.open("memory://")
    store.write("db/m2/2025/11/25/10/a.parquet", b"")
    assert found(store, utc(2025, 1, 1), utc(2026, 1, 1)) == []


def test_where_nothing_is_there_nothing_is_listed() -> None:
    assert found(holdall.open("memory://"), utc(2020, 1, 1, 5), utc(2025, 11, 25, 10)) == []


def test_a_file_knows_its_size_and_its_address() -> None:
    store = holdall.open("memory://name-of-partitions/prefix")
    store.write("db/m/2025/11/25/10/a.parquet", b"four")
    (meta,) = partitions.partition_files(store, "db", "m", utc(2025, 11, 25), utc(2025, 11, 26))
    address = "memory://name-of-partitions/prefix/db/m/2025/11/25/10/a.parquet"
    assert (meta.size, str(meta.ref)) == (4, address)


def test_files_are_listed_on_an_event_loop() -> None:
    async def list_them() -> list[str]:
        async with holdall.open_async("memory://") as store:
            await store.write("db/m/2025/11/25/10/a.parquet", b"")
            files = partitions.partition_files_async(
                store, "db", "m", utc(2025, 11, 25), utc(2025, 11, 26)
            )
            return [meta.key async for meta in files]

    assert asyncio.run(list_them()) == ["db/m/2025/11/25/10/a.parquet"]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> tuple[holdall.DataStore, list[str]]:
    """A store with files in three years, and the folders that it is asked for."""
    store = stored(*(f"{year}/11/25/10/a.parquet" for year in (1999, 2024, 2025)))
    listing, folders = type(store.store).list, []

    async def count(self: Any, prefix: Reference, options: ListOptions) -> Page:
        folder = prefix.relative_to(store.store.root).removeprefix("db/m")
        folders.append(f"{folder}, one level" if options.delimiter else folder)
        return await listing(self, prefix, options)

    monkeypatch.setattr(type(store.store), "list", count)
    return store, folders


def test_only_the_folders_that_are_needed_are_listed(
    asked: tuple[holdall.DataStore, list[str]],
) -> None:
    store, folders = asked
    found(store, utc(2025, 10, 31, 23), utc(2025, 12, 2, 1))
    assert folders == ["/2025/10/31/23", "/2025/11", "/2025/12/01", "/2025/12/02/00"]


def test_of_a_day_that_a_range_only_touches_one_level_is_listed(
    asked: tuple[holdall.DataStore, list[str]],
) -> None:
    store, folders = asked
    found(store, utc(2025, 11, 25, 23), utc(2025, 11, 27), compacted=True)
    assert folders == ["/2025/11/25, one level", "/2025/11/25/23", "/2025/11/26"]


def test_a_range_without_an_end_does_not_list_the_years_that_are_not_there(
    asked: tuple[holdall.DataStore, list[str]],
) -> None:
    store, folders = asked
    found(store, utc(2000, 1, 1), utc(9999, 1, 1))
    assert folders == [", one level", "/2024", "/2025"]


# The folder of a store


def test_the_folder_of_a_file_store_is_its_path(tmp_path: Path) -> None:
    with holdall.open(tmp_path / "data") as store:
        assert partitions.local_base_path(store, "Retention") == str(tmp_path / "data")


def test_the_folder_is_found_behind_the_contract_too(tmp_path: Path) -> None:
    with holdall.open(tmp_path / "data") as store:
        assert partitions.local_base_path(store.store, "Retention") == str(tmp_path / "data")


def test_the_folder_is_found_behind_the_face_for_asyncio(tmp_path: Path) -> None:
    store = holdall.open_async(str(tmp_path / "data"))
    assert partitions.local_base_path(store, "Retention") == str(tmp_path / "data")


def test_the_folder_is_found_through_a_layer(tmp_path: Path) -> None:
    with holdall.open(tmp_path / "data") as store:
        layer = Stand(store.root, store.capabilities)
    assert partitions.local_base_path(layer, "Retention") == str(tmp_path / "data")


def test_the_folder_behind_a_layer_that_keeps_no_plain_files_is_not_given() -> None:
    layer = Stand(Reference.parse("file:///data"), Capabilities(local=False))
    assert partitions.local_base_path(layer, "Retention", "/elsewhere") == "/elsewhere"


CLOUDS = ["s3://b/p", "gs://b", "az://c", "abfs://c", "abfss://c@a.dfs.core.windows.net/p"]


@pytest.mark.parametrize("url", CLOUDS)
def test_a_cloud_has_no_folder_and_no_fallback(url: str) -> None:
    assert partitions.local_base_path(at(url), "Retention", "/fallback") == ""


@pytest.mark.parametrize("url", CLOUDS)
def test_a_cloud_without_a_folder_is_a_warning_that_names_the_feature(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    partitions.local_base_path(at(url), "Continuous queries")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage().startswith("Continuous queries: ")


def test_the_warning_shows_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    partitions.local_base_path(at("s3://user:hunter2@bucket"), "Retention")
    assert "hunter2" not in caplog.text


@pytest.mark.parametrize("url", ["memory://", "redis://localhost:6379"])
def test_any_other_store_has_the_fallback(url: str, caplog: pytest.LogCaptureFixture) -> None:
    assert partitions.local_base_path(at(url), "Retention", "/fallback") == "/fallback"
    assert caplog.records == []


def test_the_fallback_is_empty_unless_it_is_given() -> None:
    assert partitions.local_base_path(MEMORY, "Retention") == ""
