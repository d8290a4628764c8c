"""The part of `records.py` about records in a folder: what a second search costs beside listing it.

It writes a file a record, so that a million take about four GiB and some minutes. Each figure is of
a process of its own, since memory is measured too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from records_sides import DEPARTMENT, employees, records_of

import holdall
from holdall import Query
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.objects.options import ListOptions
from holdall.objects.registry import open_store

QUERY = Query().filter("department", "=", DEPARTMENT).sort("salary", "DESC").limit(10)
BATCH = 10_000
MOST_TIMES, MOST_BYTES = 2, 1024**3
STEPS = ("listing", "first search", "first search of another process")


def files(number: int, folder: Path) -> bool:
    """Records in a folder.

    Args:
        number: How many.
        folder: Where they are written.
    """
    place = folder / "records"
    print(f"\n{number:,} records in files")
    begin, begin_cpu = time.perf_counter(), time.process_time()
    with closing(_database(place)) as database:
        rows = employees(number)
        for at in range(0, number, BATCH):
            database.batch_create(records_of(rows[at : at + BATCH]))
        del rows
    _show("create", time.perf_counter() - begin, time.process_time() - begin_cpu)
    found: dict[str, dict[str, Any]] = {}
    for step in STEPS:
        command = [sys.executable, str(Path(__file__).resolve()), str(place), step]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[step] = json.loads(done.stdout)
        _show(step, *found[step]["times"][0], found[step]["bytes"])
    _show("second search", *found[STEPS[2]]["times"][1])
    listing, second = found["listing"]["times"][1][1], found[STEPS[2]]["times"][1][1]
    taken = found[STEPS[2]]["bytes"]
    times = second / listing
    good = times <= MOST_TIMES
    small = taken <= MOST_BYTES
    print(
        f"  {'met   ' if good else 'MISSED'} a second search takes at most {MOST_TIMES} times the "
        f"processor time of the listing: {times:.2f}"
    )
    print(
        f"  {'met   ' if small else 'MISSED'} and at most {MOST_BYTES >> 20:,} MiB: "
        f"{taken / 2**20:,.0f} MiB"
    )
    return good and small


def _database(place: Path) -> holdall.Database:
    return holdall.open_database({"type": "file", "path": str(place), "durable": False})


def _show(what: str, clock: float, processor: float, peak: int = 0) -> None:
    memory = f"   {peak / 2**20:8,.0f} MiB" if peak else ""
    print(f"  {what:44} {clock:8.2f} s, {processor:8.2f} s of the processor{memory}")


def _list(place: Path) -> None:
    store = open_store(place.as_uri(), BlockingRuntime())
    token: str | None = None
    while True:
        options = ListOptions(delimiter=True, etags=True, token=token)
        token = drive(store.list(store.root, options)).token
        if token is None:
            return


def _step(place: Path, step: str) -> dict[str, Any]:
    """Do it twice; answer both times, and how much memory the process took."""
    times = []
    with closing(_database(place)) as database:
        for _ in range(2):
            begin, begin_cpu = time.perf_counter(), time.process_time()
            if step == "listing":
                _list(place)
            else:
                database.search(QUERY)
            times.append((time.perf_counter() - begin, time.process_time() - begin_cpu))
    return {"times": times, "bytes": _peak_bytes()}


def _peak_bytes() -> int:
    """How much memory this program had at most; `getrusage` also counts what started it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "VmHWM":
            return int(value.split()[0]) * 1024
    raise OSError("/proc/self/status says nothing of VmHWM")


if __name__ == "__main__":
    print(json.dumps(_step(Path(sys.argv[1]), sys.argv[2])))
