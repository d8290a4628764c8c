"""Real Parquet in partitions: DuckDB reads the rows of a range, and opens no file in vain.

Paths of this module are patterns, so that what they match is DuckDB's to say and not ours.
"""

import io
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

import holdall
from holdall.objects import partitions
from holdall.testing import Fault, FaultRule, Faults
from objects.measurements import (
    DAYS,
    EVERY,
    FIRST,
    RANGES,
    ROWS,
    read,
    rows_between,
    write,
    write_all,
)
from test_docs import ROOT, blocks_of


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose own name is full of what DuckDB takes for wildcards."""
    return tmp_path / "plant [7] *?"


@pytest.fixture
def store(place: Path) -> Iterator[holdall.DataStore]:
    """Two files an hour, for two days."""
    with holdall.open({"type": "file", "path": str(place), "durable": False}) as opened:
        write_all(opened)
        yield opened


class Answer:
    """What DuckDB read: its rows, and how many files it says that it opened for them."""

    def __init__(self, paths: list[str], start: datetime, end: datetime) -> None:
        # Without the filter, which would let DuckDB leave out what it opened by its statistics.
        scan = "EXPLAIN ANALYZE SELECT * FROM read_parquet(?)"
        with duckdb.connect() as connection:
            self.rows = read(connection, paths, start, end)
            plan = connection.execute(scan, [paths]).fetchall()[0][1]
        (files,) = re.findall(r"Total Files Read: ([0-9]+)", plan)
        self.files = int(files)


@pytest.mark.parametrize(("start", "end", "files"), RANGES)
def test_duckdb_reads_the_rows_of_a_range_from_the_files_that_are_needed(
    store: holdall.DataStore, start: datetime, end: datetime, files: int
) -> None:
    answer = Answer(partitions.query_paths(store, "mydb", "cpu", start, end), start, end)
    assert answer.rows == rows_between(start, end)
    assert answer.files == files


@pytest.mark.parametrize(("start", "end", "files"), RANGES)
def test_duckdb_reads_the_same_from_the_files_that_are_listed(
    store: holdall.DataStore, start: datetime, end: datetime, files: int
) -> None:
    listed = partitions.partition_files(store, "mydb", "cpu", start, end)
    answer = Answer([partitions.duckdb_path(meta.ref) for meta in listed], start, end)
    assert answer.rows == rows_between(start, end)
    assert answer.files == files


def test_a_range_is_listed_where_a_pattern_would_match_nothing(store: holdall.DataStore) -> None:
    start, end = FIRST - timedelta(hours=5), FIRST + timedelta(hours=1)
    with pytest.raises(duckdb.IOException, match="No files found"):
        Answer(partitions.query_paths(store, "mydb", "cpu", start, end), start, end)
    listed = partitions.partition_files(store, "mydb", "cpu", start, end)
    answer = Answer([partitions.duckdb_path(meta.ref) for meta in listed], start, end)
    assert answer.rows == ROWS[:3]


def test_a_whole_month_is_read_and_no_folder_that_is_no_day_or_hour(
    store: holdall.DataStore,
) -> None:
    for folder in ("2024/02/29/tmp", "2024/02/tmp/00", "2024/02/_tmp/.tmp"):
        write(store, f"mydb/cpu/{folder}/a.parquet", [FIRST])
    start, end = datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    answer = Answer(partitions.query_paths(store, "mydb", "cpu", start, end), start, end)
    assert answer.rows == [moment for moment in ROWS if moment < end]
    assert answer.files == 2 * 28


@pytest.mark.parametrize("listed", [False, True])
def test_a_day_that_was_compacted_is_read_with_the_hours_of_another(
    store: holdall.DataStore, listed: bool
) -> None:
    day = datetime(2024, 2, 29, tzinfo=UTC)
    rows = [moment for moment in ROWS if day <= moment < day + timedelta(days=1)]
    folder = partitions.partition_key("mydb", "cpu", day, compacted=True)
    write(store, f"{folder}/day.parquet", rows)
    store.delete_many(
        f"{partitions.partition_key('mydb', 'cpu', moment)}/{name}.parquet"
        for moment in rows
        for name in "ab"
    )
    start, end = day - timedelta(hours=1), day + timedelta(hours=2)
    files = partitions.partition_files(store, "mydb", "cpu", start, end, compacted=True)
    paths = [partitions.duckdb_path(meta.ref) for meta in files]
    if not listed:
        wanted = partitions.query_paths(store, "mydb", "cpu", start, end, compacted=True)
        paths = [pattern for pattern in wanted if matches(pattern)]
    answer = Answer(paths, start, end)
    assert answer.rows == rows_between(start, end)
    assert answer.files == 2 + 1


class Broken(Exception):
    """A process that ended here."""


@pytest.mark.parametrize("lost", [False, True], ids=["before", "behind"])
def test_a_compaction_that_breaks_off_anywhere_is_finished_by_running_it_again(
    lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    page: dict[str, Any] = {}
    for block in blocks_of((ROOT / "docs" / "partitions.md").read_text("utf-8")):
        exec(block.code, page)  # `compact` of the page is what is tried here
        if "compact" in page:
            break
    day = datetime(2024, 2, 29, tzinfo=UTC)
    times = ((1, 5), (2, 5), (1, 25), (1, 45))
    moments = [day + timedelta(hours=hour, minutes=minute) for hour, minute in times]

    for nth in count(1):
        memory = holdall.open("memory://").store
        faults = Faults(memory, [FaultRule(fault=Fault(error=Broken(), lost=lost), nth=nth)])
        store = holdall.DataStore(memory)
        write(store, "plant/cpu/2024/02/29/01/a.parquet", moments[:1])
        write(store, "plant/cpu/2024/02/29/02/a.parquet", moments[1:2])
        page["store"] = holdall.DataStore(faults)
        with suppress(Broken):
            page["compact"](day)
        page["store"] = store
        write(store, "plant/cpu/2024/02/29/01/late.parquet", moments[2:3])
        page["compact"](day)
        write(store, "plant/cpu/2024/02/29/01/a.parquet", moments[3:])  # a name once more
        page["compact"](day)
        files = list(store.list("plant"))
        tables = [pq.read_table(io.BytesIO(store.read(key))) for key in files]
        rows = [moment for table in tables for moment in table["time"].to_pylist()]
        assert sorted(rows) == sorted(moments), nth
        assert {key.rpartition("/")[0] for key in files} == {"plant/cpu/2024/02/29"}
        if not faults.faults:
            break


def matches(pattern: str) -> bool:
    """Whether DuckDB finds a file by a pattern."""
    with duckdb.connect() as connection:
        return bool(connection.execute("SELECT file FROM glob(?)", [pattern]).fetchall())


def test_the_storage_path_reads_everything_of_a_measurement(store: holdall.DataStore) -> None:
    write(store, "mydb/cpu/2023/05/06/day.parquet", [datetime(2023, 5, 6, tzinfo=UTC)])
    write(store, "mydb/memory/2024/02/28/20/a.parquet", [FIRST])
    path = partitions.storage_path(store, "mydb", "cpu")
    answer = Answer([path], datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))
    assert answer.rows == [datetime(2023, 5, 6, tzinfo=UTC), *ROWS]


def test_one_hour_of_every_day_is_read(store: holdall.DataStore) -> None:
    path = partitions.query_path(store, "mydb", "cpu", hour=0)
    answer = Answer([path], FIRST, FIRST + timedelta(days=DAYS))
    assert answer.rows == [moment for moment in ROWS if moment.hour == 0]
    assert answer.files == 2 * DAYS


def test_a_name_with_wildcards_is_read_as_that_one_file(store: holdall.DataStore) -> None:
    folder = "mydb/odd/2024/02/28/20"
    write(store, f"{folder}/[a]?*.parquet", [FIRST])
    write(store, f"{folder}/a1b.parquet", [FIRST, FIRST])
    path = partitions.duckdb_path(store.reference(f"{folder}/[a]?*.parquet"))
    assert Answer([path], FIRST, FIRST + EVERY).rows == [FIRST]
