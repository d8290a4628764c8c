"""What is special to a database in PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from holdall.core.errors import (
    AlreadyExists,
    Corrupt,
    PreconditionFailed,
    Timeout,
    Unavailable,
    Unsupported,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.memory import MemoryRecords, MemoryRecordSettings
from holdall.records.backends.postgres import searching, writing
from holdall.records.backends.postgres.rows import Entry, blocks
from holdall.records.backends.postgres.steps import Ask as Step
from holdall.records.database import Database
from holdall.records.query import F, Query, Sort
from holdall.records.record import Record
from holdall.records.results import BatchFailed
from holdall.records.stored import Found
from records.postgres.conftest import Open

Ask = Callable[[str], list[tuple[Any, ...]]]

INJECTIONS = [
    "'; DROP TABLE records; --",
    '"; DROP TABLE records; --',
    "$1",
    "$$; SELECT 1; $$",
    "{}'::text[] OR true --",
    "\\'; --",
    "%s %(x)s",
    "a' OR 'a'='a",
    "/* */",
    "\n;",
]


def numbered(number: int) -> list[Record]:
    return [Record({"number": at, "name": f"n{at:04}"}, id=f"{at:04}") for at in range(number)]


def planned(db: Database, query: Query, ask: Callable[[str, Any], list[Any]]) -> str:
    """How PostgreSQL finds what a query means."""
    found = Found(query.predicate, query.sorts, None, 0, query.maximum)
    step = next(searching.find(db.store._table.sql, found))  # type: ignore[attr-defined]
    assert isinstance(step, Step)
    return "\n".join(row[0] for row in ask(f"EXPLAIN {step.sql}", step.values))


@pytest.fixture
def explain(options: dict[str, Any]) -> Callable[[Database, Query], str]:
    """Says how a query is found when no table is small."""
    import psycopg
    from psycopg import RawCursor
    from psycopg.types.string import StrDumper

    def explained(db: Database, query: Query) -> str:
        with psycopg.connect(
            host=options["host"],
            port=options["port"],
            dbname=options["database"],
            user=options["user"],
            cursor_factory=RawCursor,
        ) as connection:
            connection.adapters.register_dumper(str, StrDumper)
            connection.execute(b"SET enable_seqscan = off")
            return planned(
                db, query, lambda sql, values: connection.execute(sql.encode(), values).fetchall()
            )

    return explained


@pytest.mark.parametrize("text", INJECTIONS)
def test_what_looks_like_sql_is_only_text(db: Database, text: str) -> None:
    db.create(Record({text: text, "in": {text: [text]}}, id=text, metadata={text: text}))
    db.create(Record({"other": 1}, id="other"))
    for path in ((text,), ("in", text)):
        drive(db.store.index(path))
    for path in ((text,), ("in", text), ("metadata", text), ("id",)):
        for op in ("=", "contains", "between", "startswith", "in"):
            value = {"in": [text], "between": [text, text]}.get(op, text)
            query = Query().filter(path, op, value).sort(path).limit(5)
            assert [record.id for record in db.search(query)] == [text]
    assert db.count() == 2


@pytest.mark.parametrize("name", INJECTIONS)
def test_a_table_may_have_any_name(open_db: Open, name: str) -> None:
    db = open_db(table=name)
    db.batch_create(numbered(30))
    db.create_index("number")
    assert db.count(Query().filter("number", "<", 3)) == 3
    assert db.clear() == 30


def test_equal_values_are_found_by_the_index_of_data(
    db: Database, explain: Callable[[Database, Query], str]
) -> None:
    db.batch_create(numbered(30))
    plan = explain(db, Query().filter("name", "=", "n0003"))
    assert "Index Cond: (data @>" in plan
    assert "Seq Scan" not in plan


def test_ids_are_in_no_index_but_their_own(
    db: Database, ask: Ask, explain: Callable[[Database, Query], str]
) -> None:
    given = [Record({"id": f"{at:04}", "number": at}) for at in range(30)]
    db.batch_create(given)
    assert ask("SELECT count(*) FROM TABLE_ WHERE data ? 'id' OR NOT data ? 'number'") == [(0,)]
    assert db.all() == given
    assert "pkey" in explain(db, Query().filter("id", "=", "0003"))


def test_a_table_whose_data_has_ids_is_used_as_it_is(db: Database, ask: Ask) -> None:
    ask(
        """CREATE TABLE TABLE_ (
            id text COLLATE "C" PRIMARY KEY, fields json NOT NULL, metadata json NOT NULL,
            created timestamptz NOT NULL, updated timestamptz NOT NULL, version text NOT NULL,
            odd smallint NOT NULL, data jsonb GENERATED ALWAYS AS (fields::jsonb) STORED
        )"""
    )
    db.batch_create([Record({"id": "a"}), Record({"number": 1}, id="b")])
    assert ask("SELECT count(*) FROM TABLE_ WHERE data ? 'id'") == [(1,)]
    for path in ("id", ".id"):
        assert [one.id for one in db.search(Query().filter(path, "=", "a"))] == ["a"]
    assert [one.id for one in db.search(Query().filter(".id", "missing"))] == ["b"]


def test_a_range_is_found_by_the_index_of_its_path(
    db: Database, explain: Callable[[Database, Query], str]
) -> None:
    db.batch_create(numbered(30))
    db.create_index("number", "name")
    for query in (Query().filter("number", ">", 27), Query().filter("name", ">", "n0027")):
        plan = explain(db, query)
        assert "_by_" in plan
        assert "Index Cond: (CASE jsonb_typeof" in plan or "Index Cond: ((CASE" in plan


def test_a_sort_goes_along_the_index_of_its_path(
    db: Database, explain: Callable[[Database, Query], str]
) -> None:
    db.batch_create(numbered(3000))
    db.create_index("number")
    plan = explain(db, Query().sort("number").limit(3))
    assert "Incremental Sort" in plan
    assert "_by_number" in plan


def test_paths_that_read_alike_have_indexes_of_their_own(db: Database, ask: Ask) -> None:
    db.create_index("data", "a.b", r"a\.b", "a_b", "a.b")
    rows = ask("SELECT 1 FROM pg_index WHERE indrelid = 'TABLE_'::regclass")
    assert len(rows) == 3 + 4


def test_long_texts_can_be_written_where_there_is_an_index(db: Database) -> None:
    db.create_index("text")
    # What cannot be compressed is what would not fit.
    long = "".join(chr(0x4E00 + at * 7919 % 20000) for at in range(5000))
    records = [Record({"text": long + last}, id=last) for last in "bca"]
    db.batch_create(records)
    found = db.search(Query().filter("text", ">", long + "a").sort("text"))
    assert [record.id for record in found] == ["b", "c"]


def test_a_large_batch_is_undone_when_one_is_there(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_WHOLE", 30)
    monkeypatch.setattr(writing, "_COPIED", 3000)
    db.create(Record({"number": -1}, id="0099"))
    with pytest.raises(BatchFailed) as caught:
        db.batch_create(numbered(100))
    assert isinstance(caught.value.results[99], AlreadyExists)
    assert db.count() == 1


def test_a_batch_of_many_copies_is_read_back(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "_WHOLE", 30)
    monkeypatch.setattr(writing, "_COPIED", 3000)
    made: list[float] = []

    def counted(entries: Iterator[Entry], now: datetime, most: float) -> Iterator[bytes]:
        made.append(most)
        return blocks(entries, now, most)

    monkeypatch.setattr(writing, "blocks", counted)
    given = numbered(100)
    given[7].fields["text"] = 'tab\t, line\n, \\N, \\., "quote", \u00fc'
    given[8].metadata["owner"] = "me"
    db.batch_create(given)
    assert db.all() == given
    assert made == [3000] * len(made)
    assert len(made) > 3


def test_batches_that_meet_wait_for_each_other(open_db: Open) -> None:
    stores = [open_db() for _ in range(4)]
    stores[0].batch_create(numbered(40)[::2])
    together = threading.Barrier(len(stores))

    def write(at: int) -> None:
        together.wait()
        for turn in range(5):
            records = numbered(40)
            stores[at].batch_upsert(records[:: -1 if (at + turn) % 2 else 1])

    with ThreadPoolExecutor(len(stores)) as pool:
        for done in [pool.submit(write, at) for at in range(len(stores))]:
            done.result()
    assert stores[0].count() == 40


def test_one_of_two_transactions_that_met_is_refused(open_db: Open) -> None:
    db, other = open_db(), open_db()
    db.batch_create(numbered(2))

    def move() -> None:
        with other.transaction() as second:
            assert second.count(Query().filter("number", "=", 5)) == 0
            second.update("0001", Record({"number": 5}))

    # Each looks at what the other one changes.
    def cross() -> None:
        with db.transaction() as first:
            assert first.count(Query().filter("number", "=", 5)) == 0
            move()
            first.update("0000", Record({"number": 5}))

    with pytest.raises(PreconditionFailed) as caught:
        cross()
    assert caught.value.transient
    assert db.count(Query().filter("number", "=", 5)) == 1


def test_a_transaction_goes_on_after_a_refused_write(db: Database) -> None:
    db.create(Record({}, id="a"))
    with db.transaction() as inside:
        with pytest.raises(AlreadyExists):
            inside.create(Record({}, id="a"))
        with pytest.raises(BatchFailed):
            inside.batch_create([*numbered(30), Record({}, id="a")])
        inside.batch_create(numbered(30))
    assert db.count() == 31


def test_a_transaction_that_has_ended_is_told(db: Database) -> None:
    begun = drive(db.store.begin())
    drive(begun.commit())
    drive(begun.rollback())
    with pytest.raises(Unsupported, match="has ended"):
        drive(begun.clear())


def test_a_transaction_holds_no_other_one(db: Database) -> None:
    with db.transaction() as inside, pytest.raises(Unsupported):
        inside.transaction().__enter__()


def test_a_statement_that_takes_too_long_names_the_setting(open_db: Open) -> None:
    db = open_db()
    db.create(Record({}, id="a"))
    hurried = open_db(timeout=timedelta(milliseconds=200))
    with db.transaction() as inside:
        inside.patch("a", {"x": 1})
        with pytest.raises(Timeout, match="'timeout'") as caught:
            hurried.delete("a")
    assert caught.value.transient
    assert db.exists("a")


def test_a_write_whose_connection_broke_off_may_have_been_done(open_db: Open, ask: Ask) -> None:
    db, other = open_db(), open_db()
    db.create(Record({}, id="a"))

    def end_who_waits() -> None:
        waiting = "FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%TABLE_%'"
        while not ask(f"SELECT pg_terminate_backend(pid) {waiting} AND pid <> pg_backend_pid()"):
            pass

    with db.transaction() as inside, ThreadPoolExecutor(1) as pool:
        inside.patch("a", {"x": 1})
        ended = pool.submit(end_who_waits)
        with pytest.raises(Unavailable, match="may have been applied") as caught:
            other.upsert(Record({}, id="a"))
        ended.result()
    assert caught.value.uncertain
    assert not caught.value.transient
    assert other.exists("a")


def test_an_idle_connection_that_the_server_ended_is_not_used(db: Database, ask: Ask) -> None:
    db.create(Record({}, id="a"))
    ask(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        "WHERE application_name = 'holdall' AND query LIKE '%TABLE_%'"
    )
    assert db.exists("a")


def test_what_another_program_wrote_into_the_fields_is_found(db: Database, ask: Ask) -> None:
    db.create(Record({"x": 1}, id="a"))
    ask("""UPDATE TABLE_ SET fields = '{"x": 2}'""")
    assert [record.fields for record in db.search(Query().filter("x", "=", 2))] == [{"x": 2}]


def test_a_row_that_is_no_record_is_told(db: Database, ask: Ask) -> None:
    db.batch_create(numbered(2))
    ask("""UPDATE TABLE_ SET fields = '{"number": {"$int": "none"}}' WHERE id = '0000'""")
    with pytest.raises(Corrupt, match="0000"):
        db.all()
    with pytest.raises(BatchFailed) as caught:
        db.batch_read(["0000", "0001"])
    assert isinstance(caught.value.results[0], Corrupt)
    assert caught.value.results[1] is not None
    assert db.read("0001") is not None


@pytest.mark.parametrize(
    ("values", "degree"),
    [
        ({"x": 1}, 0),
        ({"x": Decimal(1)}, 1),
        ({"x": [float("nan")]}, 1),
        ({"x": {"$y": 1}}, 2),
        ({"$x": 1}, 1),
    ],
)
def test_a_row_says_how_much_of_it_is_compared_there(
    db: Database, ask: Ask, values: dict[str, Any], degree: int
) -> None:
    db.create(Record(values, id="a"))
    assert ask("SELECT odd FROM TABLE_") == [(degree,)]


def test_odd_rows_that_are_many_come_through_a_cursor(db: Database) -> None:
    odd = [Record({"price": Decimal(at)}, id=f"{at:04}") for at in range(searching.MOST_JUDGED + 5)]
    db.batch_create(odd)
    query = Query().filter(F("price") < 10).sort("price", "desc")
    assert [record.id for record in db.search(query.limit(2))] == ["0009", "0008"]
    assert db.count(query) == 10


def test_a_transaction_may_search_after_a_search_that_failed(db: Database, ask: Ask) -> None:
    odd = [Record({"price": Decimal(at)}, id=f"{at:04}") for at in range(searching.MOST_JUDGED + 5)]
    db.batch_create(odd)
    ask("""UPDATE TABLE_ SET fields = '{"price": {"$int": "none"}}' WHERE id = '0003'""")
    query = Query().filter(F("price") < 10)
    with db.transaction() as inside:
        with pytest.raises(Corrupt):
            inside.search(query)
        inside.delete("0003")
        assert inside.count(query) == 9


def test_values_may_be_looked_for_among_many(db: Database) -> None:
    db.batch_create(numbered(30))
    db.create(Record({"number": [3, True]}, id="list"))
    mixed = [*range(3, 20_000), True, None, "n0001", b"x", 0.5]
    found = db.search(Query().filter("number", "in", mixed))
    assert [record.id for record in found] == [*(f"{at:04}" for at in range(3, 30)), "list"]
    assert db.count(Query().filter("name", "not in", [f"n{at:04}" for at in range(20)])) == 10


def test_a_limit_may_be_beyond_all_numbers_of_rows(db: Database) -> None:
    db.batch_create(numbered(3))
    for query in (Query(), Query().sort("number"), Query().filter("name", ">", "n0001")):
        assert db.search(query.offset(10**30)) == []
        assert len(db.search(query.limit(10**30))) == db.count(query)


@pytest.mark.parametrize("version", ["a\0", "a\ud800", "' OR true --"])
def test_a_version_that_cannot_be_is_no_version_of_a_record(db: Database, version: str) -> None:
    db.create(Record({"x": 1}, id="a"))
    record = Record({"x": 2}, id="a")
    record.version = version
    for write in (db.update, db.upsert):
        with pytest.raises(PreconditionFailed):
            write(record)
    with pytest.raises(PreconditionFailed):
        db.delete("a", version=version)
    assert db.count(Query().filter("x", "=", 1)) == 1


@pytest.mark.parametrize("last", ["a\0", "a\ud800", "b"])
def test_a_page_may_begin_after_any_text(db: Database, last: str) -> None:
    db.batch_create([Record({}, id=id_) for id_ in "abc"])
    by_created = (Sort(("metadata", "created_at")),)
    for sorts, after in (((), (last,)), ((Sort(("id",)),), (last, last)), (by_created, (5, last))):
        found = Found(sorts=sorts, after=after)
        beside = MemoryRecords.open(MemoryRecordSettings(), BlockingRuntime())
        model = Database(beside)
        model.batch_create([Record({}, id=id_) for id_ in "abc"])
        expected = [row.id for row in drive(beside.find(found))]
        assert [row.id for row in drive(db.store.find(found))] == expected


def test_a_moment_hides_what_it_is_written_with(db: Database) -> None:
    from datetime import UTC, datetime, timezone

    moment = datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    db.create(Record({"x": moment}, id="a"))
    db.create(Record({"x": {"offset": 3600, "zone": "here"}}, id="b"))
    db.create(Record({"x": moment.astimezone(UTC)}, id="c"))
    found = db.search(Query().filter("x.offset", "=", 3600))
    assert [record.id for record in found] == ["b"]
    assert db.count(Query().filter("x.offset", "missing")) == 2
    assert db.count(Query().filter("x", "=", moment)) == 2
