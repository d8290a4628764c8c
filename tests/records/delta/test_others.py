"""Tables that other programs read, write and made."""

import json
import shutil
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from holdall.core.errors import Corrupt, Unsupported
from holdall.core.runtime.blocking import drive
from holdall.records import delta
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from records.delta.opening import opened_in, people, store_in

_NOON = datetime(2024, 1, 1, 12, tzinfo=UTC)


def test_plain_deltalake_reads_our_table(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(100))
    table = DeltaTable(tmp_path / "table").to_pyarrow_table()
    assert sorted(table["id"].to_pylist()) == [f"{at:04}" for at in range(100)]
    assert sum(table["age"].to_pylist()) == sum(at % 50 for at in range(100))


def test_duckdb_reads_our_table(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(100))
    with duckdb.connect() as connection:
        connection.register("ours", DeltaTable(tmp_path / "table").to_pyarrow_dataset())
        asked = "SELECT name, data->>'$.tags[0]' FROM ours WHERE age=7 ORDER BY id"
        assert connection.execute(asked).fetchall() == [("n7", "7"), ("n57", "57")]


def test_what_others_change_in_a_column_is_found(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(100))
    DeltaTable(tmp_path / "table").update({"age": "77"}, predicate="id = '0003'")
    assert [one.id for one in db.search(Query().filter("age", "=", 77))] == ["0003"]
    read = db.read("0003")
    assert read is not None
    assert list(read.fields.items()) == [("name", "n3"), ("age", 77), ("tags", [3]), ("left", None)]


def test_what_others_delete_is_gone(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(100))
    DeltaTable(tmp_path / "table").delete("age < 40")
    assert db.count() == 20
    assert db.read("0003") is None


def test_what_others_damaged_is_an_error(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(3))
    DeltaTable(tmp_path / "table").update({"data": "'{'"}, predicate="id = '0001'")
    with pytest.raises(Corrupt, match="0001"):
        db.read("0001")
    assert db.read("0002") == people(3)[2]
    with pytest.raises(Corrupt):
        db.search(Query().filter("name", "=", "n1"))
    with pytest.raises(Corrupt):
        db.all()


def _damage(file: Path, how: str) -> None:
    if how == "gone":
        file.unlink()
        return
    body = file.read_bytes()
    footer = len(body) - 8 - int.from_bytes(body[-8:-4], "little")
    changed = {
        "empty": b"",
        "cut": body[: len(body) // 2],
        "garbled": body[:4] + bytes(one ^ 0x5A for one in body[4:footer]) + body[footer:],
    }
    file.write_bytes(changed[how])


@pytest.mark.parametrize("how", ["gone", "empty", "cut", "garbled"])
def test_a_damaged_file_is_an_error_and_no_missing_record(tmp_path: Path, how: str) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(120))
    (file,) = (tmp_path / "table").glob("*.parquet")
    _damage(file, how)
    for fresh in (db, opened_in(tmp_path)):
        for ask in (
            fresh.all,
            fresh.first,
            lambda fresh=fresh: fresh.read("0003"),
            lambda fresh=fresh: fresh.search(Query().filter("age", "=", 3)),
            lambda fresh=fresh: fresh.count(Query().filter("age", "=", 3)),
            lambda fresh=fresh: fresh.create(Record({}, id="0003")),
        ):
            with pytest.raises(Corrupt) as caught:
                ask()
            assert not caught.value.transient


def test_a_damaged_log_is_an_error(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(3))
    (commit,) = (tmp_path / "table" / "_delta_log").glob("*.json")
    commit.write_text("{garbage")
    with pytest.raises(Corrupt):
        opened_in(tmp_path).all()


def test_a_version_whose_files_were_vacuumed_is_an_error_that_says_so(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(20))
    db.batch_upsert(people(20))
    delta.vacuum(db, timedelta(0))
    past = opened_in(tmp_path, at_version=0)
    for ask in (past.all, lambda: past.read("0001"), past.first):
        with pytest.raises(Corrupt, match="vacuum"):
            ask()
    assert db.all() == people(20)


def test_ids_that_others_repeated_are_reported(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(5))
    store = store_in(tmp_path)
    assert drive(store.verify()) == []
    table = DeltaTable(tmp_path / "table")
    rows = table.to_pyarrow_table().slice(1, 2)
    write_deltalake(table, rows, mode="append")
    assert drive(store.verify()) == ["0001", "0002"]


@pytest.fixture
def foreign(tmp_path: Path) -> Database:
    """A table that plain deltalake wrote."""
    rows: list[dict[str, Any]] = [
        {
            "id": f"r{at}",
            "name": "a" if at % 2 else None,
            "big": 2**62 + at,
            "small": at,
            "ratio": float("nan") if at == 3 else at / 4,
            "flag": at > 2,
            "moment": _NOON.replace(hour=at),
            "day": date(2024, 1, 1 + at),
            "price": Decimal("1.50") * at,
            "octets": bytes([at]),
            "list": [at, at + 1],
            "struct": {"city": "Rom" if at % 2 else "Bern"},
        }
        for at in range(6)
    ]
    kinds = {"small": pa.int16(), "moment": pa.timestamp("us", "UTC"), "price": pa.decimal128(9, 2)}
    table = pa.Table.from_pylist(rows)
    for name, kind in kinds.items():
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table[name].cast(kind))
    write_deltalake(tmp_path / "table", table)
    return opened_in(tmp_path)


def _digits(records: list[Record]) -> str:
    """The last digits of their ids."""
    return "".join((record.id or "")[1:] for record in records)


def test_records_of_a_foreign_table_are_its_rows(foreign: Database) -> None:
    assert foreign.count() == 6
    read = foreign.read("r1")
    assert read is not None
    assert read.fields == {
        "name": "a",
        "big": 2**62 + 1,
        "small": 1,
        "ratio": 0.25,
        "flag": False,
        "moment": _NOON.replace(hour=1),
        "day": date(2024, 1, 2),
        "price": Decimal("1.50"),
        "octets": b"\1",
        "list": [1, 2],
        "struct": {"city": "Rom"},
    }
    assert foreign.read("none") is None


def test_null_in_a_foreign_table_is_a_field_that_is_missing(foreign: Database) -> None:
    assert [one.id for one in foreign.search(Query().filter("name", "missing"))] == [
        "r0",
        "r2",
        "r4",
    ]


@pytest.mark.parametrize(
    ("path", "op", "value", "ids"),
    [
        ("name", "=", "a", "135"),
        ("big", ">", 2**62 + 3, "45"),
        ("big", "=", 2**62 + 3, "3"),
        ("small", "in", [1, 4, "2"], "14"),
        ("small", "!=", 1.0, "02345"),
        ("ratio", ">=", 0.5, "245"),
        ("ratio", "!=", 0.25, "02345"),
        ("flag", "=", True, "345"),
        ("flag", "=", 1, ""),
        ("moment", "<", _NOON.replace(hour=2), "01"),
        ("day", ">", date(2024, 1, 4), "45"),
        ("price", ">", Decimal("4.5"), "45"),
        ("octets", "=", b"\2", "2"),
        ("list", "contains", 3, "23"),
        ("struct.city", "=", "Rom", "135"),
        ("id", ">=", "r4", "45"),
        ("none", "exists", None, ""),
        ("metadata.x", "missing", None, "012345"),
    ],
)
def test_a_foreign_table_is_searched(
    foreign: Database, path: str, op: str, value: Any, ids: str
) -> None:
    assert _digits(foreign.search(Query().filter(path, op, value))) == ids


@pytest.mark.parametrize(
    ("path", "ids"),
    [
        ("name", "531420"),
        ("big", "543210"),
        ("ratio", "542103"),
        ("flag", "543210"),
        ("moment", "543210"),
        ("price", "543210"),
        ("struct", "543210"),
        ("none", "543210"),
        ("metadata.created_at", "543210"),
    ],
)
def test_a_foreign_table_is_sorted(foreign: Database, path: str, ids: str) -> None:
    query = Query().sort(path, "desc").sort("id", "desc")
    assert _digits(foreign.search(query)) == ids


@pytest.mark.parametrize("path", ["name", "big", "ratio", "none", "metadata.updated_at", "list"])
def test_a_foreign_table_is_read_page_by_page(foreign: Database, path: str) -> None:
    query = Query().sort(path)
    ids: list[str | None] = []
    token = None
    while not ids or token is not None:
        page = foreign.page(query, token, size=2)
        ids += [one.id for one in page.records]
        token = page.token
    assert ids == [one.id for one in foreign.search(query)]
    assert len(ids) == 6


def test_a_foreign_table_is_not_written(tmp_path: Path, foreign: Database) -> None:
    before = DeltaTable(tmp_path / "table").version()
    for change in (
        lambda: foreign.create(Record({}, id="new")),
        lambda: foreign.delete("r1"),
        foreign.clear,
    ):
        with pytest.raises(Unsupported, match="another program"):
            change()
    assert DeltaTable(tmp_path / "table").version() == before


def test_our_table_with_columns_of_others_is_read_and_not_written(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(2))
    rows = DeltaTable(tmp_path / "table").to_pyarrow_table()
    rows = rows.append_column("extra", pa.array([[1], None], pa.list_(pa.int64())))
    write_deltalake(tmp_path / "table", rows, mode="overwrite", schema_mode="overwrite")
    read = {record.id: record.fields.get("extra") for record in db.all()}
    assert sorted(read.items(), key=str) == sorted(
        {rows["id"][0].as_py(): [1], rows["id"][1].as_py(): None}.items(), key=str
    )
    with pytest.raises(Unsupported, match="extra"):
        db.create(Record({}, id="new"))


def test_a_table_that_was_removed_is_made_anew(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    db.batch_create(people(2))
    shutil.rmtree(tmp_path / "table")
    with suppress(Corrupt):
        db.all()
    with suppress(Corrupt):
        db.create(Record({"x": 1}, id="a"))
    db.upsert(Record({"x": 2}, id="a"))
    assert db.all() == [Record({"x": 2}, id="a")]
    assert opened_in(tmp_path).all() == db.all()


def test_ids_that_are_numbers_are_read_as_text(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "table", pa.table({"id": [9, 10], "x": [1, 2]}))
    db = opened_in(tmp_path)
    assert [one.id for one in db.all()] == ["10", "9"]
    assert db.read("9") == Record({"x": 1}, id="9")


def test_a_table_in_partitions_is_read(tmp_path: Path) -> None:
    rows = pa.table({"id": ["a", "b", "c"], "place": ["x y", "ü/%", "x y"], "n": [1, 2, 3]})
    write_deltalake(tmp_path / "table", rows, partition_by=["place"])
    db = opened_in(tmp_path)
    assert db.read("b") == Record({"place": "ü/%", "n": 2}, id="b")
    assert [one.id for one in db.search(Query().filter("place", "=", "x y"))] == ["a", "c"]


def test_a_table_without_ids_is_refused(tmp_path: Path) -> None:
    write_deltalake(tmp_path / "table", pa.table({"x": [1, 2]}))
    with pytest.raises(Unsupported, match="no column 'id'"):
        opened_in(tmp_path).all()


def test_a_table_with_a_feature_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(tmp_path / "table", pa.schema([("id", pa.string())]))
    log = tmp_path / "table" / "_delta_log" / f"{0:020}.json"
    future = ["futureFeature"]
    protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "protocol" in line:
            line["protocol"] = {**protocol, "readerFeatures": future, "writerFeatures": future}
    log.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    db = opened_in(tmp_path)
    for call in (db.all, lambda: db.create(Record({}, id="a"))):
        with pytest.raises(Unsupported, match="futureFeature"):
            call()


def test_a_table_with_deletion_vectors_is_refused(tmp_path: Path) -> None:
    DeltaTable.create(
        tmp_path / "table",
        pa.schema([("id", pa.string())]),
        configuration={"delta.enableDeletionVectors": "true"},
    )
    with pytest.raises(Unsupported, match="deletionVectors"):
        opened_in(tmp_path).all()
