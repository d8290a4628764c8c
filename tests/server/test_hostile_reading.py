"""Clients that ask for much and read nothing of it are cut, and nothing is kept for them."""

import asyncio
import json
import socket
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import holdall
from holdall import Record
from holdall.haystack import MARKER, Ref
from holdall.haystack.memory import InMemoryAdapter
from holdall.records.async_database import AsyncDatabase
from holdall.server import ServerConfig, create_fastapi_app
from holdall.server.connections import is_stalled, protocol
from server.conftest import Serve
from server.listening import listening
from server.objects_served import requests_told

PATIENCE = 0.2
MIB = 2**20
LINES = "Accept: application/x-ndjson\r\n"
NDJSON = "Content-Type: application/x-ndjson\r\n"
UNREAD = "X-Request-ID: unread\r\n"


@pytest.fixture(scope="module")
def database() -> AsyncDatabase:
    """Records in memory: 16 MB of them."""
    name = "memory://hostile-reading"
    with holdall.open_database(name) as db:
        db.batch_upsert([Record({"text": "x" * 16_000}, f"{n:06}") for n in range(1_000)])
    return holdall.open_database_async(name)


@pytest.fixture(scope="module")
def stores(database: AsyncDatabase) -> dict[str, Any]:
    """What there is to read."""
    data_store = holdall.open_async("memory://")
    asyncio.run(data_store.write("large", bytes(16 * MIB)))
    return {"data_store": data_store, "database": database}


def connected(url: str) -> socket.socket:
    """A connection that takes little before it is read from."""
    parts = httpx.URL(url)
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(30)
    sock.connect((parts.host, parts.port or 0))
    return sock


def request(line: str, headers: str = "", body: bytes = b"") -> bytes:
    """A request, as it is sent."""
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{line} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n".encode() + body


@pytest.fixture(scope="module")
def cutting(stores: dict[str, Any]) -> Iterator[tuple[str, threading.Semaphore]]:
    """A server whose own patience is long, and that of its connections short; counts their ends."""
    ends = threading.Semaphore(0)

    class Told(protocol(stalled=PATIENCE)):  # type: ignore[misc]
        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            ends.release()

    adapter = InMemoryAdapter(
        [{"id": Ref(f"e{n}"), "site": MARKER, "doc": "x" * 4_000} for n in range(4_000)]
    )
    with listening(create_fastapi_app(adapter, **stores), http=Told) as at:
        yield at, ends


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /objects/large"),
        request("GET /records", LINES),
        request("GET /records?limit=1000"),
        request("GET /records?limit=1000", "Connection: close\r\n"),
        request("GET /api/read?filter=site"),
        request("GET /api/read?filter=site&limit=200") * 20,
    ],
    ids=["object", "lines", "page", "page and close", "grid", "many answers"],
)
def test_a_connection_whose_client_reads_nothing_is_cut(
    cutting: tuple[str, threading.Semaphore], asked: bytes
) -> None:
    url, ends = cutting
    with connected(url) as sock, sock.makefile("wb") as sending:
        thread = threading.Thread(target=_sent, args=(sending, asked))
        thread.start()
        assert ends.acquire(timeout=30)
        thread.join()
    assert httpx.get(f"{url}/health/live").status_code == 200
    assert ends.acquire(timeout=30)  # that of this one


def _sent(sending: Any, data: bytes) -> None:
    try:
        sending.write(data)
        sending.flush()
    except OSError:  # the connection was cut
        sending.raw.close()


@pytest.mark.parametrize(
    ("before", "now", "stalled"),
    [
        (10 * MIB, 10 * MIB, True),
        (10 * MIB, 10 * MIB - 1, True),
        (10 * MIB, 10 * MIB - 16_384, False),
        (1_000, 1, True),
        (1_000, 0, False),
    ],
)
def test_who_takes_a_little_is_slow_and_not_cut(before: int, now: int, stalled: bool) -> None:
    assert is_stalled(before, now) is stalled


@pytest.fixture
def patient(serve: Serve, stores: dict[str, Any]) -> str:
    """The address of a server under any uvicorn, which gives up by itself.

    Bodies have that long to come, too, also on a machine that does ten other things.
    """
    ask = serve(config=ServerConfig(body_timeout=3 * PATIENCE), **stores)
    return str(ask.client.base_url)


@pytest.mark.parametrize(
    "asked",
    [
        request("GET /records", LINES + UNREAD),
        request("POST /records:batch?mode=update", NDJSON + UNREAD, b"x\n" * 60_000),
    ],
    ids=["lines", "answer of a batch"],
)
def test_an_answer_that_is_not_read_is_broken_off(patient: str, asked: bytes) -> None:
    with requests_told() as next_record, connected(patient) as sock:
        sock.sendall(asked)
        record = next_record()
        while (record.request, record.levelname) != ("unread", "WARNING"):  # others' come late
            record = next_record()
    assert "its client takes nothing" in record.getMessage()


def test_lines_that_nobody_reads_any_more_are_not_read_from_the_database(
    serve: Serve, database: AsyncDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    stream = database.stream_read

    async def watched(*arguments: Any) -> Any:
        try:
            async for record in stream(*arguments):
                yield record
        finally:
            ended.set()

    monkeypatch.setattr(database, "stream_read", watched)
    client = serve(database=database).client
    with client.stream("GET", "/records", headers={"accept": "application/x-ndjson"}) as answer:
        assert json.loads(next(answer.iter_lines()))["id"] == "000000"
        assert not ended.is_set()
    assert ended.wait(30)


@pytest.mark.parametrize("whole", [True, False])
def test_the_file_of_a_batch_is_gone_with_its_client(
    patient: str, whole: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    files: list[Any] = []
    make = tempfile.SpooledTemporaryFile

    def made(*arguments: Any) -> Any:
        files.append(make(*arguments))
        return files[-1]

    monkeypatch.setattr("holdall.server.records.spooling.SpooledTemporaryFile", made)
    mine = f"whole-{whole}"
    named = f"{NDJSON}X-Request-ID: {mine}\r\n"
    asked = request("POST /records:batch?mode=update", named, b"x\n" * 20_000)
    with requests_told() as next_record, connected(patient) as sock:
        sock.sendall(asked if whole else asked[:-1])
        if not whole:
            sock.close()
        record = next_record()
        while (record.request, record.getMessage()) != (mine, "request"):
            record = next_record()
    assert [one.closed for one in files] == [True]
