"""Histories on a Redis server, and what lies in it."""

from __future__ import annotations

import uuid
from array import array
from typing import TYPE_CHECKING, Any

import pytest
import redis

from holdall.core.runtime.blocking import BlockingRuntime, drive
from holdall.core.secrets import Secret
from holdall.haystack import Number
from holdall.haystack.stores import chunks
from holdall.haystack.stores.histories import Samples
from holdall.haystack.stores.redis import (
    histories_changes,
    histories_reading,
)
from holdall.haystack.stores.redis.histories import RedisHistories
from holdall.haystack.stores.redis.histories_bodies import samples_of
from holdall.haystack.stores.redis.settings import RedisHaystackSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers import RedisServer


def settings_of(server: RedisServer, prefix: str, **more: Any) -> RedisHaystackSettings:
    return RedisHaystackSettings(
        host="127.0.0.1",
        port=server.running.port,
        password=Secret(server.password),
        prefix=prefix,
        check=False,
        **more,
    )


def fresh_prefix() -> str:
    return f"t{uuid.uuid4().hex}"


@pytest.fixture(params=["redis_server", "redis_stack_server"], ids=["plain", "stack"])
def server(request: pytest.FixtureRequest) -> RedisServer:
    asked: RedisServer = request.getfixturevalue(request.param)
    return asked


@pytest.fixture
def opened(server: RedisServer) -> Iterator[Callable[..., RedisHistories]]:
    """Opens stores of one prefix."""
    prefix, stores = fresh_prefix(), []

    def open_store(**more: Any) -> RedisHistories:
        stores.append(RedisHistories(settings_of(server, prefix, **more), BlockingRuntime()))
        drive(stores[-1].connect())
        return stores[-1]

    yield open_store
    for store in stores:
        drive(store.close())


@pytest.fixture
def store(opened: Callable[..., RedisHistories]) -> RedisHistories:
    return opened()


@pytest.fixture
def stacked(redis_stack_server: RedisServer) -> Iterator[RedisHistories]:
    """A store on the server with the module."""
    store = RedisHistories(settings_of(redis_stack_server, fresh_prefix()), BlockingRuntime())
    drive(store.connect())
    yield store
    drive(store.close())


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunks, "FULL", 4)
    monkeypatch.setattr(histories_changes, "FULL", 4)
    monkeypatch.setattr(histories_changes, "_RUN", 2)
    monkeypatch.setattr(histories_reading, "PAGE", 3)
    monkeypatch.setattr(histories_reading, "ROOM", 100)


def client(store: RedisHistories) -> Any:
    made = store.settings
    assert isinstance(made, RedisHaystackSettings)
    assert made.password is not None
    return redis.Redis(host=made.host, port=made.port or 0, password=made.password.reveal())


def key(store: RedisHistories, rest: bytes) -> bytes:
    return store._place.key + rest


def doubles(values: dict[int, float], unit: str | None = None) -> Samples:
    return Samples(array("q", values), array("d", values.values()), unit)


def mixed(values: dict[int, Any]) -> Samples:
    return Samples(array("q", values), list(values.values()))


def kinds(samples: Samples) -> list[Any]:
    """The samples, so that what is no number equals itself and ints differ from no double."""
    values = samples.kinds()
    return [(at, shown(value)) for at, value in zip(samples.ts, values, strict=True)]


def shown(value: Any) -> Any:
    if type(value) is not Number:
        return repr(value)
    exact = value.val if isinstance(value.val, int) and abs(value.val) > 2**53 else None
    return (exact or float(value.val).hex(), value.unit)


def read(store: RedisHistories, point: str = "p") -> list[Any]:
    return kinds(drive(store.read([point]))[0])


def chunks_of(store: RedisHistories, point: bytes = b"p") -> list[Samples]:
    """The samples of each chunk."""
    with client(store) as asked:
        marks = asked.zrange(key(store, b"hi:" + point), 0, -1)
        return [samples_of(asked.get(key(store, b"hc:" + one + point))) for one in marks]


def series_of(store: RedisHistories, point: bytes = b"p") -> dict[int, float]:
    """What the module has, by milliseconds."""
    with client(store) as asked:
        where = key(store, b"ht:" + point)
        if not asked.exists(where):
            return {}
        rows = asked.execute_command("TS.RANGE", where, "-", "+")
        return {moment: float(value) for moment, value in rows}


def all_keys(store: RedisHistories) -> set[bytes]:
    with client(store) as asked:
        begin = store._place.key
        return {one for one in asked.scan_iter(count=10_000) if one.startswith(begin)}
