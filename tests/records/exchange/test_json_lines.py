"""JSON Lines keep everything, and take what others wrote."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest
from hypothesis import given

from holdall.core.errors import AlreadyExists, CodecError, Corrupt
from holdall.records.exchange import export_records, import_records
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing.records.samples import IDS, VALUES
from records.exchange.samples import database, filled, shown, tables


def imported(text: bytes, **given_: Any) -> list[dict[str, Any]]:
    db = database()
    import_records(db, BytesIO(text), "jsonl", **given_).check()
    return [one.fields for one in db.all()]


@given(tables)
def test_every_record_comes_back_as_it_was(rows: dict[str, Any]) -> None:
    source, target, file = filled(rows), database(), BytesIO()
    assert export_records(source, file, "jsonl") == len(rows)
    file.seek(0)
    report = import_records(target, file, "jsonl", batch=2)
    assert (report.read, report.written, report.ok) == (len(rows), len(rows), True)
    assert shown(target) == shown(source)


def test_every_kind_of_value_and_id_comes_back() -> None:
    source = database(
        [
            *(Record({"value": value}, f"value {name}") for name, value in VALUES.items()),
            *(Record({}, id_, {"name": name}) for name, id_ in IDS.items()),
        ]
    )
    file, target = BytesIO(), database()
    export_records(source, file, "jsonl")
    file.seek(0)
    import_records(target, file, "jsonl").check()
    assert shown(target) == shown(source)


def test_a_query_chooses_sorts_and_selects() -> None:
    db = database(Record({"n": at, "other": 1}, str(at)) for at in range(5))
    file = BytesIO()
    assert export_records(db, file, "jsonl", Query().sort("n", "desc").limit(2).select("n")) == 2
    lines = file.getvalue().splitlines()
    assert [Record.from_json(line).fields for line in lines] == [{"n": 4}, {"n": 3}]


def test_what_others_wrote_is_taken_as_it_stands() -> None:
    text = b'{"id": "a", "tags": [1, null], "$date": {"$date": "x"}}\n{"id": "b", "fields": 1}\n'
    assert imported(text) == [
        {"id": "a", "tags": [1, None], "$date": {"$date": "x"}},
        {"id": "b", "fields": 1},
    ]


def test_a_byte_order_mark_and_empty_lines_are_passed_over() -> None:
    assert imported(b'\xef\xbb\xbf{"id": "a"}\r\n\r\n  \n{"id": "b"}') == [{"id": "a"}, {"id": "b"}]


def test_a_whole_number_as_id_becomes_text() -> None:
    assert imported(b'{"id": 7, "n": 1}') == [{"id": "7", "n": 1}]
    assert imported(b'{"key": 7, "n": 1}', id_field="key") == [{"key": 7, "n": 1}]


def test_another_field_may_be_the_id() -> None:
    db = database()
    import_records(db, BytesIO(b'{"email": "a@example.org"}'), "jsonl", id_field="email")
    assert db.read("a@example.org").fields == {"email": "a@example.org"}  # type: ignore[union-attr]


def test_a_record_without_an_id_gets_one() -> None:
    db = database()
    import_records(db, BytesIO(b'{"n": 1}'), "jsonl").check()
    assert len(db.all()[0].id or "") == 36


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        (b'{"id": "a"}\n{"id" "b"}\n', 2, 7),
        (b'{"id": "a"', 1, 11),
        (b'\n\n["a"]', 3, 1),
        (b'{"id": "\xff"}', 1, 9),
        (b"{" + b'"a":{' * 5000, 1, None),
    ],
    ids=["a colon", "too short", "a list", "no UTF-8", "too deep"],
)
def test_what_is_no_json_is_named_by_line_and_column(
    text: bytes, line: int, column: int | None
) -> None:
    with pytest.raises(CodecError) as caught:
        imported(text)
    assert caught.value.line == line
    assert column is None or caught.value.column == column
    assert "the stream" in str(caught.value)


def test_batches_before_a_broken_line_are_written() -> None:
    db = database()
    with pytest.raises(CodecError):
        import_records(db, BytesIO(b'{"id":"a"}\n{"id":"b"}\n{'), "jsonl", batch=2)
    assert [one.id for one in db.all()] == ["a", "b"]


def test_one_record_that_cannot_be_does_not_stop_the_others() -> None:
    db = database()
    lines = (
        b'{"id": "a"}\n{"id": ""}\n{"id": true}\n'
        b'{"id": "b", "fields": {"x": {"$date": "no"}}, "metadata": {}, "version": null}\n'
        b'{"id": "c", "fields": {"$text": "x"}, "metadata": 1, "version": null}\n{"id": "z"}\n'
    )
    report = import_records(db, BytesIO(lines), "jsonl")
    assert [one.line for one in report.failed] == [2, 3, 4, 5]
    assert isinstance(report.failed[2].error, Corrupt)
    assert (report.read, report.written) == (6, 2)
    assert [one.id for one in db.all()] == ["a", "z"]


def test_create_leaves_what_is_there_and_upsert_writes_over_it() -> None:
    db, lines = database([Record({"n": 0}, "a")]), b'{"id":"a","n":1}\n{"id":"b","n":1}\n'
    report = import_records(db, BytesIO(lines), "jsonl")
    assert [(one.line, one.id, type(one.error)) for one in report.failed] == [
        (1, "a", AlreadyExists)
    ]
    assert [one.fields["n"] for one in db.all()] == [0, 1]
    assert import_records(db, BytesIO(lines), "jsonl", "upsert").written == 2
    assert [one.fields["n"] for one in db.all()] == [1, 1]


def test_an_export_writes_over_what_changed_since() -> None:
    db, file = database([Record({"n": 0}, "a")]), BytesIO()
    export_records(db, file, "jsonl")
    db.patch("a", {"n": 1})
    file.seek(0)
    import_records(db, file, "jsonl", "upsert").check()
    assert db.read("a").fields == {"n": 0}  # type: ignore[union-attr]
