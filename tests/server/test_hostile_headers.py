"""Headers that come twice or contradict one another: nobody knows which of them others went by."""

import asyncio
import re
import socket
from collections.abc import Iterator

import httpx
import pytest

import holdall
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import create_fastapi_app
from holdall.server.connections import protocol
from server.listening import listening
from server.talking import users_of_three

ACCOUNTS, KEYS = users_of_three()
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def url() -> Iterator[httpx.URL]:
    """The address of a server with an object and a record `a`, and three accounts."""
    data_store = holdall.open_async("memory://")
    database = holdall.open_database_async("memory://")

    async def fill() -> None:
        await data_store.write("a", b"0123456789")
        await database.create(holdall.Record({"n": 1}, "a"))

    asyncio.run(fill())
    app = create_fastapi_app(
        InMemoryAdapter(), data_store=data_store, database=database, users=ACCOUNTS
    )
    with listening(app, http=protocol()) as at:
        yield httpx.URL(at)


def told(url: httpx.URL, line: str, headers: bytes, body: bytes = b"") -> str:
    """What a request is answered, whose connection is closed after it."""
    with socket.create_connection((url.host, url.port or 0), timeout=30) as sock:
        head = f"{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
        sock.sendall(head + headers + b"\r\n" + body)
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


def bearer(role: str = "operator") -> bytes:
    return f"Authorization: Bearer {KEYS[role]}\r\n".encode()


@pytest.mark.parametrize("roles", [("viewer", "operator"), ("operator", "viewer")])
def test_who_says_twice_who_they_are_is_nobody(url: httpx.URL, roles: tuple[str, str]) -> None:
    answer = told(url, "DELETE /objects/never", b"".join(map(bearer, roles)))
    assert answer.startswith("HTTP/1.1 400 ")
    assert "authorization comes 2 times" in answer


@pytest.mark.parametrize("path", ["/objects/smuggled", "/health/live"])
def test_two_ways_to_say_where_a_body_ends_are_refused(url: httpx.URL, path: str) -> None:
    lengths = b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"
    smuggled = b"GET /objects/a HTTP/1.1\r\nHost: localhost\r\n" + bearer() + b"\r\n"
    answer = told(url, f"PUT {path}", bearer() + lengths, b"0\r\n\r\n" + smuggled)
    assert re.findall(r"HTTP/1.1 (\d+)", answer) == ["400"]
    assert "Content-Length and Transfer-Encoding" in answer


def test_two_lengths_are_refused(url: httpx.URL) -> None:
    lengths = b"Content-Length: 5\r\nContent-Length: 6\r\n"
    assert told(url, "PUT /objects/two", bearer() + lengths, b"12345").startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("path", ["/objects/packed", "/records/packed"])
def test_a_body_that_is_packed_and_is_not_is_refused(url: httpx.URL, path: str) -> None:
    codings = b"Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n"
    answer = told(url, f"PUT {path}", bearer() + JSON + codings)
    assert answer.startswith("HTTP/1.1 400 ")


@pytest.mark.parametrize("line", ["PUT /objects/a", "PUT /records/a", "POST /api/read"])
def test_a_body_of_two_types_is_refused(url: httpx.URL, line: str) -> None:
    body = b'{"fields":{}}'
    length = f"Content-Length: {len(body)}\r\n".encode()
    answer = told(url, line, bearer() + JSON + b"Content-Type: text/zinc\r\n" + length, body)
    assert answer.startswith("HTTP/1.1 400 ")


def test_a_write_under_two_dates_is_refused(url: httpx.URL) -> None:
    dates = b"".join(
        f"If-Unmodified-Since: Sat, 01 Jan {year} 00:00:00 GMT\r\n".encode()
        for year in (2000, 2099)
    )
    assert told(url, "DELETE /objects/a", bearer() + dates).startswith("HTTP/1.1 400 ")


def test_a_range_of_one_of_two_versions_is_all_of_it(url: httpx.URL) -> None:
    etag = re.search(r"(?i)etag: (.*)\r", told(url, "HEAD /objects/a", bearer()))
    assert etag is not None
    versions = f'If-Range: {etag[1]}\r\nIf-Range: "other"\r\nRange: bytes=0-0\r\n'.encode()
    assert told(url, "GET /objects/a", bearer() + versions).startswith("HTTP/1.1 200 ")
