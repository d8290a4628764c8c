"""Retry over a circuit breaker, around any store."""

from __future__ import annotations

from datetime import timedelta
from typing import overload

from msgspec import Struct

from holdall.core.errors import InvalidConfig
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.contract import ObjectStore
from holdall.objects.data_store import DataStore
from holdall.objects.layers.breaker import Breaker, BreakerSettings
from holdall.objects.layers.layer import Layer
from holdall.objects.layers.retry import Retry, RetrySettings


class ResilientConfig(Struct, frozen=True):
    """When to try again, and when to leave a service alone; times in seconds.

    Args:
        max_failures: After how many failures in a row the circuit breaker opens.
        timeout: How long it stays open.
        half_open_max_requests: How many calls then try the service; it closes when all of them
            went well.
        max_retries: How often a call is sent again, at most.
        retry_delay: The longest wait before the first retry; doubled for each one after it.
        retry_max_delay: What doubling does not exceed.
    """

    max_failures: int = 5
    timeout: float = 30.0
    half_open_max_requests: int = 3
    max_retries: int = 3
    retry_delay: float = 0.1
    retry_max_delay: float = 5.0


@overload
def resilient(store: ObjectStore, config: ResilientConfig | None = None) -> ObjectStore: ...
@overload
def resilient(store: DataStore, config: ResilientConfig | None = None) -> DataStore: ...
@overload
def resilient(store: AsyncDataStore, config: ResilientConfig | None = None) -> AsyncDataStore: ...
def resilient(
    store: ObjectStore | DataStore | AsyncDataStore, config: ResilientConfig | None = None
) -> ObjectStore | DataStore | AsyncDataStore:
    """Put retries over a circuit breaker around a store.

    A retry and a breaker that it has already, as a remote store that `holdall.open` opened does,
    make room for these: where two retry, every try of the one is several of the other.

    `Breaker.of(store)` is the breaker, with its statistics.

    Args:
        store: A store, or a face before one. Closing what is answered closes it.
        config: The defaults when None.

    Returns:
        What it was given, a store or the same kind of face.

    Raises:
        InvalidConfig: A retry or a breaker stands further inside, where it cannot make room.
        ValueError: A number of the configuration is too small.
    """
    if isinstance(store, DataStore):
        return DataStore(_around(store.store, config or ResilientConfig()))
    if isinstance(store, AsyncDataStore):
        return AsyncDataStore(_around(store.store, config or ResilientConfig()))
    return _around(store, config or ResilientConfig())


def _around(store: ObjectStore, config: ResilientConfig) -> ObjectStore:
    if not isinstance(store, ObjectStore):
        raise TypeError("resilient takes a store; holdall.open opens one by its address")
    while isinstance(store, (Retry, Breaker)):
        store = store.inner
    inside = store
    while isinstance(inside, Layer):
        inside = inside.inner
        if isinstance(inside, (Retry, Breaker)):
            raise InvalidConfig(
                f"{store.root} has the layer {inside.name!r} further inside: "
                "set it there, in 'layers' of its configuration"
            )
    breaker = BreakerSettings(
        max_failures=config.max_failures,
        timeout=timedelta(seconds=config.timeout),
        half_open_max_requests=config.half_open_max_requests,
    )
    retry = RetrySettings(
        max_retries=config.max_retries,
        delay=timedelta(seconds=config.retry_delay),
        max_delay=timedelta(seconds=config.retry_max_delay),
    )
    return Retry(Breaker(store, breaker), retry)
