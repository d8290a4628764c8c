"""The database in memory, which judges the others, answers by its indexes what is meant."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.paths import Path
from holdall.records.query import Query
from holdall.testing.records.generated import fields, ids, paths, queries
from records.plain import disagreements, fill

_rows = st.dictionaries(ids, fields, max_size=10)
_indexed = st.lists(paths, max_size=4)


def _agrees(rows: dict[str, dict[str, Any]], indexed: list[Path], asked: list[Query]) -> None:
    store = MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime())
    for path in indexed:
        drive(store.index(path))
    fill(store, rows)
    # Each is asked twice: what is asked again gets an index by itself.
    assert disagreements(store, list(rows), [*asked, *asked]) == []


@given(_rows, _indexed, st.lists(queries, min_size=1, max_size=3))
def test_an_index_answers_what_is_meant(
    rows: dict[str, dict[str, Any]], indexed: list[Path], asked: list[Query]
) -> None:
    _agrees(rows, indexed, asked)


@pytest.mark.soak
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
@given(_rows, _indexed, st.lists(queries, min_size=4, max_size=6))
def test_10_000_queries_are_answered_as_they_are_meant(
    rows: dict[str, dict[str, Any]], indexed: list[Path], asked: list[Query]
) -> None:
    _agrees(rows, indexed, asked)
