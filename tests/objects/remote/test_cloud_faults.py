"""What goes wrong between a store and its service."""

import io
import logging
import re
import socket
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

import holdall
from holdall import errors

_SECRET = "hunter2-never-shown"
Answer = Callable[[str, socket.socket], None]


class Rogue:
    """A server that answers as a test says, and notes the first line of each request."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self.requests: list[str] = []
        self.answer: Answer = lambda _, connection: connection.shutdown(socket.SHUT_RDWR)
        self.released = threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with suppress(OSError), connection:
            file = connection.makefile("rb")
            while first := file.readline().decode():
                headers = b"".join(iter(file.readline, b"\r\n"))
                length = re.search(rb"(?i)content-length: *(\d+)", headers)
                file.read(int(length[1]) if length else 0)
                self.requests.append(first.strip())
                self.answer(first, connection)

    def close(self) -> None:
        self.released.set()
        self._listening.close()


@pytest.fixture
def rogue() -> Iterator[Rogue]:
    server = Rogue()
    yield server
    server.close()


@pytest.fixture(params=["s3", "az", "gs"])
def place(request: pytest.FixtureRequest, rogue: Rogue) -> dict[str, Any]:
    """Where each kind of store is, with the rogue behind it."""
    kinds: dict[str, dict[str, Any]] = {
        "s3": {"bucket": "b", "access_key": "id", "secret_key": _SECRET, "probe": False},
        "az": {"container": "b", "account_name": "acc", "account_key": "aHVudGVyMg=="},
        "gs": {"bucket": "b", "token": _SECRET},
    }
    common = {"type": request.param, "endpoint": rogue.url, "check": False, "layers": []}
    return {**common, **kinds[request.param]}


@pytest.fixture
def store(place: dict[str, Any]) -> holdall.DataStore:
    """Each kind of store."""
    return holdall.open(place)


def _status(code: int, body: bytes = b"", **headers: str) -> Answer:
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())

    def answer(_: str, connection: socket.socket) -> None:
        head = f"HTTP/1.1 {code} X\r\nContent-Length: {len(body)}\r\n{lines}\r\n"
        connection.sendall(head.encode() + body)

    return answer


_OBJECT = {
    "ETag": '"e"',
    "Last_Modified": "Thu, 29 Feb 2024 12:34:56 GMT",
    "x_goog_generation": "7",
}


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
def test_a_busy_service_is_unavailable_and_asked_once(
    store: holdall.DataStore, rogue: Rogue, code: int
) -> None:
    rogue.answer = _status(code)
    for call in (
        lambda: store.read("a"),
        lambda: store.write("a", b"data"),
        lambda: store.stat("a"),
        lambda: list(store.list()),
        lambda: store.delete("a"),
    ):
        rogue.requests.clear()
        with pytest.raises((errors.Unavailable, errors.PartialFailure), match=str(code)) as caught:
            call()
        found = caught.value
        assert getattr(found, "errors", [found])[0].transient
        assert len(rogue.requests) == 1


def test_a_service_that_is_silent_ends_by_the_setting(place: dict[str, Any], rogue: Rogue) -> None:
    store = holdall.open({**place, "timeout": 0.5})

    def wait(_: str, connection: socket.socket) -> None:
        rogue.released.wait(30)

    rogue.answer = wait
    for call in (lambda: store.read("a"), lambda: store.stat("a"), lambda: list(store.list())):
        with pytest.raises(errors.Timeout, match="'timeout'"):
            call()


@pytest.mark.parametrize("size", [1000, 3_000_000])
def test_a_body_that_is_cut_is_an_error(store: holdall.DataStore, rogue: Rogue, size: int) -> None:
    def answer(_: str, connection: socket.socket) -> None:
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in _OBJECT.items())
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n{lines}\r\n".encode())
        connection.sendall(b"x" * (size // 2))
        connection.shutdown(socket.SHUT_RDWR)

    rogue.answer = answer
    with pytest.raises(errors.Unavailable) as caught:
        store.read("a")
    assert caught.value.transient
    target = io.BytesIO()
    with pytest.raises(errors.Unavailable):
        store.read_into("a", target)


def test_a_lost_reply_to_a_conditional_write_is_told_and_not_repeated(
    store: holdall.DataStore, rogue: Rogue
) -> None:
    for options in ({"if_none_match": "*"}, {"if_match": "7"}):
        rogue.requests.clear()
        with pytest.raises(errors.Unavailable, match="may have been applied") as caught:
            store.write("a", b"data", **options)  # type: ignore[arg-type]
        assert not caught.value.transient
        assert len(rogue.requests) == 1


def test_a_conditional_write_that_failed_on_the_way_is_not_called_repeatable(
    store: holdall.DataStore, rogue: Rogue
) -> None:
    rogue.answer = _status(503)
    with pytest.raises(errors.Unavailable, match="may have been applied") as caught:
        store.write("a", b"data", if_none_match="*")
    assert not caught.value.transient


@pytest.mark.parametrize("code", [None, 503])
def test_a_conditional_deletion_without_an_outcome_is_told_and_not_repeated(
    place: dict[str, Any], rogue: Rogue, code: int | None
) -> None:
    item = b'{"name": "a", "generation": "7"}'

    def answer(first: str, connection: socket.socket) -> None:
        if first.startswith("DELETE"):
            (lose if code is None else _status(code))(first, connection)
        else:
            _status(200, b"" if first.startswith("HEAD") else item, **found)(first, connection)

    found = {**_OBJECT, "ETag": '"7"'}
    lose, rogue.answer = rogue.answer, answer
    store = holdall.open({**place, "layers": [{"layer": "retry", "delay": 0}]})
    with pytest.raises(errors.Unavailable, match="deletion may have been applied") as caught:
        store.delete("a", if_match="7")
    assert caught.value.uncertain
    assert not caught.value.transient
    assert len([line for line in rogue.requests if line.startswith("DELETE")]) == 1


def test_a_lost_reply_to_a_plain_write_may_be_repeated(
    store: holdall.DataStore, rogue: Rogue
) -> None:
    with pytest.raises(errors.Unavailable) as caught:
        store.write("a", b"data")
    assert caught.value.transient
    assert "may have been applied" not in str(caught.value)
    assert len(rogue.requests) == 1


def test_no_secret_is_shown(
    store: holdall.DataStore, rogue: Rogue, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    shown = [repr(store), repr(store.store.settings), store.config_json()]
    for answer in (_status(403), _status(401), _status(500), rogue.answer):
        rogue.answer = answer
        for call in (store.read, store.stat, store.exists, lambda key: store.write(key, b"")):
            with suppress(errors.HoldallError):
                try:
                    call("a")
                except errors.HoldallError as error:
                    shown += [str(error), repr(error), str(error.__cause__)]
                    raise
    shown += [record.getMessage() for record in caplog.records if "holdall" in record.name]
    assert len(shown) > 10
    for text in shown:
        assert _SECRET not in text
        assert "aHVudGVyMg" not in text


def test_a_signature_that_a_gateway_repeats_is_not_shown(rogue: Rogue) -> None:
    def answer(first: str, connection: socket.socket) -> None:
        line = first.strip().replace("&", "&amp;")
        body = f"<Error><Code>X</Code><Message>bad {line}</Message></Error>".encode()
        connection.sendall(b"HTTP/1.1 500 X\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    rogue.answer = answer
    token = f"sv=2020&sp=rw&sig={_SECRET}%3D"
    place = {"type": "az", "container": "b", "account_name": "acc", "sas_token": token}
    store = holdall.open({**place, "endpoint": rogue.url, "check": False, "layers": []})
    for call in (
        lambda: store.read("a"),
        lambda: store.write("a", b"data"),
        lambda: list(store.list()),
    ):
        with pytest.raises(errors.Unavailable, match="sig=") as caught:
            call()
        assert _SECRET not in "".join(traceback.format_exception(caught.value))
    assert any(_SECRET in line for line in rogue.requests)


def test_a_server_that_ignores_conditions_is_found(rogue: Rogue) -> None:
    rogue.answer = _status(200, b"", **_OBJECT)
    store = holdall.open(
        {
            "type": "s3",
            "bucket": "b",
            "endpoint": rogue.url,
            "access_key": "id",
            "secret_key": _SECRET,
            "check": False,
        }
    )
    store.write("a", b"data")
    for _ in range(2):
        with pytest.raises(errors.Unsupported, match=r"If-None-Match.*writes all the same"):
            store.write("a", b"data", if_none_match="*")
    assert not [line for line in rogue.requests if "/a " in line][1:]


def test_something_else_than_the_service_is_named(store: holdall.DataStore, rogue: Rogue) -> None:
    rogue.answer = _status(200, b"<html>Please log in<br></html>")
    with pytest.raises(errors.Unavailable, match=re.escape(rogue.url[7:]) + "|the service"):
        list(store.list())
