"""What goes wrong between a Redis store and its server, and what the errors say."""

import logging
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import redis

from holdall.core.errors import (
    HoldallError,
    InvalidConfig,
    PermissionDenied,
    Timeout,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from holdall.core.reference import Reference
from holdall.core.runtime.blocking import BlockingRuntime
from holdall.core.secrets import Secret
from holdall.objects.backends import redis as redis_backend
from holdall.objects.backends.redis import RedisSettings, RedisStore, connections
from holdall.objects.backends.redis.serving import judge
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
def others(redis_server: RedisServer) -> Iterator[Any]:
    """Another program that uses the same database."""
    with redis.Redis.from_url(redis_server.make_empty()) as client:
        yield client


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    proxy = Proxy(redis_server.running.port)
    yield proxy
    proxy.close()


@pytest.fixture
def opened(redis_server: RedisServer, others: Any) -> Iterator[Open]:
    stores: list[DataStore] = []

    def open_store(**more: Any) -> DataStore:
        known = {
            "host": "127.0.0.1",
            "port": redis_server.running.port,
            "password": Secret(redis_server.password),
        }
        store = RedisStore(RedisSettings(**{**known, **more}), BlockingRuntime())
        stores.append(DataStore(store))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


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
    store = opened(port=proxy.port, timeout=timedelta(milliseconds=200))
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
    store = opened(port=proxy.port, timeout=timedelta(milliseconds=200))
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


# What the server refuses


@pytest.mark.parametrize("password", ["wrong-secret", None])
def test_a_wrong_password_is_an_error_of_its_own_and_shows_no_secret(
    opened: Open, redis_server: RedisServer, password: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    store = opened(password=Secret(password) if password else None)
    with pytest.raises(Unauthenticated, match="HOLDALL_REDIS_PASSWORD") as caught:
        store.write("a", b"data")
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(store)
    assert "wrong-secret" not in shown
    assert redis_server.password not in shown
    assert not caught.value.transient


def test_a_user_with_the_rights_that_the_docs_name_can_do_everything(
    opened: Open, others: Any
) -> None:
    rights = "~app/* ~.holdall/* +@read +@write +@scripting +@connection +time +info"
    others.execute_command("ACL", "SETUSER", "app", "reset", "on", ">pw", *rights.split())
    try:
        store = opened(username="app", password=Secret("pw"), prefix="app")
        store.write("a", LARGE, metadata={"name": "x"})
        with store.open_reader("a") as reader:
            store.write("a", iter([b"new"]))
            assert reader.read() == LARGE
        store.copy("a", "b")
        store.move("b", "c")
        assert list(store.list()) == ["a", "c"]
        store.delete_many(["a", "c"])
        other = opened(username="app", password=Secret("pw"))
        with pytest.raises(PermissionDenied):
            other.write("elsewhere", b"data")
        with pytest.raises(PermissionDenied):
            other.read("elsewhere")
        with pytest.raises(PermissionDenied):
            other.delete("elsewhere")
    finally:
        others.acl_deluser("app")


def test_a_user_who_may_only_read_reads_and_lists(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    store.write("b", b"data")
    others.delete("b")
    rights = "~* +@read +@scripting +@connection +time"
    others.execute_command("ACL", "SETUSER", "reader", "reset", "on", ">pw", *rights.split())
    try:
        reader = opened(username="reader", password=Secret("pw"))
        assert reader.read("a") == LARGE
        assert list(reader.list()) == ["a"]
        with pytest.raises(PermissionDenied):
            reader.write("a", b"new")
        assert store.read("a") == LARGE
    finally:
        others.acl_deluser("reader")


def test_a_write_that_is_not_permitted_beside_the_value_changes_no_value(
    opened: Open, others: Any
) -> None:
    opened().write("a", LARGE)
    rights = "~a +@all"
    others.execute_command("ACL", "SETUSER", "half", "reset", "on", ">pw", *rights.split())
    try:
        half = opened(username="half", password=Secret("pw"))
        with opened().open_reader("a"):
            with pytest.raises(PermissionDenied):
                half.write("a", b"new")
            with pytest.raises(PermissionDenied):
                half.delete("a")
        assert opened().read("a") == LARGE
    finally:
        others.acl_deluser("half")


def test_a_full_server_takes_nothing_and_still_deletes(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    others.config_set("maxmemory", "1mb")
    try:
        acts: list[Callable[[], Any]] = [
            lambda: store.write("b", b"data"),
            lambda: store.write("a", iter([b"data"])),
            lambda: store.copy("a", "b"),
        ]
        for act in acts:
            with pytest.raises(Unavailable, match="maxmemory") as caught:
                act()
            assert not caught.value.transient
        assert store.read("a") == LARGE
        store.delete("a")
        assert not store.exists("a")
    finally:
        others.config_set("maxmemory", "0")
    assert list(store.list()) == []


def test_a_server_that_follows_another_takes_no_writes_for_now(opened: Open, others: Any) -> None:
    store = opened()
    store.write("a", LARGE)
    others.execute_command("REPLICAOF", "127.0.0.1", "1")
    try:
        with pytest.raises(Unavailable, match="READONLY") as caught:
            store.write("a", b"new")
        assert caught.value.transient
        assert store.read("a") == LARGE
        assert list(store.list()) == ["a"]
    finally:
        others.execute_command("REPLICAOF", "NO", "ONE")


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


def test_what_ought_to_be_ours_and_is_something_else_is_an_error(opened: Open, others: Any) -> None:
    others.set(".holdall/index", "x")
    with pytest.raises(HoldallError):
        opened().write("a", b"data")
    assert not others.exists("a")


# What server it is


def said(**more: str) -> bytes:
    facts = {"redis_version": "7.4.1", "cluster_enabled": "0", "maxmemory": "0"} | more
    return b"# Server\r\n" + "".join(f"{k}:{v}\r\n" for k, v in facts.items()).encode()


REF = Reference.parse("redis://server/a")


def test_a_server_that_is_too_old_is_refused() -> None:
    judge(said(redis_version="6.2.0"), REF)
    with pytest.raises(Unsupported, match=r"6\.2"):
        judge(said(redis_version="6.0.16"), REF)


def test_a_part_of_a_cluster_is_refused() -> None:
    with pytest.raises(Unsupported, match="cluster"):
        judge(said(cluster_enabled="1"), REF)


def test_a_server_that_may_throw_keys_away_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    judge(said(maxmemory_policy="allkeys-lru"), REF)
    judge(said(maxmemory_policy="noeviction", maxmemory="1000"), REF)
    assert not caplog.records
    judge(said(maxmemory_policy="allkeys-lru", maxmemory="1000"), REF)
    assert "noeviction" in caplog.text


@pytest.mark.parametrize("check", [True, False])
def test_the_first_request_alone_looks_what_server_it_is(
    opened: Open, others: Any, check: bool
) -> None:
    store = opened(check=check)
    others.config_resetstat()
    for _ in range(3):
        store.exists("a")
    assert ("cmdstat_info" in others.info("commandstats")) == check


# Settings


def test_a_missing_driver_is_an_error_that_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, connections.__name__)
    monkeypatch.delattr(redis_backend, "connections")
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(InvalidConfig, match=r"holdall\[redis\]"):
        RedisStore(RedisSettings(), BlockingRuntime())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("host", ""),
        ("host", "user:pw@host"),
        ("port", 0),
        ("port", 70_000),
        ("db", -1),
        ("connections", 0),
        ("timeout", timedelta()),
        ("connect_timeout", timedelta(seconds=-1)),
        ("ttl", timedelta()),
    ],
)
def test_a_setting_that_cannot_be_is_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidConfig, match=f"'{name}'") as caught:
        RedisStore(RedisSettings(**{name: value}), BlockingRuntime())
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "settings"),
    [
        ("redis://host", {"host": "host", "prefix": ""}),
        ("redis://host:6380/a/b", {"host": "host", "port": 6380, "prefix": "a/b"}),
        ("redis://[::1]:6380/a", {"host": "[::1]", "port": 6380, "prefix": "a"}),
        ("redis://[::1]/a", {"host": "[::1]", "prefix": "a"}),
        ("rediss://host/a", {"host": "host", "prefix": "a", "ssl": True}),
    ],
)
def test_an_address_is_its_settings_and_back(text: str, settings: dict[str, Any]) -> None:
    ref = Reference.parse(text)
    assert RedisStore.settings_of(ref) == settings
    assert RedisStore(RedisSettings(**settings), BlockingRuntime()).root == ref


def test_an_address_may_bring_user_and_password() -> None:
    ref = Reference.parse("redis://user:a%3Ab@host/a")
    found = RedisStore.settings_of(ref)
    assert (found["username"], found["password"]) == ("user", "a:b")
    assert RedisStore.settings_of(Reference.parse("redis://:pw@host"))["password"] == "pw"
