"""The files of a range that a store lists, and the folder of a store."""

import asyncio
import itertools
import logging
import os
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

import holdall
from holdall.core.reference import Reference
from holdall.objects import partitions
from holdall.objects.options import ListOptions
from holdall.objects.results import Capabilities, Page
from objects.addresses import Stand, at, utc

MEMORY = holdall.open("memory://")

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


HOURS = [f"2025/11/24/{hour:02d}/a.parquet" for hour in range(24)]
DAY = "2025/11/24/0.parquet"  # comes before the hours in byte order


class Steps:
    """Does something right before a certain step."""

    def __init__(self, until: int, then: Callable[[], None]) -> None:
        self.until = until
        self.then = then

    def one(self) -> None:
        self.until -= 1
        if self.until == -1:
            self.then()


def found_beside_a_compaction(
    place: Any, step: int, start: datetime, end: datetime, patch: pytest.MonkeyPatch
) -> tuple[list[str], bool]:
    """What is found where the day is compacted right before a step, and whether it came to that."""
    with holdall.open(place) as store, holdall.open(place) as other:
        for key in HOURS:
            store.write(f"db/m/{key}", b"")

        def compact() -> None:
            other.write(f"db/m/{DAY}", b"")
            other.delete_many(f"db/m/{key}" for key in HOURS)

        steps = Steps(step, compact)
        listing, scandir = type(store.store).list, os.scandir

        async def list_(self: Any, prefix: Reference, options: ListOptions) -> Page:
            steps.one()
            return await listing(self, prefix, options)

        def scandir_(folder: Any) -> Any:
            steps.one()
            return scandir(folder)

        with patch.context() as within:
            within.setattr(type(store.store), "list", list_)
            within.setattr(os, "scandir", scandir_)
            files = found(store, start, end, compacted=True)
        return files, steps.until < 0


@pytest.mark.parametrize("kind", ["memory", "file"])
@pytest.mark.parametrize(
    ("start", "end"),
    [
        (utc(2025, 11, 24), utc(2025, 11, 25)),
        (utc(2025, 11, 24), utc(2025, 11, 24, 12)),
        (utc(2025, 11, 24, 20), utc(2025, 11, 25, 2)),
        (utc(2025, 11, 1), utc(2025, 12, 1)),
        (utc(2025, 1, 1), utc(2026, 1, 1)),
    ],
    ids=["day", "half a day", "night", "month", "year"],
)
def test_whoever_reads_beside_a_compaction_misses_no_hour(
    kind: str, start: datetime, end: datetime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {key for hour, key in enumerate(HOURS) if start <= utc(2025, 11, 24, hour) < end}
    for step in itertools.count():
        place: Any = f"memory://{uuid4().hex}"
        if kind == "file":
            place = {"type": "file", "path": str(tmp_path / str(step)), "durable": False}
        files, compacted = found_beside_a_compaction(place, step, start, end, monkeypatch)
        assert DAY in files or wanted <= set(files), step
        if not compacted:
            break


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


def test_of_a_day_one_level_is_listed_behind_its_hours(
    asked: tuple[holdall.DataStore, list[str]],
) -> None:
    store, folders = asked
    found(store, utc(2025, 11, 25, 23), utc(2025, 11, 27), compacted=True)
    assert folders == [
        "/2025/11/25/23", "/2025/11/25, one level", "/2025/11/26", "/2025/11/26, one level",
    ]  # fmt: skip


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
