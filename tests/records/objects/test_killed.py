"""Processes that are killed while they write and search."""

from __future__ import annotations

import subprocess
import sys
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


@pytest.mark.parametrize("lines", [2, 3, 5, 8])
def test_what_a_killed_process_leaves_is_whole(tmp_path: Path, lines: int) -> None:
    place = str(tmp_path / "records")
    with subprocess.Popen(
        [sys.executable, "-c", _CHILD, place], stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        for _ in range(lines):
            child.stdout.readline()
        child.kill()
    settings = FileRecordSettings(path=place, durable=False)
    for _ in range(2):
        db = Database(FileRecords.open(settings, BlockingRuntime()))
        found = db.search(Query().sort("n"))
        assert [one.fields["n"] for one in found] == list(range(80))
        assert db.batch_read([f"{at:03}" for at in range(80)]) == found
