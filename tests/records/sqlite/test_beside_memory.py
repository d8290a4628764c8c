"""SQLite answers what the database in memory answers, for generated rows and queries."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from holdall.core.errors import Unsupported
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.sqlite import SqliteRecords
from holdall.records.predicate import Node
from holdall.records.query import Sort
from holdall.records.stored import Found, Stored, Write, reader
from records.sqlite.generated import paths, predicates, sorts, writes
from records.sqlite.opening import opened


@contextmanager
def both(rows: Sequence[Write]) -> Iterator[tuple[SqliteRecords, MemoryRecords]]:
    """Both databases, with the same rows; also the moments are the same."""
    memory = MemoryRecords(MemoryRecordSettings(), BlockingRuntime())
    drive(memory.put(rows))
    with tempfile.TemporaryDirectory() as folder:
        sqlite = opened(Path(folder) / "a.db", durable=False)
        drive(sqlite.put(rows))
        for row in memory._table.rows.values():
            (same,) = drive(sqlite.get([row.id]))
            assert isinstance(same, Stored)
            row.created, row.updated, row.version = same.created, same.updated, same.version
        yield sqlite, memory
        drive(sqlite.close())


def assert_same(ours: Sequence[Stored], theirs: Sequence[Stored]) -> None:
    assert [row.id for row in ours] == [row.id for row in theirs]
    for one, other in zip(ours, theirs, strict=True):
        assert repr(one) == repr(other)


def _agree(rows: list[Write], wanted: list[Node]) -> None:
    with both(rows) as (sqlite, memory):
        for predicate in wanted:
            found = Found(predicate)
            assert_same(drive(sqlite.find(found)), drive(memory.find(found)))
            assert drive(sqlite.count(predicate)) == drive(memory.count(predicate))


@given(st.lists(writes, max_size=8), st.lists(predicates, min_size=1, max_size=5))
def test_conditions_mean_the_same_rows(rows: list[Write], wanted: list[Node]) -> None:
    _agree(rows, wanted)


@pytest.mark.soak
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
@given(st.lists(writes, max_size=8), st.lists(predicates, min_size=4, max_size=6))
def test_10_000_conditions_mean_the_same_rows(rows: list[Write], wanted: list[Node]) -> None:
    _agree(rows, wanted)


@given(
    st.lists(writes, max_size=8),
    st.lists(st.tuples(predicates, sorts), min_size=1, max_size=4),
    st.lists(paths, max_size=4),
)
def test_indexes_change_no_answer(
    rows: list[Write], wanted: list[tuple[Node, tuple[Sort, ...]]], indexed: list[Any]
) -> None:
    with both(rows) as (sqlite, memory):
        places = [*indexed, *(sort.path for _, some in wanted for sort in some)]
        places += [node.path for node, _ in wanted if hasattr(node, "path")]
        for path in places:
            try:
                drive(sqlite.index(path))
            except Unsupported:
                continue
        for predicate, order in wanted:
            found = Found(predicate, order)
            assert_same(drive(sqlite.find(found)), drive(memory.find(found)))
            assert drive(sqlite.count(predicate)) == drive(memory.count(predicate))


@given(
    st.lists(writes, max_size=9),
    sorts,
    st.integers(0, 3),
    st.integers(0, 4) | st.none(),
    st.booleans(),
)
def test_orders_and_pages_are_the_same(
    rows: list[Write],
    order: tuple[Sort, ...],
    skip: int,
    size: int | None,
    indexed: bool,
) -> None:
    with both(rows) as (sqlite, memory):
        for sort in order if indexed else ():
            try:
                drive(sqlite.index(sort.path))
            except Unsupported:
                continue
        whole = drive(memory.find(Found(sorts=order)))
        assert_same(drive(sqlite.find(Found(sorts=order))), whole)
        for row in whole:
            after = (*(reader(sort.path)(row) for sort in order), row.id)
            found = Found(sorts=order, after=after, skip=skip, size=size)
            assert_same(drive(sqlite.find(found)), drive(memory.find(found)))


@given(st.lists(writes, max_size=8))
def test_values_come_back_as_they_were(rows: list[Write]) -> None:
    with both(rows) as (sqlite, _):
        last = {row.id: row for row in rows}
        for row, held in zip(last.values(), drive(sqlite.get(list(last))), strict=True):
            assert isinstance(held, Stored)
            assert repr(held.fields) == repr(row.fields)
            assert repr(held.metadata) == repr(row.metadata)
            assert list(held.fields) == list(row.fields)
