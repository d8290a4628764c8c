"""Partitions by the hour: keys and patterns, without any Parquet."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

import holdall
from holdall.core.errors import InvalidKey, InvalidQuery
from holdall.core.reference import Reference
from holdall.objects import partitions
from objects.addresses import BUCKET, at, utc

NEW_YORK = ZoneInfo("America/New_York")
KATHMANDU = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC

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
