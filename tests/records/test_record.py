"""The record by itself."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

import holdall
from holdall import Record
from holdall.core.errors import Corrupt, InvalidKey
from holdall.testing.records.samples import VALUES


def test_its_id_is_the_field_of_that_name() -> None:
    record = Record({"id": "a", "name": "Alice"})
    assert record.id == "a"
    record.fields["id"] = "b"
    assert record.id == "b"
    assert Record({"name": "Alice"}).id is None
    assert Record({"name": "Alice"}, id="c").id == "c"


def test_two_ids_are_refused() -> None:
    assert Record({"id": "a"}, id="a").id == "a"
    with pytest.raises(InvalidKey, match="'a'"):
        Record({"id": "a"}, id="b")


def test_an_id_that_is_no_text_is_refused() -> None:
    with pytest.raises(TypeError, match="write '5'"):
        Record({"id": 5})


def test_a_value_is_found_by_its_path() -> None:
    record = Record({"a": {"b": [1, 2]}, "n": None, "x.y": 3}, id="i", metadata={"m": {"o": 4}})
    assert record.get_value("a.b.1") == 2
    assert record.get_value("metadata.m.o") == 4
    assert record.get_value("id") == "i"
    assert record.get_value(r"x\.y") == 3
    assert record.get_value("none") is None
    assert record.get_value("none", 5) == 5
    assert record.get_value("n", 5) is None
    assert Record({}).get_value("id", "none yet") == "none yet"


def test_it_keeps_copies_of_what_it_is_given() -> None:
    given: dict[str, Any] = {"a": [1]}
    record = Record(given, metadata=given)
    given["a"].append(2)
    assert record.fields == record.metadata == {"a": [1]}


def test_a_copy_is_its_own() -> None:
    record = Record({"a": [1]}, id="x", metadata={"b": [1]})
    copy = record.copy()
    assert copy == record
    copy.fields["a"].append(2)
    copy.metadata["b"].append(2)
    assert (record.fields, record.metadata) == ({"a": [1]}, {"b": [1]})


def test_records_are_equal_by_id_fields_and_metadata() -> None:
    record = Record({"a": 1}, id="x", metadata={"m": 1})
    assert record == Record({"a": 1.0}, id="x", metadata={"m": 1})
    assert record != Record({"a": True}, id="x", metadata={"m": 1})
    assert record != Record({"a": 1}, id="y", metadata={"m": 1})
    assert record != Record({"a": 1}, id="x")
    assert record != {"a": 1}
    with pytest.raises(TypeError):
        hash(record)


@pytest.mark.parametrize("name", VALUES)
def test_a_dict_and_json_bring_it_back(name: str) -> None:
    record = Record({"value": VALUES[name]}, id="a", metadata={"value": VALUES[name]})
    record.version = "v"
    for again in (Record.from_dict(record.to_dict()), Record.from_json(record.to_json())):
        assert again == record
        assert again.version == "v"


def test_a_stored_record_comes_back_from_json() -> None:
    db = holdall.open_database("memory://")
    record = Record({"a": 1}, metadata={"m": Decimal(1)})
    db.create(record)
    again = Record.from_json(record.to_json())
    again.fields["a"] = 2
    db.update(again)
    assert again.metadata["m"] == 1


def test_a_dict_of_plain_fields_is_refused() -> None:
    with pytest.raises(ValueError, match="write Record"):
        Record.from_dict({"name": "Alice"})
    with pytest.raises(ValueError, match="write Record"):
        Record.from_dict({"fields": {}, "name": "Alice"})


@pytest.mark.parametrize("text", ["[]", "1", "{}", "{", ""])
def test_json_of_something_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has words of its own
        Record.from_json(text)


def test_json_with_a_damaged_value_is_corrupt() -> None:
    with pytest.raises(Corrupt, match=r"\$int"):
        Record.from_json('{"fields": {"a": {"$int": "x"}}}')


def test_the_databases_own_metadata_is_not_the_users() -> None:
    db = holdall.open_database("memory://")
    with pytest.raises(ValueError, match=r"metadata\.created_at"):
        db.create(Record({}, metadata={"created_at": "2024"}))
    record = Record({}, metadata={"version": "1.0"})
    db.create(record)
    other = holdall.open_database("memory://")
    other.create(record.copy())
    record.metadata["updated_at"] = "now"
    with pytest.raises(ValueError, match=r"metadata\.updated_at"):
        db.update(record)


def test_it_shows_its_fields_and_id() -> None:
    assert repr(Record({"a": 1}, id="x")) == "Record({'a': 1}, id='x')"


@pytest.mark.parametrize("value", [1, [1]], ids=str)
@pytest.mark.parametrize(
    ("name", "error"),
    [(1, TypeError), ("a\0", ValueError), ("\ud800", ValueError)],
    ids=["a number", "a NUL", "a lone surrogate"],
)
def test_a_name_that_cannot_be_kept_is_refused_each_time(
    name: Any, error: type[Exception], value: Any
) -> None:
    for _ in range(2):
        with pytest.raises(error):
            Record({name: value})
        with pytest.raises(error):
            Record({}, metadata={name: value})
