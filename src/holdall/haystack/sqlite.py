"""`SqliteAdapter`: entities and histories in one file, which keeps everything."""

from __future__ import annotations

import os

from holdall.core.runtime.loop import LoopRuntime
from holdall.haystack.adapter.face import HaystackAdapter
from holdall.haystack.stores.kept import CACHE_BYTES
from holdall.haystack.stores.sqlite import (
    SqliteEntities,
    SqliteHaystackSettings,
    SqliteHistories,
)
from holdall.haystack.stores.sqlite.file import SqliteFile
from holdall.records.backends.sqlite import SqliteRecords


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
        cache: Of how many bytes of JSON the entities that were read are kept ready in memory,
            where they take about five times as many.

    Raises:
        InvalidConfig: The path is no name of a file, or a number is none that can be.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        timeout: float = 30.0,
        durable: bool = True,
        cache: int = CACHE_BYTES,
    ) -> None:
        settings = SqliteHaystackSettings(os.fspath(path), timeout, durable, cache)
        runtime = LoopRuntime()
        file = SqliteFile(settings, runtime)
        super().__init__(
            SqliteEntities(settings, runtime, file), SqliteHistories(settings, runtime, file)
        )


def open_sqlite(url: str) -> SqliteAdapter:
    """Open `sqlite:///plant.db`, a file in the working folder, or `sqlite:////srv/plant.db`.

    Raises:
        InvalidConfig: The address names no file.
    """
    return SqliteAdapter(SqliteRecords.settings_of(url)["path"])
