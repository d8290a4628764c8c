"""The part of `records.py` about Delta Lake, beside plain `deltalake` and DuckDB."""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import Contender, Goal, compare, each
from records_sides import DEPARTMENT, OURS, Rows, employees, peer, records_of

import holdall
from holdall import Query

if TYPE_CHECKING:
    from collections.abc import Callable

BY_HAND, BARE = "deltalake by hand, the same columns", "deltalake, fields alone"
DUCKDB = "plain DuckDB"
SEARCH_SECONDS = 2
FILL_ROWS = 100_000
QUERY = Query().filter("department", "=", DEPARTMENT).sort("salary", "DESC").limit(10)
STATEMENT = f"SELECT * FROM held WHERE department = '{DEPARTMENT}' ORDER BY salary DESC LIMIT 10"


class Tables:
    """Places for tables, and how each contender opens one.

    Args:
        root: Where they are, as `deltalake` takes it.
        ours: What `holdall` is told beside the place.
        options: What `deltalake` is told.
    """

    def __init__(self, root: str, ours: dict[str, Any], options: dict[str, str]) -> None:
        self._root = root
        self._ours = ours
        self._options = options
        self._numbers = count()

    def fresh(self) -> str:
        """A place in which nothing is."""
        return f"{self._root}/table-{next(self._numbers)}"

    def database(self, place: str) -> holdall.Database:
        """A database of ours, which knows nothing of the table yet."""
        table = place if "://" in place else f"file://{place}"
        return holdall.open_database({"type": "delta", "table": table, **self._ours})

    def plain(self, place: str) -> Any:
        """The table through `deltalake` alone."""
        from deltalake import DeltaTable

        return DeltaTable(place, storage_options=self._options)

    def write(self, place: str, rows: Rows) -> None:
        """Append rows to a table, which is made when there is none."""
        import pyarrow as pa
        from deltalake import write_deltalake

        data = pa.Table.from_pylist(rows)
        write_deltalake(place, data, mode="append", storage_options=self._options)

    def merge(self, place: str, rows: Rows) -> None:
        """Merge rows into a table by their ids."""
        import pyarrow as pa

        data = pa.Table.from_pylist(rows)
        merging = self.plain(place).merge(data, "t.id = s.id", source_alias="s", target_alias="t")
        merging.when_matched_update_all().when_not_matched_insert_all().execute()


def with_our_columns(rows: Rows) -> Rows:
    """The rows with what a record has beside its fields."""
    now = datetime.now(UTC)
    return [
        {
            "created_at": now,
            "updated_at": now,
            "version": os.urandom(8).hex(),
            "data": json.dumps(dict.fromkeys(row)),
            "metadata": "{}",
            "odd": False,
            **row,
        }
        for row in rows
    ]


def delta(rows: Rows, most: int, folder: Path) -> bool:
    """Tables in a bucket of moto, which the tests bring, and a large one in a folder."""
    if peer("deltalake") is None or peer("duckdb") is None:
        return True
    good = _large(most, Tables(str(folder), {}, {}))
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
    import pytest

    from serving.clouds import moto

    with ExitStack() as stack:
        try:
            server = stack.enter_context(moto(folder))
        except pytest.skip.Exception as error:
            print(f"\nDelta Lake in S3 is left out: {error}")
            return good
        bucket = server.make_container("tables")
        secrets = folder / "secret"
        secrets.write_text(server.secret_access_key)
        ours = {
            "endpoint": server.endpoint,
            "region": server.region,
            "access_key": server.access_key_id,
            "secret_key": {"file": str(secrets)},
        }
        options = {
            "aws_endpoint": server.endpoint,
            "aws_region": server.region,
            "aws_access_key_id": server.access_key_id,
            "aws_secret_access_key": server.secret_access_key,
            "aws_allow_http": "true",
            "aws_conditional_put": "etag",
        }
        return good & _in_bucket(rows, Tables(f"s3://{bucket}", ours, options))


def _in_bucket(rows: Rows, tables: Tables) -> bool:
    number = f"{len(rows):,} records in Delta Lake on S3"
    places: dict[str, str] = {}

    def timed(function: Callable[[], object]) -> float:
        begin = time.perf_counter()
        function()
        return time.perf_counter() - begin

    def create(_: int) -> float:
        places[OURS] = tables.fresh()
        records = records_of(rows)
        with closing(tables.database(places[OURS])) as database:
            return timed(lambda: database.batch_create(records))

    def create_by_hand(_: int) -> float:
        places[BY_HAND] = tables.fresh()
        return timed(lambda: tables.write(places[BY_HAND], with_our_columns(rows)))

    def create_bare(_: int) -> float:
        places[BARE] = tables.fresh()
        return timed(lambda: tables.write(places[BARE], rows))

    good = compare(
        f"Create {number}, the table with them",
        [
            Contender(OURS, create),
            Contender(BY_HAND, create_by_hand),
            Contender(BARE, create_bare),
        ],
        [Goal(BY_HAND, 1.5)],
        count=1,
        rounds=7,
    )
    half = [row | {"id": f"{row['id']}{'' if at % 2 else ' more'}"} for at, row in enumerate(rows)]

    def upsert(_: int) -> float:
        records = records_of(half)
        with closing(tables.database(places[OURS])) as database:
            return timed(lambda: database.batch_upsert(records))

    def merge_by_hand(_: int) -> float:
        return timed(lambda: tables.merge(places[BY_HAND], with_our_columns(half)))

    good &= compare(
        f"Write as many over {number}, half of them new",
        [
            Contender(OURS, upsert),
            Contender(BY_HAND, merge_by_hand),
            Contender(BARE, lambda _: timed(lambda: tables.merge(places[BARE], half))),
        ],
        [Goal(BY_HAND, 1.5)],
        count=1,
        rounds=5,
    )
    turns = count()

    def others() -> Rows:
        turn = next(turns)
        return [row | {"id": f"{row['id']} in turn {turn}"} for row in rows]

    def create_more(_: int) -> float:
        records = records_of(others())
        with closing(tables.database(places[OURS])) as database:
            return timed(lambda: database.batch_create(records))

    def merge_more(place: str, shape: Callable[[Rows], Rows]) -> float:
        more = others()
        return timed(lambda: tables.merge(place, shape(more)))

    good &= compare(
        f"Create as many beside {number}",
        [
            Contender(OURS, create_more),
            Contender(BY_HAND, lambda _: merge_more(places[BY_HAND], with_our_columns)),
            Contender(BARE, lambda _: merge_more(places[BARE], list)),
        ],
        [Goal(BY_HAND, 1.5)],
        count=1,
        rounds=5,
    )
    create(1)
    return good & _search(f"in {number}", tables, places[OURS], [Goal(DUCKDB, 2)], rows)


def _search(title: str, tables: Tables, place: str, goals: list[Goal], rows: Rows) -> bool:
    """Filter, sort and limit; each side reads the log anew, since others may have written."""
    import duckdb

    chosen = [row for row in rows if row["department"] == DEPARTMENT]
    chosen.sort(key=lambda row: row["salary"], reverse=True)
    expected = [row["id"] for row in chosen[:10]]
    plain = tables.plain(place)
    with closing(duckdb.connect()) as connection, closing(tables.database(place)) as database:

        def by_hand() -> list[str]:
            plain.update_incremental()
            connection.register("held", plain.to_pyarrow_dataset())
            answer = connection.execute(STATEMENT).to_arrow_table()
            return [str(row["id"]) for row in answer.to_pylist()]

        assert by_hand() == expected
        assert [record.id for record in database.search(QUERY)] == expected
        return compare(
            f"Filter, sort and limit {title}",
            [
                Contender(OURS, each(lambda: database.search(QUERY))),
                Contender(DUCKDB, each(by_hand)),
            ],
            goals,
            count=1,
            rounds=7,
        )


def _large(most: int, tables: Tables) -> bool:
    rows = employees(most)
    place = tables.fresh()
    number = f"{most:,} records in Delta Lake in a folder"
    with closing(tables.database(place)) as database:
        begin = time.perf_counter()
        for at in range(0, most, FILL_ROWS):
            database.batch_create(records_of(rows[at : at + FILL_ROWS]))
        print(f"\n{number} were created in {time.perf_counter() - begin:.1f} s")
    goals = [Goal("", SEARCH_SECONDS * 1e6), Goal(DUCKDB, 2)]
    good = _search(f"in {number}", tables, place, goals, rows)
    with closing(tables.database(place)) as database:
        ids = [rows[at]["id"] for at in range(0, most, max(1, most // 10))]
        compare(
            f"Ten of them by id, {number}",
            [Contender(OURS, each(lambda: database.batch_read(ids)))],
            [],
            count=1,
            rounds=5,
        )
    shutil.rmtree(place)
    return good
