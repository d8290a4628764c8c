"""Facts about what a store tells of itself."""

import asyncio
import gc
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client import CollectorRegistry

from holdall.core.errors import PermissionDenied, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.data_store import DataStore
from holdall.objects.layers.metrics import Counters, Metrics, states
from holdall.objects.layers.recorders import OpenTelemetryRecorder, PrometheusRecorder
from holdall.objects.options import DELETE, GET, HEAD, WRITE
from holdall.objects.registry import open_store
from holdall.objects.results import DeleteFailure
from objects.layers.scripted import Scripted


def _counters(store: Metrics) -> Counters:
    assert isinstance(store.recorder, Counters)
    return store.recorder


def test_calls_bytes_and_seconds_are_counted() -> None:
    inner = Scripted(BlockingRuntime())
    ticks = iter(range(100))
    store = Metrics(inner, clock=lambda: float(next(ticks)))
    drive(store.put(inner.ref("a"), b"1234", WRITE))
    drive(store.get(inner.ref("a"), GET))
    drive(store.get(inner.ref("a"), GET))
    counts = _counters(store).snapshot()
    assert counts["put"] == (1, 1.0, 0, 4, {})
    assert counts["get"] == (2, 2.0, 8, 0, {})


def test_errors_are_counted_by_kind() -> None:
    inner = Scripted(BlockingRuntime(), Unavailable("down"))
    store = Metrics(inner)
    for _ in range(3):
        with pytest.raises((Unavailable, FileNotFoundError)):
            drive(store.head(inner.ref("a"), HEAD))
    assert _counters(store).snapshot()["head"].errors == {"Unavailable": 1, "NotFound": 2}


def test_what_a_delete_answers_as_failed_is_counted_by_kind() -> None:
    inner = Scripted(BlockingRuntime())
    refs = [inner.ref(key) for key in "abc"]
    denied = [DeleteFailure(ref, PermissionDenied("no")) for ref in refs[:2]]
    failures = [*denied, DeleteFailure(refs[2], Unavailable("down"))]
    inner.script.append(lambda: failures)
    store = Metrics(inner)
    assert drive(store.delete(refs, DELETE)) == failures
    drive(store.delete(refs, DELETE))
    count = _counters(store).snapshot()["delete"]
    assert (count.calls, count.errors) == (2, {"PermissionDenied": 1})


def test_bytes_are_counted_whatever_the_items_of_a_view_are() -> None:
    inner = Scripted(BlockingRuntime())
    store = Metrics(inner)
    view = memoryview(b"12345678").cast("I")
    drive(store.put(inner.ref("a"), view, WRITE))
    upload = drive(store.upload(inner.ref("b"), WRITE, None))
    drive(upload.write(view))
    drive(upload.abort())
    counts = _counters(store).snapshot()
    assert (counts["put"].written, counts["write"].written) == (8, 8)


def test_a_call_that_is_cancelled_is_counted() -> None:
    async def run() -> None:
        inner = Scripted(LoopRuntime(), asyncio.Event().wait)
        store = Metrics(inner)
        task = asyncio.create_task(store.head(inner.ref("a"), HEAD))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert _counters(store).snapshot()["head"].errors == {"CancelledError": 1}

    asyncio.run(run())


def test_the_bytes_of_an_open_body_are_counted_as_they_come() -> None:
    inner = Scripted(BlockingRuntime())
    drive(inner.put(inner.ref("a"), b"x" * 20, WRITE))
    inner.bodies.append([10, 5])
    store = Metrics(inner)
    stream = drive(store.get(inner.ref("a"), GET))
    assert _counters(store).snapshot()["get"].read == 0
    drive(stream.read(20))
    assert _counters(store).snapshot()["read"].read == 10
    drive(stream.read(20))
    assert _counters(store).snapshot()["read"].read == 15


def test_the_bytes_of_an_upload_are_counted() -> None:
    inner = Scripted(BlockingRuntime())
    store = Metrics(inner)
    upload = drive(store.upload(inner.ref("a"), WRITE, None))
    drive(upload.write(b"123"))
    drive(upload.write(b"45"))
    drive(upload.commit())
    counts = _counters(store).snapshot()
    assert (counts["write"].calls, counts["write"].written) == (2, 5)
    assert counts["commit"].calls == 1


def test_no_count_is_lost_between_threads() -> None:
    inner = Scripted(BlockingRuntime())
    store = Metrics(inner)
    drive(store.put(inner.ref("a"), b"data", WRITE))
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda _: drive(store.head(inner.ref("a"), HEAD)), range(2000)):
            pass
    assert _counters(store).snapshot()["head"].calls == 2000


def test_each_store_counts_for_itself() -> None:
    one, other = (Metrics(Scripted(BlockingRuntime())) for _ in range(2))
    drive(one.put(one.root.child("a"), b"", WRITE))
    assert _counters(other).snapshot() == {}


def test_prometheus_is_told_in_the_registry_that_is_given() -> None:
    registry = CollectorRegistry()
    inner = Scripted(BlockingRuntime(), None, Unavailable("down"))
    store = Metrics(inner, recorder=PrometheusRecorder(registry, "plant"))
    drive(store.put(inner.ref("a"), b"1234", WRITE))
    with pytest.raises(Unavailable):
        drive(store.head(inner.ref("a"), HEAD))
    labels = {"store": "plant", "operation": "put"}
    assert registry.get_sample_value("holdall_seconds_count", labels) == 1
    written = {"store": "plant", "direction": "written"}
    assert registry.get_sample_value("holdall_bytes_total", written) == 4
    failed = {"store": "plant", "operation": "head", "kind": "Unavailable"}
    assert registry.get_sample_value("holdall_errors_total", failed) == 1


def test_opentelemetry_is_told_by_the_meter_that_is_given() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    inner = Scripted(BlockingRuntime(), None, Unavailable("down"))
    store = Metrics(inner, recorder=OpenTelemetryRecorder(provider.get_meter("test")))
    drive(store.put(inner.ref("a"), b"1234", WRITE))
    with pytest.raises(Unavailable):
        drive(store.head(inner.ref("a"), HEAD))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: [dict(point.attributes or {}) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert found["holdall.duration"] == [
        {"operation": "put"},
        {"operation": "head", "error.type": "Unavailable"},
    ]
    assert found["holdall.io"] == [{"direction": "written"}]
    provider.shutdown()


def _watched(recorder: Any) -> DataStore:
    layers = [{"layer": "cache", "max_bytes": 1 << 20}, "breaker"]
    inner = open_store({"type": "memory", "layers": layers}, BlockingRuntime())
    store = DataStore(Metrics(inner, recorder=recorder))
    store.write("a", b"data")
    store.read("a")
    store.read("a")
    return store


def test_prometheus_collects_the_state_of_cache_and_breaker() -> None:
    registry = CollectorRegistry()
    store = _watched(PrometheusRecorder(registry, "plant"))
    labels = {"store": "plant", "place": "memory://"}
    assert registry.get_sample_value("holdall_cache_hits", labels) == 1
    assert registry.get_sample_value("holdall_circuit_open", labels) == 0
    store.close()
    del store
    gc.collect()
    assert registry.get_sample_value("holdall_cache_hits", labels) is None


def test_opentelemetry_observes_the_state_of_cache_and_breaker() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    store = _watched(OpenTelemetryRecorder(provider.get_meter("test")))
    data = reader.get_metrics_data()
    assert data is not None
    found = {
        metric.name: [getattr(point, "value", None) for point in metric.data.data_points]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    assert found["holdall.cache_hits"] == [1]
    assert found["holdall.circuit_open"] == [0]
    store.close()
    provider.shutdown()


def test_counters_know_how_the_cache_and_the_breaker_are() -> None:
    counters = Counters()
    assert counters.states() == []
    store = _watched(counters)
    known = {(state.name, state.place): state.value for state in counters.states()}
    assert known["circuit_open", "memory://"] == 0
    assert known["cache_hits", "memory://"] == 1
    assert counters.states() == list(states(store.store))
    store.close()
    del store
    gc.collect()
    assert counters.states() == []
