"""One storage layer: change the URL, not the code.

    import holdall

    store = holdall.open("file:///srv/data")
    store.write("2024/report.pdf", data)

Everything is imported when it is first used, so that `import holdall` costs next to nothing and
needs no driver.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from holdall.core import errors
    from holdall.core.reference import Reference
    from holdall.haystack.opening import open_adapter
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.data_store import DataStore
    from holdall.objects.opening import open, open_async
    from holdall.objects.results import Capabilities, ObjectMeta
    from holdall.records.async_database import AsyncDatabase
    from holdall.records.database import Database
    from holdall.records.opening import (
        DatabaseFactory,
        open_database,
        open_database_async,
        open_databases,
    )
    from holdall.records.query import F, Query
    from holdall.records.record import Record

__version__ = "0.1.0"

__all__ = [
    "AsyncDataStore",
    "AsyncDatabase",
    "Capabilities",
    "DataStore",
    "Database",
    "DatabaseFactory",
    "F",
    "ObjectMeta",
    "Query",
    "Record",
    "Reference",
    "errors",
    "open",
    "open_adapter",
    "open_async",
    "open_database",
    "open_database_async",
    "open_databases",
]

_HOMES = {
    "AsyncDataStore": "holdall.objects.async_data_store",
    "AsyncDatabase": "holdall.records.async_database",
    "Capabilities": "holdall.objects.results",
    "DataStore": "holdall.objects.data_store",
    "Database": "holdall.records.database",
    "DatabaseFactory": "holdall.records.opening",
    "F": "holdall.records.query",
    "ObjectMeta": "holdall.objects.results",
    "Query": "holdall.records.query",
    "Record": "holdall.records.record",
    "Reference": "holdall.core.reference",
    "open": "holdall.objects.opening",
    "open_adapter": "holdall.haystack.opening",
    "open_async": "holdall.objects.opening",
    "open_database": "holdall.records.opening",
    "open_database_async": "holdall.records.opening",
    "open_databases": "holdall.records.opening",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return import_module("holdall.core.errors")
    if name not in _HOMES:
        raise AttributeError(f"module 'holdall' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
