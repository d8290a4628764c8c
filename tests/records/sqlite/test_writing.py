"""Batches, threads, transactions and other processes."""

import asyncio
import gc
import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from holdall.core.errors import AlreadyExists, Timeout, Unavailable
from holdall.core.runtime.blocking import drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.records.contract import RecordTransaction
from holdall.records.predicate import ALL
from holdall.records.query import Query
from holdall.records.results import Undone
from holdall.records.stored import Removal, Stored, Write, Written
from records.sqlite.opening import found, ids, opened, put

LARGE = 84_000
"""More than SQLite takes parameters in one statement, at three a record."""


@pytest.mark.untraced
def test_a_batch_of_84_000_is_written_read_and_deleted(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", durable=False)
    names = [f"{number:06}" for number in range(LARGE)]
    assert all(isinstance(one, Written) for one in put(store, {name: {} for name in names}))
    put(store, {name: {"a": 1} for name in names}, "update")
    held = drive(store.get(names))
    assert [row.fields for row in held if isinstance(row, Stored)] == [{"a": 1}] * LARGE
    assert drive(store.delete([Removal(name) for name in names])) == [True] * LARGE
    assert drive(store.count(ALL)) == 0


def test_a_batch_that_fails_at_its_end_writes_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"9": {}})
    outcomes = put(store, {**{str(number): {} for number in range(9)}, "9": {}})
    assert [type(one) for one in outcomes] == [Undone] * 9 + [AlreadyExists]
    assert ids(store, Query()) == ["9"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_full_disk_writes_nothing_of_a_batch(tmp_path: Path, inside: bool) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {"a": 1}})
    limit(store, 20)
    target = drive(store.begin()) if inside else store
    with pytest.raises(Unavailable, match="full") as caught:
        put(target, {str(number): {"a": "x" * 1000} for number in range(2, 500)})
    assert not caught.value.transient
    if isinstance(target, RecordTransaction):
        drive(target.rollback())
    limit(store, 1_000_000)
    put(store, {"2": {}})
    assert ids(store, Query()) == ["1", "2"]


def limit(store: SqliteRecords, pages: int) -> None:
    """Let the next connection find the disk full at so many pages."""
    with store._connections.one() as connection:
        connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_writer_need_not_wait_when_nobody_writes(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", timeout=0)
    assert isinstance(put(store, {"1": {}})[0], Written)


def test_threads_write_and_read_one_store(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", durable=False)

    def work(number: int) -> int:
        put(store, {f"{number}-{step}": {"a": number} for step in range(10)})
        return len(found(store, Query().filter("a", "=", number)))

    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(work, range(60))) == [10] * 60
    assert drive(store.count(ALL)) == 600


def test_increments_in_threads_are_all_kept_or_refused(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", durable=False)
    put(store, {"1": {"n": 0}})

    def work(_: int) -> int:
        (row,) = drive(store.get(["1"]))
        assert isinstance(row, Stored)
        write = Write("1", {"n": row.fields["n"] + 1}, {}, "update", row.version)
        (outcome,) = drive(store.put([write]))
        return int(isinstance(outcome, Written))

    with ThreadPoolExecutor(4) as pool:
        kept = sum(pool.map(work, range(40)))
    (row,) = found(store, Query())
    assert row.fields == {"n": kept}


def test_two_stores_on_one_file_wait_for_one_another(tmp_path: Path) -> None:
    stores = [opened(tmp_path / "a.db", durable=False) for _ in range(4)]

    def work(number: int) -> None:
        put(stores[number % 4], {str(number): {}})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(80)))
    assert drive(stores[0].count(ALL)) == 80


def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {}})
    transaction = drive(store.begin())
    put(transaction, {"2": {}})
    assert ids(store, Query()) == ["1"]
    assert ids(transaction, Query()) == ["1", "2"]
    drive(transaction.commit())
    assert ids(store, Query()) == ["1", "2"]


def test_a_batch_that_fails_in_a_transaction_undoes_itself_alone(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    transaction = drive(store.begin())
    put(transaction, {"1": {"a": 1}})
    put(transaction, {"2": {}, "1": {}})
    drive(transaction.delete([Removal("1"), Removal("1", "stale")]))
    drive(transaction.commit())
    assert [(row.id, row.fields) for row in found(store, Query())] == [("1", {"a": 1})]


def test_a_transaction_that_is_over_says_so(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    transaction = drive(store.begin())
    put(transaction, {"1": {}})
    drive(transaction.rollback())
    drive(transaction.rollback())
    with pytest.raises(Unavailable, match="over"):
        put(transaction, {"1": {}})
    put(store, {"2": {}})
    assert ids(store, Query()) == ["2"]


def test_a_writer_beside_an_open_transaction_is_told_of_the_time_out(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", timeout=0.05)
    transaction = drive(store.begin())
    with pytest.raises(Timeout, match="the setting timeout"):
        put(store, {"1": {}})
    drive(transaction.rollback())
    assert isinstance(put(store, {"1": {}})[0], Written)


def test_a_lock_of_another_connection_ends_in_a_time_out(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", timeout=0.05)
    put(store, {"1": {}})
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Timeout, match=r"0\.05 s") as caught:
        put(store, {"2": {}})
    assert caught.value.transient
    other.close()
    put(store, {"2": {}})
    assert ids(store, Query()) == ["1", "2"]


async def _tasks(path: Path) -> int:
    store = SqliteRecords(SqliteRecordSettings(str(path), durable=False), LoopRuntime())
    transaction = await store.begin()
    await transaction.put([Write("first", {}, {}, "create")])
    # More than there are threads: none of them may take one while it waits.
    tasks = [
        asyncio.create_task(store.put([Write(str(number), {}, {}, "create")]))
        for number in range(100)
    ]
    await asyncio.sleep(0)
    await transaction.commit()
    await asyncio.gather(*tasks)
    number = await store.count(ALL)
    await store.close()
    return number


def test_a_deadline_that_has_passed_does_not_keep_a_transaction_open(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db", timeout=0.05)

    async def late() -> None:
        transaction = await store.begin()
        async with store.runtime.deadline(0):
            await transaction.rollback()

    drive(late())
    assert isinstance(put(store, {"1": {}})[0], Written)


def test_writers_that_wait_do_not_keep_a_transaction_from_its_end(tmp_path: Path) -> None:
    assert asyncio.run(_tasks(tmp_path / "a.db")) == 101


class _Slow(LoopRuntime):
    """Tells when a call has begun, and lets it go on when it is told so."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.go = threading.Event()
        self.holding = False

    async def call(  # type: ignore[override]
        self, function: Callable[..., Any], async_function: None, *args: object
    ) -> Any:
        loop = asyncio.get_running_loop()

        def held(*args: object) -> Any:
            answer = function(*args)
            if self.holding:
                loop.call_soon_threadsafe(self.begun.set)
                self.go.wait()
            return answer

        return await super().call(held, async_function, *args)


async def _cancelled(path: Path) -> int:
    runtime = _Slow()
    store = SqliteRecords(SqliteRecordSettings(str(path), timeout=5), runtime)
    runtime.holding = True
    task = asyncio.create_task(store.begin())
    await runtime.begun.wait()
    task.cancel()
    runtime.go.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    runtime.holding = False
    await store.put([Write("1", {}, {}, "create")])
    number = await store.count(ALL)
    await store.close()
    return number


def test_a_transaction_that_is_cancelled_while_it_begins_locks_nobody_out(tmp_path: Path) -> None:
    assert asyncio.run(_cancelled(tmp_path / "a.db")) == 1


def _write_in_child(store: SqliteRecords, name: str) -> None:
    try:
        put(store, {name: {}})
    except Unavailable as error:
        os._exit(3 if "forked" in str(error) else 4)
    os._exit(0)


def _exit_code_of_child(store: SqliteRecords, name: str) -> int | None:
    child = multiprocessing.get_context("fork").Process(target=_write_in_child, args=(store, name))
    child.start()
    child.join()
    return child.exitcode


def test_a_forked_child_writes_too(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    put(store, {"1": {}})
    assert _exit_code_of_child(store, "2") == 0
    put(store, {"3": {}})
    assert ids(store, Query()) == ["1", "2", "3"]


def test_a_child_that_was_forked_within_a_transaction_refuses(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    transaction = drive(store.begin())
    put(transaction, {"1": {}})
    assert _exit_code_of_child(store, "2") == 3
    drive(transaction.commit())
    assert ids(store, Query()) == ["1"]


def test_a_forked_child_refuses_a_file_that_another_store_uses(tmp_path: Path) -> None:
    one, other = opened(tmp_path / "a.db"), opened(tmp_path / "." / "a.db")
    transaction = drive(one.begin())
    put(transaction, {"1": {}})
    assert _exit_code_of_child(other, "2") == 3
    drive(transaction.commit())
    assert ids(other, Query()) == ["1"]


def _end_in_child(transaction: RecordTransaction) -> None:
    try:
        put(transaction, {"2": {}})
    except Unavailable:
        drive(transaction.rollback())
        os._exit(3)
    os._exit(0)


def test_a_transaction_is_not_ended_by_a_forked_child(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    transaction = drive(store.begin())
    put(transaction, {"1": {}})
    child = multiprocessing.get_context("fork").Process(target=_end_in_child, args=(transaction,))
    child.start()
    child.join()
    assert child.exitcode == 3
    drive(transaction.commit())
    assert ids(store, Query()) == ["1"]


def test_a_store_that_nobody_closed_leaves_one_file(tmp_path: Path) -> None:
    put(opened(tmp_path / "a.db"), {"1": {}})
    gc.collect()
    assert os.listdir(tmp_path) == ["a.db"]


_KILLED = """
import sys
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.records.backends.sqlite import SqliteRecords, SqliteRecordSettings
from holdall.records.stored import Removal, Write

store = SqliteRecords(SqliteRecordSettings(sys.argv[1]), BlockingRuntime())
round = 0
while True:
    round += 1
    names = [f"{round}-{number}" for number in range(500)]
    drive(store.put([Write(name, {"round": round}, {}, "create") for name in names]))
    drive(store.put([Write(name, {"round": -round}, {}, "update") for name in names]))
    drive(store.delete([Removal(f"{round - 1}-{number}") for number in range(500)]))
    print(round, flush=True)
"""


def _kill_writers(path: Path, times: int) -> None:
    for time in range(times):
        child = subprocess.Popen(
            [sys.executable, "-c", _KILLED, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        # A few batches more each time, so that it ends in the middle of another one.
        for _ in range(1 + time % 3):
            child.stdout.readline()
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        store = opened(path)
        rounds: dict[str, list[int]] = {}
        for row in found(store, Query()):
            rounds.setdefault(row.id.partition("-")[0], []).append(row.fields["round"])
        assert 1 <= len(rounds) <= 2
        for held in rounds.values():
            assert len(held) == 500
            assert len(set(held)) == 1
        drive(store.clear())
        drive(store.close())


def test_a_writer_that_is_killed_leaves_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    _kill_writers(tmp_path / "a.db", 12)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_many_writers_that_are_killed_leave_all_of_a_batch_or_nothing(tmp_path: Path) -> None:
    _kill_writers(tmp_path / "a.db", 500)


def test_processes_that_open_a_new_file_at_once_all_write(tmp_path: Path) -> None:
    program = _KILLED.split("round = 0", maxsplit=1)[0] + (
        "drive(store.put([Write(sys.argv[2], {}, {}, 'create')]))\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "a.db"), str(number)])
        for number in range(6)
    ]
    assert [child.wait() for child in children] == [0] * 6
    assert len(ids(opened(tmp_path / "a.db"), Query())) == 6
