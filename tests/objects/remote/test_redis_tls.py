"""A Redis store speaks TLS, and only with a server that it can trust."""

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdall.core.errors import Unavailable
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.runtime.loop import LoopRuntime
from holdall.objects.async_data_store import AsyncDataStore
from holdall.objects.backends.redis import RedisSettings, RedisStore
from holdall.objects.data_store import DataStore
from servers import require_server
from serving import commands
from serving.process import running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, str]]:
    """A server that speaks TLS alone: its port, and the file of the authority to trust."""
    folder = tmp_path_factory.mktemp("redis-tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    _make_certificate(certificate, key)
    program = commands.redis()
    with running(
        "redis-tls",
        lambda port: [
            *program,
            *("--bind", "127.0.0.1", "--port", "0", "--tls-port", str(port)),
            *("--tls-cert-file", certificate, "--tls-key-file", key),
            *("--tls-ca-cert-file", certificate, "--tls-auth-clients", "no"),
            *("--save", "", "--appendonly", "no", "--dir", folder),
        ],
        lambda port: _trusted(port, str(certificate)),
        folder=folder,
    ) as process:
        yield process.port, str(certificate)


def _make_certificate(certificate: Path, key: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        require_server("redis with TLS", "there is no openssl on PATH to make a certificate")
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    made = ["-newkey", "rsa:2048", "-nodes", "-days", "2"]
    places = ["-keyout", str(key), "-out", str(certificate)]
    command = [openssl, "req", "-x509", *made, *places, *subject]
    subprocess.run(command, check=True, capture_output=True)


def _trusted(port: int, authority: str) -> bool:
    with DataStore(RedisStore(_settings(port, authority), BlockingRuntime())) as store:
        return not store.exists("a")


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
