"""A database in PostgreSQL in tasks that are cancelled, and in other processes."""

import asyncio
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

import holdall
from holdall.core.errors import AlreadyExists, InvalidConfig, Timeout
from holdall.core.runtime.loop import LoopRuntime
from holdall.core.secrets import Secret
from holdall.records.async_database import AsyncDatabase
from holdall.records.backends.postgres import PostgresRecords, PostgresSettings
from holdall.records.database import Database
from holdall.records.record import Record
from serving import databases

Ask = Callable[[str], list[tuple[Any, ...]]]

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")

_FORKED = """
import json, os, sys, warnings
import holdall
from holdall.records.record import Record

warnings.simplefilter("ignore", DeprecationWarning)  # of a fork with threads, which is the point
db = holdall.open_database({"type": "postgres", **json.loads(sys.argv[1])})
db.create(Record({}, id="parent"))
child = os.fork()
if child == 0:
    db.create(Record({}, id="child"))
    os._exit(0 if db.count() == 2 else 1)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert db.count() == 2
db.close()
"""


_KILLED = """
import json, sys
import holdall
from holdall.records.backends.postgres import writing
from holdall.records.record import Record

writing._COPIED = 50_000
db = holdall.open_database({"type": "postgres", **json.loads(sys.argv[1])})
while True:
    db.batch_upsert([Record({"n": n}, id=f"{n}") for n in range(5000)])
    db.clear()
"""


def test_a_process_that_is_killed_leaves_no_part_of_a_batch(
    options: dict[str, Any], ask: Ask
) -> None:
    table = f"'%{options['table']}%'"
    for _ in range(3):
        child = subprocess.Popen([sys.executable, "-c", _KILLED, json.dumps(options)])
        copying = f"FROM pg_stat_activity WHERE query LIKE 'COPY%' AND query LIKE {table}"
        while not ask(f"SELECT 1 {copying}"):
            assert child.poll() is None
        child.kill()
        child.wait()
        while ask(f"SELECT 1 {copying}"):  # the server has yet to notice
            pass
        with holdall.open_database({"type": "postgres", **options}) as db:
            assert db.count() in {0, 5000}


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_processes_that_are_killed_leave_no_part_of_a_batch(options: dict[str, Any]) -> None:
    program = _KILLED.replace("    db.clear()", "    print(flush=True)\n    db.clear()")
    with holdall.open_database({"type": "postgres", **options}) as db:
        for time in range(200):
            child = subprocess.Popen(
                [sys.executable, "-c", program, json.dumps(options)], stdout=subprocess.PIPE
            )
            assert child.stdout is not None
            # Another time each time, so that it ends in the middle of this and that.
            for _ in range(1 + time % 3):
                assert child.stdout.readline()
            while time % 2 and db.count():  # it is cleared, and the next batch has begun
                pass
            child.kill()
            child.wait()
            child.stdout.close()
            assert db.count() in {0, 5000}


def test_an_address_opens_the_table(options: dict[str, Any]) -> None:
    place = f"{options['host']}:{options['port']}/{options['database']}"
    user = f"{options['user']}:{quote(databases.PASSWORD)}"
    with holdall.open_database(f"postgresql://{user}@{place}?table={options['table']}") as db:
        db.create(Record({}, id="a"))
        assert db.exists("a")


def test_a_pickled_database_finds_its_own_password(options: dict[str, Any]) -> None:
    settings = {**options, "password": {"env": "PGPASSWORD"}}
    with holdall.open_database({"type": "postgres", **settings}) as db:
        db.create(Record({}, id="a"))
        with pickle.loads(pickle.dumps(db)) as other:
            assert isinstance(other, Database)
            assert other.exists("a")


@needs_fork
def test_a_forked_child_has_connections_of_its_own(options: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _FORKED, json.dumps(options)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_what_was_cancelled_leaves_no_connection_behind(options: dict[str, Any], ask: Ask) -> None:
    settings = PostgresSettings(**options, connections=2)

    def someone_waits() -> bool:
        rows = ask(
            "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
            "AND query LIKE '%TABLE_%' AND pid <> pg_backend_pid()"
        )
        return bool(rows)

    async def cancel_one() -> None:
        async with AsyncDatabase(PostgresRecords.open(settings, LoopRuntime())) as db:
            await db.create(Record({"x": 1}, id="a"))
            async with db.transaction() as inside:
                await inside.patch("a", {"x": 2})
                task = asyncio.create_task(db.upsert(Record({"x": 3}, id="a")))
                while not await asyncio.to_thread(someone_waits):
                    pass
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            for _ in range(3):
                read = await db.read("a")
                assert read is not None
                assert read.fields == {"x": 2}

    asyncio.run(cancel_one())


def test_a_transaction_on_a_loop_goes_on_after_a_refused_write(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = PostgresSettings(**options, connections=1, timeout=timedelta(seconds=20))
    store = PostgresRecords.open(settings, LoopRuntime())
    connections = store._server._loop
    assert connections._seconds == 20

    async def write() -> int:
        async with AsyncDatabase(store) as db:
            await db.create(Record({}, id="a"))
            async with db.transaction() as inside:
                with pytest.raises(AlreadyExists):
                    await inside.create(Record({}, id="a"))
                # The setting, which a busy server needs for its statements, is not waited out.
                with monkeypatch.context() as patch:
                    patch.setattr(connections, "_seconds", 0.1)
                    with pytest.raises(Timeout, match="'connections'"):
                        await db.count()
                await inside.create(Record({}, id="b"))
            with pytest.raises(AlreadyExists):
                await delete_and_fail(db)
            return await db.count()

    async def delete_and_fail(db: AsyncDatabase) -> None:
        async with db.transaction() as inside:
            await inside.delete("b")
            await inside.create(Record({}, id="a"))

    assert asyncio.run(write()) == 2


def test_a_missing_driver_is_told_with_the_way_to_get_it(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    for name in ("connections", "connections_blocking", "connections_loop"):
        whole = f"holdall.records.backends.postgres.{name}"
        monkeypatch.delitem(sys.modules, whole, raising=False)
    with pytest.raises(InvalidConfig, match=r"holdall\[postgres\]"):
        PostgresRecords.open(PostgresSettings(**options), LoopRuntime())


def test_a_password_in_settings_is_used(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPASSWORD")
    settings = {**options, "password": Secret(databases.PASSWORD)}
    store = PostgresRecords.open(PostgresSettings(**settings), LoopRuntime())

    async def count() -> int:
        async with AsyncDatabase(store) as db:
            return await db.count()

    assert asyncio.run(count()) == 0
