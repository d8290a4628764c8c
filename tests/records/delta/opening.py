"""Opening tables in tests."""

from pathlib import Path
from typing import Any

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.records.backends.delta import DeltaRecords, DeltaRecordSettings
from holdall.records.backends.delta.faults import load_drivers
from holdall.records.database import Database
from holdall.records.record import Record


def settings_in(folder: Path, **settings: Any) -> DeltaRecordSettings:
    """Settings of a table in a folder.

    The drivers are imported here: the first test of a process may open the table on a loop, and
    what an import reads would count as what blocks it.
    """
    load_drivers()
    return DeltaRecordSettings(table=f"file://{folder}/table", **settings)


def store_in(folder: Path, **settings: Any) -> DeltaRecords:
    """A store of that table."""
    return DeltaRecords.open(settings_in(folder, **settings), BlockingRuntime())


def opened_in(folder: Path, **settings: Any) -> Database:
    """A database in that table."""
    return Database(store_in(folder, **settings))


def people(number: int) -> list[Record]:
    """Records `0000`, `0001`, …"""
    return [
        Record({"name": f"n{at}", "age": at % 50, "tags": [at], "left": None}, id=f"{at:04}")
        for at in range(number)
    ]
