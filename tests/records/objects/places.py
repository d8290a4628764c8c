"""A place that several processes open, each with its requests counted."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.data_store import DataStore
from holdall.objects.registry import open_store
from holdall.records.backends.objects import ObjectRecords, ObjectRecordSettings
from holdall.records.database import Database
from holdall.records.record import Record
from holdall.testing.layers.faults import Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdall.objects.contract import ObjectStore
    from holdall.testing.layers.faults import Script

_number = count()

FAR_PAGE = 3
"""How many keys a page has where the fixture `far` lets memory count for a service."""


@dataclass
class Process:
    """A database as one process has it.

    Attributes:
        db: The database.
        wire: Counts what it asks of the store.
    """

    db: Database
    wire: Faults

    def asked(self, work: Callable[[], object]) -> dict[str, int]:
        """Do something; answer how many requests of each kind it made."""
        before = dict(self.wire.seen)
        work()
        after = dict(self.wire.seen)
        return {
            name: number - before.get(name, 0)
            for name, number in after.items()
            if number > before.get(name, 0) and name != "read"
        }


class Place:
    """A store of objects in memory, for one test."""

    def __init__(self) -> None:
        self.url = f"memory://place{next(_number)}/p"

    def objects(self) -> DataStore:
        """The objects themselves."""
        return DataStore(open_store(self.url, BlockingRuntime()))

    def open(
        self,
        script: Script = (),
        around: Callable[[ObjectStore], ObjectStore] | None = None,
        **settings: Any,
    ) -> Process:
        """Open the database once more, as another process would."""
        wire = Faults(open_store(self.url, BlockingRuntime()), script)
        store = wire if around is None else around(wire)
        whole = ObjectRecordSettings(store=self.url, **settings)
        return Process(Database(ObjectRecords(whole, store)), wire)

    def fill(self, number: int) -> None:
        """Write records `0000`, `0001`, …, each with its number."""
        self.open().db.batch_create(
            [Record({"number": at, "half": at % 2}, id=f"{at:04}") for at in range(number)]
        )
