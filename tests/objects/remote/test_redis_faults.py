"""What goes wrong on the way to a Redis, and what the errors say."""

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from holdall.core.errors import (
    HoldallError,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.objects.backends.redis import connections
from holdall.objects.data_store import DataStore
from servers import RedisServer

Open = Callable[..., DataStore]

LARGE = bytes(range(251)) * 12_000  # too much to come with the first answer


class Proxy:
    """Stands between a client and a server, and can be told what to do with the next answer.

    Attributes:
        port: Where it listens.
        answer: What becomes of an answer: the part of it that goes on, or None to hold it back.
            A part that is shorter than the answer also ends the connection.
        requests: The bytes that came from clients.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.answer: Callable[[bytes], bytes | None] = lambda data: data
        self.requests = bytearray()
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._to))
            self._sockets += (client, server)
            for work in (self._ask, self._reply):
                thread = threading.Thread(target=work, args=(client, server))
                self._threads.append(thread)
                thread.start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                self.requests += data
                server.sendall(data)
        except OSError:
            pass
        self._end(client, server)

    def _reply(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := server.recv(65536):
                part = self.answer(data)
                if part is not None:
                    client.sendall(part)
                    if len(part) < len(data):
                        break
        except OSError:
            pass
        self._end(client, server)

    def _end(self, *sockets: socket.socket) -> None:
        for one in sockets:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._threads[0].join()
        self._end(*self._sockets)
        for thread in self._threads:
            thread.join()
        for one in self._sockets:
            one.close()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    proxy = Proxy(redis_server.running.port)
    yield proxy
    proxy.close()


@pytest.fixture
def through(opened: Open, proxy: Proxy) -> DataStore:
    """A store behind the proxy, whose connection is made and whose scripts are known."""
    store = opened(port=proxy.port)
    store.write("warm", b"x")
    store.write("warm", b"x", if_match=store.stat("warm").etag)
    store.delete("warm")
    return store


def lose(data: bytes) -> bytes:
    """The answer is lost, and the connection with it."""
    return b""


def hold(data: bytes) -> None:
    """The answer does not come."""


# Replies that are lost


def test_the_lost_reply_of_a_conditional_write_says_that_it_may_have_been_applied(
    through: DataStore, proxy: Proxy, others: Any
) -> None:
    proxy.answer = lose
    proxy.requests.clear()
    with pytest.raises(Unavailable, match="may have been applied") as caught:
        through.write("a", b"data", if_none_match="*")
    assert not caught.value.transient
    assert caught.value.uncertain
    assert isinstance(caught.value.__cause__, redis.ConnectionError)
    assert others.get("a") == b"data"
    assert proxy.requests.count(b"EVALSHA") == 1


def test_the_lost_reply_of_a_write_without_condition_is_transient(
    through: DataStore, proxy: Proxy
) -> None:
    proxy.answer = lose
    proxy.requests.clear()
    with pytest.raises(Unavailable) as caught:
        through.write("a", b"data")
    assert caught.value.transient
    assert "applied" not in str(caught.value)
    assert proxy.requests.count(b"EVALSHA") == 1


@pytest.mark.parametrize(
    "act",
    [lambda store: store.move("a", "b"), lambda store: store.copy("a", "b", if_none_match="*")],
    ids=["move", "copy"],
)
def test_the_lost_reply_of_what_cannot_be_done_twice_says_so(
    through: DataStore, proxy: Proxy, others: Any, act: Callable[[DataStore], Any]
) -> None:
    through.write("a", b"data")
    through.copy("a", "c")
    proxy.answer = lose
    with pytest.raises(Unavailable, match="may have been applied"):
        act(through)
    assert others.get("b") == b"data"


def test_the_lost_reply_of_a_deletion_says_so_where_it_has_a_condition(
    through: DataStore, proxy: Proxy, others: Any
) -> None:
    etag = through.write("a", b"data").etag
    through.write("b", b"data")
    proxy.answer = lose
    with pytest.raises(Unavailable, match="may have been applied") as caught:
        through.delete("a", if_match=etag)
    assert caught.value.uncertain
    assert not caught.value.transient
    assert others.get("a") is None
    with pytest.raises(Unavailable) as caught:
        through.delete("b")
    assert caught.value.transient
    assert not caught.value.uncertain


def test_the_lost_reply_of_a_commit_says_that_it_may_have_been_applied(
    through: DataStore, proxy: Proxy, others: Any
) -> None:
    with through.upload("warm") as upload:
        upload.commit()
    upload = through.upload("a")
    upload.write(b"data")
    proxy.answer = lose
    with pytest.raises(Unavailable, match="may have been applied"):
        upload.commit()
    assert others.get("a") == b"data"


def test_bytes_whose_reply_was_lost_are_staged_once(through: DataStore, proxy: Proxy) -> None:
    upload = through.upload("a")
    upload.write(b"one ")
    proxy.answer = lose
    with pytest.raises(Unavailable):
        upload.write(b"two and more")
    assert upload.offset == 4
    proxy.answer = bytes
    upload.write(b"two")
    assert upload.commit(7).size == 7
    assert through.read("a") == b"one two"


def test_bytes_whose_reply_was_lost_are_not_committed(through: DataStore, proxy: Proxy) -> None:
    upload = through.upload("a")
    upload.write(b"one ")
    proxy.answer = lose
    with pytest.raises(Unavailable):
        upload.write(b"two")
    proxy.answer = bytes
    upload.commit(4)
    assert through.read("a") == b"one "


def test_a_body_that_is_cut_half_way_is_an_error(through: DataStore, proxy: Proxy) -> None:
    through.write("a", LARGE)
    proxy.answer = lambda data: data[:30_000]
    with pytest.raises(Unavailable, match="broke off") as caught:
        through.read("a")
    assert caught.value.transient
    proxy.answer = bytes
    assert through.read("a") == LARGE


def test_a_connection_that_the_server_closed_is_made_anew(
    opened: Open, others: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "_LOOK_AFTER", 0.0)
    store = opened()
    store.write("a", b"data")
    others.client_kill_filter(_type="normal", skipme=True)
    assert store.read("a") == b"data"


# Time


def test_a_slow_server_is_a_timeout_that_names_the_setting(
    opened: Open, proxy: Proxy, others: Any
) -> None:
    store = opened(port=proxy.port, timeout=timedelta(seconds=1))
    store.write("a", b"data")
    proxy.answer = hold
    with pytest.raises(Timeout, match="'timeout'") as caught:
        store.read("a")
    assert caught.value.transient
    with pytest.raises(Timeout):
        store.write("a", b"data")


def test_a_timeout_of_a_conditional_write_says_that_it_may_have_been_applied(
    opened: Open, proxy: Proxy
) -> None:
    store = opened(port=proxy.port, timeout=timedelta(seconds=1))
    store.write("a", b"data")
    proxy.answer = hold
    with pytest.raises(Timeout, match="may have been applied") as caught:
        store.write("b", b"data", if_none_match="*")
    assert not caught.value.transient


def test_a_server_that_is_not_there_is_unavailable(opened: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        opened(port=port).write("a", b"data", if_none_match="*")
    assert caught.value.transient
    assert "applied" not in str(caught.value)


# What the server says


@pytest.mark.parametrize(
    ("answer", "kind", "transient"),
    [
        ("LOADING Redis is loading the dataset in memory", Unavailable, True),
        ("BUSY Redis is busy running a script", Unavailable, True),
        ("MISCONF Errors writing to the AOF file", Unavailable, True),
        ("MASTERDOWN Link with MASTER is down", Unavailable, True),
        ("NOREPLICAS Not enough good replicas to write", Unavailable, True),
        ("READONLY You can't write against a read only replica", Unavailable, True),
        ("ERR Error running script: @user_script:9: -READONLY You can't", Unavailable, True),
        ("OOM command not allowed when used memory > 'maxmemory'", Unavailable, False),
        ("ERR something that nobody knows", Unavailable, False),
        ("MOVED 3999 127.0.0.1:6381", Unsupported, False),
        ("CROSSSLOT Keys in request don't hash to the same slot", Unsupported, False),
        ("NOPERM this user has no permissions", PermissionDenied, False),
        ("ERR The user executing the script can't run this command", PermissionDenied, False),
        ("NOAUTH Authentication required.", Unauthenticated, False),
        ("WRONGPASS invalid username-password pair", Unauthenticated, False),
    ],
)
def test_an_error_of_the_server_is_one_of_ours(
    through: DataStore, proxy: Proxy, answer: str, kind: type[HoldallError], transient: bool
) -> None:
    proxy.answer = lambda data: f"-{answer}\r\n".encode()
    with pytest.raises(kind) as caught:
        through.write("a", b"data", if_none_match="*")
    assert caught.value.transient == transient
    assert "applied" not in str(caught.value)
    assert str(through.reference("a")) in str(caught.value)
    assert isinstance(caught.value.__cause__, redis.RedisError)
