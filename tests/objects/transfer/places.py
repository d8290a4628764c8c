"""Two stores to transfer between, whichever they are, and either face to do it through."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import holdall
from holdall import AsyncDataStore, DataStore
from holdall.objects import transfer
from holdall.objects.transfer import Step, SyncOptions, SyncReport, VerifyReport

PAIRS = ["memory-memory", "file-memory", "memory-file", "file-file"]
FACES = ["blocking", "async"]


@dataclass
class Places:
    """Where source and target are, and through which face they are used."""

    source_url: str
    target_url: str
    face: str
    prepare: Callable[[DataStore | AsyncDataStore, DataStore | AsyncDataStore], None] | None = None

    @property
    def source(self) -> DataStore:
        return holdall.open(self.source_url)

    @property
    def target(self) -> DataStore:
        return holdall.open(self.target_url)

    def _open_async(self) -> tuple[AsyncDataStore, AsyncDataStore]:
        # Before the loop runs, because the first opening in a process imports the backend.
        return holdall.open_async(self.source_url), holdall.open_async(self.target_url)

    def sync(self, options: SyncOptions | None = None, **keywords: Any) -> SyncReport:
        options = options or SyncOptions(workers=3)
        if self.face == "blocking":
            source, target = self.source, self.target
            if self.prepare is not None:
                self.prepare(source, target)
            return transfer.sync(source, target, options, **keywords)

        one, two = self._open_async()

        async def main() -> SyncReport:
            if self.prepare is not None:
                self.prepare(one, two)
            async with one, two:
                return await transfer.sync_async(one, two, options, **keywords)

        return asyncio.run(main())

    def plan(self, options: SyncOptions | None = None) -> list[Step]:
        options = options or SyncOptions(workers=3)
        if self.face == "blocking":
            return list(transfer.plan(self.source, self.target, options))

        one, two = self._open_async()

        async def main() -> list[Step]:
            async with one, two:
                return [step async for step in transfer.plan_async(one, two, options)]

        return asyncio.run(main())

    def verify(self) -> VerifyReport:
        if self.face == "blocking":
            return transfer.verify(self.target, workers=3)

        _, store = self._open_async()

        async def main() -> VerifyReport:
            async with store:
                return await transfer.verify_async(store, workers=3)

        return asyncio.run(main())

    def compare(self) -> VerifyReport:
        if self.face == "blocking":
            return transfer.compare(self.source, self.target, workers=3)

        one, two = self._open_async()

        async def main() -> VerifyReport:
            async with one, two:
                return await transfer.compare_async(one, two, workers=3)

        return asyncio.run(main())


def contents(store: DataStore) -> dict[str, bytes]:
    """Everything in a store."""
    return {key: store.read(key) for key in store.list()}


def fill(store: DataStore, items: dict[str, bytes]) -> None:
    """Write objects."""
    for key, data in items.items():
        store.write(key, data)
