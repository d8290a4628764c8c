"""Fields that become columns of their own, and that it changes no answer."""

from itertools import count
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.delta import DeltaRecords
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing.records.machine import record_store_machine
from holdall.testing.records.searching import CONDITIONS, ORDERS, ROWS
from records.delta.opening import opened_in, people, settings_in

_OURS = ["id", "created_at", "updated_at", "version", "data", "metadata", "odd"]


def _columns(folder: Path) -> list[str]:
    """The columns of the table that are fields."""
    names = [field.name for field in DeltaTable(folder / "table").schema().fields]
    assert names[: len(_OURS)] == _OURS
    return names[len(_OURS) :]


def test_fields_of_a_large_batch_become_columns(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(100))
    assert _columns(tmp_path) == ["name", "age"]


def test_fields_of_a_small_batch_become_none(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(99))
    assert _columns(tmp_path) == []


@pytest.mark.parametrize("mode", ["batch_create", "batch_upsert"])
def test_a_later_batch_adds_columns(tmp_path: Path, mode: str) -> None:
    db = opened_in(tmp_path, typed_from=10)
    db.batch_create(people(9))
    getattr(db, mode)(people(20)[9 if mode == "batch_create" else 0 :])
    assert set(_columns(tmp_path)) == {"name", "age"}
    assert db.all() == people(20)
    assert db.count(Query().filter("age", ">=", 5)) == 15


def test_a_field_of_two_types_becomes_none(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=2)
    db.batch_create([Record({"x": 1, "y": 1}, id="a"), Record({"x": "1", "y": 2}, id="b")])
    assert _columns(tmp_path) == ["y"]


def test_a_rare_field_becomes_none(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=3)
    db.batch_create([Record({"x": 1}, id="a"), Record({}, id="b"), Record({}, id="c")])
    assert _columns(tmp_path) == []


def test_names_that_differ_in_case_share_no_column(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=1)
    record = Record({"Name": "a", "name": "b"}, id="a")
    db.create(record)
    assert _columns(tmp_path) == ["Name"]
    assert db.read("a") == record
    assert db.count(Query().filter("name", "=", "b")) == 1
    assert db.count(Query().filter("Name", "=", "b")) == 0
    record.fields["Name"] = "c"
    db.update(record)
    assert opened_in(tmp_path).read("a") == record


def test_fields_that_are_called_like_our_columns_are_kept(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=1)
    names = ["data", "version", "odd", "metadata", "Created_At", "_x", "x y", "meant"]
    record = Record(dict.fromkeys(names, 1), id="a")
    db.create(record)
    assert _columns(tmp_path) == ["meant"]
    assert db.read("a") == record
    assert [one.id for one in db.search(Query().filter("data", "=", 1).sort("version"))] == ["a"]


def test_values_that_no_column_holds_are_kept_beside_it(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=2)
    db.batch_create([Record({"x": 1}, id="a"), Record({"x": 2}, id="b")])
    values: list[Any] = ["text", 1.5, 2**60, None, [1], True]
    records = [Record({"x": value}, id=str(at)) for at, value in enumerate(values)]
    for record in records:
        db.create(record)
    assert _columns(tmp_path) == ["x"]
    assert [db.read(record.id or "") for record in records] == records
    assert [one.id for one in db.search(Query().filter("x", "<", 2))] == ["1", "4", "a"]


def test_texts_in_lists_are_found_letter_by_letter(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    letters = [
        *map(chr, range(1, 0x30)),
        "\\",
        "\x7f",
        "\x85",
        "\u2028",
        "\ufeff",
        "\uffff",
        "\U0001f511",
    ]
    db.batch_create([Record({"x": [f"a{one}"]}, id=str(at)) for at, one in enumerate(letters)])
    for at, one in enumerate(letters):
        found = db.search(Query().filter("x", "contains", f"a{one}"))
        assert [record.id for record in found] == [str(at)]


def test_fields_keep_their_order_with_columns_among_them(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=1)
    db.create(Record({"z": 1, "list": [1], "a": "b", "none": None, "M": True}, id="a"))
    read = db.read("a")
    assert read is not None
    assert list(read.fields) == ["z", "list", "a", "none", "M"]


@pytest.fixture
def both(tmp_path: Path) -> tuple[Database, Database]:
    """A table of many columns, and the same rows in memory."""
    db = opened_in(tmp_path, typed_from=1)
    truth = Database(MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime()))
    for one in (db, truth):
        # The first batch makes `x` a column of texts, which most rows do not fit.
        one.create(Record({"x": "text a", "y": 1}, id="text a"))
        one.batch_upsert([Record(fields, id=id_) for id_, fields in ROWS.items()])
    assert _columns(tmp_path)[:2] == ["x", "y"]
    return db, truth


def test_a_search_answers_what_memory_answers(both: tuple[Database, Database]) -> None:
    db, truth = both
    wrong = []
    for name, node in CONDITIONS.items():
        query = Query().filter(node)
        if [one.id for one in db.search(query)] != [one.id for one in truth.search(query)]:
            wrong.append(name)
    assert wrong == []


@pytest.mark.parametrize("name", ORDERS)
def test_a_sort_answers_what_memory_answers(both: tuple[Database, Database], name: str) -> None:
    db, truth = both
    assert [one.id for one in db.search(ORDERS[name])] == [
        one.id for one in truth.search(ORDERS[name])
    ]


@pytest.mark.parametrize("typed_from", [1, 100])
def test_it_answers_what_memory_answers(tmp_path: Path, typed_from: int) -> None:
    numbers = count()

    def make(runtime: Any) -> DeltaRecords:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        return DeltaRecords.open(settings_in(folder, typed_from=typed_from), runtime)

    run_state_machine_as_test(
        record_store_machine(make),
        settings=settings(
            max_examples=5,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
