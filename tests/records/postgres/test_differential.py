"""What PostgreSQL answers is what memory answers."""

from collections.abc import Iterator
from itertools import count
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime import Runtime
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.postgres import PostgresRecords, PostgresSettings, equality, searching
from holdall.records.database import Database
from holdall.records.encoding import dump
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing import record_store_machine
from holdall.testing.records.generated import fields, ids, queries
from serving.databases import PostgresServer

pytestmark = pytest.mark.untraced

STEPS = settings(
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Rows of values that PostgreSQL compares by itself, and rows of any values.
plain_rows = st.dictionaries(ids, fields.filter(lambda row: not dump(row)[1]), max_size=8)
any_rows = st.dictionaries(ids, fields, max_size=8)


@pytest.fixture
def indexed(options: dict[str, Any], postgres_server: PostgresServer) -> Iterator[Database]:
    """A table with indexes, which are used although it is small."""
    dsn = f"{postgres_server.dsn(options['database'])}?options=-c%20enable_seqscan%3Doff"
    chosen = PostgresSettings(dsn=Secret(dsn), table=options["table"])
    with Database(PostgresRecords.open(chosen, BlockingRuntime())) as db:
        db.create_index("x", "y", "z", "x.y", "y.0", "metadata.x", "metadata.created_at")
        yield db


def _compare(real: Database, rows: dict[str, dict[str, Any]], asked: list[Query]) -> None:
    model = Database(MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime()))
    real.clear()
    for one in (real, model):
        one.batch_create([Record(row, id_, {"x": row.get("x")}) for id_, row in rows.items()])
    for query in asked:
        expected = [record.id for record in model.search(query)]
        assert [record.id for record in real.search(query)] == expected
        assert real.count(query) == len(expected)
        assert [record.id for record in real.stream_read(query, 2)] == expected


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plain_rows, st.lists(queries, min_size=1, max_size=3))
def test_plain_rows_are_found_as_in_memory(
    db: Database, rows: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    _compare(db, rows, asked)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(plain_rows, st.lists(queries, min_size=1, max_size=3))
def test_rows_are_found_by_indexes_as_in_memory(
    indexed: Database, rows: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(equality, "_FEW", 0)  # as if each value were one of many
        _compare(indexed, rows, asked)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(any_rows, st.lists(queries, min_size=1, max_size=3))
def test_any_rows_are_found_as_in_memory(
    db: Database, rows: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    _compare(db, rows, asked)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(any_rows, st.lists(queries, min_size=1, max_size=3))
def test_rows_that_come_through_a_cursor_are_found_as_in_memory(
    db: Database, rows: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(searching, "MOST_JUDGED", 0)
        patch.setattr(searching, "_FETCHED", 2)
        _compare(db, rows, asked)


@pytest.mark.soak
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
@given(plain_rows | any_rows, st.lists(queries, min_size=4, max_size=6))
def test_10_000_queries_find_what_they_find_in_memory(
    db: Database, rows: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    _compare(db, rows, asked)


def test_the_database_answers_what_memory_answers(options: dict[str, Any]) -> None:
    number = count()
    place = uuid4().hex

    def make(runtime: Runtime) -> PostgresRecords:
        table = f"{place}_{next(number)}"
        return PostgresRecords.open(PostgresSettings(**{**options, "table": table}), runtime)

    run_state_machine_as_test(record_store_machine(make), settings=STEPS)
