"""Entities and histories in a file of SQLite: which files are taken, and what they hold."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from holdall.core.errors import (
    Corrupt,
    InvalidConfig,
    NotFound,
    PermissionDenied,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import MARKER, Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.sqlite import SqliteAdapter
from holdall.haystack.stores.entities import KEPT_MICROS, Add, Delete, Note, Put, Update
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.kept import Kept
from holdall.haystack.stores.sqlite import (
    SqliteEntities,
    SqliteHaystackSettings,
    SqliteHistories,
    committing,
)
from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.records.predicate import ALL
from holdall.records.stored import Write

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERY = parse_filter("id")


def opened(path: Path, **settings: Any) -> SqliteEntities:
    settings = {"durable": False, **settings}
    return SqliteEntities(SqliteHaystackSettings(str(path), **settings), BlockingRuntime())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteEntities]:
    made = opened(tmp_path / "a.db")
    yield made
    drive(made.close())


def entity(of: str, **tags: Any) -> dict[str, Any]:
    return {"id": Ref(of), **tags}


def found(store: SqliteEntities, text: str = "id") -> list[str]:
    return [
        str(one.entity["id"]) for one in drive(store.find(parse_filter(text), limit=99)).entities
    ]


def rows(path: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_opening_an_adapter_makes_no_file(tmp_path: Path) -> None:
    SqliteAdapter(tmp_path / "a.db")
    assert not list(tmp_path.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path, store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a"))]))
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()} == {0o600}


def test_closing_leaves_no_log_beside_the_file(tmp_path: Path, store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a"))]))
    drive(store.close())
    assert os.listdir(tmp_path) == ["a.db"]


def test_a_path_may_be_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = opened(Path("a.db"))
    drive(store.connect())
    drive(store.close())
    assert (tmp_path / "a.db").exists()
    assert store.address == "sqlite:///a.db"


@pytest.mark.parametrize(
    "settings",
    [
        {"path": ""},
        {"path": "a\0b"},
        {"path": ":memory:"},
        {"path": "a.db", "timeout": -1.0},
        {"path": "a.db", "timeout": float("nan")},
        {"path": "a.db", "cache": -1},
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig):
        SqliteEntities(SqliteHaystackSettings(**settings), BlockingRuntime())


def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is a letter, and no database" * 100)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="file is not a database"):
        drive(opened(path).connect())
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_refused_and_left_as_it_is(
    tmp_path: Path, store: SqliteEntities
) -> None:
    drive(store.connect())
    drive(store.close())
    rows(tmp_path / "a.db", "UPDATE hs_meta SET format=2")
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(Unsupported, match="use a later version"):
        drive(opened(tmp_path / "a.db").connect())
    assert (tmp_path / "a.db").read_bytes() == before


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE hs_meta (format INTEGER)",
        "CREATE TABLE hs_meta (other INTEGER)",
        "CREATE TABLE hs_has (t INTEGER)",
        "CREATE VIEW hs_entities AS SELECT 1 AS n",
    ],
)
def test_tables_of_others_under_our_names_are_refused(tmp_path: Path, statement: str) -> None:
    rows(tmp_path / "a.db", statement)
    before = (tmp_path / "a.db").read_bytes()
    with pytest.raises(InvalidConfig, match="somebody else's"):
        drive(opened(tmp_path / "a.db").connect())
    assert (tmp_path / "a.db").read_bytes() == before


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "a.db")
    connection.execute("PRAGMA encoding='UTF-16le'")
    connection.execute("CREATE TABLE other (id)")
    connection.close()
    with pytest.raises(InvalidConfig, match="UTF-16le"):
        drive(opened(tmp_path / "a.db").connect())


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no folder .*missing"):
        drive(opened(tmp_path / "missing" / "a.db").connect())


def test_what_may_not_be_written_is_read_and_says_so(
    tmp_path: Path, store: SqliteEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(store.commit([Add(entity("a"))]))
    drive(store.close())
    connect = sqlite3.connect

    def reading(path: str, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(f"file:{path}?mode=ro", uri=True, **options)
        return made

    # Whoever is root writes everywhere.
    monkeypatch.setattr(sqlite3, "connect", reading)
    again = opened(tmp_path / "a.db")
    assert found(again) == ["@a"]
    with pytest.raises(PermissionDenied, match="cannot be written"):
        drive(again.commit([Add(entity("b"))]))
    drive(again.close())


def test_a_damaged_entity_is_an_error(tmp_path: Path, store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a"))]))
    rows(tmp_path / "a.db", "UPDATE hs_bodies SET tags='{\"id\":'")
    with pytest.raises(Corrupt, match="@a"):
        drive(store.get(["a"]))


def test_a_store_that_was_closed_says_so(store: SqliteEntities) -> None:
    drive(store.connect())
    drive(store.close())
    with pytest.raises(Unavailable, match="was closed"):
        drive(store.get(["a"]))


def test_a_store_that_was_closed_may_be_connected_again(store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a"))]))
    drive(store.close())
    drive(store.connect())
    assert found(store) == ["@a"]


def test_closing_one_of_two_stores_of_a_file_leaves_the_other_open(tmp_path: Path) -> None:
    async def both() -> int:
        entities, histories = SqliteAdapter(tmp_path / "a.db", durable=False).stores
        await entities.connect()
        await histories.connect()
        await histories.close()
        number = await entities.commit([Add(entity("a"))])
        await entities.close()
        return number

    assert asyncio.run(both()) == 1


def test_records_and_tables_of_others_live_in_the_same_file(
    tmp_path: Path, store: SqliteEntities
) -> None:
    rows(tmp_path / "a.db", "CREATE TABLE mine (x)")
    records = SqliteRecords(SqliteRecordSettings(str(tmp_path / "a.db")), BlockingRuntime())
    drive(records.put([Write("1", {}, {}, "create")]))
    drive(store.commit([Add(entity("a"))]))
    assert drive(records.count(ALL)) == 1
    drive(records.close())


def test_entities_and_notes_outlive_the_store(tmp_path: Path, store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a", n=Number(1))), Note("x\ud800", b"note")], due=5))
    drive(store.close())
    again = opened(tmp_path / "a.db")
    got = drive(again.get(["a"], ["x\ud800"]))
    assert got.notes[0] is not None
    assert (got.notes[0].value, got.state.due, got.state.number) == (b"note", 5, 1)
    assert found(again, "n == 1") == ["@a"]
    drive(again.close())


def test_tables_hold_nothing_of_what_was_deleted(tmp_path: Path, store: SqliteEntities) -> None:
    tags = {"s": "a", "r": [Ref("x"), Ref("y")], "n": Number(2**70 + 1), "m": Number(1, "kW")}
    drive(store.commit([Add(entity("a", **tags, d={"in": MARKER}))]))
    drive(store.commit([Update("a", {"s": "b", "r": Ref("z"), "n": Number(1)})]))
    drive(store.commit([Delete("a")]))
    tables = ["entities", "bodies", "has", "refs", "values", "numbers", "odd"]
    assert [rows(tmp_path / "a.db", f"SELECT * FROM hs_{one}") for one in tables] == [[]] * 7


def test_removals_are_forgotten_after_a_day(
    store: SqliteEntities, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive(store.commit([Put(entity(of)) for of in "abc"]))
    gone = drive(store.commit([Delete("a")]))
    assert [one.id for one in drive(store.changes(1, limit=9)).changed] == ["a"]
    monkeypatch.setattr(committing, "KEPT_MICROS", -1_000_000)
    drive(store.commit([Put(entity("b"))]))
    assert not drive(store.changes(1, limit=9)).known
    assert [one.id for one in drive(store.changes(gone, limit=9)).changed] == ["b"]


def test_removals_are_known_for_longer_than_the_longest_lease() -> None:
    from holdall.haystack.adapter.watching import LONGEST_LEASE

    assert KEPT_MICROS > LONGEST_LEASE * 1_000_000


def test_a_removal_is_told_when_its_id_came_and_went_since(store: SqliteEntities) -> None:
    drive(store.commit([Add(entity("a"))]))
    drive(store.commit([Delete("a")]))
    drive(store.commit([Add(entity("a")), Delete("a")]))
    told = drive(store.changes(1, limit=9)).changed
    assert [(one.id, one.version, one.entity) for one in told] == [("a", 2, None)]


def test_what_is_kept_ready_stays_within_its_budget(tmp_path: Path) -> None:
    kept = Kept(1000)
    kept.follow("e", 1, lambda _: None)
    for n in range(100):
        kept.put("e", 1, {n: (f"e{n}", None, 90)})  # type: ignore[dict-item]
    assert sum(entry[2] for entry in kept.entries.values()) <= 1000
    assert 99 in kept.entries


def test_a_large_read_leaves_what_is_kept_ready(tmp_path: Path) -> None:
    kept = Kept(1000)
    kept.follow("e", 1, lambda _: None)
    kept.put("e", 1, {0: ("e0", None, 100)})  # type: ignore[dict-item]
    kept.put("e", 1, {n: (f"e{n}", None, 100) for n in range(1, 50)})  # type: ignore[misc]
    assert list(kept.entries) == list(range(10))


def test_what_another_one_wrote_is_not_served_from_memory(
    tmp_path: Path, store: SqliteEntities
) -> None:
    other = opened(tmp_path / "a.db")
    drive(store.commit([Add(entity("a", n=Number(1)))]))
    assert found(store, "n == 1") == ["@a"]
    drive(other.commit([Update("a", {"n": Number(2)})]))
    assert drive(store.get(["a"])).entities[0].entity["n"] == Number(2)  # type: ignore[union-attr]
    drive(other.close())


def test_many_tasks_read_and_write_at_once(tmp_path: Path) -> None:
    async def work(adapter: SqliteAdapter, at: int) -> None:
        await adapter.create(entity(f"e{at:03}", n=Number(at), point=MARKER, kind="Number"))
        samples = Samples(array("q", [1, 2]), array("d", [at, at]))
        await adapter.his_write(f"e{at:03}", samples)
        assert len(await adapter.read(f"n == {at}", 10)) == 1

    async def together() -> tuple[int, int]:
        async with SqliteAdapter(tmp_path / "a.db", durable=False) as adapter:
            await asyncio.gather(*(work(adapter, at) for at in range(200)))
            bounds = await adapter.stores[1].bounds([f"e{at:03}" for at in range(200)])
            return len(await adapter.read("point", 1000)), sum(one is not None for one in bounds)

    assert asyncio.run(together()) == (200, 200)


def test_histories_say_where_they_are_when_they_cannot_be_opened(tmp_path: Path) -> None:
    settings = SqliteHaystackSettings(str(tmp_path / "missing" / "a.db"))
    with pytest.raises(NotFound, match="missing"):
        drive(SqliteHistories(settings, BlockingRuntime()).bounds(["a"]))
