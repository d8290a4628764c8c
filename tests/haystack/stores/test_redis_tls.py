"""Entities and histories on a Redis server that speaks TLS."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

import holdall
from holdall.core.errors import InvalidConfig, Unavailable
from holdall.haystack import MARKER, Number, Ref
from serving.caches_tls import TlsServer, redis_tls

if TYPE_CHECKING:
    from collections.abc import Iterator

POINT = {"id": Ref("p"), "point": MARKER, "his": MARKER, "kind": "Number", "tz": "UTC"}


@pytest.fixture(scope="module", params=[False, True], ids=["redis", "stack"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TlsServer]:
    """A server that wants a certificate of its clients, as servers do unless they are told."""
    folder = tmp_path_factory.mktemp("redis-tls")
    with redis_tls(folder, clients=True, stack=request.param) as server:
        yield server


def address(server: TlsServer, *left_out: str, host: str = "localhost") -> str:
    files = {
        "ssl_ca_certs": server.authority,
        "ssl_certfile": server.certificate,
        "ssl_keyfile": server.key,
    }
    query = [f"{name}={quote(path)}" for name, path in files.items() if name not in left_out]
    return f"rediss://{host}:{server.port}?{'&'.join(query)}"


def test_an_adapter_speaks_tls(server: TlsServer) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)

    async def work() -> None:
        async with holdall.open_adapter(address(server)) as adapter:
            await adapter.load([POINT])
            await adapter.his_write("p", [{"ts": at, "val": Number(3)}])
        async with holdall.open_adapter(address(server)) as adapter:
            assert [one["id"] for one in await adapter.read("point")] == [Ref("p")]
            assert [item["val"] for item in await adapter.his_read("p")] == [Number(3)]

    asyncio.run(work())


def connect(url: str) -> None:
    async def work() -> None:
        async with holdall.open_adapter(url):
            raise AssertionError

    asyncio.run(work())


@pytest.mark.parametrize("wrong", ["authority", "name"])
def test_a_server_that_cannot_be_trusted_is_refused(server: TlsServer, wrong: str) -> None:
    url = (
        address(server, "ssl_ca_certs")
        if wrong == "authority"
        else address(server, host="127.0.0.1")
    )
    with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED") as caught:
        connect(url)
    assert not caught.value.transient


def test_nobody_is_answered_without_a_certificate(server: TlsServer) -> None:
    with pytest.raises(Unavailable):
        connect(address(server, "ssl_certfile", "ssl_keyfile"))


def test_a_key_without_a_certificate_is_refused(server: TlsServer) -> None:
    with pytest.raises(InvalidConfig, match="'ssl_certfile'"):
        connect(address(server, "ssl_certfile"))


def test_a_plain_connection_is_not_answered(server: TlsServer) -> None:
    with pytest.raises(Unavailable):
        connect(f"redis://localhost:{server.port}")


@pytest.mark.parametrize("name", ["ssl_ca_certs", "ssl_certfile", "ssl_keyfile"])
def test_a_file_that_cannot_be_read_is_named(server: TlsServer, name: str) -> None:
    with pytest.raises(InvalidConfig, match=f"'{name}': the file '/missing/file.pem'"):
        connect(f"{address(server, name)}&{name}=/missing/file.pem")
