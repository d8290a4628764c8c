"""Recorders that hand a store's measurements on: to Prometheus, and to OpenTelemetry.

Neither touches anything global: the registry, or the meter, is what the caller gives.
"""

from __future__ import annotations

import weakref
from functools import partial
from typing import TYPE_CHECKING, final

from holdall.core.errors import InvalidConfig
from holdall.objects.layers.metrics import State, states, unwatched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from opentelemetry.metrics import CallbackOptions, Meter, Observation
    from prometheus_client import CollectorRegistry
    from prometheus_client.core import Metric

    from holdall.objects.contract import ObjectStore

_STATES = (
    "circuit_open",
    "circuit_failures",
    "cache_hits",
    "cache_misses",
    "cache_write_errors",
    "cache_fetch_seconds",
    "cache_entries",
    "cache_bytes",
)


def _states(store: ObjectStore | None) -> Iterator[State]:
    return iter(()) if store is None else states(store)


@final
class PrometheusRecorder:
    """Counts in a registry of `prometheus_client` (extra `prometheus`).

    `holdall_seconds` is a histogram by operation, `holdall_errors_total` counts by operation and
    kind, `holdall_bytes_total` by direction (`read`, `written`). `holdall_circuit_open`,
    `holdall_cache_hits` and the other names of `State` are gauges, read when they are collected.

    Args:
        registry: Where they are registered; one recorder for each.
        store: The value of the label `store`, which tells several stores apart.

    Raises:
        InvalidConfig: `prometheus_client` is not installed.
    """

    def __init__(self, registry: CollectorRegistry, store: str = "") -> None:
        try:
            from prometheus_client import Counter, Histogram
        except ImportError as error:
            raise InvalidConfig(
                "PrometheusRecorder needs prometheus_client: pip install 'holdall[prometheus]'"
            ) from error
        self._store = store
        self._watched: Callable[[], ObjectStore | None] = unwatched
        registry.register(self)
        self._seconds = Histogram(
            "holdall_seconds", "How long calls took", ["store", "operation"], registry=registry
        )
        self._errors = Counter(
            "holdall_errors", "Calls that failed", ["store", "operation", "kind"], registry=registry
        )
        self._bytes = Counter(
            "holdall_bytes", "Bytes of bodies", ["store", "direction"], registry=registry
        )

    def record(
        self, operation: str, seconds: float, read: int, written: int, error: str | None
    ) -> None:
        self._seconds.labels(self._store, operation).observe(seconds)
        if read:
            self._bytes.labels(self._store, "read").inc(read)
        if written:
            self._bytes.labels(self._store, "written").inc(written)
        if error is not None:
            self._errors.labels(self._store, operation, error).inc()

    def watch(self, store: ObjectStore) -> None:
        self._watched = weakref.ref(store)

    def describe(self) -> list[Metric]:
        """No names beforehand: which there are depends on the store's layers."""
        return []

    def collect(self) -> Iterator[Metric]:
        """What `prometheus_client` asks a collector for: the states of now."""
        from prometheus_client.core import GaugeMetricFamily

        families: dict[str, GaugeMetricFamily] = {}
        for state in _states(self._watched()):
            family = families.get(state.name)
            if family is None:
                family = families[state.name] = GaugeMetricFamily(
                    f"holdall_{state.name}", "As it is now", labels=["store", "place"]
                )
            family.add_metric([self._store, state.place], state.value)
        yield from families.values()


@final
class OpenTelemetryRecorder:
    """Records with a meter of OpenTelemetry (extra `opentelemetry`).

    `holdall.duration` is a histogram in seconds with the attributes `operation`, and
    `error.type` where a call failed; `holdall.io` counts bytes by `direction`. The names of
    `State`, such as `holdall.circuit_open`, are gauges that are observed.

    Args:
        meter: Makes the instruments; one recorder for each.
        store: The attribute `store`, which tells several stores apart.
    """

    def __init__(self, meter: Meter, store: str = "") -> None:
        self._named = {"store": store} if store else {}
        self._watched: Callable[[], ObjectStore | None] = unwatched
        for name in _STATES:
            meter.create_observable_gauge(f"holdall.{name}", [partial(self._observe, name)])
        self._seconds = meter.create_histogram(
            "holdall.duration", unit="s", description="How long calls took"
        )
        self._bytes = meter.create_counter("holdall.io", unit="By", description="Bytes of bodies")

    def record(
        self, operation: str, seconds: float, read: int, written: int, error: str | None
    ) -> None:
        known = {**self._named, "operation": operation}
        if error is not None:
            known["error.type"] = error
        self._seconds.record(seconds, known)
        if read:
            self._bytes.add(read, {**self._named, "direction": "read"})
        if written:
            self._bytes.add(written, {**self._named, "direction": "written"})

    def watch(self, store: ObjectStore) -> None:
        self._watched = weakref.ref(store)

    def _observe(self, name: str, options: CallbackOptions) -> Iterator[Observation]:
        from opentelemetry.metrics import Observation

        for state in _states(self._watched()):
            if state.name == name:
                yield Observation(state.value, {**self._named, "place": state.place})
