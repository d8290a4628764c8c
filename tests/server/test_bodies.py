"""What stands around an operation: formats, statuses, limits, errors, ids of requests."""

import asyncio
import logging
import socket
from collections.abc import Callable, Iterator
from itertools import count
from queue import Queue
from typing import Any

import httpx
import msgspec
import pytest
from starlette.requests import Request

from holdall.core.errors import InvalidConfig
from holdall.haystack import MARKER, Grid, Number, Ref
from holdall.haystack.codecs.hayson import HAYSON
from holdall.haystack.codecs.json3 import JSON3
from holdall.haystack.codecs.media import codecs
from holdall.haystack.codecs.trio import TRIO
from holdall.haystack.codecs.zinc import ZINC
from holdall.haystack.memory import InMemoryAdapter
from holdall.server import ServerConfig, bodies, create_fastapi_app
from holdall.server.errors import HttpFault
from holdall.server.logs import LOG, JsonLines
from server.asking import Asking, grid_of
from server.conftest import Serve

READ = Grid([{"filter": "site"}])


@pytest.mark.parametrize(
    ("accept", "answered"),
    [
        ("*/*", "text/zinc; charset=utf-8"),
        ("", "text/zinc; charset=utf-8"),
        ("text/*", "text/zinc; charset=utf-8"),
        ("application/json", "application/json"),
        (
            "application/vnd.haystack+json;version=3",
            "application/vnd.haystack+json;version=3",
        ),
        ("text/trio", "text/trio; charset=utf-8"),
        ("text/csv", "text/csv; charset=utf-8"),
        ("text/zinc;q=0.2, application/json;q=0.9", "application/json"),
        ("text/html, application/json;q=0, */*;q=0.1", "text/zinc; charset=utf-8"),
    ],
)
def test_an_answer_is_in_the_format_that_is_asked_for(
    ask: Asking, accept: str, answered: str
) -> None:
    response = ask.get("read?filter=site", accept=accept)
    assert response.headers["content-type"] == answered
    assert str(grid_of(response)[0]["id"]) == "@s1"


@pytest.mark.parametrize("accept", ["text/html", "image/png, text/zinc;q=0", "nonsense"])
def test_a_format_that_nobody_writes_is_406(ask: Asking, accept: str) -> None:
    assert ask.get("about", accept=accept).status_code == 406


@pytest.mark.parametrize("codec", [HAYSON, JSON3, TRIO, ZINC], ids=repr)
def test_a_request_is_read_in_the_format_that_it_says(ask: Asking, codec: Any) -> None:
    response = ask.post("read", codec.encode(READ), content_type=codec.media_type)
    assert len(grid_of(response)) == 1


@pytest.mark.parametrize(
    ("kind", "status"),
    [("", 400), ("text/plain", 415), ("text/zinc; charset=latin-1", 415), ("zinc", 415)],
)
def test_a_request_of_no_known_format_is_refused(ask: Asking, kind: str, status: int) -> None:
    response = ask.client.post(
        "/api/read", content=ZINC.encode(READ), headers={"Content-Type": kind} if kind else {}
    )
    assert response.status_code == status


def test_a_packed_request_is_refused(ask: Asking) -> None:
    assert ask.post("read", b"\x1f\x8b", content_encoding="gzip").status_code == 415


def test_a_request_without_a_body_is_the_empty_grid(ask: Asking) -> None:
    assert ask.client.post("/api/nav").status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b'ver:"3.0"\nid\n@p1,@p2\n',
        b'ver:"3.0"\nid\n"\xff\xfe"\n',
        b'ver:"3.0"\nid\n"never closed',
        b"{}",
        b"\x00",
        b'ver:"3.0"\nid\n' + b"[" * 5000,
        b'ver:"3.0"\na\n' + b"[" * 60 + b"]" * 60 + b"\n",
    ],
)
def test_a_body_that_is_none_is_400_with_its_place(ask: Asking, body: bytes) -> None:
    response = ask.post("read", body)
    assert response.status_code == 400
    assert "line" in response.text
    assert ask.get("about").status_code == 200


def test_a_body_of_json_that_is_too_deep_is_400(ask: Asking) -> None:
    body = b'{"_kind":"grid","cols":[{"name":"a"}],"rows":[{"a":' + b"[" * 200 + b"]" * 200
    response = ask.post("read", body + b"}]}", content_type="application/json")
    assert response.status_code == 400


def test_a_body_that_says_it_is_too_large_is_413(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_body=1000))
    response = ask.post("read", b"x" * 1001)
    assert (response.status_code, "max_body" in response.text) == (413, True)


def test_a_body_that_turns_out_too_large_is_413(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_body=1000))
    pieces = (b"x" * 100 for _ in range(11))
    response = ask.client.post("/api/read", content=pieces, headers={"Content-Type": "text/zinc"})
    assert response.status_code == 413


def test_more_rows_than_are_allowed_are_400(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_rows=2))
    response = ask.post("read", Grid([{"id": Ref(f"x{at}")} for at in range(3)]))
    assert (response.status_code, "rows" in response.text) == (400, True)


def test_more_ids_than_are_allowed_at_once_are_an_error(serve: Serve) -> None:
    ask = serve(config=ServerConfig(max_read=2))
    grid = ask.grid("read", Grid([{"id": Ref(f"x{at}")} for at in range(3)]))
    assert "max_read" in str(grid.meta["dis"])


def test_a_body_that_does_not_come_is_408(serve: Serve) -> None:
    ask = serve(config=ServerConfig(body_timeout=0.2))
    head = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/zinc\r\n"
    with socket.create_connection(_address(ask)) as sock:
        sock.sendall(head + b"Content-Length: 100\r\n\r\nver")
        assert b" 408 " in sock.recv(1000)
    assert ask.get("about").status_code == 200


def test_a_body_that_trickles_is_408(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count()
    monkeypatch.setattr(bodies, "monotonic", lambda: float(next(clock)))

    async def receive() -> Any:
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def read() -> None:
        request = Request({"type": "http", "headers": []}, receive)
        async for _ in bodies.pieces(request, limit=0, timeout=5, setting="max_body"):
            pass

    with pytest.raises(HttpFault, match="6 bytes") as caught:
        asyncio.run(read())
    assert caught.value.status == 408


def test_a_body_that_breaks_off_leaves_the_server_answering(ask: Asking) -> None:
    head = b"POST /api/read HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/zinc\r\n"
    with socket.create_connection(_address(ask)) as sock:
        sock.sendall(head + b"Content-Length: 100\r\n\r\nver")
    assert ask.get("about").status_code == 200


def _address(ask: Asking) -> tuple[str, int]:
    url = ask.client.base_url
    assert url.port is not None
    return url.host, url.port


@pytest.mark.parametrize("op", ["hisWrite", "pointWrite", "invokeAction", "watchPoll", "close"])
def test_what_may_change_something_takes_no_get(ask: Asking, op: str) -> None:
    assert ask.get(op).status_code == 405


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
def test_other_methods_are_501(ask: Asking, method: str) -> None:
    assert ask.client.request(method, "/api/read").status_code == 501


def test_an_operation_that_is_not_there_is_404(ask: Asking) -> None:
    assert ask.get("fly").status_code == 404


@pytest.mark.parametrize("query", ["id=@a&id=@b", "Not%20a%20name=1"])
def test_parameters_that_make_no_row_are_400(ask: Asking, query: str) -> None:
    assert ask.get(f"read?{query}").status_code == 400


@pytest.mark.parametrize("accept", ["text/csv", "text/trio"])
def test_an_error_shows_in_formats_without_tags_about_grids(ask: Asking, accept: str) -> None:
    response = ask.get("read?filter=5", accept=accept)
    assert response.headers["content-type"].startswith("text/zinc")
    assert grid_of(response).is_error


def test_an_error_tells_where_in_the_code_only_to_who_debugs(serve: Serve) -> None:
    plain, debugging = serve(), serve(config=ServerConfig(debug=True))
    assert "errTrace" not in plain.grid("read?filter=5").meta
    assert "Traceback" in str(debugging.grid("read?filter=5").meta["errTrace"])


@pytest.fixture
def logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Iterator[Callable[[], Any]]:
    """Answers the next record of the log, for which it waits: it comes after the answer."""
    records: Queue[logging.LogRecord] = Queue()
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", records.put)
    LOG.addHandler(handler)
    with caplog.at_level(logging.INFO, LOG.name):
        yield lambda: records.get(timeout=30)
    LOG.removeHandler(handler)


def test_each_answer_has_an_id_that_the_log_has_too(ask: Asking, logged: Callable[[], Any]) -> None:
    made = ask.get("about").headers["x-request-id"]
    given = ask.get("about", x_request_id="mine-1").headers["x-request-id"]
    assert given == "mine-1"
    assert [logged().request, logged().request] == [made, given]


def test_an_id_that_would_break_the_log_is_not_taken(ask: Asking) -> None:
    assert ask.get("about", x_request_id='a"b c').headers["x-request-id"] != 'a"b c'


def test_the_log_has_lines_of_json_without_query_and_header(
    ask: Asking, logged: Callable[[], Any]
) -> None:
    ask.get("read?filter=secret1", authorization="Bearer secret2")
    text = JsonLines().format(logged())
    line = msgspec.json.decode(text)
    assert (line["path"], line["status"], line["user"]) == ("/api/read", 200, "local")
    assert "secret" not in text


def test_a_record_with_half_of_a_character_is_not_lost() -> None:
    record = logging.makeLogRecord({"msg": "half \ud800 of one"})
    assert msgspec.json.decode(JsonLines().format(record))["message"] == "half \\ud800 of one"


def test_the_prefix_is_a_setting(serve: Serve) -> None:
    ask = serve(config=ServerConfig(prefix="/haystack", name="Plant 7"))
    response = ask.client.get("/haystack/about")
    assert grid_of(response)[0]["serverName"] == "Plant 7"
    assert ask.get("about").status_code == 404


@pytest.mark.parametrize(
    "settings",
    [{"prefix": "api"}, {"prefix": "/"}, {"max_read": 0}, {"max_body": -1}, {"session": 0}],
)
def test_a_setting_that_cannot_be_is_named(settings: dict[str, Any]) -> None:
    with pytest.raises(InvalidConfig, match=next(iter(settings))):
        ServerConfig(**settings)


def test_openapi_names_each_operation(ask: Asking) -> None:
    told = ask.client.get("/openapi.json").json()
    assert {"/api/read", "/api/hisWrite", "/api/load"} <= told["paths"].keys()
    assert set(told["paths"]["/api/hisWrite"]) == {"post"}


def test_the_store_is_connected_with_the_server_and_closed_with_it() -> None:
    told = []

    class Told(InMemoryAdapter):
        pass

    adapter = Told()
    stores = adapter.stores
    for store in stores:
        connect, close = store.connect, store.close

        async def connecting(connect: Any = connect) -> None:
            told.append("connect")
            await connect()

        async def closing(close: Any = close) -> None:
            told.append("close")
            await close()

        store.connect, store.close = connecting, closing  # type: ignore[method-assign]
    app = create_fastapi_app(storage=adapter)

    async def live() -> None:
        async with app.router.lifespan_context(app):
            assert told == ["connect", "connect"]

    asyncio.run(live())
    assert told == ["connect", "connect", "close", "close"]


def test_an_error_with_half_of_a_character_is_an_error_grid(serve: Serve) -> None:
    def bad(call: Any) -> None:
        raise ValueError("half \ud800 of one")

    ask = serve(actions={"bad": bad})
    grid = ask.grid("invokeAction", Grid(meta={"id": Ref("s1"), "action": "bad"}, cols=["empty"]))
    assert "half \\ud800 of one" in str(grid.meta["dis"])


def test_an_answer_that_cannot_be_written_is_an_error(serve: Serve) -> None:
    many = InMemoryAdapter([{"id": Ref("x"), "thing": MARKER, "n": Number(1)}])
    ask = serve(many, actions={"bad": lambda call: [{"text": "\ud800"}]})
    request = Grid(meta={"id": Ref("x"), "action": "bad"}, cols=["empty"])
    for codec in codecs():
        response = ask.post("invokeAction", request, accept=codec.media_type)
        assert isinstance(response, httpx.Response)
        assert grid_of(response).is_error
