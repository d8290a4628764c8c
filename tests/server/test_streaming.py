"""Long answers and long requests, of which the server holds a part at a time."""

import threading
from array import array
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from holdall.haystack.adapter.ranges import micros
from holdall.haystack.memory import InMemoryAdapter
from holdall.haystack.stores.histories import Samples
from holdall.server import ServerConfig
from holdall.server.storage_whole import WholeStorage
from server.asking import ZINC_TYPE, Asking, grid_of
from server.conftest import Serve

ROWS = 1_000_000
PAGE = 20_000
START = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A server's history of a million samples; lists the pages that were read of it."""
    read: list[str] = []
    start = micros(START)

    async def pages(self: Any, of: str, span: Any, *, size: int) -> AsyncIterator[Samples]:
        for at in range(0, ROWS, size):
            read.append(of)
            moments = array("q", range(start + at * 10**6, start + (at + size) * 10**6, 10**6))
            yield Samples(moments, array("d", range(size)))

    monkeypatch.setattr(WholeStorage, "samples", pages)
    return read


def ask_long(serve: Serve) -> Asking:
    return serve(config=ServerConfig(page=PAGE))


@pytest.mark.parametrize("accept", ["text/zinc", "application/json"])
def test_a_long_history_is_read_no_faster_than_the_client_takes_it(
    serve: Serve, asked_for: list[str], accept: str
) -> None:
    ask = ask_long(serve)
    url = "/api/hisRead?id=@p1&range=2024-01-01T00:00:00Z"
    with ask.client.stream("GET", url, headers={"Accept": accept}) as response:
        assert next(response.iter_bytes())
        assert ask.get("about").status_code == 200
        assert 0 < len(asked_for) < ROWS / PAGE / 2


def test_an_answer_that_fails_half_way_is_no_whole_answer(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pages(self: Any, of: str, span: Any, *, size: int) -> AsyncIterator[Samples]:
        for at in range(5):
            if at == 4:
                raise ConnectionError("the store went away")
            moments = array("q", range(at * size, (at + 1) * size))
            yield Samples(moments, array("d", range(size)))

    monkeypatch.setattr(WholeStorage, "samples", pages)
    with pytest.raises(httpx.RemoteProtocolError):
        ask_long(serve).get("hisRead?id=@p1&range=1970-01-01T00:00:00Z")


def test_a_request_that_fails_at_once_is_an_error_grid(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def pages(self: Any, of: str, span: Any, *, size: int) -> AsyncIterator[Samples]:
        if size:
            raise ConnectionError("the store went away")
        yield Samples(array("q"), array("d"))

    monkeypatch.setattr(WholeStorage, "samples", pages)
    assert ask_long(serve).grid("hisRead?id=@p1&range=today").is_error


def test_entities_are_kept_while_others_are_still_sent(
    serve: Serve, adapter: InMemoryAdapter
) -> None:
    ask, kept = serve(), threading.Event()

    def body() -> Iterator[bytes]:
        yield b'ver:"3.0"\nid,new\n'
        yield b"".join(b"@n%d,M\n" % at for at in range(20_000))
        assert kept.wait(30)
        yield b"@last,M\n"

    def look() -> None:
        while not len(ask.grid("read?filter=new")):
            pass
        kept.set()

    looking = threading.Thread(target=look)
    looking.start()
    response = ask.client.post("/load", content=body(), headers=ZINC_TYPE)
    looking.join()
    assert int(grid_of(response).meta["loaded"].val) == 20_001  # type: ignore[union-attr]


def test_others_are_answered_while_a_large_grid_is_read(ask: Asking) -> None:
    done: list[int] = []
    large = b'ver:"3.0" id:@p2\nts,val\n' + b"".join(
        b"2024-01-01T%02d:%02d:%02dZ,%d\n" % (at // 3600 % 24, at // 60 % 60, at % 60, at)
        for at in range(86_400)
    )
    writing = threading.Thread(target=lambda: done.append(ask.post("hisWrite", large).status_code))
    writing.start()
    while writing.is_alive():
        assert ask.get("about").status_code == 200
    assert done == [200]


def test_the_point_of_a_long_history_is_still_checked(serve: Serve, asked_for: list[str]) -> None:
    assert ask_long(serve).grid("hisRead?id=@nobody&range=today").is_error
    assert asked_for == []
