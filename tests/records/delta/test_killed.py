"""What is left of a process that was killed in the middle of its work."""

import random
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import DeltaTable

from holdall import Database, Record
from holdall.records import delta
from records.delta.opening import opened_in

_BATCH = 300

_WORKER = """
import sys
from datetime import timedelta
from pathlib import Path

from holdall import Record
from holdall.records import delta
from records.delta.opening import opened_in

folder, what, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
db = opened_in(folder, retries=1000)
at = 0
while True:
    batch = [Record({"batch": f"{name}-{at}", "n": n}, id=f"{name}-{at}-{n}") for n in range(300)]
    small = [Record({"round": at}, id="same")]
    if what == "batch":
        print("begins", flush=True)
        db.batch_create(batch)
        db.batch_upsert(small)
    else:
        for record in batch[:3]:
            db.create(record)
        db.batch_create(batch[3:])
        db.batch_upsert(small)
        if what == "compact":
            print("begins", flush=True)
            delta.compact(db)
        else:
            delta.compact(db)
            print("begins", flush=True)
            delta.vacuum(db, timedelta(0))
    at += 1
"""


def _kill_workers(folder: Path, what: str, times: int) -> None:
    db = opened_in(folder)
    db.create(Record({"round": -1}, id="same"))
    tests = Path(__file__).parents[2]
    for number in range(times):
        worker = subprocess.Popen(
            [sys.executable, "-c", _WORKER, str(folder), what, str(number)],
            cwd=tests,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert worker.stdout is not None
        for _ in range(random.randint(1, 3)):
            assert worker.stdout.readline() == "begins\n"
        time.sleep(random.random() * 0.05)  # a random moment is what this is about
        worker.kill()
        worker.wait()
        worker.stdout.close()
        _check(db, what)
        _check(opened_in(folder), what)
    # What the dead left is no hindrance, and goes.
    db.create(Record({}, id="alive"))
    delta.compact(db)
    delta.vacuum(db, timedelta(0))
    _check(db, what)
    kept = {file.name for file in (folder / "table").glob("*.parquet")}
    named = DeltaTable(folder / "table").file_uris()
    assert kept == {Path(file).name for file in named}


def _check(db: Database, what: str) -> None:
    assert delta.verify(db) == []
    assert db.exists("same")
    held: dict[str, set[int]] = {}
    for record in db.all():
        if "batch" in record.fields:
            held.setdefault(record.fields["batch"], set()).add(record.fields["n"])
    for numbers in held.values():
        few = what != "batch" and numbers <= {0, 1, 2}
        assert few or numbers == set(range(_BATCH))


@pytest.mark.parametrize("what", ["batch", "compact", "vacuum"])
def test_a_killed_process_leaves_all_of_its_change_or_nothing(tmp_path: Path, what: str) -> None:
    _kill_workers(tmp_path, what, 3)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("what", ["batch", "compact", "vacuum"])
def test_200_killed_processes_leave_all_of_their_changes_or_nothing(
    tmp_path: Path, what: str
) -> None:
    _kill_workers(tmp_path, what, 200)
