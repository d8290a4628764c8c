"""`SqliteAdapter`: entities and histories in one file, which keeps everything."""

from __future__ import annotations

import os

from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.sqlite import (
    SqliteEntities,
    SqliteHaystackSettings,
    SqliteHistories,
)
from holdall.haystack.stores.sqlite.file import SqliteFile


class SqliteAdapter(HaystackAdapter):
    """Keeps entities, histories, watches and priority arrays in one file of SQLite.

    The file is made by the first call, for its owner alone, in a folder that is there. Several
    processes may use it at once; one writes at a time. It may also hold records, or tables of
    your own.

    Args:
        path: The file, absolute or relative to the working folder. There is no `:memory:`:
            `InMemoryAdapter` is that.
        timeout: How many seconds to wait while others write.
        durable: Whether a write that was answered outlives a power cut; without it, it outlives
            the end of the process only, and is faster.

    Raises:
        InvalidConfig: The path is no name of a file, or the time-out negative.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, timeout: float = 30.0, durable: bool = True
    ) -> None:
        settings = SqliteHaystackSettings(os.fspath(path), timeout=timeout, durable=durable)
        runtime = LoopRuntime()
        file = SqliteFile(settings, runtime)
        super().__init__(
            SqliteEntities(settings, runtime, file), SqliteHistories(settings, runtime, file)
        )
