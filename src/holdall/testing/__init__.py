"""Suites that say whether a store keeps its contract, for those who write stores and layers.

They need pytest, and the machine needs Hypothesis; Holdall itself needs neither.

    ObjectStoreSuite        the facts of the contract `ObjectStore`, through both faces
    object_store_machine    a Hypothesis state machine: a store beside the memory store
    LayerSuite              the facts of layers, and those of the store that they stand around
    RecordStoreSuite        the facts of the contract `RecordStore`, through both faces
    record_store_machine    a Hypothesis state machine: a database beside the one in memory
    EntityStoreSuite        the facts of the contract `EntityStore`
    HistoryStoreSuite       the facts of the contract `HistoryStore`
    HaystackAdapterSuite    the behaviour of the adapter over a pair of them
    Faults                  a layer that lets calls fail by script: `FaultRule`, `Fault`
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

try:
    import pytest
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("holdall.testing needs pytest: pip install pytest") from error

if TYPE_CHECKING:
    from holdall.testing.haystack.adapter import HaystackAdapterSuite
    from holdall.testing.haystack.entities import EntityStoreSuite
    from holdall.testing.haystack.histories import HistoryStoreSuite
    from holdall.testing.layers import LayerSuite
    from holdall.testing.layers.faults import Fault, FaultRule, Faults
    from holdall.testing.objects import ObjectStoreSuite
    from holdall.testing.objects.machine import ObjectStoreMachine, object_store_machine
    from holdall.testing.records import RecordStoreSuite
    from holdall.testing.records.machine import record_store_machine

__all__ = [
    "EntityStoreSuite",
    "Fault",
    "FaultRule",
    "Faults",
    "HaystackAdapterSuite",
    "HistoryStoreSuite",
    "LayerSuite",
    "ObjectStoreMachine",
    "ObjectStoreSuite",
    "RecordStoreSuite",
    "object_store_machine",
    "record_store_machine",
]

_HOMES = {
    "EntityStoreSuite": "holdall.testing.haystack.entities",
    "Fault": "holdall.testing.layers.faults",
    "FaultRule": "holdall.testing.layers.faults",
    "Faults": "holdall.testing.layers.faults",
    "HaystackAdapterSuite": "holdall.testing.haystack.adapter",
    "HistoryStoreSuite": "holdall.testing.haystack.histories",
    "LayerSuite": "holdall.testing.layers",
    "ObjectStoreMachine": "holdall.testing.objects.machine",
    "ObjectStoreSuite": "holdall.testing.objects",
    "RecordStoreSuite": "holdall.testing.records",
    "object_store_machine": "holdall.testing.objects.machine",
    "record_store_machine": "holdall.testing.records.machine",
}

# Before the facts are imported, so that a failed `assert` in them shows its values.
pytest.register_assert_rewrite(
    "holdall.testing.objects",
    "holdall.testing.layers",
    "holdall.testing.records",
    "holdall.testing.haystack",
)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'holdall.testing' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
