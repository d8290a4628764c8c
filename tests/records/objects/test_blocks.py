"""Blocks of rows in columns: they answer as the objects do that they were made from."""

from __future__ import annotations

import struct
import zlib
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import run_state_machine_as_test

from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import ObjectRecords, ObjectRecordSettings
from holdall.records.backends.objects.blocks import Block, Reading
from holdall.records.backends.objects.bodies import Held, body_of, packable, row_of
from holdall.records.backends.objects.packing import pack
from holdall.records.backends.objects.scanning import Scan
from holdall.records.backends.objects.shelf import Shelved
from holdall.records.encoding import instant_text
from holdall.records.predicate import And, Equals, Has, Node, compiled
from holdall.records.query import Query
from holdall.records.record import Record
from holdall.records.stored import Write, reader
from holdall.testing.records.generated import conditions, fields, ids, paths, queries
from holdall.testing.records.machine import record_store_machine
from records.objects.places import Place
from records.plain import disagreements, fill

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.core.runtime import Runtime
    from holdall.records.stored import Stored

_NOW = datetime(2024, 1, 1, 12, 30, 15, 123456, UTC)
_OBJECTS = "holdall.records.backends.objects"
_BY_NUMBER = Query().sort("number")
_BY_TURN = Query().filter("turn", ">=", 0).sort("turn")
_number = count()


def _ref(id_: str) -> Reference:
    return Reference.parse("memory://blocks/p").child(f"{id_}.json")


def _held(bodies: list[dict[str, Any]], metadata: dict[str, Any]) -> dict[str, Held]:
    found = {}
    for at, body in enumerate(bodies):
        write = Write(f"{at:03}", body, metadata if at % 3 == 0 else {}, "create")
        updated = instant_text(_NOW + timedelta(seconds=at))
        made = body_of(write, instant_text(_NOW), updated, "0" * 16)
        found[write.id] = Held(f"etag {at}", 7, made)
    return found


def _blocks(held: dict[str, Held]) -> list[Block]:
    rows = (packable(id_, one) for id_, one in held.items())
    return list(pack(row for row in rows if row is not None))


def _shown(rows: list[Stored]) -> list[str]:
    return [repr([*msgspec.structs.astuple(row), list(row.fields)]) for row in rows]


@given(st.lists(fields, min_size=1, max_size=40), fields)
def test_rows_come_back_from_a_block(
    bodies: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    held = _held(bodies, metadata)
    found = [row for one in _blocks(held) for row in Reading(one).rows(range(one.rows))]
    assert _shown(found) == _shown([row_of(id_, one, _ref) for id_, one in held.items()])


@given(st.lists(fields, min_size=1, max_size=40), fields, st.lists(paths, max_size=5))
def test_a_path_leads_to_the_same_in_a_block(
    bodies: list[dict[str, Any]], metadata: dict[str, Any], some: list[tuple[str, ...]]
) -> None:
    held = _held(bodies, metadata)
    (block,) = _blocks(held)
    rows = [row_of(id_, one, _ref) for id_, one in held.items()]
    for path in (*some, ("metadata", "created_at"), ("metadata", "updated_at")):
        found = list(map(Reading(block).reader(path), range(block.rows)))
        assert repr(found) == repr(list(map(reader(path), rows)))


@given(
    st.lists(fields, min_size=1, max_size=40),
    fields,
    conditions | st.builds(Equals, paths, st.sampled_from(["", "a", "10", "\u00e9"])),
)
@example(
    [{"x": "a"}, {"x": ["b", "a"]}, {"x": ["b"]}, {"y": "a"}, {"x": [["a"]]}, {"x": "b"}],
    {},
    And((Has(("x",)), Equals(("x",), "a"))),
)
def test_a_condition_means_the_same_rows_in_a_block(
    bodies: list[dict[str, Any]], metadata: dict[str, Any], predicate: Node
) -> None:
    held = _held(bodies, metadata)
    (block,) = _blocks(held)
    places = Scan(predicate).of_block(
        Shelved(block, 1, frozenset(), saved=False), range(block.rows), None
    )
    rows = [row_of(id_, one, _ref) for id_, one in held.items()]
    assert [place[-1] for place, _ in places] == [
        row.id for row in filter(compiled(predicate, reader), rows)
    ]


@given(st.lists(fields, min_size=1, max_size=40), fields)
def test_a_block_is_packed_again_as_it_was(
    bodies: list[dict[str, Any]], metadata: dict[str, Any]
) -> None:
    (block,) = _blocks(_held(bodies, metadata))
    (again,) = pack(Reading(block).plain(range(block.rows)))
    assert again.data == block.data


def test_frequent_names_have_columns_and_others_do_not() -> None:
    bodies: list[dict[str, Any]] = [{"a": 1, "b": "x"}] * 100 + [{"rare": [1]}, {"b": "x", "a": 1}]
    (block,) = _blocks(_held(bodies, {}))
    assert block.shapes == (("a", "b"),)
    assert list(Reading(block).rows([100, 101])[1].fields) == ["b", "a"]


def test_only_columns_that_are_asked_for_are_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    (block,) = _blocks(_held([{"a": 1, "b": "x", "c": None}] * 10, {}))
    unpacked: list[str] = []
    column = Block.column

    def noted(self: Block, name: str) -> bytes:
        unpacked.append(name)
        return column(self, name)

    monkeypatch.setattr(Block, "column", noted)
    assert Reading(block).reader(("b",))(3) == "x"
    assert unpacked == [".shape", "=b"]


def test_a_row_that_no_block_can_hold_is_left_out_alone() -> None:
    held = _held([{"a": at} for at in range(9)], {})
    rows = [packable(id_, one) for id_, one in held.items()]
    assert None not in rows
    far = rows[4]
    assert far is not None
    rows[4] = far._replace(fields={"a": "x" * (5 * 1024 * 1024)})
    found = [id_ for one in pack(filter(None, rows)) for id_ in Reading(one).ids]
    assert found == [f"{at:03}" for at in range(9) if at != 4]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"id": "b", "fields": {}}',
        b'{"id": "a", "fields": {"x": "' + b"x" * 1024 * 1024 + b'"}}',
    ],
)
def test_an_object_that_holds_no_record_or_a_large_one_is_not_packed(body: bytes) -> None:
    assert packable("a", Held("e", 1, body)) is None


def test_moments_of_other_programs_are_kept_in_utc() -> None:
    body = b'{"id": "a", "fields": {}, "updated_at": "2024-01-01T05:30:00+05:00"}'
    held = Held("e", 1, body)
    (block,) = _blocks({"a": held})
    assert Reading(block).rows([0]) == [row_of("a", held, _ref)]


def test_a_column_unpacks_to_no_more_than_it_says() -> None:
    packed = zlib.compress(b'["a"]' + b" " * 1_000_000)
    directory = msgspec.json.encode({"shapes": [], "columns": [[".id", len(packed), 5, False]]})
    body = directory + packed
    head = struct.pack(">IIII", len(directory), len(packed), 1, zlib.crc32(body))
    with pytest.raises(Exception, match="damaged"):
        Block(head + body)


def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack after every chunk, and renew the snapshot after every search."""
    monkeypatch.setattr(f"{_OBJECTS}.packing._BLOCK_ROWS", 2)
    monkeypatch.setattr(f"{_OBJECTS}.shelf._LOOSE_BYTES", 0)
    monkeypatch.setattr(f"{_OBJECTS}.gathering._CHUNK_ROWS", 3)
    monkeypatch.setattr(f"{_OBJECTS}.shelf._FEW_BLOCKS", 0)
    monkeypatch.setattr(f"{_OBJECTS}.searching._AHEAD_ROWS", 5)
    monkeypatch.setattr(f"{_OBJECTS}.gathering.FEW_ROWS", 0)
    monkeypatch.setattr(f"{_OBJECTS}.snapshot.FEW_ROWS", 0)


def _make_store(runtime: Runtime) -> ObjectRecords:
    place = f"memory://machine{next(_number)}/p"
    return ObjectRecords.open(ObjectRecordSettings(store=place), runtime)


def test_small_blocks_answer_as_memory_does(monkeypatch: pytest.MonkeyPatch) -> None:
    _small_pieces(monkeypatch)
    run_state_machine_as_test(
        record_store_machine(_make_store),
        settings=settings(max_examples=25, stateful_step_count=15),
    )


@pytest.mark.soak
@settings(max_examples=2_500, suppress_health_check=list(HealthCheck))
@given(
    st.dictionaries(ids, fields, max_size=8),
    st.dictionaries(ids, fields, max_size=3),
    st.lists(queries, min_size=2, max_size=3),
)
def test_10_000_queries_are_answered_by_blocks_as_they_are_meant(
    rows: dict[str, dict[str, Any]], changed: dict[str, dict[str, Any]], asked: list[Query]
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        _small_pieces(patch)
        store = _make_store(BlockingRuntime())
        fill(store, rows)
        assert disagreements(store, list(rows), asked) == []
        fill(store, changed)
        assert disagreements(store, list(rows | changed), asked) == []


@pytest.mark.parametrize("prepare", [_small_pieces, lambda _: None])
def test_processes_that_write_and_search_in_turn_see_the_same(
    monkeypatch: pytest.MonkeyPatch, prepare: Callable[[pytest.MonkeyPatch], None]
) -> None:
    prepare(monkeypatch)
    place = Place()
    processes = [place.open().db for _ in range(3)]
    truth: dict[str, int] = {}
    for turn in range(30):
        writer = processes[turn % 3]
        ids = [f"{at:03}" for at in range(turn % 7, 100, 1 + turn % 5)]
        if turn % 4 == 3:
            writer.batch_delete(ids)
            for id_ in ids:
                truth.pop(id_, None)
        else:
            records = [Record({"turn": turn}, id=id_) for id_ in ids]
            writer.batch_upsert(records)
            truth |= dict.fromkeys(ids, turn)
        reader_ = processes[(turn + turn // 3) % 3]
        found = {one.id: one.fields["turn"] for one in reader_.search(_BY_TURN)}
        assert found == truth


def test_an_update_of_a_row_in_a_block_is_one_request(place: Place) -> None:
    place.fill(200)
    process = place.open()
    records = process.db.search(_BY_NUMBER)
    records[7].fields["number"] = 1000
    assert process.asked(lambda: process.db.update(records[7])) == {"put": 1}
    assert process.asked(lambda: process.db.search(_BY_NUMBER)) == {"list": 1}
    assert process.db.search(_BY_NUMBER)[-1] == records[7]


def test_what_a_search_answers_is_the_callers(place: Place) -> None:
    place.open().db.batch_create(
        [
            Record({"a": [at], "b": {"c": [at]}}, id=f"{at:03}", metadata={"m": [at]})
            for at in range(99)
        ]
    )
    db = place.open().db
    db.all()
    for query in (Query(), Query().sort("a"), Query().sort("a").limit(5)):
        for one in db.search(query):
            one.fields["a"].append(0)
            one.fields["b"]["c"].append(0)
            one.metadata["m"].append(0)
        for at, one in enumerate(db.search(query)):
            assert (one.fields, one.own_metadata()) == ({"a": [at], "b": {"c": [at]}}, {"m": [at]})


def test_old_rows_do_not_pile_up_in_memory(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{_OBJECTS}.shelf._LOOSE_BYTES", 0)
    monkeypatch.setattr(f"{_OBJECTS}.searching._MOST_OLD_ROWS", 0)
    process = place.open(snapshot=False)
    store = process.db.store
    assert isinstance(store, ObjectRecords)
    for turn in range(9):
        place.open().db.batch_upsert([Record({"turn": turn}, id=f"{at:03}") for at in range(50)])
        assert {one.fields["turn"] for one in process.db.search(_BY_TURN)} == {turn}
        assert store._shelf.rows <= 100


def test_a_listing_that_did_not_change_is_compared_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.fill(200)
    db = place.open().db
    asked: list[str] = []
    column = Block.column

    def watched(block: Block, name: str) -> bytes:
        asked.append(name)
        return column(block, name)

    expected = [f"{at:04}" for at in range(200)]
    for _ in range(2):
        assert [one.id for one in db.search(_BY_NUMBER)] == expected
    monkeypatch.setattr(Block, "column", watched)
    assert db.count(Query().filter("number", "<", 100)) == 100
    assert ".etag" not in asked
    db.delete("0007")
    assert db.count(Query().filter("number", "<", 100)) == 99
    assert ".etag" in asked
