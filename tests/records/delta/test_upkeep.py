"""Upkeep: joining files, deleting old ones, looking for ids that are there twice."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

import holdall
from holdall import Query, Record
from holdall.core.errors import InvalidConfig, PreconditionFailed, Unsupported
from holdall.records import delta
from holdall.records.backends.delta.writing import writer
from records.delta.opening import opened_in, people

_NOW = timedelta(0)
_WRITER = "holdall.records.backends.delta.upkeep.writer"


def _files(folder: Path) -> set[str]:
    return {file.name for file in (folder / "table").glob("*.parquet")}


@pytest.fixture
def grown(tmp_path: Path) -> holdall.Database:
    """A table of four files, one for each record."""
    db = opened_in(tmp_path)
    for record in people(4):
        db.create(record)
    return db


def test_joined_files_hold_the_same_records(grown: holdall.Database, tmp_path: Path) -> None:
    before = grown.all()
    assert delta.compact(grown) == delta.Compacted(4, 1)
    for db in (grown, opened_in(tmp_path)):
        assert db.all() == before
        assert [one.version for one in db.all()] == [one.version for one in before]


def test_joining_is_one_commit(grown: holdall.Database, tmp_path: Path) -> None:
    before = DeltaTable(tmp_path / "table").version()
    delta.compact(grown)
    assert DeltaTable(tmp_path / "table").version() == before + 1
    assert delta.compact(grown) == delta.Compacted(1, 1)
    assert DeltaTable(tmp_path / "table").version() == before + 1


def test_joined_files_keep_fields_as_columns(tmp_path: Path) -> None:
    db = opened_in(tmp_path, typed_from=1)
    for record in people(60):
        db.upsert(record)
    delta.compact(db)
    assert db.all() == people(60)
    assert [one.id for one in db.search(Query().filter("age", "=", 3))] == ["0003", "0053"]


def test_what_others_add_during_a_join_stays(
    grown: holdall.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, plain = opened_in(tmp_path), writer

    def late() -> Any:
        other.create(Record({}, id="late"))
        return plain()

    monkeypatch.setattr(_WRITER, late)
    delta.compact(grown)
    assert grown.all() == [*people(4), Record({}, id="late")]
    assert opened_in(tmp_path).all() == grown.all()


def test_a_join_begins_anew_when_others_changed_its_files(
    grown: holdall.Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, plain, tries = opened_in(tmp_path), writer, []

    def late() -> Any:
        tries.append(1)
        if len(tries) == 1:
            other.upsert(Record({"late": True}, id="0001"))
            other.delete("0002")
        return plain()

    monkeypatch.setattr(_WRITER, late)
    assert delta.compact(grown).after == 1
    assert len(tries) == 2
    changed = [people(4)[0], Record({"late": True}, id="0001"), people(4)[3]]
    for db in (grown, opened_in(tmp_path)):
        assert db.all() == changed
    assert delta.verify(grown) == []


def test_a_join_gives_up_when_others_always_change_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db, other, plain = opened_in(tmp_path, retries=1), opened_in(tmp_path), writer
    db.create(Record({}, id="a"))
    db.create(Record({}, id="b"))

    def late() -> Any:
        other.upsert(Record({}, id="a"))
        return plain()

    monkeypatch.setattr(_WRITER, late)
    with pytest.raises(PreconditionFailed, match="2 times in a row"):
        delta.compact(db)


def test_files_that_no_version_needs_are_deleted(grown: holdall.Database, tmp_path: Path) -> None:
    old = _files(tmp_path)
    delta.compact(grown)
    gone = delta.vacuum(grown, _NOW)
    assert (set(gone.files), gone.deleted) == (old, True)
    assert len(_files(tmp_path)) == 1
    assert grown.all() == people(4)
    grown.create(Record({}, id="after"))
    assert opened_in(tmp_path).count() == 5


def test_files_of_recent_versions_stay(grown: holdall.Database, tmp_path: Path) -> None:
    delta.compact(grown)
    assert delta.vacuum(grown) == delta.Vacuumed((), deleted=False)
    assert opened_in(tmp_path, at_version=1).count() == 2


def test_part_of_an_hour_counts_as_one(grown: holdall.Database, tmp_path: Path) -> None:
    delta.compact(grown)
    assert delta.vacuum(grown, timedelta(minutes=1)).files == ()


def test_a_dry_run_deletes_nothing_and_commits_nothing(
    grown: holdall.Database, tmp_path: Path
) -> None:
    delta.compact(grown)
    files, version = _files(tmp_path), DeltaTable(tmp_path / "table").version()
    found = delta.vacuum(grown, _NOW, dry_run=True)
    assert (len(found.files), found.deleted) == (4, False)
    assert _files(tmp_path) == files
    assert DeltaTable(tmp_path / "table").version() == version


def test_what_a_killed_writer_left_is_deleted(grown: holdall.Database, tmp_path: Path) -> None:
    left = tmp_path / "table" / "part-00000-of-the-dead-c000.snappy.parquet"
    left.write_bytes(b"half")
    assert delta.vacuum(grown).files == ()  # it may still be writing
    assert delta.vacuum(grown, _NOW).files == (left.name,)
    assert not left.exists()
    assert grown.all() == people(4)


def test_a_negative_time_is_refused(grown: holdall.Database) -> None:
    with pytest.raises(InvalidConfig, match="from 0 on"):
        delta.vacuum(grown, timedelta(hours=-1))


def test_ids_that_others_made_twice_are_named(grown: holdall.Database, tmp_path: Path) -> None:
    assert delta.verify(grown) == []
    rows = DeltaTable(tmp_path / "table").to_pyarrow_table().sort_by("id")
    write_deltalake(tmp_path / "table", rows.slice(1, 2), mode="append")
    assert delta.verify(grown) == ["0001", "0002"]


def test_versions_are_named_the_newest_first(grown: holdall.Database, tmp_path: Path) -> None:
    begin = datetime.now(UTC) - timedelta(hours=1)
    delta.compact(grown)
    found = delta.versions(grown)
    assert [one.number for one in found] == [4, 3, 2, 1, 0]
    assert found[0].operation == "OPTIMIZE"
    assert all(begin < one.written <= datetime.now(UTC) + timedelta(hours=1) for one in found)
    assert delta.versions(grown, 2) == found[:2]
    assert opened_in(tmp_path, at_version=found[2].number).all() == people(3)


def test_where_no_table_is_there_is_nothing_to_do(tmp_path: Path) -> None:
    db = opened_in(tmp_path)
    assert delta.compact(db) == delta.Compacted(0, 0)
    assert delta.vacuum(db, _NOW) == delta.Vacuumed((), deleted=False)
    assert delta.verify(db) == []
    assert delta.versions(db) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ask", [delta.compact, delta.vacuum, delta.verify, delta.versions])
def test_another_backend_is_named(ask: Any) -> None:
    with holdall.open_database("memory://") as db, pytest.raises(Unsupported, match="'memory'"):
        ask(db)


@pytest.mark.parametrize("ask", [delta.compact, delta.vacuum])
def test_a_version_of_the_past_is_not_changed(
    grown: holdall.Database, tmp_path: Path, ask: Any
) -> None:
    with pytest.raises(Unsupported, match="of the past"):
        ask(opened_in(tmp_path, at_version=1))


@pytest.mark.parametrize("ask", [delta.compact, delta.vacuum])
def test_a_table_of_another_program_is_not_changed(tmp_path: Path, ask: Any) -> None:
    write_deltalake(tmp_path / "table", pa.table({"id": ["a"]}))
    with pytest.raises(Unsupported, match="another program"):
        ask(opened_in(tmp_path))


def test_the_twins_for_asyncio_do_the_same(grown: holdall.Database, tmp_path: Path) -> None:
    async def upkeep_of(address: str) -> None:
        async with holdall.open_database_async(address) as db:
            assert await delta.compact_async(db) == delta.Compacted(4, 1)
            assert len((await delta.vacuum_async(db, _NOW, dry_run=True)).files) == 4
            assert len((await delta.vacuum_async(db, _NOW)).files) == 4
            assert await delta.verify_async(db) == []
            assert (await delta.versions_async(db, 1))[0].operation == "VACUUM END"
        async with holdall.open_database_async("memory://") as other:
            with pytest.raises(Unsupported, match="'memory'"):
                await delta.verify_async(other)

    asyncio.run(upkeep_of(f"delta+file://{tmp_path}/table"))
    assert grown.all() == people(4)


def test_an_index_is_refused_with_what_to_use_instead(grown: holdall.Database) -> None:
    with pytest.raises(Unsupported, match="typed_from"):
        grown.create_index("age")


def _forget_statistics(folder: Path) -> None:
    """Take from the log what it says of the rows in each file, as writers may leave it out."""
    for commit in (folder / "table" / "_delta_log").glob("*.json"):
        lines = [json.loads(line) for line in commit.read_text().splitlines()]
        for line in lines:
            line.get("add", {}).pop("stats", None)
        commit.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_an_id_is_unique_where_the_log_says_nothing_of_the_files(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(120))
    _forget_statistics(tmp_path)
    db = opened_in(tmp_path)
    with pytest.raises(holdall.errors.AlreadyExists):
        db.create(Record({}, id="0001"))
    db.upsert(Record({"age": 99}, id="0001"))
    assert db.count() == 120
    assert [one.id for one in db.search(Query().filter("age", ">", 50))] == ["0001"]
    assert delta.verify(db) == []


def test_a_table_is_cleared_where_the_log_says_nothing_of_the_files(tmp_path: Path) -> None:
    opened_in(tmp_path).batch_create(people(3))
    _forget_statistics(tmp_path)
    db = opened_in(tmp_path)
    assert db.clear() == 3
    assert db.all() == []
