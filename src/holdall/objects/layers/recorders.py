"""Recorders that hand a store's measurements on: to Prometheus, and to OpenTelemetry.

Neither touches anything global: the registry, or the meter, is what the caller gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from holdall.core.errors import InvalidConfig

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from prometheus_client import CollectorRegistry


@final
class PrometheusRecorder:
    """Counts in a registry of `prometheus_client` (extra `prometheus`).

    `holdall_seconds` is a histogram by operation, `holdall_errors_total` counts by operation and
    kind, `holdall_bytes_total` by direction (`read`, `written`).

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


@final
class OpenTelemetryRecorder:
    """Records with a meter of OpenTelemetry (extra `opentelemetry`).

    `holdall.duration` is a histogram in seconds with the attributes `operation`, and
    `error.type` where a call failed; `holdall.io` counts bytes by `direction`.

    Args:
        meter: Makes the instruments; one recorder for each.
        store: The attribute `store`, which tells several stores apart.
    """

    def __init__(self, meter: Meter, store: str = "") -> None:
        self._named = {"store": store} if store else {}
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
