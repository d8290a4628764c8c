"""Stores on the servers behind the tests of remote stores."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

import holdall
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.objects.backends.cloud import http
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.objects.data_store import DataStore
from serving.caches import RedisServer
from serving.clouds import AzureServer, GoogleServer, S3Server

Open = Callable[..., holdall.DataStore]


def _opener(**place: Any) -> Open:
    return lambda **settings: holdall.open({"layers": [], **place, **settings})


@pytest.fixture
def open_s3(versity_server: S3Server) -> Open:
    """Opens a fresh bucket, with other settings where a test wants them."""
    return _opener(
        type="s3",
        bucket=versity_server.make_container("facts"),
        endpoint=versity_server.endpoint,
        access_key=versity_server.access_key_id,
        secret_key=versity_server.secret_access_key,
    )


@pytest.fixture
def open_moto(s3_server: S3Server) -> Open:
    """The same on the server that keeps odd keys and storage classes."""
    return _opener(
        type="s3",
        bucket=s3_server.make_container("facts"),
        endpoint=s3_server.endpoint,
        access_key=s3_server.access_key_id,
        secret_key=s3_server.secret_access_key,
    )


@pytest.fixture
def open_azure(azure_server: AzureServer) -> Open:
    """Opens a fresh container."""
    return _opener(
        type="az",
        container=azure_server.make_container("facts"),
        connection_string=azure_server.connection_string,
    )


@pytest.fixture
def open_google(google_server: GoogleServer) -> Open:
    """Opens a fresh bucket."""
    return _opener(
        type="gs",
        bucket=google_server.make_container("facts"),
        endpoint=google_server.endpoint,
        token=google_server.bearer_token,
    )


@pytest.fixture(params=["open_s3", "open_azure", "open_google"])
def open_cloud(request: pytest.FixtureRequest) -> Open:
    """Each of the clouds in turn."""
    opener: Open = request.getfixturevalue(request.param)
    return opener


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The requests of our own, as they are sent: method and URL."""
    found: list[tuple[str, str]] = []
    send = http.Http.send

    def note(self: http.Http, method: str, url: str, *more: Any) -> http.Response:
        found.append((method, url))
        return send(self, method, url, *more)

    monkeypatch.setattr(http.Http, "send", note)
    return found


@pytest.fixture
def others(redis_server: RedisServer) -> Iterator[Any]:
    """Another program that uses the same database, which is empty before and after."""
    with redis.Redis.from_url(redis_server.make_empty()) as client:
        yield client
    redis_server.make_empty()


@pytest.fixture
def opened(redis_server: RedisServer, others: Any) -> Iterator[Open]:
    """Opens that database, with other settings where a test wants them."""
    stores: list[DataStore] = []

    def open_store(**more: Any) -> DataStore:
        known = {
            "host": "127.0.0.1",
            "port": redis_server.running.port,
            "password": Secret(redis_server.password),
        }
        store = RedisStore(RedisSettings(**{**known, **more}), BlockingRuntime())
        stores.append(DataStore(store))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()
