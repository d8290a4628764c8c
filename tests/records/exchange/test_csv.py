"""CSV keeps texts, and types where they are named."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import CodecError
from holdall.records.exchange import export_records, import_records
from holdall.records.query import Query
from holdall.records.record import Record
from records.exchange.samples import database, shown, tables

texts = st.text(st.characters(codec="utf-8"), min_size=1)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0")).filter(lambda n: n != "id")


def exported(*records: Record) -> str:
    file = BytesIO()
    export_records(database(records), file, "csv")
    return file.getvalue().decode()


def imported(text: bytes | str, **given_: Any) -> list[dict[str, Any]]:
    db = database()
    body = text if isinstance(text, bytes) else text.encode()
    import_records(db, BytesIO(body), "csv", **given_).check()
    return [one.fields for one in db.all()]


@given(
    st.dictionaries(
        texts.filter(lambda one: "\0" not in one and len(one) < 200),
        st.tuples(st.dictionaries(names, texts), st.dictionaries(names, texts)),
        max_size=5,
    )
)
def test_texts_come_back_under_every_name(rows: dict[str, Any]) -> None:
    source = database(
        Record({"id": id_, **row}, None, {k: v for k, v in own.items() if "_at" not in k})
        for id_, (row, own) in rows.items()
    )
    target, file = database(), BytesIO()
    assert export_records(source, file, "csv") == len(rows)
    file.seek(0)
    import_records(target, file, "csv").check()
    assert shown(target) == shown(source)


@given(tables)
def test_every_record_can_be_exported_or_is_named(rows: dict[str, Any]) -> None:
    db, file = database(Record(row, id_) for id_, (row, _) in rows.items()), BytesIO()
    try:
        export_records(db, file, "csv")
    except CodecError as error:
        named = str(error)
    else:
        named = ""
    if named:
        assert any(repr(id_) in named for id_ in rows)
        return
    file.seek(0)
    target = database()
    import_records(target, file, "csv").check()
    assert [one.id for one in target.all()] == sorted(rows)


def test_the_header_has_all_columns_and_the_id_first() -> None:
    text = exported(
        Record({"b": 1}, "x"), Record({"a": None, "c": 2}, "y", {"owner": "me"}), Record({}, "z")
    )
    assert text == "id,b,a,c,metadata.owner\r\nx,1,,,\r\ny,,,2,me\r\nz,,,,\r\n"


def test_no_records_make_an_empty_file() -> None:
    assert not exported()
    assert imported("") == []


def test_a_query_chooses_sorts_and_selects() -> None:
    db, file = database(Record({"n": at, "m": 1}, str(at)) for at in range(4)), BytesIO()
    assert export_records(db, file, "csv", Query().sort("n", "desc").limit(2).select("n")) == 2
    assert file.getvalue() == b"id,n\r\n3,3\r\n2,2\r\n"


def test_values_are_written_for_people() -> None:
    text = exported(
        Record(
            {
                "a": True,
                "b": 1.5,
                "c": Decimal("1.50"),
                "d": date(2024, 2, 29),
                "e": b"hi",
                "f": ["x", 1],
                "g": {"at": date(2024, 1, 1)},
            },
            "x",
        )
    )
    line = text.splitlines()[1]
    assert line == (
        'x,true,1.5,1.50,2024-02-29,aGk=,"[""x"",1]","{""at"":{""$date"":""2024-01-01""}}"'
    )


TYPED: dict[str, Any] = {
    "int": 2**70,
    "float": 0.1,
    "bool": False,
    "decimal": Decimal("1.50"),
    "datetime": datetime(2024, 1, 1, 12, tzinfo=UTC),
    "date": date(2024, 2, 29),
    "time": time(1, 2, 3, 4),
    "uuid": UUID(int=5),
    "bytes": b"\0\xff",
    "list": [1, None, {"x": Decimal(1)}],
    "dict": {"x": date(2024, 1, 1)},
    "str": "1",
}


@pytest.mark.parametrize("named", [False, True])
def test_named_types_come_back(named: bool) -> None:
    text = exported(Record(TYPED, "x"))
    types = {name: name if named else type(value) for name, value in TYPED.items()}
    assert imported(text, types=types) == [{**TYPED, "id": "x"}]


def test_without_types_everything_is_text() -> None:
    assert imported("id,n,b\na,1,true\n") == [{"id": "a", "n": "1", "b": "true"}]


def test_inference_takes_for_numbers_only_what_looks_like_them() -> None:
    cells = {
        "1": 1,
        "-2.5e3": -2500.0,
        "true": True,
        "[1]": [1],
        "007": "007",
        "+41": "+41",
        "nan": "nan",
        "1_000": "1_000",
        "1.": "1.",
        "[x": "[x",
        "5e1234": "5e1234",
        "-5e1234": "-5e1234",
        "5e-1234": 0.0,
        "[5e1234]": "[5e1234]",
        "{x}": "{x}",
        "TRUE": "TRUE",
        "2024-01-01": "2024-01-01",
    }
    text = "id,x\n" + "".join(f"{at:02},{cell}\n" for at, cell in enumerate(cells))
    found = imported(text, types="infer")
    assert [repr(one["x"]) for one in found] == [repr(value) for value in cells.values()]
    assert found[1]["id"] == "01"


def test_an_empty_cell_is_a_missing_field() -> None:
    assert imported("id,a,b\nx,,1\n") == [{"id": "x", "b": "1"}]
    assert imported("id,a,b\nx\n") == [{"id": "x"}]


def test_a_byte_order_mark_is_passed_over() -> None:
    assert imported(b"\xef\xbb\xbfid,n\na,1\n") == [{"id": "a", "n": "1"}]


def test_another_column_may_be_the_id() -> None:
    db = database()
    import_records(db, BytesIO(b"name,key\nx,7\n"), "csv", id_field="key", types="infer")
    assert db.read("7").fields == {"name": "x", "key": "7"}  # type: ignore[union-attr]


def test_a_large_cell_is_read() -> None:
    assert imported(f"id,n\na,{'x' * 300_000}\n") == [{"id": "a", "n": "x" * 300_000}]


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (b"id,n\na,1,2\nz,5\n", 2, 3),
        (b"id,n\na,1\nb,x\nz,5\n", 3, 2),
        (b"id,n\n\n\na,1.5\nz,5\n", 4, 2),
    ],
    ids=["too many cells", "a wrong value", "after empty lines"],
)
def test_one_bad_row_does_not_stop_the_others(text: bytes, line: int, column: int) -> None:
    db = database()
    report = import_records(db, BytesIO(text), "csv", types={"n": "int"})
    (failure,) = report.failed
    assert isinstance(failure.error, CodecError)
    assert (failure.line, failure.error.line, failure.error.column) == (line, line, column)
    assert db.read("z") is not None


def test_a_row_over_several_lines_is_counted_by_its_first() -> None:
    report = import_records(database(), BytesIO(b'id,n\na,"1\n2\n3"\n,x\n"",y,z\n'), "csv")
    assert [one.line for one in report.failed] == [6]
    assert (report.read, report.written) == (3, 2)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (b"id,n\na,\xff\n", 2, 3),
        (b'id,n\na,"x"y\n', 2, 1),
        (b'id,n\na,"x', 2, 1),
        (b"id,n,n\n", 1, 3),
        (b"id,,n\n", 1, 2),
    ],
    ids=["no UTF-8", "after a quote", "no end", "twice", "no name"],
)
def test_what_cannot_be_read_on_is_named_by_line_and_column(
    text: bytes, line: int, column: int
) -> None:
    with pytest.raises(CodecError) as caught:
        imported(text)
    assert (caught.value.line, caught.value.column) == (line, column)


@pytest.mark.parametrize("types", [{"none": "int"}, {"n": "integer"}])
def test_a_type_that_cannot_be_is_refused(types: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter({*types, *types.values()} - {"int", "n"}))):
        imported("id,n\n", types=types)


def test_a_number_longer_than_python_writes_is_named() -> None:
    with pytest.raises(CodecError, match="'x'"):
        exported(Record({"n": 10**5000}, "x"))
