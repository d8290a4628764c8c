"""Measurements of two days as Parquet files, two an hour, and how DuckDB reads a range of them."""

import io
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

import holdall
from holdall.objects import partitions

FIRST = datetime(2024, 2, 28, 20, tzinfo=UTC)
DAYS = 2  # past the 29th
EVERY = timedelta(minutes=20)
ROWS = [FIRST + index * EVERY for index in range(DAYS * 24 * 3)]

# A start, an end, and how many files hold what is between them.
RANGES = [
    (FIRST, FIRST + timedelta(hours=1), 2),
    (FIRST + timedelta(minutes=20), FIRST + timedelta(hours=3, microseconds=1), 8),
    (datetime(2024, 2, 29, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC), 48),
    (datetime(2024, 2, 28, 22, 40, tzinfo=UTC), datetime(2024, 3, 1, 2, tzinfo=UTC), 4 + 48 + 4),
]


def write(store: holdall.DataStore, key: str, moments: list[datetime]) -> None:
    """Write a Parquet file with one row for each moment."""
    times = pa.array(moments, pa.timestamp("us", tz="UTC"))
    file = io.BytesIO()
    pq.write_table(pa.table({"time": times}), file)
    store.write(key, file.getvalue())


def write_all(store: holdall.DataStore) -> None:
    """Write all rows: of each hour those of 00 and 20 past in one file, that of 40 in another."""
    for hour in range(DAYS * 24):
        moment = FIRST + timedelta(hours=hour)
        folder = partitions.partition_key("mydb", "cpu", moment)
        write(store, f"{folder}/a.parquet", [moment, moment + EVERY])
        write(store, f"{folder}/b.parquet", [moment + 2 * EVERY])


def rows_between(start: datetime, end: datetime) -> list[datetime]:
    """The rows of a range."""
    return [moment for moment in ROWS if start <= moment < end]


def read(
    connection: duckdb.DuckDBPyConnection, paths: list[str], start: datetime, end: datetime
) -> list[datetime]:
    """Read the rows of a range from files, with DuckDB."""
    query = "SELECT epoch_us(time) FROM read_parquet(?) WHERE time >= ? AND time < ? ORDER BY time"
    found = connection.execute(query, [paths, start, end]).fetchall()
    return [datetime.fromtimestamp(row[0] / 1e6, UTC) for row in found]
