"""Bodies that trickle, break off or are bombs, for objects and records."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

import holdall
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, create_fastapi_app
from holdall.server.connections import protocol
from holdall.server.records.reading import MOST_VALUES
from server.listening import listening
from server.objects_served import kept_below, requests_told

PATIENCE = 0.2
BROKEN = "broken-off"
JSON = "Content-Type: application/json\r\n"
NDJSON = "Content-Type: application/x-ndjson\r\n"
TYPE = {"content-type": "application/json"}
WRITES = [
    ("PUT /objects/slow", ""),
    ("PUT /records/slow", JSON),
    ("PATCH /records/slow", JSON),
    ("POST /records", JSON),
    ("POST /records:search", JSON),
    ("POST /records:batch?mode=create", NDJSON),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the objects are."""
    return tmp_path_factory.mktemp("hostile")


@contextmanager
def serving(folder: Path, config: ServerConfig) -> Iterator[httpx.URL]:
    """Serve objects and records; gives the address."""
    app = create_fastapi_app(
        InMemoryAdapter(),
        data_store=holdall.open_async(folder.as_uri()),
        database=holdall.open_database_async("memory://"),
        config=config,
    )
    with listening(app, http=protocol()) as at:
        yield httpx.URL(at)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[httpx.URL]:
    """The address of a server."""
    with serving(folder, ServerConfig()) as at:
        yield at


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.URL]:
    """The address of a server without patience, also with a client that is only slow."""
    with serving(tmp_path_factory.mktemp("hasty"), ServerConfig(body_timeout=PATIENCE)) as at:
        yield at


def begun(url: httpx.URL, line: str, headers: str, body: bytes) -> socket.socket:
    """A connection with the beginning of a request, whose body has a megabyte."""
    sock = socket.create_connection((url.host, url.port or 0), timeout=30)
    head = f"{line} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: 1000000\r\n\r\n"
    sock.sendall(head.encode() + body)
    return sock


@pytest.mark.parametrize(("line", "headers"), WRITES)
@pytest.mark.parametrize("body", [b"", b'{"id":"a","fields":{}}\n{'])
def test_a_body_that_stops_is_408(hasty: httpx.URL, line: str, headers: str, body: bytes) -> None:
    with begun(hasty, line, headers, body) as sock:
        assert sock.recv(65_536).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(("line", "headers"), WRITES)
def test_a_body_that_breaks_off_leaves_nothing(
    url: httpx.URL, folder: Path, line: str, headers: str
) -> None:
    with requests_told() as next_record:
        named = f"{headers}X-Request-ID: {BROKEN}\r\n"
        begun(url, line, named, b'{"id":"broken","fields":{"text":"').close()
        record = next_record()
        while record.request != BROKEN:  # of a test before, whose answer came before its record
            record = next_record()
        assert record.status == 400
    assert not kept_below(folder)
    for path in ("/objects/slow", "/records/slow", "/records/broken"):
        assert httpx.get(url.join(path)).status_code == 404


def bomb(name: str) -> bytes:
    """Lists within a list, which are thirty times as large in memory."""
    return b'{"%s":{"a":[%s[]]}}' % (name.encode(), b"[]," * (MOST_VALUES // 2))


@pytest.mark.parametrize(
    ("method", "path", "name"),
    [("PUT", "/records/a", "fields"), ("POST", "/records:search", "filter")],
)
def test_a_body_of_too_many_values_is_413(
    url: httpx.URL, method: str, path: str, name: str
) -> None:
    answer = httpx.request(method, url.join(path), content=bomb(name), headers=TYPE)
    assert (answer.status_code, f"{MOST_VALUES:,} values" in answer.text) == (413, True)


def test_a_line_of_too_many_values_leaves_the_others(url: httpx.URL) -> None:
    body = bomb("fields") + b'\n{"id":"beside","fields":{}}\n'
    answer = httpx.post(
        url.join("/records:batch?mode=upsert"),
        content=body,
        headers={"content-type": "application/x-ndjson"},
    )
    assert answer.status_code == 200
    assert b'"status":413' in answer.content.splitlines()[0]
    assert httpx.get(url.join("/records/beside")).status_code == 200


@pytest.mark.parametrize("text", [",[{" * MOST_VALUES, '\\",[' * MOST_VALUES])
def test_signs_in_a_text_are_no_values(url: httpx.URL, text: str) -> None:
    body = f'{{"fields":{{"text":"{text}"}}}}'
    answer = httpx.put(url.join("/records/signs"), content=body, headers=TYPE, timeout=60)
    assert answer.status_code in {200, 201}


@pytest.mark.parametrize("text", ['"', '"\\', '\\"', '{"fields":{"a":"\\"'])
def test_a_text_without_an_end_is_looked_at_once(url: httpx.URL, text: str) -> None:
    body = text + '\\",' * MOST_VALUES
    answer = httpx.put(url.join("/records/endless"), content=body, headers=TYPE, timeout=60)
    assert answer.status_code in {400, 413}


def test_many_connections_that_ask_nothing_stop_nobody(url: httpx.URL) -> None:
    waiting = [socket.create_connection((url.host, url.port or 0)) for _ in range(300)]
    try:
        assert httpx.get(url.join("/records:count"), timeout=60).status_code == 200
    finally:
        for sock in waiting:
            sock.close()


def test_many_bodies_that_do_not_come_stop_nobody(hasty: httpx.URL) -> None:
    async def all_of_them() -> int:
        head = b"PUT /objects/many HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n"
        opened = [await asyncio.open_connection(hasty.host, hasty.port) for _ in range(200)]
        for _, writer in opened:
            writer.write(head)
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.get(hasty.join("/records:count"))
        for _, writer in opened:
            writer.close()
        return answer.status_code

    assert asyncio.run(all_of_them()) == 200
