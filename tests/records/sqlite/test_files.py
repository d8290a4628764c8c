"""Which files and tables are taken, and which are refused and left as they are."""

import os
import sqlite3
import stat
from pathlib import Path

import pytest

from holdall.core.errors import (
    Corrupt,
    InvalidConfig,
    LimitExceeded,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.records.backends.sqlite.faults import translate
from holdall.records.predicate import ALL
from holdall.records.query import F, Query
from holdall.records.registry import open_records
from holdall.records.stored import Stored
from records.sqlite.opening import ids, opened, put


def test_opening_makes_no_file(tmp_path: Path) -> None:
    drive(opened(tmp_path / "a.db").close())
    assert not list(tmp_path.iterdir())


def test_a_new_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    put(opened(tmp_path / "a.db"), {"1": {}})
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {0o600}


def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    path.write_bytes(b"this is a letter, and no database" * 100)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="file is not a database"):
        put(opened(path), {"1": {}})
    assert path.read_bytes() == before


REST = "data TEXT, metadata TEXT, created INTEGER, updated INTEGER, version TEXT, odd INTEGER"


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE records (id TEXT PRIMARY KEY, name TEXT)",
        f"CREATE TABLE Records (id INTEGER PRIMARY KEY, {REST})",
        f"CREATE TABLE records (id TEXT, {REST})",
        "CREATE VIEW records AS SELECT 1 AS id",
    ],
)
def test_a_table_with_other_columns_is_refused_and_left_as_it_is(
    tmp_path: Path, statement: str
) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute(statement)
    connection.close()
    before = path.read_bytes()
    with pytest.raises(InvalidConfig, match="other columns"):
        put(opened(path), {"1": {}})
    assert path.read_bytes() == before


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "a.db") as connection:
        connection.execute("PRAGMA encoding='UTF-16le'")
        connection.execute("CREATE TABLE other (id)")
    connection.close()
    with pytest.raises(InvalidConfig, match="UTF-16le"):
        put(opened(tmp_path / "a.db"), {"1": {}})


def test_other_tables_of_the_file_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version=7")
        connection.execute("CREATE TABLE other (id)")
        connection.execute("INSERT INTO other VALUES (1)")
    one, two = opened(path), opened(path, table="more")
    put(one, {"1": {}})
    put(two, {"2": {}, "3": {}})
    drive(one.clear())
    assert ids(two, Query()) == ["2", "3"]
    assert connection.execute("SELECT id FROM other").fetchall() == [(1,)]
    assert connection.execute("PRAGMA user_version").fetchall() == [(7,)]
    connection.close()


def test_a_table_may_be_called_as_a_word_of_sql(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", table="SELECT")
    put(store, {"1": {"a": 1}})
    drive(store.index(("a",)))
    assert ids(store, Query().filter("a", "=", 1)) == ["1"]


@pytest.mark.parametrize(
    "settings",
    [
        {"path": ""},
        {"path": "a\0b"},
        {"path": ":memory:"},
        {"path": "a.db", "table": ""},
        {"path": "a.db", "table": "1a"},
        {"path": "a.db", "table": "sqlite_x"},
        {"path": "a.db", "table": 'x"; DROP TABLE y; --'},
        {"path": "a.db", "table": "x" * 64},
        {"path": "a.db", "timeout": -1.0},
        {"path": "a.db", "timeout": float("nan")},
    ],
)
def test_a_setting_that_cannot_be_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(InvalidConfig):
        SqliteRecords.open(SqliteRecordSettings(**settings), BlockingRuntime())  # type: ignore[arg-type]


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no folder .*missing"):
        put(opened(tmp_path / "missing" / "a.db"), {"1": {}})
    assert not list(tmp_path.iterdir())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="is a folder"):
        put(opened(tmp_path), {"1": {}})


def test_what_cannot_be_written_says_so(tmp_path: Path) -> None:
    put(opened(tmp_path / "a.db"), {"1": {}})
    connection = sqlite3.connect(f"file:{tmp_path}/a.db?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("DELETE FROM records")
    connection.close()
    error = translate(caught.value, SqliteRecordSettings("a.db"))
    assert isinstance(error, PermissionDenied)
    assert "sqlite:///a.db cannot be written" in str(error)


def test_a_record_that_is_too_large_says_so() -> None:
    connection = sqlite3.connect(":memory:")
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 100)
    with pytest.raises(sqlite3.DataError) as caught:
        connection.execute("SELECT ?", ("x" * 1000,))
    connection.close()
    assert isinstance(translate(caught.value, SqliteRecordSettings("a.db")), LimitExceeded)


def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {}})
    drive(store.close())
    drive(store.close())
    with pytest.raises(Unavailable, match="was closed"):
        drive(store.count(ALL))


def test_closing_leaves_one_file(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {}})
    drive(store.close())
    assert os.listdir(tmp_path) == ["a.db"]


@pytest.mark.parametrize(
    ("url", "path"), [("sqlite:///a.db", "a.db"), ("sqlite:////srv/é b.db", "/srv/é b.db")]
)
def test_an_address_leads_to_a_file(url: str, path: str) -> None:
    assert SqliteRecords.settings_of(url) == {"path": path}


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///", "sqlite://a.db", "sqlite://host/a.db"])
def test_an_address_without_a_file_is_refused(url: str) -> None:
    with pytest.raises(InvalidConfig, match="in the working folder"):
        SqliteRecords.settings_of(url)


DAMAGE = ["{broken", "[1]", "7", "", '{"a":{"$date":"never"}}']


@pytest.mark.parametrize("body", DAMAGE)
def test_a_damaged_record_stands_as_an_error_in_its_place(tmp_path: Path, body: str) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {"a": 1}, "2": {"a": 1}})
    damage(tmp_path / "a.db", body)
    whole, broken = drive(store.get(["2", "1"]))
    assert isinstance(whole, Stored)
    assert isinstance(broken, Corrupt)
    assert "'1'" in str(broken)


@pytest.mark.parametrize("body", DAMAGE)
def test_a_search_that_may_mean_a_damaged_record_fails(tmp_path: Path, body: str) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {"a": 1}, "2": {"a": 1}})
    damage(tmp_path / "a.db", body)
    with pytest.raises(Corrupt):
        ids(store, Query())


def test_a_condition_on_what_is_no_json_names_the_record(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {"a": 1}, "2": {"a": 1}})
    damage(tmp_path / "a.db", "{broken")
    for ask in (lambda: ids(store, Query().filter("a", "=", 1)), lambda: count(store)):
        with pytest.raises(Corrupt, match="'1'"):
            ask()


def count(store: SqliteRecords) -> int:
    return drive(store.count(F("a") == 1))


def damage(path: Path, body: str) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET data=? WHERE id='1'", (body,))
    connection.close()


def test_an_address_opens_a_table(tmp_path: Path) -> None:
    store = open_records(f"sqlite:///{tmp_path}/a.db?table=more&durable=false", BlockingRuntime())
    assert isinstance(store, SqliteRecords)
    assert store.address == f"sqlite:///{tmp_path}/a.db?table=more"
    assert not store.capabilities.durable
    put(store, {"1": {}})
    assert ids(opened(tmp_path / "a.db", table="more"), Query()) == ["1"]
