"""How SQLite searches: with which index, and never by what a name or a value says."""

import re
import sqlite3
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest

from holdall.core.runtime.blocking import drive
from holdall.records.backends.sqlite import SqliteRecords, reading, writing
from holdall.records.predicate import ALL
from holdall.records.query import F, Query
from holdall.records.stored import Found, Removal
from records.sqlite.opening import ids, opened, put

if TYPE_CHECKING:
    from holdall.records.backends.sqlite.connections import Connection

MANY = {f"{number:04}": {"n": number, "t": f"t{number % 50}"} for number in range(500)}


class Recording:
    """A connection that keeps the plans of what it selects from the rows that are not odd."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, args: Sequence[Any] = ()) -> sqlite3.Cursor:
        if "odd=0" in statement:
            steps = self._connection.execute(f"EXPLAIN QUERY PLAN {statement}", args)
            self.plans.append("; ".join(step[3] for step in steps))
        return self._connection.execute(statement, args)


def plan(store: SqliteRecords, query: Query, after: tuple[Any, ...] | None = None) -> str:
    """How SQLite goes about a search; the first statement of it."""
    asked = Found(query.predicate, query.sorts, after, query.skipped, query.maximum)
    with store._connections.one() as connection:
        recording = cast("Connection", Recording(connection))
        reading.searched(recording, store._table, asked)
    return cast("Recording", recording).plans[0]


def plan_of_count(store: SqliteRecords, query: Query) -> str:
    """How SQLite goes about counting."""
    with store._connections.one() as connection:
        recording = cast("Connection", Recording(connection))
        reading.counted(recording, store._table, query.predicate)
    return cast("Recording", recording).plans[0]


def indexed(tmp_path: Path, *fields: str) -> SqliteRecords:
    store = opened(tmp_path / "a.db", durable=False)
    put(store, MANY)
    for field in fields:
        drive(store.index((field,)))
    return store


@pytest.mark.parametrize(
    "query",
    [
        Query().filter("t", "=", "t7"),
        Query().filter("n", "=", 7),
        Query().filter("n", "=", 1),
        Query().filter("t", "in", ["t7", "t8"]),
        Query().filter("n", ">", 490),
        Query().filter("n", "between", [3, 5]),
        Query().filter("t", "startswith", "t4"),
        Query().filter("t", "like", "t4%"),
        Query().filter("t", "=", "t7").filter("n", ">=", 7),
        Query().filter((F("t") == "t7") & ~(F("x") == 1)),
    ],
    ids=lambda query: str(query.predicate)[:60],
)
def test_an_index_serves_a_search(tmp_path: Path, query: Query) -> None:
    store = indexed(tmp_path, "t", "n")
    for steps in (plan(store, query), plan_of_count(store, query)):
        assert "SEARCH r USING INDEX records_at_" in steps
        assert "SCAN r" not in steps


def test_an_index_serves_a_search_among_lists(tmp_path: Path) -> None:
    store = indexed(tmp_path, "t")
    put(store, {"list": {"t": ["x", "t7"]}, "other": {"t": ["x"]}})
    query = Query().filter("t", "=", "t7")
    assert "SCAN r" not in plan(store, query)
    assert len(ids(store, query)) == 11
    assert "list" in ids(store, query)


@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_an_index_serves_a_sort(tmp_path: Path, direction: str) -> None:
    store = indexed(tmp_path, "n")
    query = Query().sort("n", direction).limit(3)
    steps = plan(store, query)
    assert "USING INDEX records_at_" in steps
    assert "FOR ORDER BY" not in steps


def test_an_index_serves_the_next_page(tmp_path: Path) -> None:
    store = indexed(tmp_path, "n")
    query = Query().sort("n").limit(3)
    assert "SEARCH r USING INDEX records_at_" in plan(store, query, (490, "0490"))
    assert ids(store, query, (490, "0490")) == ["0491", "0492", "0493"]


def test_an_index_serves_moments(tmp_path: Path) -> None:
    store = indexed(tmp_path)
    drive(store.index(("metadata", "updated_at")))
    query = Query().sort("metadata.updated_at", "desc").limit(3)
    assert "USING INDEX records_updated" in plan(store, query)


def test_an_index_that_another_store_made_is_seen(tmp_path: Path) -> None:
    store = indexed(tmp_path)
    query = Query().filter("t", "=", "t7")
    assert "SCAN r" in plan(store, query)
    drive(opened(tmp_path / "a.db").index(("t",)))
    assert "SEARCH r" in plan(store, query)


def test_an_index_serves_at_once(tmp_path: Path) -> None:
    store = indexed(tmp_path)
    query = Query().filter("t", "=", "t7")
    assert "SCAN r" in plan(store, query)
    assert len(ids(store, query)) == 10
    drive(store.index(("t",)))
    assert "SEARCH r" in plan(store, query)


def test_an_index_that_is_made_again_changes_nothing(tmp_path: Path) -> None:
    store = indexed(tmp_path, "t", "t", "id", "id")
    with store._connections.one() as connection:
        asked = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'records_at_%'"
        assert connection.execute(asked).fetchone() == (1,)


@pytest.mark.parametrize("path", [("a", "0"), ("$a",), ('a"b',), ("a\\b",), ("a", "zone")])
def test_a_path_that_sqlite_does_not_follow_gets_no_index(
    tmp_path: Path, path: tuple[str, ...]
) -> None:
    store = indexed(tmp_path)
    drive(store.index(path))
    with store._connections.one() as connection:
        asked = "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'records_at_%'"
        assert connection.execute(asked).fetchone() == (0,)


def test_a_zone_is_no_entry_of_a_moment(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    moment = datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=1)))
    put(store, {"1": {"at": moment}, "2": {"at": {"offset": 3600}}})
    assert ids(store, Query().filter("at.offset", "=", 3600)) == ["2"]


def test_a_number_that_sqlite_misreads_is_compared_in_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path / "a.db")
    monkeypatch.setattr(writing, "_misread", lambda numbers: [True] * len(numbers))
    put(store, {"1": {"a": 0.1 + 0.2}, "2": {"a": 1.25}})
    with store._connections.one() as connection:
        odd = connection.execute("SELECT id FROM records WHERE odd").fetchall()
    assert odd == [("1",)]
    assert ids(store, Query().filter("a", "=", 0.1 + 0.2)) == ["1"]
    assert ids(store, Query().sort("a", "desc")) == ["2", "1"]


def test_this_sqlite_reads_long_numbers_as_they_were_written(tmp_path: Path) -> None:
    assert writing._misread([0.1 + 0.2, 1e-7, 123456.123456789]) == [False] * 3


ATTACKS = [
    "'; DROP TABLE records; --",
    "' OR '1'='1",
    "') OR 1=1 --",
    '"; DROP TABLE records; --',
    '") OR 1=1 --',
    '$."a"',
    "$",
    "$[0]",
    "a' || (SELECT version FROM records) || '",
    "?",
    ":a",
    "@a",
    "{}",
    "{0}",
    "%s",
    "a.b",
    "a]",
    "[0]",
    "a\\'",
    "/* */",
    "x\nUNION SELECT 1",
    "json_each",
    "🙂'",
    "e.value",
]


def queries(field: tuple[str, ...], value: Any) -> list[Query]:
    text = str(value)
    return [
        Query().filter(field, "=", value),
        Query().filter(field, "in", [value, "other"]),
        Query().filter(field, ">=", value).filter(field, "<=", value),
        Query().filter(field, "startswith", text),
        Query().filter(field, "endswith", text),
        Query().filter(field, "contains", text),
        Query().filter(field, "regex", re.escape(text)),
        Query().filter(field, "exists").sort(field),
        Query().filter(~(F(field) == "other")).filter(field, "exists").sort(field, "desc"),
    ]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("with_index", [False, True])
def test_names_and_values_are_never_read_as_sql(
    tmp_path: Path, attack: str, with_index: bool
) -> None:
    store = opened(tmp_path / "a.db", durable=False)
    put(store, {attack: {attack: attack, "in": {attack: attack}}, "innocent": {"a": "b"}})
    for field in ((attack,), ("in", attack)):
        if with_index:
            drive(store.index(field))
        for query in queries(field, attack):
            assert ids(store, query) == [attack]
            assert drive(store.count(query.predicate)) == 1
        assert ids(store, Query().sort(field)) == [attack, "innocent"]
    assert ids(store, Query().filter("id", "=", attack)) == [attack]
    assert drive(store.count(ALL)) == 2


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_name_that_no_record_has_finds_nothing(tmp_path: Path, attack: str) -> None:
    store = opened(tmp_path / "a.db", durable=False)
    put(store, {"1": {"a": "b"}})
    for query in queries((attack,), attack):
        assert ids(store, query) == []


@pytest.mark.untraced
def test_a_condition_of_a_thousand_parts_is_answered(tmp_path: Path) -> None:
    store = indexed(tmp_path)
    either = Query().filter("n", "in", list(range(0, 1000, 2)))
    assert len(ids(store, either)) == 250
    node = F("n") == -1
    for number in range(1000):
        node |= F("n") == number
    assert len(ids(store, Query().filter(node))) == 500
    deep = F("n") == 7
    for _ in range(150):
        deep = ~(deep & (F("n") >= 0))
    assert len(ids(store, Query().filter(deep))) == 1


def test_a_limit_with_a_condition_that_python_tests_is_filled(tmp_path: Path) -> None:
    store = indexed(tmp_path)
    query = Query().filter("n", "!=", [1]).filter("t", "=", "t7").offset(2).limit(3)
    assert ids(store, query) == ["0107", "0157", "0207"]


def _kept(tmp_path: Path) -> SqliteRecords:
    """A store whose one connection knows that all of `t` is text, and that no row is odd."""
    store = indexed(tmp_path, "t")
    assert len(ids(store, Query().filter("t", "=", "t7"))) == 10
    return store


LATER: dict[str, dict[str, Any]] = {"list": {"t": ["t7"]}, "odd": {"t": ["t7", 2**60]}}


@pytest.mark.parametrize("id_", LATER)
@pytest.mark.parametrize("other", [False, True])
def test_what_was_known_of_the_rows_is_forgotten_when_they_change(
    tmp_path: Path, id_: str, other: bool
) -> None:
    store = _kept(tmp_path)
    put(opened(tmp_path / "a.db") if other else store, {id_: LATER[id_]})
    assert id_ in ids(store, Query().filter("t", "=", "t7"))
    assert drive(store.count(F("t") == "t7")) == 11


@pytest.mark.parametrize("id_", LATER)
def test_what_a_transaction_knows_is_forgotten_when_it_is_undone(tmp_path: Path, id_: str) -> None:
    store = _kept(tmp_path)
    put(store, {id_: LATER[id_]})
    transaction = drive(store.begin())
    drive(transaction.delete([Removal(id_)]))
    assert len(ids(transaction, Query().filter("t", "=", "t7"))) == 10
    drive(transaction.rollback())
    assert id_ in ids(store, Query().filter("t", "=", "t7"))


def test_what_was_known_of_the_rows_is_not_used_in_a_transaction(tmp_path: Path) -> None:
    store = _kept(tmp_path)
    transaction = drive(store.begin())
    put(transaction, {"list": {"t": ["t7"]}})
    assert "list" in ids(transaction, Query().filter("t", "=", "t7"))
    drive(transaction.rollback())
    assert "list" not in ids(store, Query().filter("t", "=", "t7"))
