"""Every value against every other one: SQLite tells apart what the database in memory does."""

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.sqlite import SqliteRecords
from holdall.records.contract import RecordStore
from holdall.records.predicate import (
    Begins,
    Contains,
    Differs,
    Ends,
    Equals,
    Has,
    In,
    Node,
    Not,
    NotIn,
    between,
    comparison,
    like,
)
from holdall.records.query import Sort
from holdall.records.stored import Found
from holdall.records.values import kind_of, ordered
from records.sqlite.generated import NUMBERS, OTHERS, TEXTS
from records.sqlite.opening import opened, put

pytestmark = pytest.mark.untraced

LISTS: list[Any] = [[], [1], ["a", True], [None, b"a"], [["a"]], {}, {"a": 1}, {"date": 1}]
VALUES = [*NUMBERS, *OTHERS, *TEXTS, *LISTS, *([value] for value in OTHERS)]
PATH = ("a",)
WAYS = list(product([False, True], repeat=2))
OPERATORS: Any = ["lt", "le", "gt", "ge"]


def conditions(value: Any) -> Iterator[Node]:
    for node in (
        Equals(PATH, value),
        Differs(PATH, value),
        In(PATH, (value, "b")),
        NotIn(PATH, (value, 2)),
        Contains(PATH, value),
    ):
        yield node
        yield Not(node)
    if ordered(kind_of(value)):
        for operator in OPERATORS:
            yield comparison(PATH, operator, value)
            yield Not(comparison(PATH, operator, value))
        yield between(PATH, value, value)
    if isinstance(value, str):
        yield Begins(PATH, value)
        yield Ends(PATH, value)
        if not value.endswith("\\"):
            yield like(PATH, f"{value}%")
            yield like(PATH, value, ignore_case=True)


def found(store: RecordStore, **asked: Any) -> list[str]:
    return [row.id for row in drive(store.find(Found(**asked)))]


@pytest.fixture(params=["plain", "indexed"])
def both(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[SqliteRecords, Any]]:
    sqlite = opened(tmp_path / "a.db", durable=False)
    memory = MemoryRecords(MemoryRecordSettings(), BlockingRuntime())
    for store in (sqlite, memory):
        put(store, {f"{at:03}": {"a": value} for at, value in enumerate(VALUES)} | {"none": {}})
    if request.param == "indexed":
        drive(sqlite.index(PATH))
    yield sqlite, memory
    drive(sqlite.close())


def test_every_value_is_compared_with_every_other_one(both: tuple[SqliteRecords, Any]) -> None:
    sqlite, memory = both
    nodes = [Has(PATH), *(node for value in VALUES for node in conditions(value))]
    different = [
        node for node in nodes if found(sqlite, predicate=node) != found(memory, predicate=node)
    ]
    assert different == []


@pytest.mark.parametrize(("descending", "missing_first"), WAYS)
def test_every_value_has_its_place(
    both: tuple[SqliteRecords, Any], descending: bool, missing_first: bool
) -> None:
    sqlite, memory = both
    sorts = (Sort(PATH, descending, missing_first),)
    assert found(sqlite, sorts=sorts) == found(memory, sorts=sorts)
    assert found(sqlite, sorts=sorts, size=7, skip=9) == found(memory, sorts=sorts, size=7, skip=9)


@pytest.mark.parametrize(("descending", "missing_first"), WAYS)
def test_a_page_begins_after_every_value(
    both: tuple[SqliteRecords, Any], descending: bool, missing_first: bool
) -> None:
    sqlite, memory = both
    sorts = (Sort(PATH, descending, missing_first),)
    different = [
        value
        for value in VALUES
        if found(sqlite, sorts=sorts, after=(value, "050"), size=5)
        != found(memory, sorts=sorts, after=(value, "050"), size=5)
    ]
    assert different == []


@pytest.mark.parametrize(("descending", "missing_first"), WAYS)
def test_an_index_over_numbers_and_texts_sorts_and_pages(
    tmp_path: Path, descending: bool, missing_first: bool
) -> None:
    sqlite = opened(tmp_path / "a.db", durable=False)
    memory = MemoryRecords(MemoryRecordSettings(), BlockingRuntime())
    kept = [value for value in (*NUMBERS, *TEXTS, None) if type(value) is not bool]
    for store in (sqlite, memory):
        put(store, {f"{at:03}": {"a": value} for at, value in enumerate(kept)} | {"none": {}})
    drive(sqlite.index(PATH))
    sorts = (Sort(PATH, descending, missing_first),)
    assert found(sqlite, sorts=sorts) == found(memory, sorts=sorts)
    for value in kept:
        after = (value, "020")
        asked = {"sorts": sorts, "after": after, "size": 5, "skip": 1}
        assert found(sqlite, **asked) == found(memory, **asked)
