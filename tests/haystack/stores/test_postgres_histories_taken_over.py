"""Histories in PostgreSQL: tables that others made, and servers that go away."""

from __future__ import annotations

import logging
import os
import signal
from array import array
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import psycopg
import pytest
from msgspec.structs import replace

from holdall.core.errors import HoldallError, InvalidConfig, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import NA, Number
from holdall.haystack.stores.histories import Bounds, Samples
from holdall.haystack.stores.postgres import (
    PostgresHaystackSettings,
    PostgresHistories,
    histories_rows,
    histories_writing,
)
from serving import databases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.untraced

# As haystack-py makes it.
SEED = """
CREATE TABLE history (
    point_id TEXT NOT NULL, ts TIMESTAMPTZ NOT NULL, val DOUBLE PRECISION
)
"""


def ask(place: PostgresHaystackSettings, statement: str) -> list[Any]:
    assert place.dsn is not None
    options = f"-c search_path={place.schema},public"
    with psycopg.connect(place.dsn.reveal(), autocommit=True, options=options) as connection:
        cursor = connection.execute(statement.encode())
        return [] if cursor.description is None else cursor.fetchall()


def opened(place: PostgresHaystackSettings) -> PostgresHistories:
    return PostgresHistories(place, BlockingRuntime())


def doubles(values: dict[int, float], unit: str | None = None) -> Samples:
    return Samples(array("q", values), array("d", values.values()), unit)


def test_a_table_with_samples_is_taken_over(postgres_schema: PostgresHaystackSettings) -> None:
    ask(postgres_schema, SEED)
    ask(postgres_schema, "INSERT INTO history VALUES "
        "('b', '1970-01-01 00:00:02Z', 2), ('a', '1970-01-01 00:00:01Z', 1.5), "
        "('a', '1970-01-01 00:00:03Z', NULL), ('b', '1970-01-01 00:00:01Z', 9)")  # fmt: skip
    store = opened(postgres_schema)
    drive(store.connect())
    a, b, gone = drive(store.read(["a", "b", "c"]))
    assert (list(a.ts), list(a.vals)) == ([1_000_000, 3_000_000], [Number(1.5), NA])
    assert (list(b.ts), list(b.vals), len(gone)) == ([1_000_000, 2_000_000], [9.0, 2.0], 0)
    drive(store.write({"a": doubles({1_000_000: 2.5, 2_000_000: 3.5}, "kW")}))
    assert drive(store.bounds(["a", "b"])) == [
        Bounds(1_000_000, 3_000_000, 3), Bounds(1_000_000, 2_000_000, 2),
    ]  # fmt: skip
    drive(store.close())


def test_samples_that_were_taken_over_have_the_unit_of_their_point(
    postgres_schema: PostgresHaystackSettings,
) -> None:
    ask(postgres_schema, "CREATE TABLE entities (id TEXT PRIMARY KEY, tags JSONB NOT NULL)")
    ask(postgres_schema, "INSERT INTO entities VALUES "
        """('a', '{"id":{"_kind":"ref","val":"a"},"kind":"Number","unit":"°C"}'), """
        """('b', '{"id":{"_kind":"ref","val":"b"},"kind":"Number"}'), """
        """('c', '{"id":{"_kind":"ref","val":"c"},"unit":"no unit!"}'), """
        """('d', '{"id":{"_kind":"ref","val":"d"},"kind":"Bool","unit":"°C"}')""")  # fmt: skip
    ask(postgres_schema, SEED)
    ask(postgres_schema, "INSERT INTO history SELECT p, 'epoch', 1 FROM "
        "unnest(ARRAY['a', 'b', 'c', 'd', 'e']) p")  # fmt: skip
    ask(postgres_schema, "INSERT INTO history VALUES ('a', '1970-01-01 00:00:01Z', NULL)")
    store = opened(postgres_schema)
    read = drive(store.read(["a", "b", "c", "d", "e"]))
    assert [[repr(one) for one in samples.kinds()] for samples in read] == [
        ["Number(1.0, '°C')", "NA"], *[["Number(1.0)"]] * 4,
    ]  # fmt: skip
    drive(store.close())


def test_of_samples_at_one_moment_the_last_one_is_taken_over(
    postgres_schema: PostgresHaystackSettings,
) -> None:
    ask(postgres_schema, SEED)
    ask(postgres_schema, "INSERT INTO history SELECT 'p', 'epoch', n FROM generate_series(1, 9) n")
    ask(postgres_schema, "INSERT INTO history SELECT 'q', 'epoch', 7")
    store = opened(postgres_schema)
    assert [list(one.vals) for one in drive(store.read(["p", "q"]))] == [[9.0], [7.0]]
    assert drive(store.bounds(["p"])) == [Bounds(0, 0, 1)]
    drive(store.close())


def test_samples_that_were_taken_over_are_counted_once(
    postgres_schema: PostgresHaystackSettings,
) -> None:
    ask(postgres_schema, SEED)
    ask(postgres_schema, "INSERT INTO history VALUES ('p', 'epoch', 1)")
    store = opened(postgres_schema)
    drive(store.connect())
    assert ask(postgres_schema, "SELECT point_id, count FROM hs_histories") == [("p", 1)]
    drive(store.close())


@pytest.mark.parametrize(
    "table",
    [
        "history (year int, event text)",
        "history (point_id text, ts timestamptz, val text)",
        "history (point_id text, ts timestamp, val double precision)",
        "history (point_id text, ts timestamptz, val double precision, unit int)",
    ],
)
def test_a_table_of_something_else_is_left_as_it_is(
    postgres_schema: PostgresHaystackSettings, table: str
) -> None:
    ask(postgres_schema, f"CREATE TABLE {table}")
    columns = "SELECT count(*) FROM information_schema.columns WHERE table_name = 'history' AND "
    columns += f"table_schema = '{postgres_schema.schema}'"
    before = ask(postgres_schema, columns)
    store = opened(postgres_schema)
    with pytest.raises(InvalidConfig, match="is a table of something else"):
        drive(store.connect())
    assert ask(postgres_schema, columns) == before
    drive(store.close())


def test_a_key_that_is_there_already_is_used(postgres_schema: PostgresHaystackSettings) -> None:
    ask(postgres_schema, SEED.replace("PRECISION", "PRECISION, PRIMARY KEY (point_id, ts)"))
    store = opened(postgres_schema)
    drive(store.write({"p": doubles({1: 1.0})}))
    drive(store.write({"p": doubles({1: 2.0})}))
    assert list(drive(store.read(["p"]))[0].vals) == [2.0]
    indexes = f"SELECT count(*) FROM pg_indexes WHERE schemaname = '{postgres_schema.schema}'"
    assert ask(postgres_schema, f"{indexes} AND tablename = 'history'") == [(1,)]
    drive(store.close())


def test_a_log_line_says_that_a_table_is_plain(
    postgres_schema: PostgresHaystackSettings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "holdall.haystack")
    store = opened(postgres_schema)
    drive(store.connect())
    drive(store.write({"p": doubles({1: 1.0})}))
    drive(store.close())
    lines = [line for line in caplog.messages if "plain table" in line]
    assert len(lines) == 1
    assert "no extension timescaledb" in lines[0]


@pytest.mark.parametrize("name", ["compress_after", "keep"])
def test_a_setting_that_wants_hypertables_is_warned_of(
    postgres_place: PostgresHaystackSettings, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    settings = {name: timedelta(days=30)}
    store = opened(replace(postgres_place, **settings))
    drive(store.connect())
    drive(store.close())
    assert any("want a hypertable" in line for line in caplog.messages)


def test_many_who_connect_to_an_empty_schema_make_one_table(
    postgres_schema: PostgresHaystackSettings,
) -> None:
    def write(writer: int) -> None:
        mine = opened(postgres_schema)
        drive(mine.write({"p": doubles({writer: 1.0})}))
        drive(mine.close())

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))
    store = opened(postgres_schema)
    assert drive(store.bounds(["p"])) == [Bounds(0, 3, 4)]
    drive(store.close())


def test_a_user_who_may_only_read_reads(
    postgres_schema: PostgresHaystackSettings,
) -> None:
    store = opened(postgres_schema)
    drive(store.write({"p": doubles({1: 1.0})}))
    ask(postgres_schema, "INSERT INTO history VALUES ('p', 'epoch', 2)")
    user = f"reader_{uuid4().hex}"
    ask(postgres_schema, f"CREATE ROLE {user} LOGIN PASSWORD '{user}'")
    ask(postgres_schema, f"GRANT USAGE ON SCHEMA {postgres_schema.schema} TO {user}")
    ask(postgres_schema, f"GRANT SELECT ON ALL TABLES IN SCHEMA {postgres_schema.schema} TO {user}")
    assert postgres_schema.dsn is not None
    account = f"{databases.USER}:{databases.PASSWORD}"
    dsn = Secret(postgres_schema.dsn.reveal().replace(account, f"{user}:{user}"))
    reader = opened(replace(postgres_schema, dsn=dsn))
    assert drive(reader.bounds(["p"])) == [Bounds(0, 1, 2)]
    assert list(drive(reader.read(["p"]))[0].vals) == [2.0, 1.0]
    drive(reader.close())
    drive(store.close())
    ask(postgres_schema, f"DROP OWNED BY {user}; DROP ROLE {user}")


def test_a_server_that_is_killed_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    size = 2_000
    acknowledged: list[int] = []
    enough = Event()

    def write(store: PostgresHistories) -> HoldallError:
        at = 0
        while True:
            moments = array("q", range(at * size, (at + 1) * size))
            try:
                drive(store.write({"p": Samples(moments, array("d", moments), "kW")}))
            except HoldallError as error:
                return error
            acknowledged.append(at)
            at += 1
            if at == 5:
                enough.set()

    with databases.cluster(tmp_path) as data:
        with databases.started(data, tmp_path) as server:
            port = server.port
            dsn = Secret(f"{server.dsn()}?options=-c%20synchronous_commit%3Don")
            store = opened(PostgresHaystackSettings(dsn=dsn))
            with ThreadPoolExecutor(1) as pool:
                writing = pool.submit(write, store)
                enough.wait(60)
                os.kill(server.running.pid, signal.SIGQUIT)  # at once, as in a crash
                error = writing.result()
            assert isinstance(error, Unavailable)
            assert dsn.reveal() not in str(error)
        with databases.started(data, tmp_path, port):
            count = len(drive(store.read(["p"]))[0])
            assert count % size == 0
            assert len(acknowledged) <= count // size <= len(acknowledged) + 1
            assert drive(store.bounds(["p"])) == [Bounds(0, count - 1, count)]
            drive(store.write({"p": doubles({-1: 1.0})}))
            assert drive(store.bounds(["p"])) == [Bounds(-1, count - 1, count + 1)]
            drive(store.close())


def test_a_connection_that_is_cut_off_says_that_samples_may_be_written(
    postgres_place: PostgresHaystackSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(postgres_place)
    drive(store.connect())
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'COPY%' "
        f"AND query LIKE '%{postgres_place.schema}%' AND pid <> pg_backend_pid()"
    )

    def rows(*arguments: Any, **settings: Any) -> Iterator[bytes]:
        yield from histories_rows.rows(*arguments, **settings)
        ask(postgres_place, cut)

    monkeypatch.setattr(histories_writing, "rows", rows)
    with pytest.raises(Unavailable, match="may have been applied"):
        drive(store.write({"p": doubles({1: 1.0})}))
    assert drive(store.bounds(["p"])) == [None]
    drive(store.close())
