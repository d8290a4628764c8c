"""Entities and histories in TimescaleDB: the suites over hypertables, compression, retention.

They run where `HOLDALL_TEST_TIMESCALE_DSN` names a database with the extension, in schemas of
their own.
"""

from __future__ import annotations

import logging
import os
from array import array
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import NA, Number
from holdall.haystack.postgres import TimescaleAdapter
from holdall.haystack.stores.histories import Bounds, Samples, Span
from holdall.haystack.stores.postgres import (
    PostgresEntities,
    PostgresHaystackSettings,
    PostgresHistories,
)
from holdall.testing import EntityStoreSuite, HaystackAdapterSuite, HistoryStoreSuite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

DSN = os.environ.get("HOLDALL_TEST_TIMESCALE_DSN", "")

pytestmark = [
    pytest.mark.untraced,
    pytest.mark.skipif(
        not DSN, reason="needs timescaledb: HOLDALL_TEST_TIMESCALE_DSN names no database"
    ),
]

DAY = 86_400_000_000
START = 19_000 * DAY  # in the year 2022, when a chunk begins or not


def ask(schema: str, statement: str) -> list[Any]:
    import psycopg

    options = f"-c search_path={schema},public"
    with psycopg.connect(DSN, autocommit=True, options=options) as connection:
        cursor = connection.execute(statement.encode())
        return [] if cursor.description is None else cursor.fetchall()


@pytest.fixture(scope="module")
def shared() -> Iterator[str]:
    """A schema that the tests of the suites share."""
    schema = f"shared_{uuid4().hex}"
    ask(schema, f"CREATE SCHEMA {schema}")
    yield schema
    ask(schema, f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def emptied(shared: str) -> PostgresHaystackSettings:
    """Tables without rows, which other tests have used before."""
    tables = f"SELECT tablename FROM pg_tables WHERE schemaname = '{shared}'"
    for (table,) in ask(shared, tables):
        if table not in {"hs_parts", "hs_meta"}:
            ask(shared, f"DELETE FROM {table}")
    if ask(shared, f"{tables} AND tablename = 'hs_meta'"):
        again = f"epoch = '{uuid4().hex}', number = 0, due = NULL, forgotten = 0"
        ask(shared, f"UPDATE hs_meta SET {again}")
    return PostgresHaystackSettings(dsn=Secret(DSN), schema=shared)


@pytest.fixture
def place() -> Iterator[PostgresHaystackSettings]:
    """A schema without tables, which goes when the test ends."""
    schema = f"own_{uuid4().hex}"
    ask(schema, f"CREATE SCHEMA {schema}")
    yield PostgresHaystackSettings(dsn=Secret(DSN), schema=schema)
    ask(schema, f"DROP SCHEMA {schema} CASCADE")


class TestTimescaleEntities(EntityStoreSuite):
    @pytest.fixture
    def make_store(self, emptied: PostgresHaystackSettings) -> Callable[[Any], PostgresEntities]:
        return lambda runtime: PostgresEntities(emptied, runtime)


class TestTimescaleHistories(HistoryStoreSuite):
    @pytest.fixture
    def make_store(self, emptied: PostgresHaystackSettings) -> Callable[[Any], PostgresHistories]:
        return lambda runtime: PostgresHistories(emptied, runtime)


class TestTimescaleAdapter(HaystackAdapterSuite):
    @pytest.fixture
    def make_adapter(self, emptied: PostgresHaystackSettings) -> Callable[[], TimescaleAdapter]:
        return lambda: TimescaleAdapter(emptied.dsn, schema=emptied.schema)


def opened(place: PostgresHaystackSettings, **settings: Any) -> PostgresHistories:
    store = PostgresHistories(replace(place, **settings), BlockingRuntime())
    drive(store.connect())
    return store


def doubles(moments: range, value: float, unit: str | None = "kW") -> Samples:
    return Samples(array("q", moments), array("d", [value] * len(moments)), unit)


def chunks(place: PostgresHaystackSettings, what: str = "count(*)") -> Any:
    found = ask(
        place.schema,
        f"SELECT {what} FROM timescaledb_information.chunks "
        f"WHERE hypertable_schema = '{place.schema}'",
    )
    return found[0][0]


def policies(place: PostgresHaystackSettings) -> dict[str, timedelta]:
    rows = ask(
        place.schema,
        "SELECT proc_name, coalesce(config->>'compress_after', config->>'drop_after')::interval "
        f"FROM timescaledb_information.jobs WHERE hypertable_schema = '{place.schema}'",
    )
    return dict(rows)


def compress(place: PostgresHaystackSettings) -> None:
    ask(place.schema, "SELECT compress_chunk(c, TRUE) FROM show_chunks('history') AS c")


def test_histories_are_a_hypertable_of_chunks(place: PostgresHaystackSettings) -> None:
    store = opened(place, chunk=timedelta(days=2))
    drive(store.write({"p": doubles(range(START, START + 10 * DAY, DAY), 1.0)}))
    assert 5 <= chunks(place) <= 6
    assert chunks(place, "max(range_end - range_start)") == timedelta(days=2)
    assert policies(place) == {}
    drive(store.close())


def test_no_log_line_says_that_the_table_is_plain(
    place: PostgresHaystackSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdall.haystack")
    drive(opened(place, keep=timedelta(days=9)).close())
    assert caplog.messages == []


def test_chunks_are_compressed_and_dropped_as_the_settings_say(
    place: PostgresHaystackSettings,
) -> None:
    month, year = timedelta(days=30), timedelta(days=365)
    for compress_after, keep in [(month, year), (month * 2, year * 2), (None, None)]:
        for _ in range(2):  # who connects again finds it as it should be
            drive(opened(place, compress_after=compress_after, keep=keep).close())
        factor = 2 if compress_after != month else 1
        assert policies(place) == {
            "policy_compression": month * factor,
            "policy_retention": year * factor,
        }
        # The setting None leaves what is there.


def test_samples_of_compressed_chunks_are_written_and_taken_away(
    place: PostgresHaystackSettings,
) -> None:
    store = opened(place, compress_after=timedelta(days=30))
    minute = 60_000_000
    moments = range(START, START + 1_000 * minute, minute)
    drive(store.write({name: doubles(moments, 1.0) for name in "abc"}))
    compress(place)
    assert chunks(place, "bool_and(is_compressed)") is True
    drive(store.write({"a": doubles(moments[100:200], 2.0), "b": doubles(moments[5:6], 2.0)}))
    drive(store.write({"a": Samples(array("q", [moments[0]]), [NA]), "c": doubles(moments, 3.0)}))
    drive(store.write({"a": doubles(range(START + 30, START + 31), 4.0, "°F")}))
    assert drive(store.remove("b", [moments[7], moments[9]])) == 2
    assert drive(store.delete("b", Span(moments[500], moments[600]))) == 100
    a, b, c = drive(store.read(["a", "b", "c"]))
    expected = [1.0] * 100 + [2.0] * 100 + [1.0] * 800
    assert list(a.vals)[2:] == [Number(value, "kW") for value in expected[1:]]
    assert list(a.vals)[:2] == [NA, Number(4.0, "°F")]
    assert len(b) == 898
    assert list(b.vals)[:7] == [1.0] * 5 + [2.0, 1.0]
    assert list(c.vals) == [3.0] * 1_000
    assert [bound and bound.count for bound in drive(store.bounds(["a", "b", "c"]))] == [
        1_001, 898, 1_000,
    ]  # fmt: skip
    drive(store.close())


def test_very_many_samples_of_a_compressed_chunk_are_written_over(
    place: PostgresHaystackSettings,
) -> None:
    # More than TimescaleDB takes out of compressed chunks in a transaction, unless it is told to.
    store = opened(place, compress_after=timedelta(days=30))
    moments = range(START, START + 120_000 * 1_000, 1_000)
    drive(store.write({"p": doubles(moments, 1.0)}))
    compress(place)
    drive(store.write({"p": doubles(moments, 2.0)}))
    assert drive(store.read(["p"]))[0].vals == array("d", [2.0] * 120_000)
    compress(place)
    assert drive(store.delete("p")) == 120_000
    drive(store.close())


def test_chunks_that_were_dropped_are_not_counted(place: PostgresHaystackSettings) -> None:
    store = opened(place, chunk=timedelta(days=1))
    moments = range(START, START + 10 * DAY, DAY)
    drive(store.write({"p": doubles(moments, 1.0), "q": doubles(moments[:1], 1.0)}))
    ask(place.schema, f"SELECT drop_chunks('history', to_timestamp({START // 1_000_000 + 259200}))")
    for more in (0, 1):
        assert drive(store.bounds(["p", "q"])) == [
            Bounds(moments[3], moments[-1] + more, 7 + more), None,
        ]  # fmt: skip
        drive(store.write({"p": doubles(range(moments[-1] + 1, moments[-1] + 2), 1.0)}))
    drive(store.close())


@pytest.mark.parametrize("rows", [0, 3])
def test_a_table_of_haystack_py_is_taken_over(place: PostgresHaystackSettings, rows: int) -> None:
    ask(place.schema, "CREATE TABLE history (point_id TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, "
        "val DOUBLE PRECISION)")  # fmt: skip
    ask(place.schema, "SELECT create_hypertable('history', 'ts', if_not_exists => TRUE)")
    for _ in range(2):
        ask(place.schema, "INSERT INTO history SELECT 'p', to_timestamp(n * 1000000), n "
            f"FROM generate_series(1, {rows}) AS n")  # fmt: skip
    store = opened(place)
    read = drive(store.read(["p"]))[0]
    assert list(read.vals) == [1.0, 2.0, 3.0][:rows]
    drive(store.write({"p": doubles(range(2), 9.0, None)}))
    assert [bound and bound.count for bound in drive(store.bounds(["p"]))] == [2 + rows]
    drive(store.close())


def test_a_plain_table_with_samples_stays_plain(
    place: PostgresHaystackSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdall.haystack")
    ask(place.schema, "CREATE TABLE history (point_id TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, "
        "val DOUBLE PRECISION)")  # fmt: skip
    ask(place.schema, "INSERT INTO history VALUES ('p', 'epoch', 1)")
    store = opened(place)
    assert chunks(place) == 0
    assert list(drive(store.read(["p"]))[0].vals) == [1.0]
    assert [line for line in caplog.messages if "migrate_data" in line] == caplog.messages != []
    drive(store.close())
