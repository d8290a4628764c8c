"""Writing what a database answers, chunk by chunk; files are opened and closed around it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from holdall.records.async_database import AsyncDatabase

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
    from contextlib import AbstractContextManager

    from holdall.core.runtime import Runtime
    from holdall.records.contract import RecordStore
    from holdall.records.query import Query
    from holdall.records.record import Record

    OnProgress: TypeAlias = Callable[[int, int | None], object]

T = TypeVar("T")

BATCH = 1000
"""How many records are taken together, when the caller names no number."""


class Writer(ABC):
    """What takes records, one call at a time, each in any thread."""

    @abstractmethod
    def add(self, records: Sequence[Record]) -> None:
        """Take some more."""

    def finish(self) -> None:
        """Write what waits; there are no more records."""
        return

    def close(self) -> None:
        """Let go of all that it holds, also when it did not finish."""
        return


async def write_records(
    store: RecordStore, query: Query | None, writer: Writer, progress: OnProgress | None
) -> int:
    """Give a writer the records that a query means; answer how many. It is closed then.

    Args:
        store: Where from; its runtime waits.
        query: Which records; None for all.
        writer: What takes them.
        progress: Told how many were taken, of how many; for that they are counted first.
    """
    runtime = store.runtime
    db = AsyncDatabase(store)
    number = 0
    try:
        total = None if progress is None else await db.count(query)
        async with aclosing(_chunks(db, query)) as chunks:
            async for chunk in chunks:
                await runtime.call(writer.add, None, chunk)
                number += len(chunk)
                if progress is not None:
                    progress(number, total)
        if progress is not None and not number:
            progress(number, total)
        await runtime.call(writer.finish, None)
    finally:
        writer.close()
    return number


async def _chunks(db: AsyncDatabase, query: Query | None) -> AsyncGenerator[list[Record], None]:
    chunk: list[Record] = []
    async with aclosing(db.stream_read(query, BATCH)) as records:  # type: ignore[type-var]
        async for record in records:
            chunk.append(record)
            if len(chunk) == BATCH:
                yield chunk
                chunk = []
    if chunk:
        yield chunk


@asynccontextmanager
async def entered(manager: AbstractContextManager[T], runtime: Runtime) -> AsyncIterator[T]:
    """What a context manager answers, for `async with`; no loop waits for it.

    Args:
        manager: It may wait as it begins and ends.
        runtime: How to wait.
    """
    begun: list[T] = []

    def enter() -> T:
        begun.append(manager.__enter__())
        return begun[0]

    try:
        yield await runtime.call(enter, None)
    except BaseException as error:
        # Who is cancelled as it begins is told so when it has begun.
        if begun:
            await _leave(manager, runtime, error)
        raise
    await _leave(manager, runtime, None)


async def _leave(
    manager: AbstractContextManager[object], runtime: Runtime, error: BaseException | None
) -> None:
    kind, trace = (None, None) if error is None else (type(error), error.__traceback__)
    if runtime.blocking:  # also after a deadline, when the runtime calls nothing
        manager.__exit__(kind, error, trace)
    else:
        await runtime.call(manager.__exit__, None, kind, error, trace)
