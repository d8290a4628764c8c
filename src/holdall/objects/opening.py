"""`holdall.open` and `holdall.open_async`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from holdall.core.runtime.blocking import BlockingRuntime
from holdall.objects.data_store import DataStore
from holdall.objects.registry import REMOTE_LAYERS, open_store

if TYPE_CHECKING:
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.registry import Place


def open(place: Place) -> DataStore:
    """Open a store of objects.

    Args:
        place: A URL (`file:///srv/data`, `memory://`), whose query may hold settings
            (`?durable=false`); an absolute path, which is a folder; a `Reference`; a mapping
            with `type` (or `url`) and the settings of that backend; or a `pathlib.Path`, which
            is a configuration where it leads to a file (TOML, YAML, JSON) and else a folder.

    A remote store is opened with the layers `retry`, `breaker` and `timeout` around it, unless
    its configuration has `layers`.

    Raises:
        InvalidConfig: No such backend, or a setting cannot be; names it.
        InvalidKey: The address is none.
    """
    return DataStore(open_store(place, BlockingRuntime(), REMOTE_LAYERS))


def open_async(place: Place) -> AsyncDataStore:
    """Open a store of objects for asyncio; the arguments of `open`.

    Nothing waits here, but for a `pathlib.Path`, which is looked up on the disk.
    """
    # asyncio takes longer to import than all of this package.
    from holdall.core.runtime.loop import LoopRuntime
    from holdall.objects.async_data_store import AsyncDataStore

    return AsyncDataStore(open_store(place, LoopRuntime(), REMOTE_LAYERS))
