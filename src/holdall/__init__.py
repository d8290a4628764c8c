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
    from holdall.objects.async_data_store import AsyncDataStore
    from holdall.objects.data_store import DataStore
    from holdall.objects.opening import open, open_async
    from holdall.objects.results import Capabilities, ObjectMeta

__version__ = "0.1.0"

__all__ = [
    "AsyncDataStore",
    "Capabilities",
    "DataStore",
    "ObjectMeta",
    "Reference",
    "errors",
    "open",
    "open_async",
]

_HOMES = {
    "AsyncDataStore": "holdall.objects.async_data_store",
    "Capabilities": "holdall.objects.results",
    "DataStore": "holdall.objects.data_store",
    "ObjectMeta": "holdall.objects.results",
    "Reference": "holdall.core.reference",
    "open": "holdall.objects.opening",
    "open_async": "holdall.objects.opening",
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
