"""Connections that ask for nothing."""

import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from holdall.server.connections import protocol
from server.asking import building
from server.listening import listening

ABOUT = b"GET /api/about HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a server whose connections are bounded."""
    settings: dict[str, Any] = request.param
    app = create_fastapi_app(InMemoryAdapter(building()))
    with listening(app, http=protocol(**settings), timeout_keep_alive=60) as address:
        yield address


def connected(url: str) -> socket.socket:
    parts = httpx.URL(url)
    return socket.create_connection((parts.host, parts.port or 0), timeout=30)


def whole(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize("url", [{"seconds": 0.2}], indirect=True)
@pytest.mark.parametrize("sent", [b"", b"GET /api/about HTTP/1.1\r\nHost: loc"])
def test_a_head_that_does_not_come_is_408(url: str, sent: bytes) -> None:
    with connected(url) as sock:
        sock.sendall(sent)
        assert whole(sock).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("url", [{"seconds": 1}], indirect=True)  # in which the first comes
def test_a_second_head_that_does_not_come_ends_the_connection(url: str) -> None:
    with connected(url) as sock:
        sock.sendall(ABOUT + b"GET /api/")
        answer = whole(sock)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b" 408 " not in answer


@pytest.mark.parametrize("url", [{"most": 2}], indirect=True)
def test_of_too_many_that_wait_the_first_goes(url: str) -> None:
    with connected(url) as first, connected(url) as second, connected(url) as third:
        assert whole(first) == b""
        for sock in (second, third):
            sock.sendall(ABOUT)
            assert sock.recv(65536).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("url", [{}], indirect=True)
def test_a_head_without_end_is_400(url: str) -> None:
    with connected(url) as sock:
        sock.sendall(ABOUT[:-2] + b"X: " + b"x" * 70_000)
        assert whole(sock).startswith(b"HTTP/1.1 400 ")
