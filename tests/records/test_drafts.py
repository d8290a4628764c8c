"""What a record becomes before it is written, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from holdall.core.errors import HoldallError, InvalidKey
from holdall.records.drafts import drafts, fit_id, patched
from holdall.records.record import Record
from holdall.records.results import BatchFailed, Undone
from holdall.records.stored import RecordCapabilities, Stored

TIME = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("id_", "fits"),
    [
        ("a" * 8, True),
        ("a" * 9, False),
        ("é" * 4, True),
        ("é" * 4 + "a", False),
        ("\U0001f600", True),
    ],
)
def test_an_id_has_as_many_bytes_as_a_database_takes(id_: str, fits: bool) -> None:
    can = RecordCapabilities(max_id_bytes=8)
    if fits:
        assert fit_id(id_, can) == id_
        return
    with pytest.raises(InvalidKey, match="9 bytes, and this database takes 8"):
        fit_id(id_, can)


def _row() -> Stored:
    return Stored("1", {"a": {"b": 1}, "c": 2}, {"owner": "me"}, TIME, TIME, "v")


def test_a_patch_changes_what_it_names_alone() -> None:
    record = patched(_row(), {"a.b": 2, "x.y": [3]}, {"team": "us"})
    assert record.fields == {"a": {"b": 2}, "c": 2, "x": {"y": [3]}}
    assert record.metadata["owner"] == "me"
    assert record.metadata["team"] == "us"
    assert (record.id, record.version) == ("1", "v")


def test_a_patch_may_name_the_id_that_is() -> None:
    assert patched(_row(), {"id": "1", "c": 3}, None).fields == {"a": {"b": 1}, "c": 3}


@pytest.mark.parametrize("changes", [{"id": "2"}, {"metadata.owner": "1"}, {"metadata.id": "1"}])
def test_a_patch_of_what_is_no_field_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidKey, match="cannot be patched"):
        patched(_row(), changes, None)


@pytest.mark.parametrize("path", ["c.d", "c.d.e"])
def test_a_patch_leads_through_dicts(path: str) -> None:
    with pytest.raises(ValueError, match="leads through what is no dict"):
        patched(_row(), {path: 1}, None)


@pytest.mark.parametrize("name", ["id", "created_at", "updated_at"])
def test_a_patch_leaves_the_databases_own_metadata(name: str) -> None:
    with pytest.raises(ValueError, match=f"metadata.{name}"):
        patched(_row(), {}, {name: "x"})


def test_a_batch_says_of_each_why_none_was_written() -> None:
    good, bad = Record({}, "1"), Record({}, "2")
    bad.fields["x"] = {1, 2}
    with pytest.raises(BatchFailed, match="2 of 3 records cannot be created") as caught:
        drafts([good, bad, "none"], "create", RecordCapabilities(), "created")  # type: ignore[list-item]
    first, second, third = caught.value.results
    assert isinstance(first, Undone)
    assert "2 of the batch" in str(first)
    assert isinstance(second, HoldallError)
    assert "item 1: x holds a set" in str(second)
    assert "item 2: 'none' is no Record" in str(third)
