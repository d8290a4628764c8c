"""Records beside dataknobs-data, sqlite-utils, TinyDB, and SQL and COPY written by hand.

    make bench

All contenders get the same rows and must give the same answers. Prints, for each figure that the
project holds itself to, the medians and whether it is met. A peer that is not installed and a
server that is not there are left out, with a line.
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import sys
import tempfile
import time
from contextlib import ExitStack
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Contender, Goal, compare
from records_delta import delta
from records_files import files
from records_ranges import listed
from records_s3 import objects
from records_sides import (
    DEPARTMENT,
    OURS,
    PEER,
    Rows,
    Side,
    closed,
    created,
    employees,
    our_side,
    peer,
    peer_side,
    records_of,
    searched,
)

import holdall
from holdall import Query

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def memory(rows: Rows, folder: Path) -> bool:
    """Databases in memory."""
    query = Query().filter("department", "=", DEPARTMENT).sort("salary", "DESC").limit(10)
    ours = our_side(lambda _: holdall.open_database("memory://"), query)
    sides = [ours]
    firsts: dict[Side, Callable[[], Sequence[Any]]] = {
        ours: lambda: ours.database.search(Query().limit(10))
    }
    module = peer("dataknobs_data")
    if module is not None:
        backend = import_module("dataknobs_data.backends.memory")
        asked = module.Query().filter("department", "=", DEPARTMENT)
        asked = asked.sort_by("salary", "desc").limit(10)
        theirs = peer_side(module, lambda _: backend.SyncMemoryDatabase(), asked)
        sides.append(theirs)
        first = module.Query().limit(10)
        firsts[theirs] = lambda: theirs.database.search(first)
    tinydb = peer("tinydb")
    if tinydb is not None:
        tiny = _tiny(tinydb)
        sides.append(tiny)
        firsts[tiny] = lambda: list(islice(tiny.database, 10))
    number = f"{len(rows):,} records in memory"
    good = created(f"Create {number}", sides, [Goal(PEER, 8, at_least=True)], rows, folder)

    def fresh(_: int) -> float:
        with holdall.open_database("memory://") as database:
            database.batch_create(records_of(rows))
            begin = time.perf_counter()
            database.search(query)
            return time.perf_counter() - begin

    compare(
        f"Equality, sort and limit over {number}, never asked before",
        [Contender(OURS, fresh)],
        [],
        count=1,
        rounds=3,
    )
    good &= searched(
        f"Equality, sort and limit over {number}",
        {side: side.find for side in sides},
        [Goal(PEER, 50, at_least=True)],
    )
    return good & searched(f"limit 10 over {number}", firsts, [Goal(PEER, 1000, at_least=True)])


def _tiny(tinydb: Any) -> Side:
    def create(rows: Rows, _: Path) -> Any:
        database = tinydb.TinyDB(storage=tinydb.storages.MemoryStorage)
        database.insert_multiple(rows)
        return database

    def search(database: Any) -> list[Any]:
        database.clear_cache()  # it knows the answers to the last ten questions
        found = database.search(tinydb.where("department") == DEPARTMENT)
        found.sort(key=lambda row: row["salary"], reverse=True)
        return found[:10]

    return Side("TinyDB", list, create, search)


def sqlite(rows: Rows, folder: Path) -> bool:
    """Databases in a file."""
    by_hand = "sqlite3 by hand"
    query = Query().filter("department", "=", DEPARTMENT)
    sides = [
        our_side(
            lambda place: holdall.open_database({"type": "sqlite", "path": str(place)}), query
        ),
        Side(by_hand, list, _insert, _select, index=_index),
    ]
    utils = peer("sqlite_utils")
    if utils is not None:
        sides.append(_sqlite_utils(utils))
    module = peer("dataknobs_data")
    if module is not None:
        backend = import_module("dataknobs_data.backends.sqlite")
        asked = module.Query().filter("department", "=", DEPARTMENT)

        def open_theirs(place: Path) -> Any:
            return backend.SyncSQLiteDatabase({"path": str(place)})

        sides.append(peer_side(module, open_theirs, asked, arranged=sorted))
    number = f"{len(rows):,} records in SQLite"
    with closed(sides):
        good = created(f"Create {number}", sides, [Goal(by_hand, 1.5)], rows, folder)
        for side in sides:
            if side.index is not None:
                side.index(side.database)
        return good & searched(
            f"Equality over {number}, with an index where there can be one",
            {side: side.find for side in sides},
            [Goal(by_hand, 1.2)],
        )


def _insert(rows: Rows, place: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(place, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE records (id TEXT PRIMARY KEY, data TEXT NOT NULL)")
    connection.execute("BEGIN")
    connection.executemany(
        "INSERT INTO records VALUES (?, ?)", ((row["id"], json.dumps(row)) for row in rows)
    )
    connection.execute("COMMIT")
    return connection


def _index(connection: sqlite3.Connection) -> None:
    connection.execute("CREATE INDEX departments ON records (data ->> 'department', id)")


def _select(connection: sqlite3.Connection) -> list[dict[str, Any]]:
    found = connection.execute(
        "SELECT data FROM records WHERE data ->> 'department' = ? ORDER BY id", (DEPARTMENT,)
    )
    return [json.loads(data) for (data,) in found]


def _sqlite_utils(utils: Any) -> Side:
    def create(rows: Rows, place: Path) -> Any:
        database = utils.Database(place)
        database["records"].insert_all(rows, pk="id")
        return database

    def search(database: Any) -> list[dict[str, Any]]:
        table = database["records"]
        return list(table.rows_where("department = ?", [DEPARTMENT], order_by="id"))

    def index(database: Any) -> None:
        database["records"].create_index(["department"])

    return Side("sqlite-utils", list, create, search, index=index)


def postgres(rows: Rows, folder: Path) -> bool:
    """Tables of a PostgreSQL that the tests bring."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import pytest

    from serving.databases import postgres as running

    with ExitStack() as stack:
        try:
            server = stack.enter_context(running(folder / "server"))
        except pytest.skip.Exception as error:
            print(f"\nPostgreSQL is left out: {error}")
            return True
        return _postgres(server.dsn(), rows, folder)


def _postgres(dsn: str, rows: Rows, folder: Path) -> bool:
    by_hand = "COPY by hand, with the same index"
    query = Query().filter("department", "=", DEPARTMENT)

    def open_at(place: Path) -> holdall.Database:
        return holdall.open_database(
            {"type": "postgres", "dsn": dsn, "table": f"ours_{place.name}"}
        )

    sides = [
        our_side(open_at, query),
        _copying(by_hand, dsn, indexed=True),
        _copying("COPY by hand, no index but the key", dsn, indexed=False),
    ]
    number = f"{len(rows):,} records in PostgreSQL"
    with closed(sides):
        # More than of others: a server cleans up after one round in the next.
        good = created(f"Create {number}", sides, [Goal(by_hand, 1.3)], rows, folder, rounds=9)
        return good & searched(
            f"Equality over {number}", {side: side.find for side in sides[:2]}, []
        )


def _copying(name: str, dsn: str, *, indexed: bool) -> Side:
    import psycopg

    def create(rows: Rows, place: Path) -> tuple[Any, str]:
        table = f"hand_{place.name}"
        connection = psycopg.connect(dsn)
        connection.execute(f'CREATE TABLE {table} (id text COLLATE "C" PRIMARY KEY, data jsonb)')
        if indexed:
            connection.execute(f"CREATE INDEX ON {table} USING gin (data jsonb_path_ops)")
        with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN") as copy:
            for row in rows:
                copy.write_row((row["id"], json.dumps(row)))
        connection.commit()
        return connection, table

    def search(opened: tuple[Any, str]) -> list[dict[str, Any]]:
        connection, table = opened
        found = connection.execute(
            f"SELECT data FROM {table} WHERE data @> %s::jsonb ORDER BY id",
            (json.dumps({"department": DEPARTMENT}),),
        )
        return [data for (data,) in found]

    return Side(name, list, create, search, close=lambda opened: opened[0].close())


def main() -> int:
    """Run all parts, or those named; answer 1 when a goal is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("only", nargs="*", help="memory sqlite postgres s3 ranges files delta")
    parser.add_argument("--records", type=int, default=100_000, help="how many")
    parser.add_argument("--objects", type=int, default=10_000, help="how many, in S3")
    parser.add_argument("--most", type=int, default=1_000_000, help="how many, in Delta Lake")
    parser.add_argument("--files", type=int, default=100_000, help="how many, in a folder")
    parser.add_argument("--listed", type=int, default=200_000, help="how many, in a listing of S3")
    parser.add_argument("--folder", help="where to work; a new temporary folder unless given")
    options = parser.parse_args()
    rows = employees(options.records)
    runs: dict[str, Callable[[Path], bool]] = {
        "memory": lambda folder: memory(rows, folder),
        "sqlite": lambda folder: sqlite(rows, folder),
        "postgres": lambda folder: postgres(rows, folder),
        "s3": lambda folder: objects(employees(options.objects), folder),
        "ranges": lambda _: listed(options.listed),
        "files": lambda folder: files(options.files, folder),
        "delta": lambda folder: delta(employees(options.objects), options.most, folder),
    }
    missed = []
    for name in options.only or list(runs):
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            if not runs[name](Path(folder)):
                missed.append(name)
    print(f"\nMissed: {', '.join(missed)}" if missed else "\nAll figures are met.")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
