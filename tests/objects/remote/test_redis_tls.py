"""A Redis store speaks TLS, and only with a server that it can trust."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from holdall.core.errors import InvalidConfig, Unavailable
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.objects.data_store import DataStore
from serving.caches_tls import TlsServer, redis_tls


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    with redis_tls(tmp_path_factory.mktemp("redis-tls")) as server:
        yield server


@pytest.fixture(scope="module")
def server(tls: TlsServer) -> tuple[int, str]:
    """A server that speaks TLS alone: its port, and the file of the authority to trust."""
    return tls.port, tls.authority


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """A server that wants a certificate of its clients."""
    with redis_tls(tmp_path_factory.mktemp("redis-tls-strict"), clients=True) as server:
        yield server


def _settings(port: int, authority: str | None, host: str = "localhost") -> RedisSettings:
    return RedisSettings(host=host, port=port, ssl=True, ssl_ca_certs=authority)


def test_a_store_speaks_tls(server: tuple[int, str]) -> None:
    with DataStore(RedisStore(_settings(*server), BlockingRuntime())) as store:
        store.write("a", b"data")
        assert store.root.scheme == "rediss"
        assert store.read(f"rediss://localhost:{server[0]}/a") == b"data"


def test_a_store_speaks_tls_on_a_loop(server: tuple[int, str]) -> None:
    async def work() -> None:
        async with AsyncDataStore(RedisStore(_settings(*server), LoopRuntime())) as store:
            await store.write("a", b"data")
            assert await store.read("a") == b"data"

    asyncio.run(work())


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_server_that_cannot_be_trusted_is_refused(server: tuple[int, str], wrong: str) -> None:
    settings = (
        _settings(server[0], None) if wrong == "authority" else _settings(*server, "127.0.0.1")
    )
    with DataStore(RedisStore(settings, BlockingRuntime())) as store:
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
            store.read("a")
        assert not caught.value.transient


def test_a_certificate_of_our_own_is_shown(strict: TlsServer) -> None:
    settings = RedisSettings(
        port=strict.port,
        ssl=True,
        ssl_ca_certs=strict.authority,
        ssl_certfile=strict.certificate,
        ssl_keyfile=strict.key,
    )
    with DataStore(RedisStore(settings, BlockingRuntime())) as store:
        store.write("a", b"data")
        assert store.read("a") == b"data"


def test_a_server_that_wants_a_certificate_answers_nobody_without(strict: TlsServer) -> None:
    settings = _settings(strict.port, strict.authority)
    with (
        DataStore(RedisStore(settings, BlockingRuntime())) as store,
        pytest.raises(Unavailable),
    ):
        store.read("a")


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile"])
def test_a_file_that_cannot_be_read_is_named(server: tuple[int, str], name: str) -> None:
    file: dict[str, Any] = {name: "/missing/file.pem"}
    settings = RedisSettings(port=server[0], ssl=True, **file)
    with (
        DataStore(RedisStore(settings, BlockingRuntime())) as store,
        pytest.raises(InvalidConfig, match=f"'{name}': the file '/missing/file.pem'"),
    ):
        store.read("a")


def test_a_key_without_a_certificate_is_refused() -> None:
    with pytest.raises(InvalidConfig, match="'ssl_certfile'"):
        RedisStore(RedisSettings(ssl=True, ssl_keyfile="key.pem"), BlockingRuntime())
