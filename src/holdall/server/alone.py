"""That a store in memory is not served by several processes, each with entities of its own."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING

from holdall.core.errors import InvalidConfig
from holdall.haystack.adapter.face import HaystackAdapter

if TYPE_CHECKING:
    from holdall.haystack.adapter.protocol import StorageAdapter


def check_alone(adapter: StorageAdapter) -> None:
    """Refuse a store in memory where this process is one of several workers of uvicorn.

    Raises:
        InvalidConfig: It is; says what to do.
    """
    if not isinstance(adapter, HaystackAdapter) or adapter.stores[0].type != "memory":
        return
    workers = _workers()
    if workers > 1:
        raise InvalidConfig(
            f"the entities are in memory, and uvicorn runs {workers} workers, each with others: "
            "run one, or take a store that they share, such as sqlite:///plant.db"
        )


def _workers() -> int:
    """How many workers uvicorn runs of which this process is one; 1 where nobody says so."""
    # uvicorn hands its settings to the process that it starts, and tells the application nothing.
    config = getattr(multiprocessing.current_process(), "_kwargs", {}).get("config")
    if getattr(config, "should_reload", False):  # then it runs one, whatever it was told
        return 1
    workers = getattr(config, "workers", 1)
    return workers if isinstance(workers, int) else 1
