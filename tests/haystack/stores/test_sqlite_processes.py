"""Entities and histories in a file of SQLite that several processes use, or that die."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from holdall.core.errors import Timeout
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack import Number, Ref
from holdall.haystack.filter import parse_filter
from holdall.haystack.stores.entities import Put
from holdall.haystack.stores.sqlite import (
    SqliteEntities,
    SqliteHaystackSettings,
    SqliteHistories,
)

if TYPE_CHECKING:
    from pathlib import Path

_WRITER = """
import sys
from array import array
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.haystack.kinds import MARKER, Number, Ref
from holdall.haystack.stores.entities import Put
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.sqlite import SqliteEntities, SqliteHaystackSettings, SqliteHistories
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
settings = SqliteHaystackSettings(path, durable=False)
entities = SqliteEntities(settings, BlockingRuntime())
histories = SqliteHistories(settings, BlockingRuntime())
for at in range(count):
    both = [Put({"id": Ref(f"{name}-{at}-{half}"), "n": Number(at), "x": MARKER}) for half in "ab"]
    number = drive(entities.commit(both))
    drive(histories.write({name: Samples(array("q", [at]), array("d", [at]), "kW")}))
    print(number, flush=True)
"""


def opened(path: Path, timeout: float = 30.0) -> SqliteEntities:
    settings = SqliteHaystackSettings(str(path), durable=False, timeout=timeout)
    return SqliteEntities(settings, BlockingRuntime())


def start(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _WRITER, str(path), name, str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def killed(path: Path, name: str, after: int) -> int:
    """Let a process write, kill it after some answers, and say how many it had been given."""
    process = start(path, name, 1_000_000)
    assert process.stdout is not None
    for _ in range(after):
        assert process.stdout.readline()
    process.kill()
    told = after + len(process.stdout.read().split())
    process.stdout.close()
    process.wait()
    return told


def check_nothing_is_lost(path: Path, name: str, told: int) -> None:
    store = opened(path)
    halves = [f"{name}-{at}-{half}" for at in range(told) for half in "ab"]
    got = drive(store.get(halves))
    assert None not in got.entities
    found = drive(store.find(parse_filter("x"), limit=1_000_000)).entities
    ids = {str(one.entity["id"])[1:] for one in found}
    assert ids >= set(halves)
    assert all(one[:-1] + {"a": "b", "b": "a"}[one[-1]] in ids for one in ids)
    settings = SqliteHaystackSettings(str(path))
    histories = SqliteHistories(settings, BlockingRuntime())
    assert list(drive(histories.read([name]))[0].ts)[:told] == list(range(told))
    asked = "PRAGMA integrity_check"
    assert drive(store._file.read(store, lambda one: one.execute(asked).fetchall())) == [("ok",)]
    drive(store.close())
    drive(histories.close())


def test_two_processes_write_one_file_and_lose_nothing(tmp_path: Path) -> None:
    processes = [start(tmp_path / "a.db", name, 40) for name in ("p", "q")]
    numbers = sorted(int(one) for each in processes for one in each.communicate()[0].split())
    assert numbers == list(range(1, 81))
    assert [each.returncode for each in processes] == [0, 0]
    store = opened(tmp_path / "a.db")
    assert len(drive(store.find(parse_filter("x"), limit=1000)).entities) == 160
    drive(store.close())


def test_processes_that_open_a_new_file_at_once_make_it_once(tmp_path: Path) -> None:
    processes = [start(tmp_path / "a.db", f"p{at}", 1) for at in range(4)]
    numbers = sorted(int(one) for each in processes for one in each.communicate()[0].split())
    assert numbers == [1, 2, 3, 4]


def test_changes_of_another_process_are_seen_in_their_order(tmp_path: Path) -> None:
    process = start(tmp_path / "a.db", "p", 60)
    store = opened(tmp_path / "a.db")
    since, told = 0, []
    while since < 60:
        changes = drive(store.changes(since, limit=7))
        told += [one.version for one in changes.changed]
        since = changes.upto
    process.communicate()
    assert told == [number for number in range(1, 61) for _ in "ab"]
    drive(store.close())


def test_a_process_that_is_killed_loses_nothing_that_it_was_told(tmp_path: Path) -> None:
    told = killed(tmp_path / "a.db", "p", 20)
    check_nothing_is_lost(tmp_path / "a.db", "p", told)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_processes_that_are_killed_lose_nothing_that_they_were_told(tmp_path: Path) -> None:
    for at in range(100):
        name = f"p{at}"
        told = killed(tmp_path / "a.db", name, 1 + at * 7 % 60)
        check_nothing_is_lost(tmp_path / "a.db", name, told)


def test_who_waits_too_long_for_another_writer_is_told(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    hasty = opened(tmp_path / "a.db", timeout=0.01)
    drive(store.connect())
    drive(hasty.connect())

    def refused(_: object) -> None:
        with pytest.raises(Timeout, match="the setting timeout"):
            drive(hasty.commit([Put({"id": Ref("a")})]))

    def holding(one: object) -> None:
        one.execute("BEGIN IMMEDIATE")  # type: ignore[attr-defined]
        with ThreadPoolExecutor(1) as pool:
            pool.submit(refused, None).result()

    drive(store._file.write(store, holding))
    drive(store.close())
    drive(hasty.close())


def test_threads_that_read_while_others_write_see_whole_commits(tmp_path: Path) -> None:
    store = opened(tmp_path / "a.db")
    pair = ["a", "b"]

    def write(at: int) -> None:
        drive(store.commit([Put({"id": Ref(of), "n": Number(at)}) for of in pair]))

    def read(_: int) -> bool:
        got = drive(store.get(pair)).entities
        found = drive(store.find(parse_filter("n"), limit=9)).entities
        return len({one and one.version for one in got}) == 1 and len(
            {one.version for one in found}
        ) in (0, 1)

    with ThreadPoolExecutor(6) as pool:
        writes = [pool.submit(write, at) for at in range(60)]
        assert all(pool.map(read, range(200)))
        for one in writes:
            one.result()
    drive(store.close())
