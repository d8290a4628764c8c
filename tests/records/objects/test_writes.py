"""Writes, deletes, and what they leave on the store."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import (
    AlreadyExists,
    HoldallError,
    InvalidConfig,
    InvalidKey,
    LimitExceeded,
    PermissionDenied,
    PreconditionFailed,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import writing
from holdall.records.record import Record
from holdall.records.registry import open_records
from holdall.records.results import BatchFailed
from holdall.testing.layers.faults import Fault, FaultRule

if TYPE_CHECKING:
    from holdall.objects.layers.layer import Call
    from records.objects.places import Place

_LOST = Fault(lost=True)


def _unsure() -> Unavailable:
    error = Unavailable("nobody knows", transient=False)
    error.uncertain = True
    return error


def test_a_record_is_an_object_that_others_can_read(place: Place) -> None:
    db = place.open().db
    db.create(Record({"name": "Alice", "born": date(2000, 1, 2)}, id="u/1", metadata={"a": "b"}))
    objects = place.objects()
    found = json.loads(objects.read("u%2F1.json"))
    token = found.pop("write")
    created = found.pop("created_at")
    assert found.pop("updated_at") == created
    assert created.endswith("Z")
    assert datetime.fromisoformat(created).tzinfo is not None
    assert len(token) == 16
    assert found == {
        "id": "u/1",
        "fields": {"name": "Alice", "born": {"$date": "2000-01-02"}},
        "metadata": {"a": "b"},
    }
    assert objects.stat("u%2F1.json").content_type == "application/json"


def test_metadata_shows_as_tags(place: Place) -> None:
    db = place.open().db
    metadata = {
        "created_by": "admin",
        "version": "1.0",
        "number": 3,
        "on": True,
        "when": datetime(2024, 1, 1, tzinfo=UTC),
        "list": [1],
        "price": Decimal("1.50"),
        "accents": "\u00e9",
        "none": None,
        "long": "x" * 257,
        "": "no name",
        " edge": "x",
        "edge": " x",
        "last": "taken",
        "too many": "left out",
    }
    record = Record({}, id="a", metadata=metadata)
    db.create(record)
    tags = place.objects().stat("a.json", tags=True).tags
    assert tags is not None
    assert tags.pop("created_at") == tags.pop("updated_at")
    assert tags == {
        "id": "a",
        "created_by": "admin",
        "version": "1.0",
        "number": "3",
        "on": "true",
        "when": "2024-01-01T00:00:00+00:00",
        "price": "1.50",
        "last": "taken",
    }
    read = db.read("a")
    assert read is not None
    assert read.metadata["long"] == "x" * 257


def test_no_tags_are_written_where_that_is_said(place: Place) -> None:
    place.open(tags=False).db.create(Record({}, id="a", metadata={"b": "c"}))
    assert place.objects().stat("a.json", tags=True).tags == {}


def test_a_storage_class_is_that_of_records_alone(place: Place) -> None:
    db = place.open(storage_class="COLD").db
    db.batch_create([Record({}, id=str(at)) for at in range(100)])
    db.all()
    objects = place.objects()
    assert objects.stat("0.json").storage_class == "COLD"
    kept = list(objects.walk(objects.store.root.reserved("snapshots")))
    assert len(kept) == 2
    assert {objects.stat(one.ref).storage_class for one in kept} == {None}


def test_a_lost_reply_of_a_create_is_known_again(place: Place) -> None:
    process = place.open([FaultRule(fault=_LOST, operation="put")])
    record = Record({"number": 1}, id="a")
    assert process.db.create(record) == "a"
    record.fields["number"] = 2
    process.db.update(record)
    assert process.wire.seen["put"] == 2


def test_a_lost_reply_of_an_update_is_known_again(place: Place) -> None:
    record = Record({"number": 1}, id="a")
    place.open().db.create(record)
    process = place.open([FaultRule(fault=_LOST, operation="put")])
    record.fields["number"] = 2
    process.db.update(record)
    read = place.open().db.read("a")
    assert read is not None
    assert (read.fields["number"], read.version) == (2, record.version)


def test_a_write_that_did_not_arrive_is_sent_again(place: Place) -> None:
    rules = [FaultRule(fault=Fault(error=_unsure()), operation="put", times=2)]
    process = place.open(rules)
    process.db.create(Record({"number": 1}, id="a"))
    assert process.wire.seen["put"] == 3
    assert place.open().db.exists("a")


def test_who_cannot_look_after_a_lost_reply_says_so(place: Place) -> None:
    rules = [
        FaultRule(fault=_LOST, operation="put"),
        FaultRule(fault=Fault(error=PermissionDenied), operation="get"),
    ]
    with pytest.raises(Unavailable, match="may have been applied"):
        place.open(rules).db.create(Record({"number": 1}, id="a"))
    assert place.open().db.exists("a")


def test_a_service_that_is_busy_half_of_the_time_loses_nothing(place: Place) -> None:
    turns = iter(range(10_000))

    def script(call: Call[object]) -> Fault | None:
        busy = call.operation == "put" and next(turns) % 2 == 0
        return Fault(error=Unavailable) if busy else None

    process = place.open(script)
    records = [Record({"number": at}, id=str(at)) for at in range(20)]
    assert len(process.db.batch_create(records)) == 20
    process.db.batch_update(records)
    assert place.open().db.count() == 20


def test_who_cannot_know_says_so(place: Place) -> None:
    other = place.open().db

    def script(call: Call[object]) -> Fault | None:
        if call.operation != "put":
            return None
        other.upsert(Record({"number": 2}, id="a"))
        return Fault(error=_unsure())

    with pytest.raises(Unavailable, match="nobody knows"):
        place.open(script).db.create(Record({"number": 1}, id="a"))


def test_who_is_overtaken_after_a_failure_is_told(place: Place) -> None:
    other = place.open().db

    def script(call: Call[object]) -> Fault | None:
        if call.operation != "put":
            return None
        other.upsert(Record({"number": 2}, id="a"))
        return Fault(error=Unavailable)

    with pytest.raises(AlreadyExists):
        place.open(script).db.create(Record({"number": 1}, id="a"))


def test_an_upsert_that_others_get_ahead_of_is_done_again(place: Place) -> None:
    other = place.open().db
    left = [3]

    def script(call: Call[object]) -> Fault | None:
        if call.operation == "put" and left[0]:
            left[0] -= 1
            other.upsert(Record({"number": left[0]}, id="a"))
        return None

    place.open(script).db.upsert(Record({"number": 9}, id="a"))
    read = other.read("a")
    assert read is not None
    assert read.fields["number"] == 9


def test_an_upsert_that_others_always_get_ahead_of_ends(place: Place) -> None:
    other = place.open().db

    def script(call: Call[object]) -> Fault | None:
        if call.operation == "put":
            other.upsert(Record({}, id="a"))
        return None

    with pytest.raises(PreconditionFailed, match="20 times in a row"):
        place.open(script).db.upsert(Record({}, id="a"))


def test_an_update_of_what_was_read_is_one_request(place: Place) -> None:
    place.fill(3)
    process = place.open()
    record = process.db.all()[0]
    record.fields["number"] = 7
    assert process.asked(lambda: process.db.update(record)) == {"put": 1}


def test_a_batch_says_of_each_what_failed(place: Place) -> None:
    refused = FaultRule(fault=Fault(error=PermissionDenied), operation="put", key="1.json")
    process = place.open([refused])
    with pytest.raises(BatchFailed) as caught:
        process.db.batch_create([Record({}, id=str(at)) for at in range(3)])
    results = caught.value.results
    assert (results[0], type(results[1]), results[2]) == ("0", PermissionDenied, "2")


def test_one_id_twice_in_a_batch_is_written_in_order(place: Place) -> None:
    db = place.open().db
    db.batch_upsert([Record({"number": at}, id="a") for at in range(5)])
    read = db.read("a")
    assert read is not None
    assert read.fields["number"] == 4
    with pytest.raises(BatchFailed) as caught:
        db.batch_create([Record({}, id="b"), Record({}, id="b")])
    assert [type(one) for one in caught.value.results] == [str, AlreadyExists]


@pytest.mark.parametrize("limit", ["_WAVE", "_WAVE_BYTES"])
def test_a_long_batch_is_made_ready_in_parts(
    place: Place, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(writing, limit, 7)
    process = place.open(max_workers=3)
    records = [Record({"number": at}, id=str(at % 40)) for at in range(50)]
    with pytest.raises(BatchFailed) as caught:
        process.db.batch_create(records)
    results = caught.value.results
    assert list(results[:40]) == [str(at) for at in range(40)]
    assert [type(one) for one in results[40:]] == [AlreadyExists] * 10
    for record in records:
        record.version = None
    process.db.batch_upsert(records)
    numbers = sorted(record.fields["number"] for record in process.db.all())
    assert numbers == list(range(10, 50))


def test_what_waits_for_its_turn_tells_when_it_was_written(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_FRESH_SECONDS", 0.0)
    sent: list[datetime] = []

    def script(call: Call[object]) -> Fault | None:
        if call.operation == "put":
            sent.append(datetime.now(UTC))
        return None

    db = place.open(script, max_workers=1, snapshot=False).db
    db.batch_create([Record({}, id=f"{at:02}") for at in range(64)])
    written = [record.metadata["updated_at"] for record in db.all()]
    assert all(before < moment for before, moment in zip(sent, written[1:], strict=False))
    assert all(moment < after for moment, after in zip(written, sent, strict=True))


def test_many_are_deleted_by_few_requests(place: Place) -> None:
    place.fill(300)
    process = place.open()
    ids = [f"{at:04}" for at in range(100, 310)]
    answers: list[bool] = []
    asked = process.asked(lambda: answers.extend(process.db.batch_delete(ids)))
    assert asked == {"list": 1, "delete": 1}
    assert answers == [True] * 200 + [False] * 10
    assert process.db.count() == 100


def test_many_among_more_are_looked_for_where_they_are(place: Place) -> None:
    place.fill(3000)
    process = place.open()
    ids = [f"{at:04}" for at in range(2500, 2700)]
    assert process.asked(lambda: process.db.batch_delete(ids)) == {"list": 1, "delete": 1}
    assert process.db.batch_delete(ids) == [False] * 200
    assert process.db.count() == 2800


def test_a_delete_of_many_that_a_search_saw_tells_what_others_deleted(place: Place) -> None:
    place.fill(100)
    process = place.open()
    process.db.all()
    place.open().db.delete("0003")
    ids = [f"{at:04}" for at in range(100)]
    assert process.db.batch_delete(ids) == [at != 3 for at in range(100)]


def test_a_batch_read_says_of_each_what_came_of_it(place: Place) -> None:
    place.fill(2)
    process = place.open(
        [FaultRule(fault=Fault(error=Unavailable), operation="get", key="0001.json", times=None)]
    )
    with pytest.raises(BatchFailed, match="1 of 3 records cannot be read") as caught:
        process.db.batch_read(["0000", "0001", "none"])
    read, failed, missing = caught.value.results
    assert read == place.open().db.read("0000")
    assert type(failed) is Unavailable
    assert missing is None


@pytest.mark.parametrize("error", [Unavailable, PermissionDenied])
def test_whether_there_is_a_record_is_unknown_in_an_outage(
    place: Place, error: type[HoldallError]
) -> None:
    place.fill(1)
    process = place.open([FaultRule(fault=Fault(error=error), operation="get", times=None)])
    with pytest.raises(error):
        process.db.exists("0000")


def test_a_record_that_cannot_be_read_is_there(place: Place) -> None:
    place.fill(1)
    assert place.open(max_record=1024).db.exists("0000")
    place.objects().write("0000.json", b"")
    assert place.open().db.exists("0000")


def test_few_among_many_are_asked_for_each(place: Place) -> None:
    place.fill(50)
    process = place.open()
    assert process.asked(lambda: process.db.batch_delete(["0003", "0004", "none"])) == {
        "head": 3,
        "delete": 1,
    }


def test_those_behind_the_pages_that_were_looked_at_are_asked_for(place: Place) -> None:
    place.fill(2100)
    process = place.open()
    ids = [f"{at:04}" for at in (*range(10), *range(990, 1010), *range(2090, 2110))]
    answers = process.db.batch_delete(ids)
    assert answers == [True] * 40 + [False] * 10
    assert process.wire.seen["list"] == 2
    assert process.wire.seen["head"] == 20


def test_a_delete_that_fails_says_so(place: Place) -> None:
    place.fill(2)
    process = place.open([FaultRule(fault=Fault(error=PermissionDenied), operation="head")])
    with pytest.raises(BatchFailed) as caught:
        process.db.batch_delete(["0000", "0001"])
    assert sorted(type(one).__name__ for one in caught.value.results) == [
        "PermissionDenied",
        "bool",
    ]


def test_a_delete_of_a_version_whose_reply_is_lost_is_done(place: Place) -> None:
    record = Record({}, id="a")
    place.open().db.create(record)
    process = place.open([FaultRule(fault=_LOST, operation="delete")])
    assert process.db.delete("a", version=record.version)


def test_a_delete_of_a_version_stays_in_doubt_when_nobody_can_look(place: Place) -> None:
    record = Record({}, id="a")
    place.open().db.create(record)
    away: list[bool] = []

    def script(call: Call[object]) -> Fault | None:
        if away:
            return Fault(error=Unavailable)
        if call.operation == "delete":
            away.append(True)
            return _LOST
        return None

    with pytest.raises(Unavailable, match="may have been applied") as caught:
        place.open(script).db.delete("a", version=record.version)
    assert caught.value.uncertain
    assert place.open().db.read("a") is None


def test_a_delete_of_a_version_that_changes_meanwhile_is_refused(place: Place) -> None:
    record = Record({}, id="a")
    other = place.open().db
    other.create(record)

    def script(call: Call[object]) -> Fault | None:
        if call.operation == "delete":
            other.upsert(Record({"number": 2}, id="a"))
        return None

    with pytest.raises(PreconditionFailed, match="was changed since"):
        place.open(script).db.delete("a", version=record.version)
    with pytest.raises(PreconditionFailed, match="is gone since"):
        other.delete("none", version=record.version)


def test_a_delete_of_a_version_that_another_deletes_meanwhile_is_refused(place: Place) -> None:
    record = Record({}, id="a")
    other = place.open().db
    other.create(record)

    def script(call: Call[object]) -> Fault | None:
        if call.operation == "delete":
            assert other.delete("a", version=record.version)
        return None

    with pytest.raises(PreconditionFailed, match="is gone since"):
        place.open(script).db.delete("a", version=record.version)


def test_a_delete_of_a_version_that_is_not_permitted_says_so(place: Place) -> None:
    record = Record({}, id="a")
    place.open().db.create(record)
    process = place.open([FaultRule(fault=Fault(error=PermissionDenied), operation="delete")])
    with pytest.raises(PermissionDenied):
        process.db.delete("a", version=record.version)
    assert process.db.exists("a")


def test_an_outage_in_a_delete_of_many_is_told_of_each(place: Place) -> None:
    place.fill(3)
    process = place.open([FaultRule(fault=Fault(error=Unavailable), operation="delete")])
    with pytest.raises(BatchFailed) as caught:
        process.db.batch_delete(["0000", "none", "0001", "0000"])
    kinds = [type(one) for one in caught.value.results]
    assert kinds == [Unavailable, bool, Unavailable, Unavailable]
    assert process.db.count() == 3


def test_an_outage_is_no_empty_answer(place: Place) -> None:
    place.fill(3)
    for operation in ("list", "get"):
        process = place.open([FaultRule(fault=Fault(error=Unavailable), operation=operation)])
        with pytest.raises(Unavailable):
            process.db.all()
    process = place.open([FaultRule(fault=Fault(error=Unavailable), operation="list")])
    with pytest.raises(Unavailable):
        process.db.count()
    process = place.open([FaultRule(fault=Fault(error=Unavailable), operation="get")])
    with pytest.raises(Unavailable):
        process.db.read("0000")


def test_a_record_beyond_the_limit_is_refused(place: Place) -> None:
    db = place.open(max_record=1000).db
    with pytest.raises(LimitExceeded, match="max_record"):
        db.create(Record({"text": "x" * 1000}, id="a"))
    place.open().db.create(Record({"text": "x" * 1000}, id="a"))
    with pytest.raises(LimitExceeded, match="max_record"):
        db.read("a")
    with pytest.raises(LimitExceeded, match="max_record"):
        db.all()


@pytest.mark.parametrize("name", ["max_workers", "max_record", "memory", "cache_ttl"])
def test_a_setting_below_what_can_be_is_named(name: str) -> None:
    with pytest.raises(InvalidConfig, match=name):
        open_records({"type": "objects", "store": "memory://", name: -1}, BlockingRuntime())


def test_a_number_of_a_thousand_digits_is_no_tag(place: Place) -> None:
    place.open().db.create(Record({}, id="a", metadata={"large": 10**10_000, "small": 1}))
    tags = place.objects().stat("a.json", tags=True).tags
    assert tags is not None
    assert "small" in tags
    assert "large" not in tags


def test_an_id_that_the_store_cannot_hold_is_refused(place: Place) -> None:
    db = place.open().db
    for id_ in ("x" * 246, "/" * 100):
        with pytest.raises(InvalidKey):
            db.create(Record({}, id=id_))
    with pytest.raises(BatchFailed) as caught:
        db.batch_create([Record({}, id="a"), Record({}, id="/" * 100)])
    assert [type(one) for one in caught.value.results] == [str, InvalidKey]


def test_indexes_and_transactions_are_not_offered(place: Place) -> None:
    db = place.open().db
    with pytest.raises(Unsupported, match="no indexes"):
        db.create_index("x")
    with pytest.raises(Unsupported, match="no transactions"), db.transaction():
        pass
