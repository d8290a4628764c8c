"""`resilient`: Retry over a circuit breaker, around a store or a face."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, TypeVar

import pytest
from msgspec import Struct

from holdall.core.errors import CircuitOpen, InvalidConfig, Unavailable
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.memory import MemorySettings, MemoryStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers import Call, Layer, Send
from holdall.objects.layers.breaker import Breaker, BreakerSettings
from holdall.objects.layers.resilience import ResilientConfig, resilient
from holdall.objects.layers.retry import Retry, RetrySettings
from objects.layers.scripted import Mode, Scripted

T = TypeVar("T")

QUICK = ResilientConfig(retry_delay=0, retry_max_delay=0)


@pytest.fixture
def store() -> Scripted:
    return Scripted(Mode(blocking=True).runtime)


class Plain(Layer):
    name = "plain"
    settings_type = type("PlainSettings", (Struct,), {}, frozen=True)

    async def around(self, call: Call[T], send: Send[T]) -> T:
        return await send(call)


def _down() -> Unavailable:
    return Unavailable("the service is down")


def test_retry_stands_over_the_breaker(store: Scripted) -> None:
    retry = resilient(store)
    assert isinstance(retry, Retry)
    assert isinstance(retry.inner, Breaker)
    assert retry.inner.inner is store


def test_the_defaults_are_those_of_the_layers(store: Scripted) -> None:
    retry = resilient(store)
    assert retry.settings == RetrySettings()
    assert Breaker.of(retry).settings == BreakerSettings()


def test_a_configuration_sets_both(store: Scripted) -> None:
    config = ResilientConfig(
        max_failures=1,
        timeout=2.5,
        half_open_max_requests=3,
        max_retries=4,
        retry_delay=0.5,
        retry_max_delay=6,
    )
    retry = resilient(store, config)
    assert retry.settings == RetrySettings(
        max_retries=4, delay=timedelta(seconds=0.5), max_delay=timedelta(seconds=6)
    )
    assert Breaker.of(retry).settings == BreakerSettings(
        max_failures=1, timeout=timedelta(seconds=2.5), half_open_max_requests=3
    )


@pytest.mark.parametrize(
    "config",
    [
        ResilientConfig(max_failures=0),
        ResilientConfig(timeout=-1),
        ResilientConfig(half_open_max_requests=0),
        ResilientConfig(max_retries=-1),
        ResilientConfig(retry_delay=-1),
        ResilientConfig(retry_max_delay=-1),
    ],
)
def test_a_number_that_is_too_small_is_refused(store: Scripted, config: ResilientConfig) -> None:
    with pytest.raises(ValueError, match=r"below 0|at least 1"):
        resilient(store, config)


def test_a_blocking_face_stays_one(store: Scripted) -> None:
    face = resilient(DataStore(store))
    assert isinstance(face, DataStore)
    assert isinstance(face.store, Retry)


def test_an_async_face_stays_one() -> None:
    face = resilient(AsyncDataStore(MemoryStore(MemorySettings(), LoopRuntime())))
    assert isinstance(face, AsyncDataStore)
    assert isinstance(face.store, Retry)


def test_what_fails_for_a_moment_goes_well(store: Scripted) -> None:
    store.script += [_down(), _down(), _down()]
    face = resilient(DataStore(store), QUICK)
    face.write("a", b"data")
    assert face.read("a") == b"data"


def test_every_try_counts_for_the_breaker(store: Scripted) -> None:
    store.script += [_down() for _ in range(9)]
    face = resilient(DataStore(store), QUICK)
    with pytest.raises(Unavailable):
        face.write("a", b"data")
    assert Breaker.of(face).circuit_breaker_stats().failures == 4


def test_nothing_is_sent_once_the_breaker_has_opened(store: Scripted) -> None:
    store.script += [_down() for _ in range(9)]
    face = resilient(DataStore(store), QUICK)
    for _ in range(2):
        with pytest.raises(Unavailable):  # the second one was sent once before it opened
            face.write("a", b"data")
    with pytest.raises(CircuitOpen, match="failed 5 times in a row"):
        face.write("a", b"data")
    assert Breaker.of(face).is_circuit_open()
    assert len(store.calls) == 5


def test_a_reset_breaker_lets_calls_through(store: Scripted) -> None:
    store.script += [_down() for _ in range(5)]
    face = resilient(DataStore(store), QUICK)
    for _ in range(2):
        with pytest.raises((Unavailable, CircuitOpen)):
            face.write("a", b"data")
    Breaker.of(face).reset_circuit_breaker()
    face.write("a", b"data")
    assert face.read("a") == b"data"


def test_what_had_both_before_has_both_once(store: Scripted) -> None:
    again = resilient(resilient(store, QUICK))
    assert isinstance(again, Retry)
    assert isinstance(again.inner, Breaker)
    assert again.inner.inner is store


@pytest.mark.parametrize("layer", [Retry, Breaker])
def test_one_further_inside_is_named(store: Scripted, layer: Any) -> None:
    with pytest.raises(InvalidConfig, match=f"the layer {layer.name!r} further inside"):
        resilient(Plain(layer(store)))


def test_an_address_is_no_store() -> None:
    place: Any = "memory://"
    with pytest.raises(TypeError, match=r"holdall\.open opens one"):
        resilient(place)


def test_close_closes_the_store_inside(store: Scripted) -> None:
    resilient(DataStore(store)).close()
    assert store.closed == 1


def test_it_is_opened_again_from_its_configuration() -> None:
    mode = Mode(blocking=True)
    store = resilient(MemoryStore(MemorySettings(), mode.runtime), QUICK)
    again = Retry.from_config_json(store.config_json(), mode.runtime)
    assert isinstance(again, Retry)
    assert again.settings == store.settings
    assert Breaker.of(again).settings == Breaker.of(store).settings
