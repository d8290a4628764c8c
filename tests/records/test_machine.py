"""Databases answer what the one in memory answers, and that one what Python says."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.memory_indexes import Indexes
from holdall.records.database import Database
from holdall.records.ordering import in_order, position_of
from holdall.records.predicate import compiled
from holdall.records.record import Record
from holdall.records.stored import Stored, reader
from holdall.testing import record_store_machine
from holdall.testing.records.generated import conditions, fields, ids, paths, queries

if TYPE_CHECKING:
    from holdall.core.runtime import Runtime
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.query import Query

pytestmark = pytest.mark.untraced

STEPS = settings(
    stateful_step_count=20,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
_NOW = datetime(2024, 1, 1, tzinfo=UTC)

tables = st.dictionaries(ids, fields, max_size=6)


def open_memory(runtime: Runtime) -> MemoryRecords:
    return MemoryRecords.open(MemoryRecordSettings(), runtime)


def test_two_databases_in_memory_answer_alike() -> None:
    run_state_machine_as_test(record_store_machine(open_memory), settings=STEPS)


@pytest.mark.parametrize("indexed", [False, True])
@given(tables, queries)
def test_memory_answers_what_python_says(
    indexed: bool, rows: dict[str, dict[str, Any]], query: Query
) -> None:
    db = Database(open_memory(BlockingRuntime()))
    if indexed:
        db.create_index("x", "y", "metadata.x", "x.y")
    db.batch_create([Record(row, id_, {"x": row.get("x")}) for id_, row in rows.items()])
    stored = list(db.store._table.rows.values())  # type: ignore[attr-defined]
    meant = filter(compiled(query.predicate, reader), stored)
    whole = in_order(meant, position_of(query.sorts, reader), None)[query.skipped :]
    expected = [row.id for row in whole[: query.maximum]]
    assert [record.id for record in db.search(query)] == expected


@given(tables, conditions, st.lists(paths, unique=True))
def test_the_candidates_of_an_index_hold_all_that_is_meant(
    rows: dict[str, dict[str, Any]], node: Node, indexed: list[Path]
) -> None:
    stored = {id_: Stored(id_, row, {}, _NOW, _NOW, "v") for id_, row in rows.items()}
    indexes = Indexes(stored)
    for path in indexed:
        indexes.add(path)
    candidates = indexes.candidates(node)
    meant = {row.id for row in filter(compiled(node, reader), stored.values())}
    assert candidates is None or meant <= set(candidates)
