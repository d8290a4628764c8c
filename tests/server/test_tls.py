"""The command `holdall serve` over TLS, with and without certificates of clients."""

import os
import re
import resource
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from server.processes import served
from serving.requiring import require_server


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signed itself, for 127.0.0.1, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        require_server("TLS", "there is no openssl on PATH to make a certificate")
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [str(openssl), "req", "-x509", *made, "-keyout", str(key), "-out", str(cert)]
    subprocess.run([*command, *subject], check=True, capture_output=True)
    return cert, key


@contextmanager
def serving(*words: str) -> Iterator[str]:
    """The address of `holdall serve memory://` with these words."""
    process = subprocess.Popen(
        [sys.executable, "-m", "holdall", "serve", "memory://", "--port", "0", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=os.environ | {"HOLDALL_ADMIN": ""},
    )
    try:
        assert process.stdout is not None
        found = re.search(r"https://\S+", process.stdout.readline())
        assert found is not None
        yield found[0]
    finally:
        process.kill()
        process.communicate()


def trusting(cert: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(cert))


def test_who_says_nothing_is_closed_and_may_be_one_of_many(
    certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    cert, key = certificate
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(
        resource.RLIMIT_NOFILE, (min(soft, 512), hard)
    )  # which the server begins with
    try:
        words = ("--tls-cert", str(cert), "--tls-key", str(key))
        with served(tmp_path, "memory://", *words) as server:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
            with server.client() as client:
                assert client.get("/health/live").status_code == 200
            assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE) == (hard, hard)
            url = httpx.URL(server.url)
            with socket.create_connection((url.host, url.port or 0), timeout=30) as silent:
                assert silent.recv(1) == b""
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_certificate_makes_it_https(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    with serving("--tls-cert", str(cert), "--tls-key", str(key)) as address:
        response = httpx.get(f"{address}about", verify=trusting(cert))
    assert response.status_code == 200


def test_clients_without_a_certificate_are_not_let_in(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    words = ("--tls-cert", str(cert), "--tls-key", str(key), "--client-ca", str(cert))
    with serving(*words) as address:
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{address}about", verify=trusting(cert))
        mine = trusting(cert)
        mine.load_cert_chain(cert, key)
        assert httpx.get(f"{address}about", verify=mine).status_code == 200
