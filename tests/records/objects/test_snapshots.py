"""The snapshot beside the records: what it saves, and that it never changes an answer."""

from __future__ import annotations

import os
import struct
import time
import zlib
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import PermissionDenied, PreconditionFailed, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.database import Database
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.testing.layers.faults import Fault
from records.objects.places import Place

if TYPE_CHECKING:
    from holdall.objects.data_store import DataStore
    from holdall.objects.layers.layer import Call, Operation

_QUERY = Query().filter("half", "=", 1).sort("number", "desc")
_POINTER = "current.json"


def _kept(objects: DataStore) -> list[str]:
    """The names of what the snapshot is made of."""
    folder = objects.store.root.reserved("snapshots")
    return [entry.ref.name for entry in objects.walk(folder)]


def _expected(number: int) -> list[str]:
    return [f"{at:04}" for at in reversed(range(number)) if at % 2]


def _ids(found: list[Record]) -> list[str | None]:
    return [one.id for one in found]


def test_the_next_process_reads_two_objects(place: Place) -> None:
    place.fill(200)
    first = place.open()
    assert first.asked(lambda: first.db.search(_QUERY)) == {"list": 1, "get": 202, "put": 2}
    second = place.open()
    assert second.asked(lambda: second.db.search(_QUERY)) == {"list": 1, "get": 2}
    assert _ids(second.db.search(_QUERY)) == _expected(200)


def test_after_a_foreign_write_one_more_is_read(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    place.open().db.upsert(Record({"number": 1000, "half": 1}, id="0000"))
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 3}
    assert _ids(reader.db.search(_QUERY))[0] == "0000"


def test_a_snapshot_is_hidden_from_listings(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    objects = place.objects()
    assert len(_kept(objects)) == 2
    assert len(list(objects.walk())) == 200


def test_few_records_make_no_snapshot(place: Place) -> None:
    place.fill(20)
    place.open().db.search(_QUERY)
    assert _kept(place.objects()) == []


def test_few_changes_do_not_renew_it(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    before = _kept(place.objects())
    place.open().db.batch_upsert([Record({"half": 1}, id=f"{at:04}") for at in range(20)])
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 22}
    assert _kept(place.objects()) == before


def test_many_changes_add_to_it(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    place.open().db.batch_upsert([Record({"half": 1}, id=f"{at:04}") for at in range(60)])
    place.open().db.search(_QUERY)
    assert len(_kept(place.objects())) == 3
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 3}


def test_what_is_mostly_old_is_written_anew(place: Place) -> None:
    place.fill(200)
    for _ in range(6):
        place.open().db.search(_QUERY)
        records = [Record({"half": 1, "number": at}, id=f"{at:04}") for at in range(200)]
        place.open().db.batch_upsert(records)
    place.open().db.search(_QUERY)
    assert len(_kept(place.objects())) <= 3
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY))["get"] <= 3


def test_clearing_takes_the_snapshot_away(place: Place) -> None:
    place.fill(200)
    db = place.open().db
    db.search(_QUERY)
    assert db.clear() == 200
    assert _kept(place.objects()) == []


def test_no_snapshot_is_written_where_that_is_said(place: Place) -> None:
    place.fill(200)
    reader = place.open(snapshot=False)
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 200}
    assert _kept(place.objects()) == []


def test_who_may_not_write_searches_all_the_same(place: Place) -> None:
    place.fill(200)

    def refuse(call: Call[object]) -> Fault | None:
        return Fault(error=PermissionDenied) if call.operation in {"put", "delete"} else None

    reader = place.open(refuse)
    assert _ids(reader.db.search(_QUERY)) == _expected(200)
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1}


@pytest.mark.parametrize("error", [PermissionDenied, Unavailable])
def test_who_cannot_read_it_reads_the_records(place: Place, error: type[PermissionDenied]) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)

    def refuse(call: Call[object]) -> Fault | None:
        reserved = any(".holdall" in ref.key for ref in call.refs)
        return Fault(error=error) if reserved else None

    assert _ids(place.open(refuse).db.search(_QUERY)) == _expected(200)


def test_who_renews_it_too_late_takes_its_work_back(place: Place) -> None:
    place.fill(200)
    fast = place.open()
    done: list[int] = []

    def meet(call: Call[object]) -> Fault | None:
        if call.operation == "put" and call.refs[0].name == _POINTER and not done:
            done.append(1)
            fast.db.search(_QUERY)
        return None

    slow = place.open(meet)
    assert _ids(slow.db.search(_QUERY)) == _expected(200)
    assert len(_kept(place.objects())) == 2
    assert _ids(place.open().db.search(_QUERY)) == _expected(200)


def test_rows_that_two_processes_added_count_once(place: Place) -> None:
    place.fill(200)
    left = [1]

    def fail_once(call: Call[object]) -> Fault | None:
        if call.operation == "put" and call.refs[0].name == _POINTER and left:
            left.pop()
            return Fault(error=Unavailable)
        return None

    one = place.open(fail_once)
    one.db.search(_QUERY)
    assert _kept(place.objects()) == []
    place.open().db.search(_QUERY)
    one.db.search(_QUERY)
    assert len(_kept(place.objects())) == 3
    reader = place.open().db
    assert _ids(reader.search(_QUERY)) == _expected(200)
    assert reader.count(_QUERY) == 100
    assert _ids(list(reader.stream_read(_QUERY, size=7))) == _expected(200)
    assert len(reader.all()) == 200


def _spoil(objects: DataStore, name: str, body: bytes | None) -> None:
    ref = objects.store.root.reserved("snapshots", name)
    if body is None:
        objects.delete(ref)
    else:
        objects.write(ref, body)


def _segment(*blocks: bytes) -> bytes:
    sized = (struct.pack(">I", len(block)) + block for block in blocks)
    return b"holdall rows 2\n\0" + b"".join(sized)


def _block(
    columns: dict[str, bytes],
    rows: int = 1,
    *,
    shapes: object = (),
    lengths: dict[str, int] | None = None,
    check: int | None = None,
) -> bytes:
    """A block as others may write it: columns as JSON text."""
    packed = {name: zlib.compress(raw) for name, raw in columns.items()}
    sizes = [
        [name, len(packed[name]), (lengths or {}).get(name, len(raw)), True]
        for name, raw in columns.items()
    ]
    directory = msgspec.json.encode({"shapes": shapes, "columns": sizes})
    body = directory + b"".join(packed.values())
    crc = zlib.crc32(body) if check is None else check
    return struct.pack(">IIII", len(directory), len(body) - len(directory), rows, crc) + body


_BOMB = bytes(64 * 1024 * 1024)
_BLOCK = _block({".id": b'["x"]'})
_HOSTILE = {
    "gone": None,
    "empty": b"",
    "no mark": b"x" * 100,
    "cut off": _segment(_BLOCK)[:-3],
    "cut off in a head": _segment(_BLOCK, b"\0\0"),
    "a wrong sum": _segment(_block({".id": b'["x"]'}, check=1)),
    "no directory": _segment(struct.pack(">IIII", 0, 0, 1, 0)),
    "a bomb": _segment(_block({".id": _BOMB})),
    "a bomb that lies": _segment(_block({".id": _BOMB}, lengths={".id": 1000})),
    "millions of rows": _segment(_block({".id": b'["x"]'}, 2**32 - 1)),
    "no list": _segment(_block({".id": b'{"a": 1}'})),
    "no rows": _segment(_block({".id": b"[]"}, 0)),
    "fewer rows": _segment(_block({".id": b'["a"]'}, 2)),
    "in disorder": _segment(_block({".id": b'["b", "a"]'}, 2)),
    "twice": _segment(_block({".id": b'["a", "a"]'}, 2)),
    "no texts": _segment(_block({".id": b"[1]"})),
    "no JSON": _segment(_block({".id": b"{]"})),
    "no UTF-8": _segment(_block({".id": b'["\xff"]'})),
    "deep": _segment(_block({".id": b"[" * 100_000})),
    "a pickle": _segment(b"cos\nsystem\n(S'exit 1'\ntR."),
    "too large": bytes(17 * 1024 * 1024),
    "of the former form": b"holdall rows 1\n\0" + struct.pack(">III", 0, 0, 0),
}


@pytest.mark.parametrize("name", _HOSTILE)
def test_a_damaged_segment_changes_no_answer(place: Place, name: str) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    objects = place.objects()
    (segment,) = [one for one in _kept(objects) if one != _POINTER]
    _spoil(objects, segment, _HOSTILE[name])
    assert _ids(place.open().db.search(_QUERY)) == _expected(200)
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 2}
    assert segment not in _kept(objects)


def _pointer(name: str) -> bytes:
    segment = {"name": name, "rows": 1, "bytes": 1}
    return msgspec.json.encode({"kind": "holdall snapshot", "format": 2, "segments": [segment]})


@pytest.mark.parametrize(
    "body",
    [
        None,
        b"",
        b"{",
        b"[]",
        b'{"kind": "holdall snapshot", "format": 1, "segments": []}',
        b'{"kind": "holdall snapshot", "format": 3, "segments": []}',
        _pointer("../x"),
        _pointer("0" * 32),
        b"[" * 100_000,
        bytes(1024 * 1024),
    ],
)
def test_a_damaged_pointer_changes_no_answer(place: Place, body: bytes | None) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    _spoil(place.objects(), _POINTER, body)
    assert _ids(place.open().db.search(_QUERY)) == _expected(200)
    reader = place.open()
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 2}


_TEXT = [".etag", ".created", ".updated", ".shape", ".metadata", ".rest", "=number", "=half"]
_NONSENSE = {
    "missing": None,
    "no JSON": b"{]",
    "texts": b"[" + b'"x",' * 39 + b'"x"]',
    "floats": b"[" + b"1.5," * 39 + b"1.5]",
    "numbers that are too large": b"[" + b"9e300," * 39 + b"9e300]",
    "moments that are too large": b"[" + b"9000000000000000000," * 39 + b"1]",
    "unknown markers": b"[" + b'{"$what": 1},' * 39 + b'{"$what": 1}]',
    "markers in fields": b"[" + b'{"a": {"$what": 1}},' * 39 + b"null]",
    "fewer": b"[]",
}


def _columns(objects: DataStore) -> dict[str, bytes]:
    """What a block of these records has, where all are of the shape number, half."""
    found = sorted(objects.walk(), key=lambda entry: entry.key)
    ids = [entry.key.removesuffix(".json") for entry in found]
    many: dict[str, list[object]] = {
        ".id": list(ids),
        ".etag": [entry.etag for entry in found],
        ".created": [0] * 40,
        ".updated": [0] * 40,
        ".shape": [1] * 40,
        ".metadata": [None] * 40,
        ".rest": [None] * 40,
        "=number": list(range(40)),
        "=half": [at % 2 for at in range(40)],
    }
    return {one: msgspec.json.encode(values) for one, values in many.items()}


def _as_segment(columns: dict[str, bytes]) -> bytes:
    return _segment(_block(columns, 40, shapes=[["number", "half"]]))


def _refuse_writes(call: Call[object]) -> Fault | None:
    return Fault(error=PermissionDenied) if call.operation in {"put", "delete"} else None


@pytest.mark.parametrize("column", _TEXT)
@pytest.mark.parametrize("name", _NONSENSE)
def test_a_column_that_cannot_be_is_read_from_the_records(
    place: Place, column: str, name: str
) -> None:
    place.fill(40)
    place.open().db.search(_QUERY)
    objects = place.objects()
    (segment,) = [one for one in _kept(objects) if one != _POINTER]
    columns = _columns(objects)
    _spoil(objects, segment, _as_segment(columns))
    reader = place.open(_refuse_writes)
    assert reader.asked(lambda: reader.db.search(_QUERY)) == {"list": 1, "get": 2}
    assert _ids(reader.db.search(_QUERY)) == _expected(40)
    spoiled = _NONSENSE[name]
    if spoiled is None:
        del columns[column]
    else:
        columns[column] = spoiled
    _spoil(objects, segment, _as_segment(columns))
    can_be = {"texts", "floats", "numbers that are too large", "moments that are too large"}
    if column[0] == "=" and name in can_be:
        place.open().db.search(_QUERY)  # who may write these may write the records
        return
    assert _ids(place.open(_refuse_writes).db.search(_QUERY)) == _expected(40)
    assert _ids(place.open(_refuse_writes).db.search(_QUERY.limit(3))) == _expected(40)[:3]
    assert place.open(_refuse_writes).db.count(Query().filter("half", "=", 1)) == 20
    read = place.open(_refuse_writes).db.all()
    assert [one.fields["number"] for one in read] == list(range(40))


def test_a_damaged_row_is_read_before_it_is_written_over(place: Place) -> None:
    place.fill(40)
    place.open().db.search(_QUERY)
    objects = place.objects()
    (segment,) = [one for one in _kept(objects) if one != _POINTER]
    _spoil(objects, segment, _as_segment(_columns(objects) | {".metadata": b"[]"}))
    record = place.open().db.read("0007")
    assert record is not None
    process = place.open()
    assert process.db.count(Query().filter("half", "=", 1)) == 20
    record.fields["half"] = 0
    assert process.asked(lambda: process.db.update(record)) == {"get": 1, "put": 1}
    assert process.db.count(Query().filter("half", "=", 1)) == 19


def test_an_old_snapshot_is_never_answered(place: Place) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    objects = place.objects()
    old = {
        name: objects.read(objects.store.root.reserved("snapshots", name))
        for name in _kept(objects)
    }
    writer = place.open().db
    writer.batch_update(
        [Record({"half": 0, "number": at}, id=f"{at:04}") for at in range(1, 200, 2)]
    )
    writer.batch_delete([f"{at:04}" for at in range(0, 200, 2)])
    writer.search(_QUERY)
    for name, body in old.items():
        _spoil(objects, name, body)
    assert place.open().db.search(_QUERY) == []
    assert len(place.open().db.all()) == 100


def test_a_lost_race_is_no_error_of_the_search(place: Place) -> None:
    place.fill(200)

    def refuse(call: Call[object]) -> Fault | None:
        name = call.refs[0].name if call.operation == "put" else ""
        return Fault(error=PreconditionFailed) if name == _POINTER else None

    assert _ids(place.open(refuse).db.search(_QUERY)) == _expected(200)
    assert _kept(place.objects()) == []


def test_a_large_record_is_in_no_snapshot(place: Place) -> None:
    place.fill(200)
    place.open().db.create(Record({"text": "x" * 1_100_000}, id="large"))
    place.open().db.search(_QUERY)
    reader = place.open()
    assert reader.asked(reader.db.all) == {"list": 1, "get": 3}
    assert len(reader.db.all()) == 201


@pytest.mark.parametrize("operation", ["put", "delete", "get", "list"])
@pytest.mark.parametrize("nth", range(1, 5))
def test_a_renewal_that_is_cut_short_changes_no_answer(
    place: Place, operation: Operation, nth: int
) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    writer = place.open()
    writer.db.batch_update([Record({"half": 0}, id=f"{at:04}") for at in range(180)])
    left = [nth]

    def cut(call: Call[object]) -> Fault | None:
        reserved = any(".holdall" in ref.key for ref in call.refs)
        if not reserved or call.operation != operation:
            return None
        left[0] -= 1
        return Fault(error=KeyboardInterrupt()) if left[0] == 0 else None

    with suppress(KeyboardInterrupt):
        place.open(cut).db.search(_QUERY)
    expected = [f"{at:04}" for at in range(199, 180, -2)]
    for _ in range(2):
        assert _ids(place.open().db.search(_QUERY)) == expected


def test_a_large_snapshot_is_in_several_segments(place: Place) -> None:
    records = [Record({"text": os.urandom(100_000).hex(), "n": at}, id=str(at)) for at in range(90)]
    place.open().db.batch_create(records)
    place.open().db.all()
    assert len(_kept(place.objects())) == 3
    reader = place.open()
    assert reader.asked(reader.db.all) == {"list": 1, "get": 3}
    assert len(reader.db.all()) == 90


def test_a_segment_that_nobody_names_is_swept_after_a_day(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill(200)
    place.open().db.search(_QUERY)
    objects = place.objects()
    _spoil(objects, f"{'a' * 32}.rows", b"left by a process that was killed")
    two_days_on = time.time_ns() + 2 * 86400 * 10**9
    monkeypatch.setattr(
        "holdall.records.backends.objects.snapshot.time.time_ns", lambda: two_days_on
    )
    writer = place.open().db
    for turn in range(2):
        writer.batch_upsert([Record({"turn": turn}, id=f"{at:04}") for at in range(200)])
        place.open().db.all()
    assert f"{'a' * 32}.rows" not in _kept(objects)
    reader = place.open()
    assert reader.asked(reader.db.all)["get"] <= 3


_IDS = [f"{at:02}" for at in range(80)]
_SOME = st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(0, 9))
_STEPS = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from(["write", "delete", "search", "open"]), _SOME),
    min_size=4,
    max_size=30,
)


@given(_STEPS)
def test_processes_that_share_a_snapshot_answer_as_memory_does(
    steps: list[tuple[int, str, tuple[int, int, int]]],
) -> None:
    truth = Database(MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime()))
    place = Place()
    processes = [place.open(cache_ttl=timedelta(0)).db for _ in range(3)]
    query = Query().filter("x", "<", 5).sort("x", "desc")
    for who, step, (first, last, value) in steps:
        ids = _IDS[first:last]
        db = processes[who]
        if step == "open":
            processes[who] = place.open(cache_ttl=timedelta(0)).db
        elif step == "write":
            for one in (db, truth):
                one.batch_upsert([Record({"x": value}, id=id_) for id_ in ids])
        elif step == "delete":
            assert db.batch_delete(ids) == truth.batch_delete(ids)
        else:
            found = [(one.id, one.fields) for one in db.search(query)]
            assert found == [(one.id, one.fields) for one in truth.search(query)]
    assert _ids(place.open().db.all()) == _ids(truth.all())
