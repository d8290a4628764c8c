"""Migrations between databases that work, through both faces."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdall.core.errors import (
    AlreadyExists,
    InvalidConfig,
    InvalidKey,
    InvalidQuery,
    PartialFailure,
)
from holdall.records.migration import migrate, migrate_async
from holdall.records.opening import open_database, open_database_async
from holdall.records.query import F, Query
from holdall.records.record import Record
from holdall.testing.records.generated import fields, ids
from holdall.testing.records.samples import IDS, VALUES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from holdall.records.database import Database
    from holdall.records.migration_results import MigrationReport

rows = st.dictionaries(ids, fields, max_size=6)


def database(records: Iterable[Record] = ()) -> Database:
    db = open_database("memory://")
    db.batch_create(records)
    return db


def numbered(count: int) -> Database:
    return database(Record({"number": at}, f"{at:04}") for at in range(count))


def counts(report: MigrationReport) -> dict[str, int]:
    """What is not 0 in a report."""
    given = {name: getattr(report, name) for name in report.__struct_fields__}
    numbers = {name: len(one) if type(one) is list else one for name, one in given.items()}
    return {name: number for name, number in numbers.items() if number}


def shown(db: Database) -> list[dict[str, Any]]:
    own = ("created_at", "updated_at")
    whole = []
    for record in db.all():
        given = record.to_dict()
        given["metadata"] = {k: v for k, v in given["metadata"].items() if k not in own}
        whole.append({**given, "version": None})
    return whole


def test_every_record_is_moved_with_its_metadata() -> None:
    source = database(
        [Record({"value": value}, id_, {"kind": id_}) for id_, value in VALUES.items()]
    )
    target = database()
    report = migrate(source, target, batch=7)
    assert counts(report) == {"read": len(VALUES), "written": len(VALUES)}
    assert repr(shown(target)) == repr(shown(source))


def test_every_id_is_moved() -> None:
    source, target = database(Record({}, id_) for id_ in IDS.values()), database()
    migrate(source, target, batch=2)
    assert [one.id for one in target.all()] == sorted(IDS.values())


def test_an_async_migration_does_the_same() -> None:
    async def fact() -> dict[str, int]:
        source, target = open_database_async("memory://"), open_database_async("memory://")
        await source.batch_create([Record({"n": at}, str(at)) for at in range(25)])
        report = await migrate_async(source, target, batch=4, workers=3, delete_source=True)
        assert await target.count() == 25
        assert await source.count() == 0
        return counts(report)

    assert asyncio.run(fact()) == {"read": 25, "written": 25, "deleted": 25}


@pytest.mark.parametrize("workers", [1, 4])
def test_a_migration_between_files_moves_all(tmp_path: Path, workers: int) -> None:
    with (
        open_database(f"sqlite:///{tmp_path}/a.db") as source,
        open_database(f"sqlite:///{tmp_path}/b.db") as target,
    ):
        source.batch_create(Record({"n": at}, f"{at:03}") for at in range(100))
        report = migrate(source, target, batch=9, workers=workers, delete_source=True)
        assert counts(report) == {"read": 100, "written": 100, "deleted": 100}
        assert [one.fields["n"] for one in target.all()] == list(range(100))
        assert source.count() == 0


def test_only_what_the_query_means_is_moved() -> None:
    source, target = numbered(10), database()
    report = migrate(source, target, Query().filter(F("number") >= 7), delete_source=True)
    assert report.written == 3
    assert [one.fields["number"] for one in target.all()] == [7, 8, 9]
    assert source.count() == 7


@pytest.mark.parametrize(
    "query",
    [
        Query().sort("number"),
        Query().limit(5),
        Query().offset(1),
        Query().select("number"),
        Query().distinct("number"),
    ],
    ids=["sort", "limit", "offset", "select", "distinct"],
)
def test_a_query_that_says_more_than_which_records_is_refused(query: Query) -> None:
    with pytest.raises(InvalidQuery):
        migrate(numbered(1), database(), query)


# Conflicts


def test_a_second_run_writes_nothing() -> None:
    source, target = numbered(10), database()
    migrate(source, target)
    before = [one.version for one in target.all()]
    for mode in ("skip", "replace", "fail"):
        assert counts(migrate(source, target, on_conflict=mode)) == {"read": 10, "same": 10}
    assert [one.version for one in target.all()] == before


def test_skip_keeps_what_the_target_has() -> None:
    source, target = numbered(3), database([Record({"number": "mine"}, "0001")])
    report = migrate(source, target, delete_source=True)
    assert counts(report) == {"read": 3, "written": 2, "skipped": 1, "deleted": 2}
    assert [one.fields["number"] for one in target.all()] == [0, "mine", 2]
    assert [one.id for one in source.all()] == ["0001"]


def test_replace_writes_over_it() -> None:
    source, target = numbered(3), database([Record({"number": "mine"}, "0001")])
    report = migrate(source, target, on_conflict="replace", delete_source=True)
    assert counts(report) == {"read": 3, "written": 2, "replaced": 1, "deleted": 3}
    assert [one.fields["number"] for one in target.all()] == [0, 1, 2]


def test_fail_keeps_it_and_says_so() -> None:
    source, target = numbered(3), database([Record({"number": "mine"}, "0001")])
    report = migrate(source, target, on_conflict="fail", delete_source=True)
    assert counts(report) == {"read": 3, "written": 2, "failed": 1, "deleted": 2}
    assert report.failed[0].id == "0001"
    assert isinstance(report.failed[0].error, AlreadyExists)
    assert not report.ok
    assert target.read("0001").fields == {"number": "mine"}  # type: ignore[union-attr]


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), (0.0, -0.0), (b"a", "a"), (1, True)])
def test_what_differs_in_type_alone_is_not_the_same(one: Any, other: Any) -> None:
    source, target = database([Record({"x": one}, "a")]), database([Record({"x": other}, "a")])
    assert counts(migrate(source, target, on_conflict="replace")) == {"read": 1, "replaced": 1}
    assert repr(target.read("a").fields["x"]) == repr(one)  # type: ignore[union-attr]


def test_metadata_that_differs_is_not_the_same() -> None:
    source = database([Record({}, "a", {"owner": "x"})])
    target = database([Record({}, "a", {"owner": "y"})])
    assert counts(migrate(source, target)) == {"read": 1, "skipped": 1}


def test_nan_is_the_same_as_nan() -> None:
    source = database([Record({"x": float("nan")}, "a")])
    target = database([Record({"x": float("nan")}, "a")])
    assert counts(migrate(source, target)) == {"read": 1, "same": 1}


@given(rows, rows, st.sampled_from(["skip", "replace", "fail"]), st.booleans(), st.integers(1, 4))
def test_no_record_is_lost_or_doubled(
    given_: dict[str, Any], held: dict[str, Any], mode: Any, delete: bool, batch: int
) -> None:
    source = database(Record(row, id_) for id_, row in given_.items())
    target = database(Record(row, id_) for id_, row in held.items())
    report = migrate(source, target, on_conflict=mode, delete_source=delete, batch=batch)
    counted = counts(report)
    kept = counted.pop("deleted", 0)
    assert counted.pop("read", 0) == len(given_) == sum(counted.values())
    assert source.count() == len(given_) - kept
    assert {one.id for one in target.all()} == given_.keys() | held.keys()
    for id_, row in given_.items():
        ours = repr(Record(row, id_))
        places = [repr(db.read(id_)) for db in (source, target)]
        assert ours in places
        assert mode != "replace" or places[1] == ours


# Transforming


def test_transform_changes_and_leaves_out_records() -> None:
    def even(record: Record) -> Record | None:
        if record.fields["number"] % 2:
            return None
        record.fields["half"] = record.fields.pop("number") // 2
        return record

    source, target = numbered(4), database()
    report = migrate(source, target, transform=even, delete_source=True)
    assert counts(report) == {"read": 4, "written": 2, "left_out": 2, "deleted": 2}
    assert [one.fields for one in target.all()] == [{"half": 0}, {"half": 1}]
    assert [one.fields for one in source.all()] == [{"number": 1}, {"number": 3}]


def test_transform_sees_when_a_record_was_created() -> None:
    def dated(record: Record) -> Record:
        record.fields["born"] = record.metadata["created_at"]
        return record

    source, target = numbered(1), database()
    migrate(source, target, transform=dated)
    assert target.all()[0].fields["born"] == source.all()[0].metadata["created_at"]


def test_a_new_record_without_an_id_keeps_the_one_it_had() -> None:
    source, target = numbered(3), database()
    for _ in range(2):
        migrate(source, target, transform=lambda one: Record({"n": one.fields["number"]}))
    assert [one.id for one in target.all()] == ["0000", "0001", "0002"]


def test_transform_may_give_new_ids() -> None:
    source, target = numbered(3), database()
    for _ in range(2):
        migrate(source, target, transform=lambda one: Record(one.fields, f"new/{one.id}"))
    assert [one.id for one in target.all()] == ["new/0000", "new/0001", "new/0002"]


def test_new_ids_are_refused_where_they_could_replace() -> None:
    source, target = numbered(3), database()
    report = migrate(
        source, target, on_conflict="replace", transform=lambda one: Record(one.fields, "same")
    )
    assert counts(report) == {"read": 3, "failed": 3}
    assert isinstance(report.failed[0].error, InvalidKey)


@pytest.mark.parametrize("batch", [1, 5])
def test_two_records_never_become_one(batch: int) -> None:
    source, target = numbered(3), database()
    report = migrate(
        source,
        target,
        on_conflict="fail",
        transform=lambda one: Record(one.fields, "same"),
        delete_source=True,
        batch=batch,
    )
    assert counts(report) == {"read": 3, "written": 1, "failed": 2, "deleted": 1}
    assert source.count() + target.count() == 3


def test_a_record_that_transform_does_not_expect_fails_alone() -> None:
    source, target = numbered(2), database()
    source.create(Record({}, "0000-odd"))
    report = migrate(
        source,
        target,
        transform=lambda one: Record({"n": one.fields["number"]}),
        delete_source=True,
    )
    assert counts(report) == {"read": 3, "written": 2, "failed": 1, "deleted": 2}
    assert isinstance(report.failed[0].error.__cause__, KeyError)
    assert [one.id for one in source.all()] == ["0000-odd"]


def test_transform_changes_nothing_in_the_source() -> None:
    def spoil(record: Record) -> None:
        record.fields["list"].append(2)

    source, target = database([Record({"list": [1]}, "a")]), database()
    migrate(source, target, transform=spoil)
    assert source.read("a").fields == {"list": [1]}  # type: ignore[union-attr]


# Refusals and progress


def test_one_database_twice_is_refused() -> None:
    source, target = open_database("memory://one-twice"), open_database("memory://one-twice")
    with pytest.raises(InvalidConfig, match="same database"):
        migrate(source, target)
    with pytest.raises(InvalidConfig, match="same database"):
        migrate(source, source)


def test_one_file_by_two_names_loses_nothing(tmp_path: Path) -> None:
    with open_database(f"sqlite:///{tmp_path}/a.db") as source:
        source.batch_create(Record({"n": at}, f"{at}") for at in range(5))
        (tmp_path / "link").symlink_to(tmp_path)
        with open_database(f"sqlite:///{tmp_path}/link/a.db") as target:
            with pytest.raises(InvalidConfig, match="same database"):
                migrate(source, target, delete_source=True)
            with pytest.raises(InvalidConfig, match="same database"):
                migrate(source, target, transform=lambda one: Record(one.fields, f"x{one.id}"))
        assert source.count() == 5


def test_what_is_not_verified_is_not_deleted() -> None:
    with pytest.raises(ValueError, match="verify"):
        migrate(numbered(1), database(), delete_source=True, verify=False)


def test_without_verifying_nothing_is_read_back() -> None:
    source, target = numbered(10), database()
    assert migrate(source, target, verify=False).written == 10


@pytest.mark.parametrize("setting", [{"batch": 0}, {"workers": 0}, {"on_conflict": "ignore"}])
def test_settings_that_cannot_be_are_refused(setting: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        migrate(numbered(1), database(), **setting)


def test_progress_counts_to_the_total() -> None:
    told: list[tuple[int, int | None]] = []
    migrate(
        numbered(25),
        database(),
        batch=10,
        progress=lambda *counted: told.append(counted),
        workers=3,
    )
    assert told == [(10, 25), (20, 25), (25, 25)]


def test_an_empty_database_makes_an_empty_report() -> None:
    assert counts(migrate(database(), numbered(3), delete_source=True)) == {}


def test_many_records_that_cannot_be_do_not_stop_the_others() -> None:
    def refuse(record: Record) -> Record:
        if record.fields["number"] < 50:
            raise ValueError("too old")
        return record

    source, target = numbered(60), database()
    report = migrate(source, target, transform=refuse, batch=10)
    assert counts(report) == {"read": 60, "written": 10, "failed": 50}
    with pytest.raises(PartialFailure, match="50 of 60 records were not migrated"):
        report.check()


def test_a_report_without_failures_passes_its_check() -> None:
    migrate(numbered(3), database()).check()
