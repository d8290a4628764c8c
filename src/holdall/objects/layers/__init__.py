"""Layers: stores around stores, one idea a file.

The order in which an assembled store has them, from the outside:

    Metrics → Cache → Router → for each backend: Retry → Breaker → Rate → Concurrency → Timeout

`Retry` stands outside of `Concurrency`, so that no slot is held through a back-off, and outside
of `Breaker`, which counts every attempt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from holdall.objects.layers.layer import Call, Layer, LayerStream, LayerUpload, Send, Way

if TYPE_CHECKING:
    from holdall.objects.layers.breaker import Breaker, BreakerStats
    from holdall.objects.layers.cache import Cache
    from holdall.objects.layers.cache_settings import CacheStats
    from holdall.objects.layers.concurrency import Concurrency
    from holdall.objects.layers.metrics import Counters, Metrics, Recorder, State, states
    from holdall.objects.layers.rate import Rate
    from holdall.objects.layers.resilience import ResilientConfig, resilient
    from holdall.objects.layers.retry import Retry
    from holdall.objects.layers.timeout import Timeout

__all__ = [
    "Breaker",
    "BreakerStats",
    "Cache",
    "CacheStats",
    "Call",
    "Concurrency",
    "Counters",
    "Layer",
    "LayerStream",
    "LayerUpload",
    "Metrics",
    "Rate",
    "Recorder",
    "ResilientConfig",
    "Retry",
    "Send",
    "State",
    "Timeout",
    "Way",
    "resilient",
    "states",
]

# Imported when first used: opening a store must not pay for layers that it does not have.
_HOMES = {
    "Breaker": "breaker",
    "BreakerStats": "breaker",
    "Cache": "cache",
    "CacheStats": "cache_settings",
    "Concurrency": "concurrency",
    "Counters": "metrics",
    "Metrics": "metrics",
    "Rate": "rate",
    "Recorder": "metrics",
    "ResilientConfig": "resilience",
    "Retry": "retry",
    "State": "metrics",
    "Timeout": "timeout",
    "resilient": "resilience",
    "states": "metrics",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
