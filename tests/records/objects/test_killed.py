"""Processes that are killed while they write and search."""

from __future__ import annotations

import os
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING

import pytest

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import FileRecords, FileRecordSettings
from holdall.records.database import Database
from holdall.records.query import Query

if TYPE_CHECKING:
    from pathlib import Path

# Two threads, so that the kill meets a write in one and a renewal of the snapshot in the other.
_CHILD = """
import sys, threading
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.objects import FileRecords, FileRecordSettings
from holdall.records.database import Database
from holdall.records.record import Record

def open_db():
    settings = FileRecordSettings(path=sys.argv[1], durable=False)
    return Database(FileRecords.open(settings, BlockingRuntime()))

def write(turn):
    open_db().batch_upsert([Record({"n": at, "turn": turn}, id=f"{at:03}") for at in range(80)])
    print("written", flush=True)

write(0)

def search():
    while True:
        open_db().all()
        print("searched", flush=True)

threading.Thread(target=search, daemon=True).start()
for turn in range(1, 10_000):
    write(turn)
"""


def _kill(place: str, lines: int, further: int = 0) -> None:
    """Kill a process after some lines, and as long as so many looks at its folder take."""
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, place], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        for _ in range(further):
            os.stat(place)
        child.kill()


def _check(place: str) -> None:
    settings = FileRecordSettings(path=place, durable=False)
    for _ in range(2):
        db = Database(FileRecords.open(settings, BlockingRuntime()))
        found = db.search(Query().sort("n"))
        assert [one.fields["n"] for one in found] == list(range(80))
        assert db.batch_read([f"{at:03}" for at in range(80)]) == found


@pytest.mark.parametrize("lines", [2, 3, 5, 8])
def test_what_a_killed_process_leaves_is_whole(tmp_path: Path, lines: int) -> None:
    place = str(tmp_path / "records")
    _kill(place, lines)
    _check(place)


@pytest.mark.soak
def test_what_300_killed_processes_leave_is_whole(tmp_path: Path) -> None:
    random = Random(5)
    for turn in range(300):
        # Each goes on in what some before it left.
        place = str(tmp_path / f"records{turn // 10}")
        _kill(place, random.randint(2, 8), random.randrange(20_000))
        _check(place)
