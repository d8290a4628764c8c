"""Parquet and Arrow keep the types that they have, and the rest as JSON."""

from __future__ import annotations

import sys
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import CodecError, InvalidConfig
from holdall.records.exchange import export_records, import_records, to_dataframe
from holdall.records.exchange import tables as tables_module
from holdall.records.record import Record
from holdall.records.values import equal
from records.exchange.samples import database, filled, tables

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

FORMATS = st.sampled_from(["parquet", "arrow"])


def back(*records: Record, format_: str = "parquet") -> list[dict[str, Any]]:
    """The fields that come back, without the ids."""
    file, target = BytesIO(), database()
    export_records(database(records), file, format_)
    file.seek(0)
    import_records(target, file, format_).check()
    return [{k: v for k, v in one.fields.items() if k != "id"} for one in target.all()]


def column(values: list[Any], format_: str = "parquet") -> list[Any]:
    """One column with these values, as it comes back."""
    rows = [Record({"x": value}, f"{at:04}") for at, value in enumerate(values)]
    return [row.get("x") for row in back(*rows, format_=format_)]


def kind(*values: Any) -> str:
    """Arrow's type for a column of these values."""
    db = database(Record({"x": value}, str(at)) for at, value in enumerate(values))
    return str(to_dataframe(db, kind="arrow").schema.field("x").type)


@given(tables, FORMATS)
def test_every_record_comes_back_equal(rows: dict[str, Any], format_: str) -> None:
    source, target, file = filled(rows), database(), BytesIO()
    assert export_records(source, file, format_) == len(rows)
    file.seek(0)
    import_records(target, file, format_, batch=2).check()
    for one, other in zip(source.all(), target.all(), strict=True):
        assert one.id == other.id
        for ours, theirs in ((one.fields, other.fields), (one.metadata, other.metadata)):
            # Nothing and None are one in a table, and the id comes back as a field too.
            for name in {*ours, *theirs} - {"id", "created_at", "updated_at"}:
                assert _alike(ours.get(name), theirs.get(name)), name


def _alike(one: Any, other: Any) -> bool:
    return equal(one, other) or repr(one) == repr(other)


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
@pytest.mark.parametrize(
    ("values", "type_"),
    [
        ([1, -(2**63) + 1, 2**63 - 1, None], "int64"),
        ([0.1, float("inf"), -0.0], "double"),
        ([True, False], "bool"),
        (["a", "", "\U0001f511", "a\0b"], "string"),
        ([b"", b"\xff\0"], "binary"),
        ([Decimal("1.50"), Decimal("-12345.678")], "decimal128(8, 3)"),
        ([date(1, 1, 1), date(9999, 12, 31)], "date32[day]"),
        ([datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999)], "timestamp[us]"),  # noqa: DTZ001
        (
            [datetime(2024, 1, 1, tzinfo=UTC), datetime(1, 1, 1, tzinfo=UTC)],
            "timestamp[us, tz=UTC]",
        ),
        (
            [datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"), fold=1)],
            "timestamp[us, tz=Europe/Berlin]",
        ),
        ([time(23, 59, 59, 999999), time(0)], "time64[us]"),
        ([UUID(int=5)], "string"),
        ([["a", None], [], ["b"]], "list<element: string>"),
        ([[1], [2**60]], "list<element: int64>"),
        ([[datetime(2024, 1, 1, tzinfo=UTC)]], "list<element: timestamp[us, tz=UTC]>"),
        ([1, "a", None, {"x": Decimal("1.50")}], "string"),
        ([2**63], "string"),
        ([Decimal("NaN"), Decimal(1)], "string"),
        ([Decimal("1E+400"), Decimal(1)], "string"),
        (["\ud800", "a"], "string"),
        ([[1, "a"], []], "string"),
        ([[], [None, None]], "list<element: null>"),
        ([[[1]]], "string"),
        ([{"a": 1}, {"$b": b"x"}], "string"),
        ([2**60, 0.5], "string"),
        ([None], "null"),
    ],
    ids=repr,
)
def test_a_column_comes_back_as_it_was(values: list[Any], type_: str, format_: str) -> None:
    assert kind(*values).replace("item:", "element:") == type_
    found = column(values, format_)
    assert found == values or repr(found) == repr(values)
    kinds = [[type(one) for one in row] for row in (found, values)]
    assert kinds[0] == kinds[1]


def test_whole_numbers_among_floats_become_floats() -> None:
    assert repr(column([1, 0.5])) == "[1.0, 0.5]"


def test_moments_of_several_zones_come_back_in_utc() -> None:
    five = timezone(timedelta(hours=5))
    values = [
        datetime(2024, 1, 1, tzinfo=five),
        datetime(2024, 1, 1, tzinfo=ZoneInfo("Asia/Tokyo")),
    ]
    found = column(values)
    assert found == values
    assert [one.tzinfo for one in found] == [UTC, UTC]


def test_none_comes_back_as_a_missing_field() -> None:
    assert back(Record({"a": None, "b": 1}, "x"), Record({"a": 2}, "y")) == [{"b": 1}, {"a": 2}]


def test_no_records_make_a_table_without_rows() -> None:
    assert back() == []


def test_a_file_is_written_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables_module, "_GROUP_ROWS", 7)
    file = BytesIO()
    export_records(database(Record({"n": at}, f"{at:02}") for at in range(20)), file, "parquet")
    assert pq.ParquetFile(file).num_row_groups == 3
    assert pq.read_table(file)["n"].to_pylist() == list(range(20))


def test_a_table_of_others_is_imported() -> None:
    file = BytesIO()
    whole = pa.table(
        {
            "id": [1, 2],
            "struct": [{"a": 1, "b": [1, None]}, None],
            "word": pa.array(["x", "y"]).dictionary_encode(),
            "at": pa.array([0, 1000], pa.timestamp("ms", "UTC")),
        }
    )
    pq.write_table(whole, file)
    file.seek(0)
    db = database()
    import_records(db, file, "parquet").check()
    assert [one.fields for one in db.all()] == [
        {
            "id": "1",
            "struct": {"a": 1, "b": [1, None]},
            "word": "x",
            "at": datetime(1970, 1, 1, tzinfo=UTC),
        },
        {"id": "2", "word": "y", "at": datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)},
    ]


def test_a_stream_of_arrow_is_imported() -> None:
    file, db = BytesIO(), database()
    whole = pa.table({"id": ["a", "b"]})
    with pa.ipc.new_stream(file, whole.schema) as writer:
        writer.write_table(whole)
    file.seek(0)
    assert import_records(db, file, "arrow").written == 2


def test_a_row_that_cannot_be_is_named_and_the_others_go_on() -> None:
    file, db = BytesIO(), database()
    whole = pa.table({"id": ["a", "b", ""], "x": pa.array([1, 2, 3], pa.duration("s"))})
    pq.write_table(whole, file)
    file.seek(0)
    report = import_records(db, file, "parquet")
    assert [one.line for one in report.failed] == [1, 2, 3]
    assert "timedelta" in str(report.failed[0].error)


def test_what_is_noted_and_not_there_is_named() -> None:
    file = BytesIO()
    schema = pa.schema([pa.field("x", pa.string(), metadata={"holdall": "uuid"})])
    pq.write_table(pa.table([["no UUID"]], schema=schema), file)
    file.seek(0)
    report = import_records(database(), file, "parquet")
    assert isinstance(report.failed[0].error, CodecError)


def test_two_columns_of_one_name_are_refused() -> None:
    file = BytesIO()
    pq.write_table(pa.table([["a"], ["b"]], names=["x", "x"]), file)
    file.seek(0)
    with pytest.raises(CodecError, match="one name"):
        import_records(database(), file, "parquet")


@pytest.mark.parametrize("format_", ["parquet", "arrow"])
@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_what_is_no_table_is_named(format_: str, damage: str) -> None:
    file = BytesIO()
    export_records(database(Record({"n": at}, f"{at:03}") for at in range(50)), file, format_)
    body = {"text": b"id,n\n", "cut": file.getvalue()[:-20], "empty": b""}[damage]
    with pytest.raises(CodecError, match="the stream"):
        import_records(database(), BytesIO(body), format_)


def test_without_pyarrow_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for act in (export_records, import_records):
        with pytest.raises(InvalidConfig, match=r"pip install 'holdall\[arrow\]'"):
            act(database(), BytesIO(), "parquet")
