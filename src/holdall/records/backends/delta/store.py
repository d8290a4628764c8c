"""Records in a Delta Lake table: for millions of them, where one object a record is too many.

A batch is one commit, and a commit takes a good part of a second on a service: write in batches.
Other engines read and write the same table with their own connectors.
"""

from __future__ import annotations

import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, final

from holdall.core.errors import InvalidConfig, PreconditionFailed, Unsupported
from holdall.records.backends.delta import reading, upkeep, writing
from holdall.records.backends.delta.faults import load_drivers
from holdall.records.backends.delta.settings import (
    DeltaRecordSettings,
    check_settings,
    settings_of_address,
)
from holdall.records.backends.delta.table import Table
from holdall.records.contract import RecordStore
from holdall.records.stored import RecordCapabilities

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import timedelta

    from msgspec import Struct

    from holdall.core.errors import HoldallError
    from holdall.core.runtime import Runtime
    from holdall.records.backends.delta.results import Compacted, Vacuumed, Version
    from holdall.records.backends.delta.writing import Change
    from holdall.records.contract import RecordTransaction
    from holdall.records.paths import Path
    from holdall.records.predicate import Node
    from holdall.records.stored import Found, Outcome, Removal, Stored, Write

_FIRST_PAUSE_SECONDS: Final = 0.01
_LONGEST_PAUSE_SECONDS: Final = 1.0


@final
class DeltaRecords(RecordStore):
    """A database in a Delta Lake table.

    What other programs wrote to the table is found at the next call. A table that others made can
    be read, when it has a column `id`: its other columns are fields.
    """

    settings_type = DeltaRecordSettings

    def __init__(self, settings: DeltaRecordSettings, runtime: Runtime) -> None:
        super().__init__(settings, runtime)
        check_settings(settings)
        load_drivers()
        self._place = settings
        self._table = Table(settings)
        # Writers of one process take turns, so that only others get in between.
        self._writing = runtime.semaphore(1)

    @classmethod
    def open(cls, settings: Struct, runtime: Runtime) -> DeltaRecords:
        assert isinstance(settings, DeltaRecordSettings)
        return cls(settings, runtime)

    @classmethod
    def settings_of(cls, url: str) -> Mapping[str, Any]:
        return settings_of_address(url)

    @property
    def type(self) -> str:
        return "delta"

    @property
    def address(self) -> str:
        return self._place.address

    @property
    def capabilities(self) -> RecordCapabilities:
        return RecordCapabilities(
            atomic=True, durable=self._place.folder is None, remote=self._place.folder is None
        )

    async def get(self, ids: Sequence[str]) -> Sequence[Stored | HoldallError | None]:
        if not ids:
            return []
        return await self._runtime.call(reading.rows_of, None, self._table, ids)

    async def put(self, writes: Sequence[Write]) -> Sequence[Outcome]:
        outcomes: Sequence[Outcome] = []
        if writes:
            outcomes = await self._change(writing.Put(self._table, writes))
        return outcomes

    async def delete(self, removals: Sequence[Removal]) -> Sequence[bool | HoldallError]:
        outcomes: Sequence[bool | HoldallError] = []
        if removals:
            outcomes = await self._change(writing.Delete(self._table, removals))
        return outcomes

    async def find(self, found: Found) -> Sequence[Stored]:
        return await self._runtime.call(reading.searched, None, self._table, found)

    async def count(self, predicate: Node) -> int:
        return await self._runtime.call(reading.counted, None, self._table, predicate)

    async def clear(self) -> int:
        return int(await self._change(writing.Clear(self._table)))

    async def index(self, path: Path) -> None:
        raise Unsupported(
            f"{self.address} has no indexes: a field that half of a batch has, with values of one "
            "type, becomes a column by itself when the batch is of "
            f"{self._place.typed_from} records or more (the setting typed_from), and columns are "
            "what searches and sorts read"
        )

    async def begin(self) -> RecordTransaction:
        raise Unsupported(f"{self.address} has no transactions; a batch is written as a whole")

    async def close(self) -> None:
        await self._runtime.call(self._table.close, None)

    async def compact(self) -> Compacted:
        """Join small files into large ones; see `holdall.records.delta.compact`."""
        done: Compacted = await self._change(upkeep.Compact(self._table))
        return done

    async def vacuum(self, retention: timedelta, *, dry_run: bool = False) -> Vacuumed:
        """Delete files that only versions of before need; see `holdall.records.delta.vacuum`."""
        self._check_writable()
        if retention.total_seconds() < 0:
            raise InvalidConfig(f"retention {retention}: write a time from 0 on")
        async with self._turn():
            return await self._runtime.call(upkeep.vacuum, None, self._table, retention, dry_run)

    async def verify(self) -> list[str]:
        """Answer the ids that several rows have; see `holdall.records.delta.verify`."""
        return await self._runtime.call(reading.repeated, None, self._table)

    async def versions(self, limit: int | None = None) -> list[Version]:
        """Answer the versions that the log knows; see `holdall.records.delta.versions`."""
        return await self._runtime.call(upkeep.versions, None, self._table, limit)

    async def _change(self, change: Change) -> Any:
        self._check_writable()
        async with self._turn():
            for attempt in range(self._place.retries + 1):
                done = await self._runtime.call(change.attempt, None)
                if done is not writing.CONFLICT:
                    return done
                longest = min(_LONGEST_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2**attempt)
                await self._runtime.sleep(random.uniform(0, longest))
        raise PreconditionFailed(
            f"{self.address}: others wrote each time, {self._place.retries + 1} times in a row "
            "(the setting retries); nothing of this was written",
            reference=self.address,
            transient=True,
        )

    def _check_writable(self) -> None:
        if self._place.at_version is not None:
            raise Unsupported(f"{self.address} is a version of the past, which nobody changes")

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until nobody else of this process writes."""
        await self._writing.acquire()
        try:
            yield
        finally:
            self._writing.release()
