"""Fields that become columns of their own, and that it changes no answer."""

from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.delta import DeltaRecords, reading, writing
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing.records.machine import record_store_machine
from holdall.testing.records.searching import CONDITIONS, ORDERS, ROWS
from records.delta.opening import opened_in, people, settings_in, store_in

pytestmark = pytest.mark.untraced

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


def _in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read each table as a large one is read, of which only some parts are meant."""
    monkeypatch.setattr(writing, "_PART_ROWS", 3)
    monkeypatch.setattr(reading, "_MANY_ROWS", 0)
    monkeypatch.setattr(reading, "_DOUBTFUL_ROWS", 2)
    monkeypatch.setattr(reading, "_FEW_IDS", 12)


@pytest.fixture(params=["whole", "in small parts"])
def both(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Database, Database]:
    """A table of many columns, and the same rows in memory."""
    if request.param != "whole":
        _in_small_parts(monkeypatch)
    db = opened_in(tmp_path, typed_from=1)
    truth = Database(MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime()))
    for one in (db, truth):
        # The first batch makes `x` a column of texts, which most rows do not fit.
        one.create(Record({"x": "text a", "y": 1}, id="text a"))
        one.batch_upsert([Record(fields, id=id_) for id_, fields in ROWS.items()])
    assert _columns(tmp_path)[:2] == ["x", "y"]
    return db, truth


@pytest.mark.parametrize(
    "every", [4, pytest.param(1, marks=pytest.mark.soak)], ids=["a quarter", "all"]
)
def test_a_search_answers_what_memory_answers(both: tuple[Database, Database], every: int) -> None:
    db, truth = both
    wrong = []
    # Of a table in parts others are asked than of one that is read whole.
    first = 0 if reading._MANY_ROWS else every // 2
    for name, node in islice(CONDITIONS.items(), first, None, every):
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


@pytest.mark.parametrize("query", [Query(), Query().filter("n", ">=", 3), Query().sort("n")])
def test_pages_of_small_parts_hold_every_record_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, query: Query
) -> None:
    _in_small_parts(monkeypatch)
    db = opened_in(tmp_path, typed_from=1)
    # Files whose ids lie among one another, and one that a merge wrote.
    for first in range(3):
        db.batch_create([Record({"n": at // 3}, f"{at:02}") for at in range(first, 40, 3)])
    db.batch_upsert([Record({"n": at // 3}, f"{at:02}") for at in range(0, 40, 7)])
    found = [one.id for one in db.search(query)]
    first = 9 if query == Query().filter("n", ">=", 3) else 0
    assert found == [f"{at:02}" for at in range(first, 40)]
    ids: list[str | None] = []
    token = None
    while not ids or token is not None:
        page = db.page(query, token, size=4)
        ids += [one.id for one in page.records]
        token = page.token
    assert ids == found
    assert [one.id for one in db.search(query.offset(5).limit(9))] == found[5:14]


def test_few_parts_are_read_for_few_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _in_small_parts(monkeypatch)
    store = store_in(tmp_path, typed_from=1)
    Database(store).batch_create([Record({"n": at}, f"{at:02}") for at in range(30)])
    snapshot = store._table.snapshot()
    assert snapshot is not None
    assert snapshot.data.to_table().num_rows == 30
    assert snapshot.among(["07", "25"]).data.to_table().num_rows == 6
    assert snapshot.among(["x"]).data.to_table().num_rows == 0
    assert snapshot.among([]).data.to_table().num_rows == 0
    assert snapshot.following("10", 4).data.to_table().num_rows == 9
    assert snapshot.following(None, 1).data.to_table().num_rows == 3
    assert snapshot.following("29", 5).data.to_table().num_rows == 0


@pytest.mark.parametrize(("typed_from", "large"), [(1, True), (100, False)])
def test_it_answers_what_memory_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed_from: int, large: bool
) -> None:
    numbers = count()
    if large:
        _in_small_parts(monkeypatch)

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
