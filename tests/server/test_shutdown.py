"""A server that is told to end finishes what it began, and keeps what it acknowledged."""

import signal
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from holdall.cli.serving_workers import SHUTDOWN
from holdall.haystack import MARKER, Grid, Ref
from holdall.haystack.codecs.zinc import ZINC
from server.processes import Served, served, until

ROWS = 60_000
ZINC_TYPE = {"Content-Type": "text/zinc"}
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def samples(begin: int, count: int) -> bytes:
    rows = [
        {"ts": BEGIN + timedelta(seconds=at), "val": float(at)}
        for at in range(begin, begin + count)
    ]
    return ZINC.encode(Grid(rows, meta={"id": Ref("p1")}, cols=["ts", "val"]))


def load(client: httpx.Client) -> None:
    """A site with a point."""
    site = {"id": Ref("s1"), "site": MARKER, "tz": "UTC"}
    point = {"id": Ref("p1"), "point": MARKER, "his": MARKER, "siteRef": Ref("s1"),
             "kind": "Number"}  # fmt: skip
    body = ZINC.encode(Grid([site, point]))
    assert client.post("/load", content=body, headers=ZINC_TYPE).status_code == 200


def write(client: httpx.Client, body: bytes) -> bool:
    """Whether samples were acknowledged."""
    answer = client.post("/api/hisWrite", content=body, headers=ZINC_TYPE)
    return answer.status_code == 200 and " err" not in answer.text.partition("\n")[0]


def kept(client: httpx.Client) -> int:
    """How many samples there are."""
    text = client.get("/api/hisRead", params={"id": "@p1", "range": "2026-01-01"}).text
    return len(text.splitlines()) - 2


def test_a_long_answer_is_sent_to_its_end(tmp_path: Path) -> None:
    with served(tmp_path, "sqlite:///plant.db") as server:
        with server.client() as client:
            load(client)
            assert write(client, samples(0, ROWS))
            query = {"id": "@p1", "range": "2026-01-01"}
            with client.stream("GET", "/api/hisRead", params=query) as answer:
                pieces = answer.iter_bytes()
                first = next(pieces)
                server.process.send_signal(signal.SIGTERM)
                until(lambda: not connects(server))
                text = first + b"".join(pieces)
        assert text.count(b"\n") >= ROWS
        assert server.process.wait(60) == 0


def connects(server: Served) -> bool:
    """Whether somebody still listens."""
    url = httpx.URL(server.url)
    try:
        socket.create_connection((url.host, url.port or 0), timeout=10).close()
    except OSError:
        return False
    return True


def test_what_was_acknowledged_is_there_afterwards(tmp_path: Path) -> None:
    acknowledged = 0
    with served(tmp_path, "sqlite:///plant.db", "--workers", "2") as server:
        with server.client() as client:
            load(client)
            ending = threading.Timer(0, lambda: None)
            try:
                for at in range(10_000):
                    if not write(client, samples(at * 10, 10)):
                        break
                    acknowledged += 1
                    if at == 20:
                        ending = threading.Timer(0, server.process.terminate)
                        ending.start()
            except httpx.TransportError:
                pass  # a request that was not taken, or not answered
            ending.join()
        assert server.process.wait(60) == 0
    with served(tmp_path, "sqlite:///plant.db") as server, server.client() as client:
        assert acknowledged > 20
        assert kept(client) in {acknowledged * 10, (acknowledged + 1) * 10}


def test_while_it_drains_it_serves_on_and_is_not_ready(tmp_path: Path) -> None:
    words = ("sqlite:///plant.db", "--workers", "2", "--drain", "3600")
    with served(tmp_path, *words) as server, server.client() as client:
        until(lambda: client.get("/health/ready").status_code == 200)
        server.process.send_signal(signal.SIGTERM)

        def statuses() -> list[int]:
            return [client.get("/health/ready").status_code for _ in range(20)]

        until(lambda: set(statuses()) == {503})
        assert client.get("/api/about").status_code == 200
        # Who tells it twice does not want to wait.
        assert server.end() == 0


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_requests_that_hang(
    first: signal.Signals, second: signal.Signals, tmp_path: Path
) -> None:
    with served(tmp_path, "sqlite:///plant.db") as server:
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port or 0), timeout=60) as sock:
            head = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/zinc\r\n"
            sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n")
            assert b" 100 " in sock.recv(1000)
            server.process.send_signal(first)
            until(lambda: not connects(server))
            server.process.send_signal(second)
            assert server.process.wait(SHUTDOWN / 2) == 0


def test_an_object_that_was_taken_is_there_afterwards(tmp_path: Path) -> None:
    words = ("sqlite:///plant.db", "--objects", "files")
    body = bytes(range(256)) * 4096
    (tmp_path / "files").mkdir()
    with served(tmp_path, *words) as server:
        url = httpx.URL(server.url)
        with socket.create_connection((url.host, url.port or 0), timeout=60) as sock:
            head = b"PUT /objects/a.bin HTTP/1.1\r\nHost: localhost\r\n"
            sock.sendall(head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body))
            assert b" 100 " in sock.recv(1000)
            server.process.send_signal(signal.SIGTERM)
            until(lambda: not connects(server))
            sock.sendall(body)
            assert sock.recv(1000).split()[1] in {b"200", b"201", b"204"}
        assert server.process.wait(60) == 0
    assert (tmp_path / "files" / "a.bin").read_bytes() == body
